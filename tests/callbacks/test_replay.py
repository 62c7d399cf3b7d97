"""Sending again: windows, bounds, pings; and pulling events."""

from datetime import datetime, timedelta

import pytest

from callbacks.conftest import BOOK, OTHER_BOOK, Emit, Subscribe
from tael.base.clock import SteppedClock
from tael.callbacks import Callbacks, Courier, deliveries, endpoints, events, replay
from tael.callbacks.replay import Window
from tael_sandbox.receiver import Fault, Receiver

HOUR = timedelta(hours=1)


async def test_a_window_brings_what_was_missed_while_the_endpoint_was_off(
    callbacks: Callbacks, subscribe: Subscribe, emit: Emit, courier: Courier, receiver: Receiver, clock: SteppedClock
) -> None:
    endpoint = await subscribe(topics=("recharge.*",))
    await emit(5)
    await courier.run_due()
    await endpoints.disable(callbacks, book=BOOK, endpoint_id=endpoint.id)
    clock.advance(3600)
    missed = await emit(7)
    await emit(2, topic="order.closed", subject="O")  # not its topic
    await emit(2, book=OTHER_BOOK)
    clock.advance(3600)
    window = Window(clock.now() - 3 * HOUR, clock.now())
    with pytest.raises(replay.EndpointNotEnabled):
        await replay.resend_window(callbacks.db, window, now=callbacks.now(), book=BOOK, endpoint_id=endpoint.id)
    await endpoints.enable(callbacks, book=BOOK, endpoint_id=endpoint.id)
    assert await courier.run_due() == 0, "enabling alone brings nothing"
    counts = [
        (
            await replay.resend_window(callbacks.db, window, now=callbacks.now(), book=BOOK, endpoint_id=endpoint.id)
        ).queued
        for _ in "12"
    ]
    assert counts == [7, 0]
    assert await courier.run_due() == 7
    assert len(receiver.kept["/shop"]) == 12
    assert {str(one) for one in missed} < set(receiver.kept["/shop"])

    everything = Window(window.start, clock.now() + HOUR, scope="all")
    assert (
        await replay.resend_window(callbacks.db, everything, now=callbacks.now(), book=BOOK, endpoint_id=endpoint.id)
    ).queued == 12
    assert await courier.run_due() == 12
    assert len(receiver.kept["/shop"]) == 12, "the ids are the ones the receiver knows"
    assert sum(one.duplicate for one in receiver.received) == 12


async def test_a_window_is_bounded_and_says_where_to_go_on(
    callbacks: Callbacks, subscribe: Subscribe, emit: Emit, courier: Courier, receiver: Receiver, clock: SteppedClock
) -> None:
    endpoint = await subscribe()
    await endpoints.disable(callbacks, book=BOOK, endpoint_id=endpoint.id)
    for _ in range(3):
        await emit(450)
    await endpoints.enable(callbacks, book=BOOK, endpoint_id=endpoint.id)
    first = await replay.resend_window(
        callbacks.db,
        Window(clock.now() - HOUR, clock.now() + HOUR),
        now=callbacks.now(),
        book=BOOK,
        endpoint_id=endpoint.id,
    )
    assert (first.queued, first.has_more) == (1000, True)
    assert first.last_id is not None
    rest = Window(clock.now() - HOUR, clock.now() + HOUR, after=first.last_id)
    second = await replay.resend_window(callbacks.db, rest, now=callbacks.now(), book=BOOK, endpoint_id=endpoint.id)
    assert (second.queued, second.has_more) == (350, False)
    assert await courier.run_due() == 1350
    assert len(receiver.kept["/shop"]) == 1350


@pytest.mark.parametrize(
    ("start", "end", "accepted"),
    [
        (timedelta(0), timedelta(0), False),
        (timedelta(0), -HOUR, False),
        (-timedelta(days=91), timedelta(0), False),
        (-timedelta(days=90), timedelta(0), True),
        (-HOUR, timedelta(days=2), False),
        (-HOUR, timedelta(hours=1), True),
    ],
)
async def test_windows(
    start: timedelta, end: timedelta, accepted: bool, callbacks: Callbacks, subscribe: Subscribe, clock: SteppedClock
) -> None:
    endpoint = await subscribe()
    window = Window(clock.now() + start, clock.now() + end)
    if accepted:
        replayed = await replay.resend_window(
            callbacks.db, window, now=callbacks.now(), book=BOOK, endpoint_id=endpoint.id
        )
        assert replayed == replay.Replayed(0, False, None)
    else:
        with pytest.raises(replay.InvalidWindow):
            await replay.resend_window(callbacks.db, window, now=callbacks.now(), book=BOOK, endpoint_id=endpoint.id)


