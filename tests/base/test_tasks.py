"""The delay queue and the outbox: nothing is lost, nothing runs at two workers at once, cancelled work does not run."""

import asyncio
from contextlib import suppress
from datetime import timedelta

import pytest

from tael.base import outbox, tasks
from tael.base.clock import SteppedClock
from tael.base.db import Database, Tx
from tael.base.ids import Ids
from tael.base.outbox import Event, NewEvent
from tael.base.tasks import Again, Dead, Done, NewTask, Task, Worker


class Refused(Exception):
    """A handler's failure."""


@pytest.fixture
def clock() -> SteppedClock:
    return SteppedClock()


@pytest.fixture
async def ids(db: Database, clock: SteppedClock) -> Ids:
    return await Ids.lease(db, clock.now)


async def put(db: Database, ids: Ids, clock: SteppedClock, *keys: str, after_s: int = 0) -> None:
    due = clock.now() + timedelta(seconds=after_s)
    async with db.transaction() as tx:
        await tasks.enqueue(tx, [NewTask(1, "q", key, {"n": key}, due) for key in keys], ids=ids, now=clock.now())


async def test_a_task_runs_when_it_is_due_and_once(db: Database, ids: Ids, clock: SteppedClock) -> None:
    seen: list[str] = []

    async def handle(task: Task) -> Done:
        seen.append(task.key)
        return Done()

    worker = Worker(db, "q", handle, clock.now)
    await put(db, ids, clock, "a", "a", after_s=10)
    await put(db, ids, clock, "a", after_s=0)  # the first enqueueing counts
    assert await worker.run_due() == 0
    clock.advance(10)
    assert await worker.run_due() == 1
    assert await worker.run_due() == 0
    assert seen == ["a"]


async def test_rolling_back_takes_the_task_along(db: Database, ids: Ids, clock: SteppedClock) -> None:
    with pytest.raises(Refused):  # noqa: PT012
        async with db.transaction() as tx:
            await tasks.enqueue(tx, [NewTask(1, "q", "a", None, clock.now())], ids=ids, now=clock.now())
            raise Refused
    assert await tasks.claim(db, "q", now=clock.now(), lease_s=60, limit=9) == []


async def test_a_cancelled_task_does_not_run_and_a_late_worker_changes_nothing(
    db: Database, ids: Ids, clock: SteppedClock
) -> None:
    await put(db, ids, clock, "a", "b")
    (first, _) = await tasks.claim(db, "q", now=clock.now(), lease_s=60, limit=9)
    async with db.transaction() as tx:
        await tasks.cancel(tx, "q", [(1, "a"), (1, "b"), (1, "unheard of")])
    assert await tasks.settle(db, [(first, Again(clock.now()))], now=clock.now()) == [False]
    clock.advance(600)
    assert await tasks.claim(db, "q", now=clock.now(), lease_s=60, limit=9) == []


async def test_a_dead_worker_s_task_is_claimed_again_and_the_sleeper_may_not_settle_it(
    db: Database, ids: Ids, clock: SteppedClock
) -> None:
    await put(db, ids, clock, "a")
    (sleeper,) = await tasks.claim(db, "q", now=clock.now(), lease_s=60, limit=9)
    assert await tasks.claim(db, "q", now=clock.now(), lease_s=60, limit=9) == []
    clock.advance(60)
    (heir,) = await tasks.claim(db, "q", now=clock.now(), lease_s=60, limit=9)
    assert heir.attempt == 2
    assert await tasks.settle(db, [(sleeper, Done())], now=clock.now()) == [False]
    assert await tasks.settle(db, [(sleeper, Done()), (heir, Done())], now=clock.now()) == [False, True]


