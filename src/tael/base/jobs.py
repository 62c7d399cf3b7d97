"""Periodic jobs: work of the whole installation that any process may do, and that one process at a time does.

    due -> claimed (a lease, kept alive while the job runs) -> worked -> due again after its interval
     ^         | lease over: the process died or hung; another one runs the job
     +---------+

A process that slept past its lease finds it gone: its run is ended and it records nothing. What the job had changed by
then stays, so a job is a row of short transactions that may be run twice. How a job fares is in its row, for
`tael jobs`, and in metrics; who is told of a job that fails or is late is not decided here.
"""

import asyncio
import time
import uuid
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import structlog
from prometheus_client import Counter, Gauge, Histogram

from tael.base.crash import crash_point
from tael.base.db import Database, Record, Tx

_log = structlog.get_logger("tael.jobs")
_SECONDS = Histogram("tael_job_seconds", "How long the runs of a job took", ["job"])
_LAG = Gauge("tael_job_lag_seconds", "How long a job has been due, or has been running", ["job"])
_FAILURES = Counter("tael_job_failures", "Runs of a job that failed", ["job"])
_LONGEST_ERROR: Final = 500


@dataclass(frozen=True, slots=True)
class Job:
    """Work to be done every `every_s` seconds; `run` is given the time at which it starts."""

    name: str
    every_s: int
    run: Callable[[datetime], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class JobState:
    """How a job fares. `failed_in_row` counts failures since it last worked; `runs` and `failures` count for ever."""

    name: str
    every_s: int
    due_at: datetime
    lease_until: datetime | None
    last_started: datetime | None
    last_ended: datetime | None
    last_ms: int | None
    last_error: str | None
    runs: int
    failures: int
    failed_in_row: int

    def runs_now(self, now: datetime) -> bool:
        """Whether a process is at it, as far as its lease tells."""
        return self.lease_until is not None and self.lease_until > now

    def lag_s(self, now: datetime) -> int:
        """Whole seconds that it has been due; while it runs, that it has been running."""
        since = self.last_started if self.runs_now(now) and self.last_started is not None else self.due_at
        return max(0, int((now - max(since, self.due_at)).total_seconds()))


async def states(tx: Tx) -> list[JobState]:
    """Every job that was ever run, by name."""
    return [_read(row) for row in await tx.fetch(f"{_STATES} order by name")]


class Jobs:
    """Runs the jobs of an installation until stopped. One per process, all with the same list."""

    def __init__(
        self, db: Database, jobs: Sequence[Job], now: Callable[[], datetime], *, lease_s: int = 15, poll_s: float = 1.0,
    ) -> None:  # fmt: skip
        """`lease_s` is how long a job waits for a process that died; a lease is extended while its job runs."""
        self._jobs = {job.name: job for job in jobs}
        assert len(self._jobs) == len(jobs), "two jobs have one name"
        self._db, self._now, self._lease_s, self._poll_s = db, now, lease_s, poll_s
        self._registered = False
        self._stopping = asyncio.Event()
        self._running: set[asyncio.Task[bool]] = set()

    def stop(self) -> None:
        """Claim nothing more; `run` returns when the jobs under way are finished, or after a lease at the latest."""
        self._stopping.set()

    async def run(self) -> None:
        """Run what is due until `stop`."""
        while not self._stopping.is_set():
            for claim in await self._claim():
                running = asyncio.create_task(self._work(claim))
                self._running.add(running)
                running.add_done_callback(self._running.discard)
            await self._pause()
        for late in await self._left_after(self._lease_s):
            late.cancel()

    async def run_due(self) -> list[str]:
        """Run everything that is due now; answers the names of what worked. For tests and tools that move the clock."""
        claims = await self._claim()
        done = await asyncio.gather(*(self._work(claim) for claim in claims))
        return [claim.job.name for claim, worked in zip(claims, done, strict=True) if worked]

    async def _claim(self) -> "list[_Claim]":
        try:
            return await self._claim_due()
        except Exception as problem:  # noqa: BLE001 (a loop outlives its database)
            _log.warning("jobs.claim_failed", error=str(problem))
            return []

    async def _claim_due(self) -> "list[_Claim]":
        """Take what is due. Most of the time nothing is, and a claim would only write."""
        now, names = self._now(), list(self._jobs)
        async with self._db.transaction() as tx:
            if not self._registered:
                await tx.execute(_REGISTER, names, [job.every_s for job in self._jobs.values()], now)
            found = [_read(row) for row in await tx.fetch(f"{_STATES} where name = any($1::text[])", names)]
            for state in found:
                _LAG.labels(state.name).set(state.lag_s(now))
            due = [state.name for state in found if state.due_at <= now and not state.runs_now(now)]
            lease = uuid.uuid4()
            rows = await tx.fetch(_CLAIM, due, now, lease, now + timedelta(seconds=self._lease_s)) if due else []
        self._registered = True
        return [_Claim(self._jobs[row["name"]], lease, now) for row in rows]

    async def _work(self, claim: "_Claim") -> bool:
        """Run a claimed job and record how it went; True when it worked and the lease was still ours."""
        job, began = claim.job, time.monotonic()
        crash_point("job.claimed")
        run = asyncio.create_task(_awaited(job.run(claim.started)))
        try:
            held = await self._hold(claim, run)
            problem = await _outcome(run)
        finally:
            run.cancel()
        crash_point("job.worked")
        ms = int((time.monotonic() - began) * 1000)
        if problem is not None:
            _log.warning("job.failed", job=job.name, exc_info=problem)
        if not held or not await self._record(claim, ms, problem):
            _log.warning("job.lease_lost", job=job.name)
            return False
        _SECONDS.labels(job.name).observe(time.monotonic() - began)
        if problem is not None:
            _FAILURES.labels(job.name).inc()
        return problem is None

    async def _hold(self, claim: "_Claim", run: "asyncio.Task[None]") -> bool:
        """Keep the lease until the run has ended; when it is lost, end the run and answer False."""
        until = claim.started + timedelta(seconds=self._lease_s)
        while True:
            await asyncio.wait({run}, timeout=self._lease_s / 3)
            if run.done():
                return True
            now = self._now()
            longer = now + timedelta(seconds=self._lease_s)
            try:
                async with self._db.transaction() as tx:
                    tag = await tx.execute(_EXTEND, claim.job.name, claim.lease, longer)
                kept, until = tag.endswith(" 1"), longer
            except Exception as problem:  # noqa: BLE001 (the database may come back before the lease is over)
                _log.warning("job.extend_failed", job=claim.job.name, error=str(problem))
                kept = now < until
            if not kept:
                run.cancel()
                return False

    async def _record(self, claim: "_Claim", ms: int, problem: BaseException | None) -> bool:
        """Write how the run went and when the next is due; False when the lease is another's by now."""
        now = self._now()
        interval = timedelta(seconds=claim.job.every_s)
        error = None if problem is None else f"{type(problem).__name__}: {problem}"[:_LONGEST_ERROR]
        due_at = max(claim.started + interval, now) if problem is None else now + interval
        try:
            async with self._db.transaction() as tx:
                tag = await tx.execute(_RECORD, claim.job.name, claim.lease, now, ms, error, due_at)
        except Exception as failure:  # noqa: BLE001 (the lease runs out, and the job is run again)
            _log.warning("job.record_failed", job=claim.job.name, error=str(failure))
            return False
        return tag.endswith(" 1")

    async def _left_after(self, seconds: int) -> set[asyncio.Task[bool]]:
        """The runs that have not ended after so many seconds."""
        return (await asyncio.wait(self._running, timeout=seconds))[1] if self._running else set()

    async def _pause(self) -> None:
        """Until the poll interval is over or we are told to stop."""
        stopping = asyncio.create_task(self._stopping.wait())
        await asyncio.wait({stopping}, timeout=self._poll_s)
        stopping.cancel()


@dataclass(frozen=True, slots=True)
class _Claim:
    job: Job
    lease: uuid.UUID
    started: datetime


async def _awaited(work: Awaitable[object]) -> None:
    await work


async def _outcome(run: "asyncio.Task[None]") -> BaseException | None:
    """What the run raised; waits for one that was cancelled to end."""
    await asyncio.wait({run})
    return asyncio.CancelledError() if run.cancelled() else run.exception()


def _read(row: Record) -> JobState:
    return JobState(**dict(row))


_STATES = """select name, every_s, due_at, lease_until, last_started, last_ended, last_ms, last_error, runs, failures,
                 failed_in_row from job"""
_REGISTER = """insert into job (name, every_s, due_at)
               select name, every_s, $3::timestamptz from unnest($1::text[], $2::int[]) new(name, every_s)
               order by name
               on conflict (name) do update set every_s = excluded.every_s where job.every_s <> excluded.every_s"""
_CLAIM = """with due as materialized (
                select name from job where name = any($1::text[]) and due_at <= $2
                    and (lease_until is null or lease_until <= $2) order by name for update skip locked)
            update job set lease = $3, lease_until = $4, last_started = $2 from due where job.name = due.name
            returning job.name"""
# Only the holder of the lease may go on or record: a process that slept past it changes nothing.
_EXTEND = "update job set lease_until = $3 where name = $1 and lease = $2"
_RECORD = """update job set lease = null, lease_until = null, last_ended = $3, last_ms = $4, last_error = $5,
                 due_at = $6, runs = runs + 1, failures = failures + ($5::text is not null)::int,
                 failed_in_row = case when $5::text is null then 0 else failed_in_row + 1 end
             where name = $1 and lease = $2"""
