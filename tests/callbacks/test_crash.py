"""F06: a worker is killed after the receiver's 200 and before the mark. The message comes twice with the same id."""

import asyncio
import signal
import sys
from datetime import timedelta
from pathlib import Path

from callbacks.conftest import Emit, Subscribe
from tael.base.clock import SteppedClock
from tael.base.db import Database
from tael.callbacks import Callbacks, Courier, deliveries
from tael_sandbox.receiver import Fault, Receiver

WORKER = str(Path(__file__).with_name("worker.py"))


async def kill(worker: asyncio.subprocess.Process) -> None:
    worker.send_signal(signal.SIGKILL)
    assert await worker.wait() == -signal.SIGKILL


async def test_killed_between_the_receiver_s_answer_and_the_mark(
    callbacks: Callbacks, subscribe: Subscribe, emit: Emit, receiver: Receiver, clock: SteppedClock,
    db: Database, dsn: str,
) -> None:  # fmt: skip
    endpoint = await subscribe()
    clock.advance(-60)  # due for the worker, whose clock runs
    event_ids = await emit(3)
    clock.advance(60)
    async with db.transaction() as tx:
        # Whoever wants to mark a delivery waits for this lock, so the worker is caught between answer and mark.
        await tx.execute("lock table callback_attempt in share mode")
        worker = await asyncio.create_subprocess_exec(sys.executable, WORKER, dsn)
        await receiver.until("/shop", 3)
        await kill(worker)
    found = await deliveries.listed(
        callbacks.db, book=endpoint.book, endpoint_id=endpoint.id, status="waiting", before=None, limit=10
    )
    assert [one.attempts for one in found] == [1, 1, 1], "answered, but not marked"
    clock.advance(int(timedelta(minutes=5).total_seconds()))  # past the leases of the dead worker
    assert await Courier(callbacks).run_due() == 3
    assert sorted(receiver.kept["/shop"]) == [str(event_id) for event_id in event_ids]
    assert [one.duplicate for one in receiver.received] == [False] * 3 + [True] * 3
    assert all(one.genuine for one in receiver.received)
    for event_id in event_ids:
        delivery, attempts = await deliveries.get(
            callbacks.db, book=endpoint.book, endpoint_id=endpoint.id, event_id=event_id
        )
        assert (delivery.status, [one.number for one in attempts]) == ("delivered", [2])


async def test_killed_while_the_receiver_hangs(
    callbacks: Callbacks, subscribe: Subscribe, emit: Emit, receiver: Receiver, clock: SteppedClock, dsn: str
) -> None:
    await subscribe()
    receiver.faults["/shop"] = Fault.SLOW
    clock.advance(-60)
    (event_id,) = await emit()
    worker = await asyncio.create_subprocess_exec(sys.executable, WORKER, dsn)
    await receiver.until_hanging("/shop", 1)
    await kill(worker)
    del receiver.faults["/shop"]
    clock.advance(360)
    assert await Courier(callbacks).run_due() == 1
    assert list(receiver.kept["/shop"]) == [str(event_id)]
