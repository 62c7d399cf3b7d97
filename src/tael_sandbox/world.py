"""What all channels of one sandbox share, and the one way anything changes: an event is applied in memory and appended
to the journal.

At start the journal is replayed through the same ``apply``, so a sandbox that was killed comes back with every
order, payment, balance and waiting notice it ever admitted to. The world knows no channel: each brings its events, its
state and its notices along (``Channel``), and ``channels.py`` lists them.
"""

import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Generic, TypeVar, cast

import msgspec

from tael_sandbox.book import Book
from tael_sandbox.calls import Call, Witness
from tael_sandbox.clock import Clock, Mode, Wire
from tael_sandbox.courier import Courier, Notice, Tried, Verdict
from tael_sandbox.faults import Fault, Faults
from tael_sandbox.happened import Happened
from tael_sandbox.ids import Ids
from tael_sandbox.journal import Journal
from tael_sandbox.outgoing import Poster
from tael_sandbox.views import PaidView
from tael_sandbox.web import Answer, Request

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
_S_co = TypeVar("_S_co", bound="State", covariant=True)
_E = TypeVar("_E", bound=Happened)


class ClockMoved(Happened, frozen=True, tag="clock"):
    """Somebody set the clock."""

    mode: Mode
    wire: Wire
    now_ms: int


class World:
    """The shared half of one sandbox. Use ``World.open``, then ``begin`` with its channels."""

    def __init__(self, folder: Path, *, seed: str, journal: Journal, notify_hosts: frozenset[str]) -> None:
        """Wire the parts together; nothing is replayed yet."""
        self.folder = folder
        self.base_url = ""
        self.notify_hosts = LOOPBACK | notify_hosts
        self.clock = Clock()
        self.ids = Ids(seed)
        self.journal = journal
        self.book = Book()
        self.witness = Witness()
        self.poster = Poster()
        self.courier = Courier(self.clock, self.record)
        self.channels: dict[str, Channel[State]] = {}
        self._owners: dict[type[Happened], Channel[State]] = {}
        self._encoder = msgspec.json.Encoder()
        self._past: list[bytes] = []

    @classmethod
    def open(cls, folder: Path, *, seed: str | None = None, notify_hosts: frozenset[str] = frozenset()) -> "World":
        """Open a data folder, new or used. A new folder keeps ``seed`` (default: a random one) for good."""
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        kept = folder / "seed"
        if not kept.exists():
            kept.write_text(secrets.token_hex(8) if seed is None else seed)
        journal, lines = Journal.open(folder / "journal.jsonl")
        world = cls(folder, seed=kept.read_text(), journal=journal, notify_hosts=notify_hosts)
        world._past = lines
        return world

    def begin(self, channels: Sequence["Channel[State]"]) -> None:
        """Take the channels, the first as the one meant when a control call names none, and replay the journal."""
        for channel in channels:
            self.channels[channel.name] = channel
            self._owners |= dict.fromkeys(channel.events, channel)
        kinds = Tried | ClockMoved
        for kind in self._owners:
            kinds |= kind
        decoder = msgspec.json.Decoder(cast("type[Happened]", kinds))
        for line in self._past:
            self._apply(decoder.decode(line))
        self._past = []

    async def close(self) -> None:
        """Finish the journal and hang up."""
        await self.poster.close()
        await self.journal.close()

    def record(self, event: Happened) -> None:
        """Let an event happen. Whoever tells the outside about it waits for ``journal.settled`` first."""
        self.journal.append(self._encoder.encode(event))
        self._apply(event)

    async def attempt(self, notice: Notice) -> Verdict:
        """Let the notice's channel send it once."""
        return await self.channels[notice.channel].attempt(notice)

    def _apply(self, event: Happened) -> None:
        match event:
            case Tried():
                self.courier.apply(event)
            case ClockMoved():
                self.clock.wire = event.wire
                if event.mode == "manual":
                    self.clock.stand_at(event.now_ms)
                else:
                    self.clock.run()
                    self.clock.jump_to(event.now_ms)
                self.courier.wake()
            case _:
                self._owners[type(event)].apply(event)


class State:
    """What a channel's state starts from: its name, the shared parts at hand, and faults of its own."""

    def __init__(self, world: World, *, name: str, faults: Mapping[str, frozenset[str]]) -> None:
        """``faults``: which kinds of fault each operation of this channel knows."""
        self.name = name
        self.world = world
        self.clock = world.clock
        self.ids = world.ids
        self.journal = world.journal
        self.book = world.book
        self.witness = world.witness
        self.poster = world.poster
        self.courier = world.courier
        self.notify_hosts = world.notify_hosts
        self.record = world.record
        self.faults = Faults(faults)

    @property
    def base_url(self) -> str:
        """Where the sandbox listens."""
        return self.world.base_url

    def heard(
        self, operation: str, merchant: str, number: str, status: int, *, code: str = "", fault: Fault | None = None
    ) -> None:
        """Let the witness know of a call that was answered; ``status`` 0: the line was closed instead."""
        kind = "" if fault is None else fault.kind
        now_ms = self.clock.now_ms()
        self.witness.heard(Call(now_ms, operation, merchant, number, status, code, kind, channel=self.name))


async def _no_page(state: State, request: Request) -> Answer:
    return Answer(404)


async def _no_notice(state: State, notice: Notice) -> Verdict:
    return Verdict(accepted=True)


def _nobody_paid(state: State) -> dict[str, PaidView]:
    return {}


class Channel(Generic[_S_co]):
    """One channel as the sandbox sees it: its inside and the functions that work on it. Paths are matched by their
    beginning.
    """

    def __init__(
        self,
        state: _S_co,
        *,
        events: tuple[type[Happened], ...],
        apply: Callable[[_E], None],
        api_paths: tuple[str, ...],
        serve: Callable[[_S_co, Request], Awaitable[Answer]],
        control: Callable[[_S_co, str, Request], Awaitable[Answer]],
        page_paths: tuple[str, ...] = (),
        show: Callable[[_S_co, Request], Awaitable[Answer]] = _no_page,
        attempt: Callable[[_S_co, Notice], Awaitable[Verdict]] = _no_notice,
        paid: Callable[[_S_co], dict[str, PaidView]] = _nobody_paid,
    ) -> None:
        """``apply`` lets one of ``events`` have happened, at run time or at replay: pure memory, no clock, no disk.

        ``serve`` answers an API call of a merchant's server; never raises for what the caller did. ``show`` answers a
        person's browser. ``control`` does what a test or the demo asks; its name is the path without
        ``/_sim/<channel>/``, it raises ``Unknown`` and ``NotPossible``, and what it records is on disk before the
        answer goes out. ``attempt`` sends a notice once, after the journal is settled, and judges the answer; never
        raises. ``paid`` tells how many payments each merchant got and what they come to.
        """
        self.state = state
        self.name = state.name
        self.events = events
        self.api_paths, self.page_paths = api_paths, page_paths
        # The journal's reader hands a channel its own kinds of event only.
        self.apply = cast("Callable[[Happened], None]", apply)
        self.serve: Callable[[Request], Awaitable[Answer]] = partial(serve, state)
        self.show: Callable[[Request], Awaitable[Answer]] = partial(show, state)
        self.control: Callable[[str, Request], Awaitable[Answer]] = partial(control, state)
        self.attempt: Callable[[Notice], Awaitable[Verdict]] = partial(attempt, state)
        self.paid: Callable[[], dict[str, PaidView]] = partial(paid, state)

    def heal(self) -> None:
        """Disarm every fault."""
        self.state.faults.clear()
