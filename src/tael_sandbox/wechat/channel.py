"""WeChat Pay as the sandbox sees it: which paths, events and controls are its own."""

from typing import ClassVar, cast, get_args

from tael_sandbox.courier import Notice, Verdict
from tael_sandbox.happened import Happened
from tael_sandbox.views import PaidView
from tael_sandbox.web import Answer, Request
from tael_sandbox.wechat import api, cashier, control, notify
from tael_sandbox.wechat.state import NAME, Event, Wechat
from tael_sandbox.world import Channel, World


class WechatChannel(Channel):
    """The channel; ``state`` is its inside."""

    name: ClassVar[str] = NAME
    events: ClassVar[tuple[type[Happened], ...]] = get_args(Event)
    api_paths: ClassVar[tuple[str, ...]] = ("/v3/",)
    page_paths: ClassVar[tuple[str, ...]] = ("/cashier", cashier.H5_PATH)

    def __init__(self, world: World) -> None:
        """Load the merchants."""
        self.state = Wechat(world)

    def apply(self, event: Happened) -> None:
        """Let one of ``events`` have happened."""
        self.state.apply(cast(Event, event))

    async def serve(self, request: Request) -> Answer:
        """Answer an API call."""
        return await api.serve(self.state, request)

    async def show(self, request: Request) -> Answer:
        """Answer a person's browser."""
        return await cashier.serve(self.state, request)

    async def control(self, name: str, request: Request) -> Answer:
        """Do what a test or the demo asks."""
        return await control.serve(self.state, name, request)

    async def attempt(self, notice: Notice) -> Verdict:
        """Send a notice once."""
        return await notify.attempt(self.state, notice)

    def paid(self) -> dict[str, PaidView]:
        """Payments by merchant number."""
        return control.paid(self.state)

    def heal(self) -> None:
        """Disarm every fault."""
        self.state.faults.clear()