async def test_each_kind_of_end_in_one_batch_and_a_row_that_is_being_cancelled_is_left_alone(
    db: Database, ids: Ids, clock: SteppedClock
) -> None:
    await put(db, ids, clock, "again", "cancelled", "dead", "done", "kept")
    claimed = {task.key: task for task in await tasks.claim(db, "q", now=clock.now(), lease_s=60, limit=9)}
    later = clock.now() + timedelta(seconds=5)
    ends = {
        "again": Again(later, "busy"),
        "cancelled": Done(),
        "dead": Dead("hopeless"),
        "done": Done(),
        "kept": Done(),
    }
    ended = [(claimed[key], end) for key, end in ends.items()]
    async with db.transaction() as tx:
        await tasks.cancel(tx, "q", [(1, "cancelled")])
        with suppress(Refused):
            async with db.transaction() as other:
                await tasks.cancel(other, "q", [(1, "kept")])
                assert await tasks.settle(db, ended, now=clock.now()) == [True, False, True, True, False]
                assert await tasks.settle(db, ended, now=clock.now()) == [False] * 5, "twice is once"
                raise Refused
    async with db.transaction() as tx:
        rows = await tx.fetch(
            "select key, lease is null, last_error, due_at = $1, dead_at = $2 from task order by key",
            later, clock.now(),
        )  # fmt: skip
    assert [tuple(row) for row in rows] == [
        ("again", True, "busy", True, None),
        ("dead", True, "hopeless", False, True),
        ("kept", False, None, False, None),
    ]
    clock.advance(60)
    back = await tasks.claim(db, "q", now=clock.now(), lease_s=60, limit=9)
    assert {(task.key, task.attempt) for task in back} == {("again", 2), ("kept", 2)}


async def test_many_workers_never_hold_the_same_task(db: Database, ids: Ids, clock: SteppedClock) -> None:
    await put(db, ids, clock, *(f"k{n}" for n in range(500)))
    claims = await asyncio.gather(*(tasks.claim(db, "q", now=clock.now(), lease_s=60, limit=50) for _ in range(14)))
    keys = [task.key for claimed in claims for task in claimed]
    assert len(keys) == len(set(keys)) == 500


async def test_a_failing_task_climbs_the_ladder_and_ends_as_a_dead_letter_that_can_be_revived(
    db: Database, ids: Ids, clock: SteppedClock
) -> None:
    broken = True
    ran: list[int] = []

    async def handle(task: Task) -> Done:
        ran.append(task.attempt)
        if broken:
            raise Refused("not now")
        return Done()

    worker = Worker(db, "q", handle, clock.now, retry_s=(1, 5))
    await put(db, ids, clock, "a")
    for wait_s in (0, 1, 5, 600):
        clock.advance(wait_s)
        await worker.run_due()
    assert ran == [1, 2, 3]
    async with db.transaction() as tx:
        row = await tx.fetchrow("select dead_at, last_error from task")
        assert row is not None
        assert row["dead_at"] is not None
        assert row["last_error"] == "Refused: not now"
        assert await tasks.revive(tx, "q", book=1, key="a", now=clock.now())
    broken = False
    assert await worker.run_due() == 1
    async with db.transaction() as tx:
        assert await tx.fetchval("select count(*) from task") == 0


@pytest.mark.parametrize(("verdict", "left"), [(Done(), 0), (Dead("poison"), 1)])
async def test_one_poisoned_task_does_not_hold_up_the_others(
    db: Database, ids: Ids, clock: SteppedClock, verdict: Done | Dead, left: int
) -> None:
    async def handle(task: Task) -> Done | Dead:
        return verdict if task.key == "poison" else Done()

    await put(db, ids, clock, "poison", *(f"k{n}" for n in range(40)))
    assert await Worker(db, "q", handle, clock.now).run_due() == 41
    async with db.transaction() as tx:
        assert await tx.fetchval("select count(*) from task") == left


async def test_stopping_finishes_what_was_claimed(db: Database, ids: Ids, clock: SteppedClock) -> None:
    started, finish = asyncio.Event(), asyncio.Event()

    async def handle(task: Task) -> Done:
        started.set()
        await finish.wait()
        return Done()

    worker = Worker(db, "q", handle, clock.now)
    await put(db, ids, clock, "a")
    running = asyncio.create_task(worker.run())
    await started.wait()
    worker.stop()
    finish.set()
    await running
    async with db.transaction() as tx:
        assert await tx.fetchval("select count(*) from task") == 0


async def begun(started: list[Task], number: int) -> None:
    while len(started) < number:
        await asyncio.sleep(0)


