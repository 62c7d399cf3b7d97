"""The delay queue: work that is due at a time, kept in PostgreSQL and enqueued in the money's own transaction.

    enqueue -> waiting -> claimed (a lease) -> done (row deleted) | retry later | dead letter
                  ^            | lease over: the worker died; somebody else claims it
                  +------------+

`key` names the work within its queue: enqueueing twice is once, and `cancel` removes what is no longer needed.
A handler may run twice (its worker died after the work and before the mark), so every handler is idempotent.
"""

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import msgspec
import structlog

from tael.base.batch import Batcher
from tael.base.db import Database, Record, Tx
from tael.base.errors import JsonValue, TaelError
from tael.base.ids import Ids

_log = structlog.get_logger("tael.tasks")
_MOST_FAILING: Final = 10_000
_PATIENCE_MS: Final = 30_000
"""What has been worked on waits to be settled; refusing it would only have it worked on again."""


@dataclass(frozen=True, slots=True)
class NewTask:
    """Work to do at `due_at` or later. `payload` is JSON."""

    book: int
    queue: str
    key: str
    payload: JsonValue
    due_at: datetime


@dataclass(frozen=True, slots=True)
class Task:
    """Work that this process has claimed until `lease_until`. `attempt` counts claims, from 1."""

    book: int
    id: int
    queue: str
    key: str
    payload: JsonValue
    attempt: int
    lease: uuid.UUID
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Done:
    """The work is finished, or no longer needed."""


@dataclass(frozen=True, slots=True)
class Again:
    """Do it again at `due_at`, perhaps with another payload."""

    due_at: datetime
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Dead:
    """Give up: keep the row as a dead letter for a person to replay."""

    error: str


Verdict = Done | Again | Dead
Handler = Callable[[Task], Awaitable[Verdict]]


async def enqueue(tx: Tx, tasks: Sequence[NewTask], *, ids: Ids, now: datetime) -> None:
    """Put work into its queue; a key that is already waiting there stays as it is."""
    if not tasks:
        return
    await tx.execute(
        """insert into task (book, id, queue, key, payload, due_at, created_at)
           select *, $7::timestamptz from unnest($1::bigint[], $2::bigint[], $3::text[], $4::text[], $5::jsonb[],
                                                 $6::timestamptz[])
           on conflict (book, queue, key) do nothing""",
        [task.book for task in tasks], [ids.next() for _ in tasks], [task.queue for task in tasks],
        [task.key for task in tasks], [msgspec.json.encode(task.payload).decode() for task in tasks],
        [task.due_at for task in tasks], now,
    )  # fmt: skip


async def cancel(tx: Tx, queue: str, keys: Sequence[tuple[int, str]]) -> None:
    """Remove work by (book, key), claimed or not; a worker that is busy with it finds its lease gone."""
    if keys:
        await tx.execute(
            """delete from task using unnest($2::bigint[], $3::text[]) as gone(book, key)
               where task.book = any($2::bigint[]) and task.queue = $1 and task.key = any($3::text[])
                   and task.book = gone.book and task.key = gone.key""",
            queue, [book for book, _ in keys], [key for _, key in keys],
        )  # fmt: skip


async def claim(db: Database, queue: str, *, now: datetime, lease_s: int, limit: int) -> list[Task]:
    """Take up to `limit` due tasks for `lease_s` seconds; nobody else gets them meanwhile."""
    lease = uuid.uuid4()
    async with db.transaction() as tx:
        rows = await tx.fetch(
            """with due as materialized (
                   select book, queue, key from task
                   where queue = $1 and due_at <= $2 and dead_at is null
                   order by due_at limit $3 for update skip locked)
               update task set lease = $4, due_at = $5, attempt = attempt + 1 from due
               where task.book = due.book and task.queue = due.queue and task.key = due.key
               returning task.*""",
            queue, now, limit, lease, now + timedelta(seconds=lease_s),
        )  # fmt: skip
    return [_read(row) for row in rows]


