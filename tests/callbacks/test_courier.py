"""Delivery: what counts as delivered, the ladder, faults of receivers, and that a slow one delays nobody else."""

import asyncio
from datetime import timedelta

import pytest
from prometheus_client import REGISTRY

from callbacks.conftest import BOOK, Emit, Subscribe, kept
from tael.base.clock import SteppedClock
from tael.base.db import Database
from tael.callbacks import Callbacks, Courier, Policy, Transport, deliveries, endpoints, forget_old, replay
from tael.callbacks.courier import LADDER_S
from tael.callbacks.store import Attempt, Delivery, Endpoint
from tael_sandbox.receiver import Fault, Receiver


async def look(callbacks: Callbacks, endpoint: Endpoint, event_id: int) -> tuple[Delivery, list[Attempt]]:
    return await deliveries.get(callbacks.db, book=endpoint.book, endpoint_id=endpoint.id, event_id=event_id)


async def test_a_message_arrives_signed_so_that_the_public_package_accepts_it(
    callbacks: Callbacks, courier: Courier, emit: Emit
) -> None:
    async with Receiver(check_time=True) as receiver:
        endpoint, receiver.secrets["/shop"] = await endpoints.create(
            callbacks, book=BOOK, url=receiver.url("/shop"), topics=["recharge.*"], description=""
        )
        (event_id,) = await emit()
        assert await courier.run_due() == 1
        assert await courier.run_due() == 0
        (request,) = receiver.received
        assert request.genuine
        assert request.message_id == str(event_id)
        assert request.headers["content-type"] == "application/json"
        assert kept(receiver) == [
            {
                "id": str(event_id),
                "type": "recharge.paid",
                "timestamp": callbacks.now().isoformat(timespec="milliseconds").replace("+00:00", "Z"),
                "sequence": 1,
                "subject": "RC1",
                "data": {"amount": 100, "n": 0},
            }
        ]
        delivery, attempts = await look(callbacks, endpoint, event_id)
        assert (delivery.status, delivery.attempts, delivery.last_error) == ("delivered", 1, None)
        assert [(one.number, one.outcome, one.status) for one in attempts] == [(1, "delivered", 204)]


async def test_the_ladder_ends_after_75_hours_35_minutes_in_a_dead_letter_and_a_replay_brings_it(
    callbacks: Callbacks, courier: Courier, receiver: Receiver, subscribe: Subscribe, emit: Emit, clock: SteppedClock
) -> None:
    endpoint = await subscribe()
    receiver.faults["/shop"] = Fault.ERROR
    (event_id,) = await emit()
    began = clock.now()
    for wait_s in LADDER_S:
        if wait_s:
            clock.advance(wait_s - 1)
            assert await courier.run_due() == 0, "a second too early"
            clock.advance(1)
        assert await courier.run_due() == 1
    assert clock.now() - began == timedelta(hours=75, minutes=35, seconds=5)
    clock.advance(10 * 86400)
    assert await courier.run_due() == 0

    delivery, attempts = await look(callbacks, endpoint, event_id)
    assert (delivery.status, delivery.attempts, delivery.last_error) == ("dead", 10, "http_500")
    assert [one.number for one in attempts] == list(range(1, 11))
    assert {request.message_id for request in receiver.received} == {str(event_id)}
    assert len({request.headers["webhook-timestamp"] for request in receiver.received}) == 10

    del receiver.faults["/shop"]
    for _ in range(2):  # asking twice is asking once
        await replay.resend(callbacks.db, now=callbacks.now(), book=BOOK, endpoint_id=endpoint.id, event_id=event_id)
    assert await courier.run_due() == 1
    assert list(receiver.kept["/shop"]) == [str(event_id)]
    delivery, attempts = await look(callbacks, endpoint, event_id)
    assert (delivery.status, attempts[-1].number) == ("delivered", 11)


@pytest.mark.parametrize(
    ("fault", "outcome", "http_status", "delivery", "endpoint_status"),
    [
        (None, "delivered", 204, "delivered", "enabled"),
        (Fault.ERROR, "http_500", 500, "waiting", "enabled"),
        (Fault.REDIRECT, "redirect", 301, "waiting", "enabled"),
        (Fault.GONE, "gone", 410, "dead", "disabled"),
        (Fault.SLOW, "timeout", None, "waiting", "enabled"),
        (Fault.ENDLESS, "timeout", None, "waiting", "enabled"),
        (Fault.DROP, "protocol", None, "waiting", "enabled"),
        (Fault.LOST, "protocol", None, "waiting", "enabled"),
        (Fault.HUGE, "delivered", 200, "delivered", "enabled"),
    ],
)
async def test_what_a_receiver_does_and_what_follows(
    fault: Fault | None, outcome: str, http_status: int | None, delivery: str, endpoint_status: str,
    callbacks: Callbacks, receiver: Receiver, subscribe: Subscribe, emit: Emit,
) -> None:  # fmt: skip
    endpoint = await subscribe()
    if fault is not None:
        receiver.faults["/shop"] = fault
    (event_id,) = await emit()
    impatient = Transport(Policy("test", allow_loopback=True), timeout_s=0.3)
    courier = Courier(Callbacks(callbacks.db, callbacks.ids, callbacks.now, callbacks.master_key, impatient))
    assert await courier.run_due() == 1
    await impatient.close()
    found, (attempt,) = await look(callbacks, endpoint, event_id)
    assert (attempt.outcome, attempt.status, found.status) == (outcome, http_status, delivery)
    assert (await endpoints.get(callbacks.db, book=BOOK, endpoint_id=endpoint.id)).status == endpoint_status
    assert [request.path for request in receiver.received] == ["/shop"], "a redirect is not followed"
    assert receiver.bytes_sent < 64 << 20, "of a gigabyte no more than the buffers on the way was taken"