async def test_instants_at_the_end_of_the_calendar_are_refused(
    callbacks: Callbacks, subscribe: Subscribe, clock: SteppedClock
) -> None:
    endpoint = await subscribe()
    for day in ("0001-01-01", "9999-12-31"):
        for offset in ("+14:00", "-14:00"):
            window = Window(datetime.fromisoformat(f"{day}T00:00:00{offset}"), clock.now())
            for one in (window, Window(window.start, window.start), Window(clock.now(), window.start)):
                with pytest.raises(replay.InvalidWindow):
                    await replay.resend_window(
                        callbacks.db, one, now=callbacks.now(), book=BOOK, endpoint_id=endpoint.id
                    )


async def test_resending_what_is_waiting_restarts_it_at_the_foot_of_the_ladder(
    callbacks: Callbacks, subscribe: Subscribe, emit: Emit, courier: Courier, receiver: Receiver, clock: SteppedClock
) -> None:
    endpoint = await subscribe()
    receiver.faults["/shop"] = Fault.ERROR
    (event_id,) = await emit()
    for wait_s in (0, 5, 300):
        clock.advance(wait_s)
        await courier.run_due()
    del receiver.faults["/shop"]
    sent = await replay.resend(callbacks.db, now=callbacks.now(), book=BOOK, endpoint_id=endpoint.id, event_id=event_id)
    assert (sent.status, sent.rung, sent.attempts) == ("waiting", 0, 3)
    assert await courier.run_due() == 1
    assert list(receiver.kept["/shop"]) == [str(event_id)]
    with pytest.raises(replay.DeliveryNotFound):
        await replay.resend(
            callbacks.db, now=callbacks.now(), book=BOOK, endpoint_id=endpoint.id, event_id=event_id + 1
        )


async def test_a_ping_arrives_signed_and_a_flood_of_them_is_refused(
    callbacks: Callbacks, subscribe: Subscribe, courier: Courier, receiver: Receiver, clock: SteppedClock
) -> None:
    """W11."""
    endpoint = await subscribe(topics=("recharge.paid",))  # a ping needs no subscription
    for minute in (1, 2):
        for _ in range(5):
            await replay.ping(callbacks, book=BOOK, endpoint_id=endpoint.id)
        for _ in range(3):
            with pytest.raises(replay.TooManyPings):
                await replay.ping(callbacks, book=BOOK, endpoint_id=endpoint.id)
        assert await courier.run_due() == 5
        assert len(receiver.kept["/shop"]) == 5 * minute
        clock.advance(59)
        with pytest.raises(replay.TooManyPings):
            await replay.ping(callbacks, book=BOOK, endpoint_id=endpoint.id)
        clock.advance(1)
        await callbacks.ids.renew(callbacks.db)
    assert all(one.genuine for one in receiver.received)
    listed = await deliveries.listed(
        callbacks.db, book=BOOK, endpoint_id=endpoint.id, status="delivered", before=None, limit=100
    )
    assert {one.topic for one in listed} == {replay.PING}


async def test_events_are_listed_page_by_page_in_both_directions(callbacks: Callbacks, emit: Emit) -> None:
    mine = await emit(10)
    other = await emit(3, book=OTHER_BOOK)
    about = await emit(4, subject="RC2")
    all_ids = [*mine, *about]

    async def page(before: int | None = None, after: int | None = None, subject: str | None = None) -> list[int]:
        found = await events.listed(callbacks.db, book=BOOK, before=before, after=after, subject=subject, limit=5)
        return [event.id for event in found]

    newest_first = sorted(all_ids, reverse=True)
    assert await page() == newest_first[:5]
    assert await page(before=newest_first[4]) == newest_first[5:10]
    assert await page(before=newest_first[-1]) == []
    assert await page(after=newest_first[-1]) == newest_first[-6:-1]
    assert await page(after=newest_first[0]) == []
    assert await page(subject="RC2") == sorted(about, reverse=True)
    assert (await events.get(callbacks.db, book=BOOK, event_id=mine[0])).sequence == 1
    with pytest.raises(events.EventNotFound):
        await events.get(callbacks.db, book=BOOK, event_id=other[0])
