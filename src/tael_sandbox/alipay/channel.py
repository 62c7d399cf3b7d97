"""Alipay as the sandbox sees it: which paths, events and controls are its own."""

from typing import get_args

from tael_sandbox.alipay import api, cashier, control, notify
from tael_sandbox.alipay.state import Alipay, Event
from tael_sandbox.world import Channel, World


def alipay(world: World) -> Channel[Alipay]:
    """Load the merchants and make the channel."""
    state = Alipay(world)
    return Channel(
        state,
        events=get_args(Event),
        apply=state.apply,
        api_paths=("/gateway.do",),
        serve=api.serve,
        control=control.serve,
        page_paths=("/alipay",),
        show=cashier.serve,
        attempt=notify.attempt,
        paid=control.paid,
    )
