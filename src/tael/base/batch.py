"""Group commit without a timer: whatever queued while the last batch ran is the next batch.

    submit -> waiting -> (a lane is free) -> running, with everything else that waits -> answered

One request alone is a batch of one and waits for nothing; under load a thousand requests share one transaction. A
second lane opens when many wait, so that one batch is prepared while another is committed. The queue is bounded by
time: a request that would wait too long is refused at once, before anything was done for it.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, Generic, TypeVar

from tael.base.db import OutcomeUnknown
from tael.base.errors import TaelError

C = TypeVar("C")
R = TypeVar("R")

_MAX_RUNS: Final = 64
_LONGEST: Final = 4
_TELLING: Final = 32


class Overloaded(TaelError):
    """Too many requests are waiting; nothing was done for this one. Try again after `retry_after_s` seconds.
    zh: 系统繁忙，本次请求未被处理，请稍后重试。
    """

    status = 503
    retryable = True


class Batcher(Generic[C, R]):
    """Runs single commands in batches.

    `run` takes commands and answers one result per command, in order; a result that is an exception is raised to that
    command's caller only. When `run` itself raises, the batch is run again in halves until the command at fault is
    alone (splitting stops after 64 runs), unless the outcome is unknown or the fault is not any command's
    (`retryable`): that is raised to every caller of the batch.
    """

    def __init__(
        self, run: Callable[[list[C]], Awaitable[Sequence[R | Exception]]], *, cap: int = 512, lanes: int = 2,
        split_at: int = 300, max_wait_ms: int = 200,
    ) -> None:  # fmt: skip
        """`cap`: commands per batch. `split_at`: open a further lane when this many wait, up to `lanes`."""
        self._run = run
        self._cap, self._lanes, self._split_at, self._max_wait_ms = cap, lanes, split_at, max_wait_ms
        self._waiting: deque[tuple[C, asyncio.Future[R]]] = deque()
        self._tasks: set[asyncio.Task[None]] = set()
        self._running = self._stuck = 0
        self._ms_per_command = 0.0
        self._closed = False

    @property
    def waiting(self) -> int:
        """How many commands are in no batch yet."""
        return len(self._waiting)

    async def submit(self, command: C) -> R:
        """Run a command in the next batch. Raises `Overloaded`, and whatever running it raises."""
        if self._closed or self._too_slow():
            raise Overloaded(retry_after_s=1)
        answer: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        self._waiting.append((command, answer))
        if self._lane_opens(len(self._waiting)):
            self._open_lane()
        return await answer

    async def close(self) -> None:
        """Refuse new commands and finish those that were taken."""
        self._closed = True
        while self._tasks:
            await asyncio.wait(self._tasks)

    def _too_slow(self) -> bool:
        """Whether a command submitted now would wait too long, judged by the batches before and the one running."""
        waiting = len(self._waiting)
        if waiting * self._ms_per_command > self._max_wait_ms or waiting >= _LONGEST * self._cap:
            return True
        # The first transactions of a process are slow and say nothing; a batch that hangs later does.
        return self._stuck > 0 and self._ms_per_command > 0 and not self._lane_opens(waiting + 1)

    def _lane_opens(self, waiting: int) -> bool:
        """Whether so many waiting commands are worth a further lane."""
        return not self._tasks or (waiting >= self._split_at and len(self._tasks) < self._lanes)

    def _open_lane(self) -> None:
        task = asyncio.get_running_loop().create_task(self._lane())
        self._tasks.add(task)

    async def _lane(self) -> None:
        task, loop = asyncio.current_task(), asyncio.get_running_loop()
        try:
            while self._waiting:
                size = self._share()
                batch = [self._waiting.popleft() for _ in range(size)]
                begin = loop.time()
                await self._watched(batch)
                self._measure((loop.time() - begin) * 1000, size)
                # The callers answered now run first and may put their next commands into the next batch.
                await asyncio.sleep(0)
        finally:
            if task is not None:
                self._tasks.discard(task)
            if self._waiting and not self._tasks:
                self._open_lane()

    async def _watched(self, batch: list[tuple[C, asyncio.Future[R]]]) -> None:
        """Run a batch; newcomers are refused while it takes longer than anyone should wait."""
        overdue = False

        def note() -> None:
            nonlocal overdue
            overdue = True
            self._stuck += 1

        alarm = asyncio.get_running_loop().call_later(self._max_wait_ms / 1000, note)
        self._running += 1
        try:
            await self._answer(batch)
        finally:
            self._running -= 1
            alarm.cancel()
            if overdue:
                self._stuck -= 1

    def _share(self) -> int:
        """The size of the next batch: everything that waits, or its part when several lanes are free."""
        waiting, free = len(self._waiting), self._lanes - self._running
        if waiting >= self._split_at and free > 1:
            if len(self._tasks) < self._lanes:
                self._open_lane()
            waiting = -(-waiting // free)
        return min(waiting, self._cap)

    def _measure(self, ms: float, size: int) -> None:
        if size < _TELLING:  # mostly the fixed cost of a transaction; it says nothing about load
            return
        ms_per_command = ms / size
        before = self._ms_per_command or ms_per_command
        self._ms_per_command = (7 * before + ms_per_command) / 8

    async def _answer(self, batch: list[tuple[C, asyncio.Future[R]]]) -> None:
        """Run a batch; on a fault run its halves, the earlier half first."""
        parts, runs = [batch], 0
        while parts:
            part = parts.pop()
            runs += 1
            try:
                results = await self._run([command for command, _ in part])
            except Exception as problem:  # noqa: BLE001 (whatever it is, it is handed to the callers)
                if len(part) == 1 or runs >= _MAX_RUNS or _nobodys_fault(problem):
                    _fail(part, problem)
                else:
                    middle = len(part) // 2
                    parts += [part[middle:], part[:middle]]
            except asyncio.CancelledError:
                for _, answer in [pair for part in (part, *parts) for pair in part]:
                    answer.cancel()
                raise
            else:
                _hand_out(part, results)


def _nobodys_fault(problem: Exception) -> bool:
    return isinstance(problem, OutcomeUnknown) or (isinstance(problem, TaelError) and problem.retryable)


def _fail(part: list[tuple[C, asyncio.Future[R]]], problem: Exception) -> None:
    for _, answer in part:
        if not answer.done():
            answer.set_exception(problem)


def _hand_out(part: list[tuple[C, asyncio.Future[R]]], results: Sequence[R | Exception]) -> None:
    for (_, answer), result in zip(part, results, strict=True):
        if answer.done():
            continue  # its caller has gone away
        if isinstance(result, Exception):
            answer.set_exception(result)
        else:
            answer.set_result(result)