async def test_a_hanging_endpoint_with_five_hundred_deliveries_does_not_delay_its_neighbour(
    callbacks: Callbacks, courier: Courier, receiver: Receiver, subscribe: Subscribe, emit: Emit
) -> None:
    await subscribe("/hangs", topics=("slow.*",))
    await subscribe("/healthy", topics=("quick.*",))
    receiver.faults["/hangs"] = Fault.SLOW
    await emit(500, topic="slow.thing", subject="S")
    running = asyncio.create_task(courier.run())
    await receiver.until_hanging("/hangs", 8)
    before = asyncio.get_running_loop().time()
    await emit(100, topic="quick.thing", subject="Q")
    await receiver.until("/healthy", 100)
    took_s = asyncio.get_running_loop().time() - before
    assert receiver.hanging["/hangs"] == 8, "one endpoint holds eight lines at most"
    assert took_s < 15, "the neighbour did not wait for a time-out"
    courier.stop()
    await receiver.__aexit__(None, None, None)  # the hanging lines end
    await running


async def test_a_failing_endpoint_gets_one_line_until_it_succeeds(
    callbacks: Callbacks, courier: Courier, receiver: Receiver, subscribe: Subscribe, emit: Emit, clock: SteppedClock
) -> None:
    endpoint = await subscribe()
    receiver.faults["/shop"] = Fault.ERROR
    await emit()
    await courier.run_due()
    await emit(20)
    receiver.faults["/shop"] = Fault.SLOW
    running = asyncio.create_task(courier.run())
    await receiver.until_hanging("/shop", 1)
    await asyncio.sleep(0.05)
    assert receiver.hanging["/shop"] == 1
    courier.stop()
    await receiver.__aexit__(None, None, None)
    await running
    assert (await endpoints.get(callbacks.db, book=BOOK, endpoint_id=endpoint.id)).failures == 2


async def test_an_endpoint_that_fails_for_five_days_is_paused_and_can_be_enabled_again(
    callbacks: Callbacks, courier: Courier, receiver: Receiver, subscribe: Subscribe, emit: Emit, clock: SteppedClock
) -> None:
    endpoint = await subscribe()
    receiver.faults["/shop"] = Fault.ERROR
    began = clock.now()
    while clock.now() - began <= timedelta(days=5):
        await emit()
        assert (await endpoints.get(callbacks.db, book=BOOK, endpoint_id=endpoint.id)).status == "enabled"
        await courier.run_due()
        clock.advance(6 * 3600)
    await courier.run_due()
    paused = await endpoints.get(callbacks.db, book=BOOK, endpoint_id=endpoint.id)
    assert (paused.status, paused.reason) == ("paused", "failing")
    (missed,) = await emit()  # not queued: the endpoint is out of service
    clock.advance(4 * 86400)
    await courier.run_due()  # what waited becomes a dead letter without a call
    seen = len(receiver.received)
    found = await deliveries.listed(
        callbacks.db, book=BOOK, endpoint_id=endpoint.id, status=None, before=None, limit=100
    )
    assert {delivery.status for delivery in found} == {"dead"}
    assert missed not in {delivery.event_id for delivery in found}
    assert "endpoint_not_enabled" in {delivery.last_error for delivery in found}

    with pytest.raises(replay.EndpointNotEnabled):
        await replay.resend(
            callbacks.db, now=callbacks.now(), book=BOOK, endpoint_id=endpoint.id, event_id=found[0].event_id
        )
    del receiver.faults["/shop"]
    await endpoints.enable(callbacks, book=BOOK, endpoint_id=endpoint.id)
    window = replay.Window(began, clock.now())
    replayed = await replay.resend_window(callbacks.db, window, now=callbacks.now(), book=BOOK, endpoint_id=endpoint.id)
    assert (replayed.queued, replayed.has_more) == (len(found) + 1, False)
    assert await courier.run_due() == len(found) + 1
    assert len(receiver.received) == seen + len(found) + 1
    sequences = sorted(int(str(message["sequence"])) for message in kept(receiver))
    assert sequences == list(range(1, len(found) + 2)), "every event of the subject arrived"
    again = await replay.resend_window(callbacks.db, window, now=callbacks.now(), book=BOOK, endpoint_id=endpoint.id)
    assert again.queued == 0


