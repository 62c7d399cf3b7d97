"""Workers outlive what they work with: a database that is away, a handler that stumbles now and then."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta

import pytest

from tael.base.clock import SteppedClock
from tael.base.db import Database, DatabaseUnavailable, Tx
from tael.base.ids import Ids
from tael.base.outbox import Event, NewEvent, Relay, emit
from tael.base.tasks import Again, Done, NewTask, Task, Worker, enqueue


@pytest.fixture
def clock() -> SteppedClock:
    return SteppedClock()


@pytest.fixture
async def ids(db: Database, clock: SteppedClock) -> Ids:
    return await Ids.lease(db, clock.now)


async def put(db: Database, ids: Ids, clock: SteppedClock) -> None:
    async with db.transaction() as tx:
        await enqueue(tx, [NewTask(1, "q", "k", None, clock.now())], ids=ids, now=clock.now())


@pytest.mark.parametrize(
    ("asked", "raised", "times", "dead"),
    [
        (20, RuntimeError("odd"), 1, False),
        (20, RuntimeError("odd"), 2, False),
        (20, RuntimeError("odd"), 3, True),
        (0, RuntimeError("odd"), 3, True),
        (20, DatabaseUnavailable("away"), 30, False),
    ],
)
async def test_a_long_ladder_is_no_failure(
    db: Database, ids: Ids, clock: SteppedClock, asked: int, raised: Exception, times: int, dead: bool
) -> None:
    """Recovery asks many times; a stumble after the sixth question once made a dead letter of a lost order."""
    ran = 0

    async def handle(task: Task) -> Again:
        nonlocal ran
        ran += 1
        if asked < ran <= asked + times:
            raise raised
        return Again(clock.now() + timedelta(seconds=1))

    worker = Worker(db, "q", handle, clock.now, retry_s=(1, 5))
    await put(db, ids, clock)
    for _ in range(asked + times):
        await worker.run_due()
        clock.advance(10)
    async with db.transaction() as tx:
        assert await tx.fetchval("select count(*) from task where dead_at is not null") == dead


async def test_a_worker_outlives_a_claim_that_fails_in_a_way_nobody_thought_of(
    db: Database, ids: Ids, clock: SteppedClock
) -> None:
    done = asyncio.Event()

    async def handle(task: Task) -> Done:
        done.set()
        return Done()

    await put(db, ids, clock)
    async with db.transaction() as tx:
        await tx.execute("alter table task rename to gone")
    worker = Worker(db, "q", handle, clock.now, poll_s=0.01)
    running = asyncio.create_task(worker.run())
    await asyncio.wait({running}, timeout=1)
    assert not running.done()
    async with db.transaction() as tx:
        await tx.execute("alter table gone rename to task")
    await done.wait()
    worker.stop()
    await running


async def test_the_relay_outlives_an_outbox_that_cannot_be_read(db: Database, ids: Ids, clock: SteppedClock) -> None:
    published = asyncio.Event()

    async def handle(tx: Tx, events: Sequence[Event]) -> None:
        published.set()

    async with db.transaction() as tx:
        await emit(tx, [NewEvent(1, "t", "s", 1, {})], ids=ids, now=clock.now())
        await tx.execute("alter table event rename to gone")
    relay = Relay(db, {"t": [handle]}, clock.now, poll_s=0.01)
    running = asyncio.create_task(relay.run())
    await asyncio.wait({running}, timeout=1)
    assert not running.done()
    async with db.transaction() as tx:
        await tx.execute("alter table gone rename to event")
    await published.wait()
    relay.stop()
    await running
