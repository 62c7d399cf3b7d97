"""99bill as the sandbox sees it: it has no pages, no notices and no payments that come in."""

from typing import get_args

from tael_sandbox.bill99 import api, control
from tael_sandbox.bill99.state import Bill99, Event
from tael_sandbox.world import Channel, World


def bill99(world: World) -> Channel[Bill99]:
    """Load the members and make the channel."""
    state = Bill99(world)
    return Channel(
        state,
        events=get_args(Event),
        apply=state.apply,
        api_paths=("/fo-pay",),
        serve=api.serve,
        control=control.serve,
    )