async def settle(db: Database, ended: Sequence[tuple[Task, Verdict]], *, now: datetime) -> list[bool]:
    """Record what became of claimed tasks; False for one whose lease was lost or that was cancelled meanwhile."""
    tasks = [task for task, _ in ended]
    async with db.transaction() as tx:
        rows = await tx.fetch(
            _SETTLE, [task.book for task in tasks], [task.queue for task in tasks], [task.key for task in tasks],
            [task.lease for task in tasks], [isinstance(verdict, Done) for _, verdict in ended],
            [verdict.due_at if isinstance(verdict, Again) else None for _, verdict in ended],
            [None if isinstance(verdict, Done) else verdict.error for _, verdict in ended], now,
        )  # fmt: skip
    settled = {tuple(row) for row in rows}
    return [(task.book, task.queue, task.key, task.lease) in settled for task in tasks]


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """Work that was given up, and why."""

    book: int
    queue: str
    key: str
    attempt: int
    dead_at: datetime
    error: str | None


async def dead_letters(tx: Tx, queue: str, *, limit: int) -> list[DeadLetter]:
    """The dead letters of a queue, oldest first."""
    rows = await tx.fetch(
        """select book, queue, key, attempt, dead_at, last_error from task
           where queue = $1 and dead_at is not null order by dead_at limit $2""",
        queue, limit,
    )  # fmt: skip
    return [DeadLetter(*row) for row in rows]


async def given_up(tx: Tx, *, most: int) -> list[tuple[int, str, int]]:
    """How many dead letters there are by book and queue; no more than `most` of each are counted, nor listed."""
    rows = await tx.fetch(_GIVEN_UP, most)
    return [(row["book"], row["queue"], row["count"]) for row in rows]


async def revive(tx: Tx, queue: str, *, book: int, key: str, now: datetime) -> bool:
    """Put a dead letter back into its queue, due now; False when there is none."""
    tag = await tx.execute(
        """update task set dead_at = null, lease = null, attempt = 0, due_at = $4
           where book = $1 and queue = $2 and key = $3 and dead_at is not null""",
        book, queue, key, now,
    )  # fmt: skip
    return tag.endswith(" 1")


