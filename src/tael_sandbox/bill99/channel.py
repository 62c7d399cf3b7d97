"""99bill as the sandbox sees it: which paths, events and controls are its own."""

from typing import ClassVar, cast, get_args

from tael_sandbox.bill99 import api, control
from tael_sandbox.bill99.state import NAME, Bill99, Event
from tael_sandbox.courier import Notice, Verdict
from tael_sandbox.happened import Happened
from tael_sandbox.views import PaidView
from tael_sandbox.web import Answer, Request
from tael_sandbox.world import Channel, World


class Bill99Channel(Channel):
    """The channel; ``state`` is its inside."""

    name: ClassVar[str] = NAME
    events: ClassVar[tuple[type[Happened], ...]] = get_args(Event)
    api_paths: ClassVar[tuple[str, ...]] = ("/fo-pay",)
    page_paths: ClassVar[tuple[str, ...]] = ()

    def __init__(self, world: World) -> None:
        """Load the members."""
        self.state = Bill99(world)

    def apply(self, event: Happened) -> None:
        """Let one of ``events`` have happened."""
        self.state.apply(cast(Event, event))

    async def serve(self, request: Request) -> Answer:
        """Answer a member's call."""
        return await api.serve(self.state, request)

    async def show(self, request: Request) -> Answer:
        """There is no page: nobody pays here with a browser."""
        return Answer(404)

    async def control(self, name: str, request: Request) -> Answer:
        """Do what a test or the demo asks."""
        return await control.serve(self.state, name, request)

    async def attempt(self, notice: Notice) -> Verdict:
        """Never called: 99bill has no notices."""
        return Verdict(accepted=True)

    def paid(self) -> dict[str, PaidView]:
        """No payment comes in here."""
        return {}

    def heal(self) -> None:
        """Disarm every fault."""
        self.state.faults.clear()