async def test_a_success_forgets_earlier_failures(
    callbacks: Callbacks, courier: Courier, receiver: Receiver, subscribe: Subscribe, emit: Emit, clock: SteppedClock
) -> None:
    endpoint = await subscribe()
    receiver.faults["/shop"] = Fault.ERROR
    await emit()
    await courier.run_due()
    failing = await endpoints.get(callbacks.db, book=BOOK, endpoint_id=endpoint.id)
    assert (failing.failures, failing.failing_since) == (1, clock.now())
    del receiver.faults["/shop"]
    clock.advance(5)
    await courier.run_due()
    healthy = await endpoints.get(callbacks.db, book=BOOK, endpoint_id=endpoint.id)
    assert (healthy.failures, healthy.failing_since) == (0, None)


async def test_couriers_side_by_side_send_each_message_once(
    callbacks: Callbacks, receiver: Receiver, subscribe: Subscribe, emit: Emit
) -> None:
    await subscribe("/a")
    await subscribe("/b")
    await emit(200)
    counts = await asyncio.gather(*(Courier(callbacks).run_due() for _ in range(4)))
    assert sum(counts) == 400
    assert len(receiver.received) == 400
    assert len(receiver.kept["/a"]) == len(receiver.kept["/b"]) == 200


async def test_a_lost_lease_is_sent_again_and_the_late_result_changes_nothing(
    callbacks: Callbacks, receiver: Receiver, subscribe: Subscribe, emit: Emit, clock: SteppedClock, db: Database
) -> None:
    endpoint = await subscribe()
    receiver.faults["/shop"] = Fault.SLOW
    (event_id,) = await emit()
    sleeper = asyncio.create_task(Courier(callbacks).run_due())
    await receiver.until_hanging("/shop", 1)
    assert await Courier(callbacks).run_due() == 0
    del receiver.faults["/shop"]
    clock.advance(60)
    assert await Courier(callbacks).run_due() == 1
    for line in list(receiver._lines):
        line.transport.abort()
    await sleeper
    delivery, attempts = await look(callbacks, endpoint, event_id)
    assert (delivery.status, delivery.attempts) == ("delivered", 2)
    assert [(one.number, one.outcome) for one in attempts] == [(1, "protocol"), (2, "delivered")]
    assert [request.message_id for request in receiver.received] == [str(event_id)] * 2


async def test_old_deliveries_are_forgotten_but_never_one_that_waits(
    callbacks: Callbacks, courier: Courier, receiver: Receiver, subscribe: Subscribe, emit: Emit, clock: SteppedClock,
    db: Database,
) -> None:  # fmt: skip
    endpoint = await subscribe()
    await emit(5)
    await courier.run_due()
    receiver.faults["/shop"] = Fault.ERROR
    (waiting,) = await emit()
    await courier.run_due()
    clock.advance(90 * 86400 + 1)
    recent = await emit(2)
    async with db.transaction() as tx:
        counts = [await forget_old(tx, now=clock.now(), limit=3) for _ in range(3)]
        tries = await tx.fetchval("select count(*) from callback_attempt")
    assert (counts, tries) == ([3, 2, 0], 1)
    left = await deliveries.listed(callbacks.db, book=BOOK, endpoint_id=endpoint.id, status=None, before=None, limit=10)
    assert sorted(one.event_id for one in left) == [waiting, *recent]


async def test_attempts_and_dead_letters_are_counted(
    courier: Courier, receiver: Receiver, subscribe: Subscribe, emit: Emit
) -> None:
    def value(name: str, **labels: str) -> float:
        return REGISTRY.get_sample_value(name, labels) or 0

    before = [value("tael_webhook_deliveries_total", outcome=one) for one in ("delivered", "gone")]
    dead = value("tael_webhook_dead_total")
    await subscribe("/good")
    await subscribe("/gone")
    receiver.faults["/gone"] = Fault.GONE
    await emit()
    await courier.run_due()
    after = [value("tael_webhook_deliveries_total", outcome=one) for one in ("delivered", "gone")]
    assert after == [before[0] + 1, before[1] + 1]
    assert value("tael_webhook_dead_total") == dead + 1


async def test_stopping_lets_what_is_under_way_finish(
    callbacks: Callbacks, courier: Courier, receiver: Receiver, subscribe: Subscribe, emit: Emit
) -> None:
    endpoint = await subscribe()
    running = asyncio.create_task(courier.run())
    (event_id,) = await emit()
    await receiver.until("/shop", 1)
    courier.stop()
    await running
    delivery, _ = await look(callbacks, endpoint, event_id)
    assert delivery.status == "delivered"


async def test_an_endpoint_deleted_or_disabled_meanwhile_is_not_called(
    callbacks: Callbacks, courier: Courier, receiver: Receiver, subscribe: Subscribe, emit: Emit
) -> None:
    gone, off = await subscribe("/gone"), await subscribe("/off")
    await emit()
    await endpoints.delete(callbacks, book=BOOK, endpoint_id=gone.id)
    await endpoints.disable(callbacks, book=BOOK, endpoint_id=off.id)
    assert await courier.run_due() == 2
    assert receiver.received == []
    assert (await endpoints.get(callbacks.db, book=BOOK, endpoint_id=off.id)).failures == 0