class Worker:
    """Runs the handler of one queue until stopped: claims in batches, works on `concurrency` tasks at a time, and
    settles together what ends at the same time.

    Once all its slots are taken it claims again when a quarter of them is free, or after `poll_s` with what is free:
    one claim for each task that ends would be as many transactions as tasks.
    """

    def __init__(
        self, db: Database, queue: str, handler: Handler, now: Callable[[], datetime], *,
        concurrency: int = 16, lease_s: int = 60, poll_s: float = 0.5, retry_s: Sequence[int] = (1, 5, 30, 120, 600),
    ) -> None:  # fmt: skip
        """`retry_s` is the ladder for a handler that raises; when it raises once more after the last rung, the task is
        a dead letter. What is `retryable` is nobody's failure and is tried again after the first rung, for ever."""
        self._db, self.queue, self._handler, self._now = db, queue, handler, now
        self._concurrency, self._lease_s, self._poll_s, self._retry_s = concurrency, lease_s, poll_s, retry_s
        self._settling: Batcher[tuple[Task, Verdict], bool] = Batcher(self._settle, max_wait_ms=_PATIENCE_MS)
        self._stopping = asyncio.Event()
        self._running: set[asyncio.Task[None]] = set()
        self._failed: dict[tuple[int, str], int] = {}

    def stop(self) -> None:
        """Claim nothing more; `run` returns when the tasks under way are finished."""
        self._stopping.set()

    async def run(self) -> None:
        """Work until `stop`; unfinished tasks are left to their leases when the process dies."""
        while not self._stopping.is_set():
            if len(self._running) >= self._concurrency:
                await self._quarter()
            free = 0 if self._stopping.is_set() else self._concurrency - len(self._running)
            claimed = await self._claim(free) if free else []
            for task in claimed:
                running = asyncio.create_task(self._work(task))
                self._running.add(running)
                running.add_done_callback(self._running.discard)
            if len(claimed) < free:
                await self._pause(self._poll_s)
        if self._running:
            await asyncio.wait(self._running)

    async def run_due(self) -> int:
        """Work off everything that is due now, one batch after the other; answers how many tasks ran. For tests
        and for tools that move the clock."""
        total = 0
        while claimed := await self._claim(self._concurrency):
            await asyncio.gather(*(self._work(task) for task in claimed))
            total += len(claimed)
        return total

    async def _claim(self, limit: int) -> list[Task]:
        try:
            return await claim(self._db, self.queue, now=self._now(), lease_s=self._lease_s, limit=limit)
        except Exception as problem:  # noqa: BLE001 (a worker loop outlives its database)
            _log.warning("tasks.claim_failed", queue=self.queue, error=str(problem))
            return []

    async def _work(self, task: Task) -> None:
        try:
            verdict = await self._handler(task)
            self._failed.pop((task.book, task.key), None)
        except Exception as problem:  # noqa: BLE001 (a worker loop outlives its tasks)
            _log.warning("tasks.failed", queue=task.queue, key=task.key, attempt=task.attempt, exc_info=problem)
            verdict = self._after_failure(task, problem)
        try:
            await self._settling.submit((task, verdict))
        except TaelError as problem:
            _log.warning("tasks.settle_failed", queue=task.queue, key=task.key, error=str(problem))

    async def _settle(self, ended: Sequence[tuple[Task, Verdict]]) -> list[bool]:
        return await settle(self._db, ended, now=self._now())

    def _after_failure(self, task: Task, problem: Exception) -> Verdict:
        """Failures in a row decide, not claims: a long ladder of questions is no failure, and neither is a database
        that was away for a moment."""
        error, key = f"{type(problem).__name__}: {problem}"[:500], (task.book, task.key)
        if isinstance(problem, TaelError) and problem.retryable:
            return Again(self._now() + timedelta(seconds=self._retry_s[0]), error)
        failed = self._failed.pop(key, 0)
        if failed == len(self._retry_s):
            return Dead(error)
        if len(self._failed) < _MOST_FAILING:
            self._failed[key] = failed + 1
        return Again(self._now() + timedelta(seconds=self._retry_s[failed]), error)

    async def _quarter(self) -> None:
        """Until a quarter of the slots is free, the poll interval is over, or we are told to stop."""
        loop = asyncio.get_running_loop()
        until = loop.time() + self._poll_s
        while 4 * len(self._running) > 3 * self._concurrency and (left_s := until - loop.time()) > 0:
            await self._pause(left_s)
            if self._stopping.is_set():
                return

    async def _pause(self, most_s: float) -> None:
        """Until something finishes, `most_s` is over, or we are told to stop."""
        stopping = asyncio.create_task(self._stopping.wait())
        await asyncio.wait({stopping, *self._running}, timeout=most_s, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()


# From each book and queue to the next one, however many dead letters lie between.
_GIVEN_UP = """
    with recursive pile(book, queue) as (
        (select book, queue from task where dead_at is not null order by book, queue limit 1)
        union all
        select next.book, next.queue from pile, lateral (
            select book, queue from task where dead_at is not null and (book, queue) > (pile.book, pile.queue)
            order by book, queue limit 1) next)
    select book, queue, (select count(*) from (
        select from task where task.book = pile.book and task.queue = pile.queue and dead_at is not null limit $1) dead)
    from pile limit $1
"""
# Only the holder of the lease may decide: a worker that slept past it changes nothing. A row that somebody else has
# locked is being cancelled or claimed; it is left alone, and if it stays it comes back when its lease is over.
_SETTLE = """
    with mine as materialized (
        select task.book, task.queue, task.key, task.lease, e.finished, e.due_at, e.error
        from unnest($1::bigint[], $2::text[], $3::text[], $4::uuid[], $5::boolean[], $6::timestamptz[], $7::text[])
            as e(book, queue, key, lease, finished, due_at, error)
        join task on task.book = e.book and task.queue = e.queue and task.key = e.key and task.lease = e.lease
        for update of task skip locked),
    gone as (
        delete from task using mine
        where mine.finished and task.book = mine.book and task.queue = mine.queue and task.key = mine.key),
    kept as (
        update task set lease = null, last_error = mine.error, due_at = coalesce(mine.due_at, task.due_at),
            dead_at = case when mine.due_at is null then $8::timestamptz end
        from mine
        where not mine.finished and task.book = mine.book and task.queue = mine.queue and task.key = mine.key)
    select book, queue, key, lease from mine
"""


def _read(row: Record) -> Task:
    payload = msgspec.json.decode(row["payload"])
    return Task(
        row["book"], row["id"], row["queue"], row["key"], payload, row["attempt"], row["lease"], row["created_at"]
    )
