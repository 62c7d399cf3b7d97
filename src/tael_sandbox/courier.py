"""Carries notices to merchants on sandbox time, each with its channel's ladder of retries.

    due -> tried -> accepted (done)
                 -> refused or unheard -> due again after the next rung -> ... -> given up after the last rung
                 -> held back (a fault) -> due right after the next notice was tried
                 -> postponed (a fault) -> due later, the try does not count

``run`` carries whatever is due, several at a time. ``advance`` moves the clock from one due moment to the next and
carries one notice at a time, so that a test that advances a day sees the same story every time.
"""

import asyncio
import heapq
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from msgspec import Struct
from msgspec.structs import replace

from tael_sandbox.clock import Clock
from tael_sandbox.happened import Happened

_MOST_AT_ONCE = 64


class Notice(Struct, frozen=True):
    """One message on its way; ``tries`` are behind it, the next is due at ``due_ms``. ``ladder_s``: waits after
    each try. ``transaction_id`` is the channel's id of what the notice tells, ``topic`` the channel's word for it.
    """

    id: str
    channel: str
    mchid: str
    out_trade_no: str
    transaction_id: str
    url: str
    created_ms: int
    due_ms: int
    ladder_s: tuple[int, ...]
    tries: int = 0
    topic: str = ""


class Tried(Happened, frozen=True, tag="tried"):
    """A try is over. The journal keeps it, so that a restarted sandbox goes on from the same rung."""

    notice_id: str
    at_ms: int
    accepted: bool


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a try ended. ``held``: wait for another notice first. ``postponed_ms``: nothing was sent, try again after
    that.
    """

    accepted: bool = False
    held: bool = False
    postponed_ms: int = 0


class Courier:
    """The queue of notices."""

    def __init__(self, clock: Clock, record: Callable[[Tried], None]) -> None:
        """``record`` is called with every finished try and must call ``apply`` with it."""
        self._clock = clock
        self._record = record
        self._notices: dict[str, Notice] = {}
        self._heap: list[tuple[int, int, str]] = []
        self._pushes = 0
        self._held: list[str] = []
        self._flying: set[asyncio.Task[None]] = set()
        self._wake = asyncio.Event()
        self._turn = asyncio.Lock()

    def pending(self) -> list[Notice]:
        """Notices that are not done, by due moment."""
        return sorted(self._notices.values(), key=lambda notice: notice.due_ms)

    def add(self, notice: Notice) -> None:
        """Take a notice; its first try is due at ``due_ms``."""
        self._notices[notice.id] = notice
        self._push(notice)

    def apply(self, event: Tried) -> None:
        """Let a try have happened: the notice is done, or climbs to its next rung."""
        notice = self._notices.pop(event.notice_id, None)
        if notice is None or event.accepted or notice.tries >= len(notice.ladder_s):
            return
        due_ms = event.at_ms + notice.ladder_s[notice.tries] * 1000
        self.add(replace(notice, tries=notice.tries + 1, due_ms=due_ms))

    def wake(self) -> None:
        """Look again for due notices: the clock was set."""
        self._wake.set()

    async def run(self, attempt: Callable[[Notice], Awaitable[Verdict]]) -> None:
        """Carry due notices until cancelled. ``attempt`` sends one and must not raise."""
        self._attempt = attempt
        try:
            while True:
                self._wake.clear()
                await self._carry_due()
                await self._sleep()
        finally:
            for task in self._flying:
                task.cancel()

    async def advance(self, seconds: int) -> None:
        """Move sandbox time, stopping at each due moment; returns when every notice due until then was tried."""
        async with self._turn:
            while self._flying:
                await asyncio.wait(self._flying)
            target_ms = self._clock.now_ms() + seconds * 1000
            while (due_ms := self._next_due_ms()) is not None and due_ms <= target_ms:
                self._clock.jump_to(due_ms)
                await self._start(heapq.heappop(self._heap)[2])
            self._clock.jump_to(target_ms)
        self._wake.set()

    async def drain(self) -> None:
        """Return when nothing is due now and nothing is on its way."""
        while self._flying or self._is_due():
            self._wake.set()
            if self._flying:
                await asyncio.wait(self._flying, return_when=asyncio.FIRST_COMPLETED)
            else:
                await asyncio.sleep(0)

    async def _carry_due(self) -> None:
        async with self._turn:
            while self._is_due():
                if len(self._flying) >= _MOST_AT_ONCE:
                    await asyncio.wait(self._flying, return_when=asyncio.FIRST_COMPLETED)
                    continue
                self._start(heapq.heappop(self._heap)[2])

    async def _sleep(self) -> None:
        due_ms = self._next_due_ms()
        wait_s = None if due_ms is None else self._clock.seconds_until(due_ms)
        try:
            async with asyncio.timeout(wait_s):
                await self._wake.wait()
        except TimeoutError:
            return

    def _start(self, notice_id: str) -> asyncio.Task[None]:
        task = asyncio.create_task(self._carry(self._notices[notice_id]))
        self._flying.add(task)
        task.add_done_callback(self._flying.discard)
        return task

    async def _carry(self, notice: Notice) -> None:
        verdict = await self._attempt(notice)
        released, self._held = self._held, []
        if verdict.held:
            self._held.append(notice.id)
        elif verdict.postponed_ms:
            self.add(replace(notice, due_ms=self._clock.now_ms() + verdict.postponed_ms))
        else:
            self._record(Tried(notice.id, self._clock.now_ms(), verdict.accepted))
        for notice_id in released:
            self.add(replace(self._notices[notice_id], due_ms=self._clock.now_ms()))

    def _push(self, notice: Notice) -> None:
        self._pushes += 1
        heapq.heappush(self._heap, (notice.due_ms, self._pushes, notice.id))
        self._wake.set()

    def _is_due(self) -> bool:
        due_ms = self._next_due_ms()
        return due_ms is not None and due_ms <= self._clock.now_ms()

    def _next_due_ms(self) -> int | None:
        """The earliest due moment; entries that a later push replaced are thrown away here."""
        while self._heap:
            due_ms, _, notice_id = self._heap[0]
            notice = self._notices.get(notice_id)
            if notice is not None and notice.due_ms == due_ms:
                return due_ms
            heapq.heappop(self._heap)
        return None
