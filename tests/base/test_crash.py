"""A process dies by SIGKILL in the middle of a job: the job is only delayed, until its lease is over (F05)."""

import asyncio
import os
import signal
import sys

import pytest

from tael.base import jobs
from tael.base.clock import SteppedClock
from tael.base.db import Database
from tael.base.jobs import Job, Jobs, JobState

PROGRAM = """
import asyncio, sys
from tael.base.clock import SteppedClock
from tael.base.db import Database
from tael.base.jobs import Job, Jobs

async def sweep(now):
    pass

async def main(dsn):
    async with await Database.connect(dsn, min_size=1, max_size=2) as db:
        await Jobs(db, [Job("sweep", 20, sweep)], SteppedClock().now).run_due()

asyncio.run(main(sys.argv[1]))
"""
pytestmark = pytest.mark.slow


@pytest.mark.parametrize("point", ["job.claimed", "job.worked"])
async def test_dead_in_the_middle_of_a_job(db: Database, dsn: str, point: str) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", PROGRAM, dsn, env=os.environ | {"TAEL_CRASH_AT": point}
    )
    assert await process.wait() == -signal.SIGKILL
    clock, ran = SteppedClock(), []

    async def sweep(now: object) -> None:
        ran.append(now)

    heir = Jobs(db, [Job("sweep", 20, sweep)], clock.now)
    assert await state(db) == (0, 0)
    for wait_s, worked in ((0, []), (14, []), (1, ["sweep"]), (0, [])):
        clock.advance(wait_s)
        assert await heir.run_due() == worked
    assert (len(ran), await state(db)) == (1, (1, 0))


async def state(db: Database) -> tuple[int, int]:
    """How often it ran, and failed."""
    async with db.transaction() as tx:
        (found,) = await jobs.states(tx)
    assert isinstance(found, JobState)
    return found.runs, found.failures
