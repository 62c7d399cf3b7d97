"""Periodic jobs: one process at a time, none forgotten, whoever dies, sleeps or fails."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime

import pytest

from tael.base import jobs
from tael.base.clock import SteppedClock
from tael.base.db import Database
from tael.base.jobs import Job, Jobs, JobState


class Broke(Exception):
    """What a job raises."""


class Deeds:
    """A job's deeds: when it ran, and what it is told to do next."""

    def __init__(self) -> None:
        self.ran: list[datetime] = []
        self.fails = False
        self.started, self.go_on = asyncio.Event(), asyncio.Event()
        self.go_on.set()

    async def run(self, now: datetime) -> None:
        self.ran.append(now)
        self.started.set()
        await self.go_on.wait()
        if self.fails:
            raise Broke("no")


@pytest.fixture
def clock() -> SteppedClock:
    return SteppedClock()


@pytest.fixture
def deeds() -> Deeds:
    return Deeds()


def process(db: Database, deeds: Deeds, clock: SteppedClock, *, name: str = "sweep", every_s: int = 20) -> Jobs:
    return Jobs(db, [Job(name, every_s, deeds.run)], clock.now)


async def state(db: Database) -> JobState:
    async with db.transaction() as tx:
        (found,) = await jobs.states(tx)
    return found


@asynccontextmanager
async def busy(working: Jobs, deeds: Deeds) -> AsyncIterator[asyncio.Task[list[str]]]:
    """A process in the middle of its job; it is let go on at the end."""
    deeds.go_on.clear()
    deeds.started.clear()
    run = asyncio.create_task(working.run_due())
    await deeds.started.wait()
    try:
        yield run
    finally:
        deeds.go_on.set()
        await run


async def test_a_job_runs_at_once_and_then_at_its_interval(db: Database, deeds: Deeds, clock: SteppedClock) -> None:
    working = process(db, deeds, clock)
    assert await working.run_due() == ["sweep"]
    for wait_s, ran in ((19, []), (1, ["sweep"]), (0, []), (20, ["sweep"]), (3600, ["sweep"]), (19, [])):
        clock.advance(wait_s)
        assert await working.run_due() == ran
    found = await state(db)
    assert (found.runs, found.failures, found.last_error, found.lag_s(clock.now())) == (4, 0, None, 0)


async def test_of_many_processes_one_runs_it(db: Database, deeds: Deeds, clock: SteppedClock) -> None:
    crowd = [process(db, deeds, clock) for _ in range(12)]
    for _ in range(3):
        done = await asyncio.gather(*(one.run_due() for one in crowd))
        assert sum(map(len, done)) == 1
        clock.advance(20)
    assert len(deeds.ran) == 3


async def test_nobody_takes_a_job_that_runs_and_a_dead_holder_delays_it_by_the_lease(
    db: Database, deeds: Deeds, clock: SteppedClock
) -> None:
    holder, other, others = process(db, deeds, clock), process(db, Deeds(), clock), Deeds()
    heir = process(db, others, clock)
    async with busy(holder, deeds) as run:
        assert await other.run_due() == []
        clock.advance(14)
        assert await heir.run_due() == []
        clock.advance(1)  # the holder is as good as dead: its lease was not extended
        assert await heir.run_due() == ["sweep"]
        deeds.go_on.set()
        assert await run == [], "the late write is refused"
    found = await state(db)
    assert (found.runs, len(others.ran), found.last_ended) == (1, 1, clock.now())


async def test_a_lease_is_extended_while_the_job_runs_and_a_lost_one_ends_the_run(
    db: Database, clock: SteppedClock
) -> None:
    deeds, others = Deeds(), Deeds()
    holder = Jobs(db, [Job("sweep", 20, deeds.run)], clock.now, lease_s=1)
    heir = Jobs(db, [Job("sweep", 20, others.run)], clock.now, lease_s=1)
    async with busy(holder, deeds) as run:
        before = (await state(db)).lease_until
        clock.advance(20)
        while (extended := (await state(db)).lease_until) == before:
            await asyncio.sleep(0.05)
        assert extended is not None
        assert extended > clock.now()
        assert await heir.run_due() == []
        async with db.transaction() as tx:
            await tx.execute("update job set lease = gen_random_uuid()")
        assert await run == [], "ended though it was never let go on"
    assert (await state(db)).runs == 0


async def test_failures_are_counted_and_one_success_ends_them(db: Database, deeds: Deeds, clock: SteppedClock) -> None:
    working, seen = process(db, deeds, clock), []
    for fails in (True, True, False, True):
        deeds.fails = fails
        assert await working.run_due() == ([] if fails else ["sweep"])
        found = await state(db)
        seen.append((found.runs, found.failures, found.failed_in_row, found.last_error))
        clock.advance(20)
    said = "Broke: no"
    assert seen == [(1, 1, 1, said), (2, 2, 2, said), (3, 2, 0, None), (4, 3, 1, said)]


async def test_a_job_that_outlasts_its_interval_is_due_when_it_ends(
    db: Database, deeds: Deeds, clock: SteppedClock
) -> None:
    working = process(db, deeds, clock)
    async with busy(working, deeds):
        clock.advance(12)
        assert (await state(db)).lag_s(clock.now()) == 12
        clock.advance(38)
    found = await state(db)
    assert (found.due_at, found.last_ended) == (clock.now(), clock.now())


async def test_a_process_knows_only_its_own_jobs_and_changes_their_interval(
    db: Database, deeds: Deeds, clock: SteppedClock
) -> None:
    assert await process(db, deeds, clock, name="old").run_due() == ["old"]
    clock.advance(20)
    assert await process(db, deeds, clock, name="new").run_due() == ["new"]
    assert await process(db, deeds, clock, name="old", every_s=60).run_due() == ["old"]
    async with db.transaction() as tx:
        assert [(one.name, one.every_s, one.runs) for one in await jobs.states(tx)] == [("new", 20, 1), ("old", 60, 2)]


async def test_stopping_lets_the_jobs_under_way_finish(db: Database, deeds: Deeds, clock: SteppedClock) -> None:
    deeds.go_on.clear()
    working = process(db, deeds, clock)
    loop = asyncio.create_task(working.run())
    await deeds.started.wait()
    working.stop()
    deeds.go_on.set()
    await loop
    assert (await state(db)).runs == 1


async def test_without_a_database_the_loop_goes_on(dsn: str, deeds: Deeds, clock: SteppedClock) -> None:
    async with await Database.connect(dsn, min_size=1, max_size=1) as db:
        working = process(db, deeds, clock)
        await db.close()
        assert await working.run_due() == []
    assert deeds.ran == []
