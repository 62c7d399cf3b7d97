"""WeChat Pay as the sandbox sees it: which paths, events and controls are its own."""

from typing import get_args

from tael_sandbox.wechat import api, cashier, control, notify
from tael_sandbox.wechat.state import Event, Wechat
from tael_sandbox.world import Channel, World


def wechat(world: World) -> Channel[Wechat]:
    """Load the merchants and make the channel."""
    state = Wechat(world)
    return Channel(
        state,
        events=get_args(Event),
        apply=state.apply,
        api_paths=("/v3/",),
        serve=api.serve,
        control=control.serve,
        page_paths=("/cashier", cashier.H5_PATH),
        show=cashier.serve,
        attempt=notify.attempt,
        paid=control.paid,
    )