@pytest.mark.parametrize(("poll_s", "ended", "claims"), [(3600, 2, [8, 2]), (0.01, 1, [8, 1])])
async def test_a_full_worker_claims_again_when_a_quarter_is_free_or_the_poll_interval_is_over(
    db: Database, ids: Ids, clock: SteppedClock, poll_s: float, ended: int, claims: list[int]
) -> None:
    started: list[Task] = []
    finish = {f"k{n:02}": asyncio.Event() for n in range(12)}

    async def handle(task: Task) -> Done:
        started.append(task)
        await finish[task.key].wait()
        return Done()

    worker = Worker(db, "q", handle, clock.now, concurrency=8, poll_s=poll_s)
    await put(db, ids, clock, *finish)
    running = asyncio.create_task(worker.run())
    await begun(started, 8)
    for task in started[:ended]:
        finish[task.key].set()
    await begun(started, sum(claims))
    leases = [task.lease for task in started]
    assert [leases.count(lease) for lease in dict.fromkeys(leases)] == claims
    worker.stop()
    for one in finish.values():
        one.set()
    await running
    assert len(started) == sum(claims), "what waits is left to the next worker"


def event(number: int, topic: str = "order.paid") -> NewEvent:
    return NewEvent(1, topic, "RC1", number, {"n": number})


async def test_events_are_published_once_in_order_and_with_the_handler_s_own_writes(
    db: Database, ids: Ids, clock: SteppedClock
) -> None:
    seen: list[Event] = []

    async def handle(tx: Tx, events: list[Event]) -> None:
        seen.extend(events)
        await tasks.enqueue(
            tx, [NewTask(1, "deliver", str(one.id), None, clock.now()) for one in events], ids=ids, now=clock.now()
        )

    async with db.transaction() as tx:
        await outbox.emit(tx, [event(1), event(2), event(3, "unheard.of")], ids=ids, now=clock.now())
    assert await outbox.publish_batch(db, {"order.paid": [handle]}, now=clock.now()) == 3
    assert await outbox.publish_batch(db, {"order.paid": [handle]}, now=clock.now()) == 0
    assert [(one.sequence, one.payload) for one in seen] == [(1, {"n": 1}), (2, {"n": 2})]
    assert len(await tasks.claim(db, "deliver", now=clock.now(), lease_s=60, limit=9)) == 2


async def test_a_failing_handler_leaves_the_event_unpublished(db: Database, ids: Ids, clock: SteppedClock) -> None:
    async def fail(tx: Tx, events: list[Event]) -> None:
        raise Refused

    async with db.transaction() as tx:
        await outbox.emit(tx, [event(1)], ids=ids, now=clock.now())
    with pytest.raises(Refused):
        await outbox.publish_batch(db, {"order.paid": [fail]}, now=clock.now())
    assert await outbox.publish_batch(db, {}, now=clock.now()) == 1


async def test_a_poisoned_event_is_parked_and_the_others_go_on(db: Database, ids: Ids, clock: SteppedClock) -> None:
    seen: list[int] = []

    async def handle(tx: Tx, events: list[Event]) -> None:
        if any(one.sequence == 2 for one in events):
            raise Refused
        seen.extend(one.sequence for one in events)

    async with db.transaction() as tx:
        await outbox.emit(tx, [event(1), event(2), event(3)], ids=ids, now=clock.now())
    for _ in range(8):
        await outbox.publish_singly(db, {"order.paid": [handle]}, now=clock.now())
    assert seen == [1, 3]
    assert await outbox.publish_batch(db, {"order.paid": [handle]}, now=clock.now()) == 0
    async with db.transaction() as tx:
        assert await tx.fetchval("select sequence from event where published_at is null") == 2


async def test_relays_side_by_side_publish_each_event_once(db: Database, ids: Ids, clock: SteppedClock) -> None:
    seen: list[int] = []

    async def handle(tx: Tx, events: list[Event]) -> None:
        seen.extend(one.id for one in events)

    async with db.transaction() as tx:
        await outbox.emit(tx, [event(number) for number in range(1, 301)], ids=ids, now=clock.now())
    handlers = {"order.paid": [handle]}
    counts = await asyncio.gather(*(outbox.publish_batch(db, handlers, now=clock.now(), limit=100) for _ in range(4)))
    assert sum(counts) == len(set(seen)) == len(seen) == 300
