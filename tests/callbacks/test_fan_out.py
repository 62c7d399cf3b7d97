"""From events to deliveries: who gets what, once, with a body that does not change afterwards."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callbacks.conftest import BOOK, OTHER_BOOK, Emit, Subscribe, kept
from tael.base import outbox
from tael.base.clock import SteppedClock
from tael.base.db import Database
from tael.base.outbox import Event, NewEvent
from tael.callbacks import Callbacks, Courier, endpoints, observe_outbox
from tael.callbacks.fan_out import MOST_BODY_BYTES, message
from tael_sandbox.receiver import Fault, Receiver


@pytest.mark.parametrize(
    ("topics", "topic", "wanted"),
    [
        (["*"], "recharge.paid", True),
        (["recharge.paid"], "recharge.paid", True),
        (["recharge.paid"], "recharge.paid_late", False),
        (["recharge.*"], "recharge.paid", True),
        (["recharge.*"], "recharge.refund.done", True),
        (["recharge.*"], "recharge", False),
        (["recharge.*"], "recharges.paid", False),
        (["red_packet.*"], "red_packet.grabbed", True),
        (["red_packet.*"], "redxpacket.grabbed", False),  # an underscore is not a wildcard
        (["order.closed", "recharge.*"], "recharge.paid", True),
        (["order.closed"], "recharge.paid", False),
    ],
)
async def test_topics(
    topics: list[str], topic: str, wanted: bool,
    subscribe: Subscribe, emit: Emit, courier: Courier, receiver: Receiver,
) -> None:  # fmt: skip
    await subscribe(topics=tuple(topics))
    await emit(topic=topic)
    assert await courier.run_due() == (1 if wanted else 0)
    assert [one["type"] for one in kept(receiver)] == ([topic] if wanted else [])


@pytest.mark.parametrize(
    "topics",
    [[], ["x"] * 2, [f"t{n}" for n in range(51)], [""], ["Recharge.paid"], ["re%"], ["*.paid"], ["a..b"], ["a."],
     ["recharge.*.paid"], ["recharge*"], ["a'; drop table event; --"], ["a\nb"], ["ä"], ["a" * 101]],
)  # fmt: skip
async def test_topics_that_are_none(topics: list[str], callbacks: Callbacks, receiver: Receiver) -> None:
    with pytest.raises(endpoints.InvalidTopic):
        await endpoints.create(callbacks, book=BOOK, url=receiver.url("/"), topics=topics, description="")


async def test_one_delivery_per_event_and_endpoint_however_often_it_is_fanned_out(
    callbacks: Callbacks, subscribe: Subscribe, emit: Emit, courier: Courier, receiver: Receiver, db: Database
) -> None:
    await subscribe("/a")
    await subscribe("/b", topics=("recharge.*",))
    await subscribe("/other", book=OTHER_BOOK)
    await emit(3)
    async with db.transaction() as tx:
        events = [outbox.read_event(row) for row in await tx.fetch("select * from event order by id")]
    for _ in range(2):
        async with db.transaction() as tx:
            await callbacks.fan_out(tx, events)
            await callbacks.fan_out(tx, [*events, *events])
    assert await courier.run_due() == 6
    async with db.transaction() as tx:
        await callbacks.fan_out(tx, events)  # after the delivery, too
    assert await courier.run_due() == 0
    assert (len(receiver.kept["/a"]), len(receiver.kept["/b"]), len(receiver.kept["/other"])) == (3, 3, 0)
    assert len(receiver.received) == 6


async def test_the_body_is_fixed_when_the_event_is_fanned_out(
    callbacks: Callbacks, subscribe: Subscribe, emit: Emit, courier: Courier, receiver: Receiver, db: Database
) -> None:
    await subscribe()
    (event_id,) = await emit()
    async with db.transaction() as tx:
        await tx.execute("""update event set payload = '{"amount": 999999}' where id = $1""", event_id)
    await courier.run_due()
    assert [one["data"] for one in kept(receiver)] == [{"amount": 100, "n": 0}]


async def test_a_subject_s_sequence_arrives_complete_although_the_receiver_is_away_at_times(
    subscribe: Subscribe, emit: Emit, courier: Courier, receiver: Receiver, clock: SteppedClock
) -> None:
    await subscribe()
    for round_ in range(12):
        receiver.faults["/shop"] = list(Fault)[round_ % 2]
        await emit(3, subject="RC7")
        await courier.run_due()
        del receiver.faults["/shop"]
        clock.advance(1800)
        await courier.run_due()
    clock.advance(86400)
    await courier.run_due()
    assert sorted(int(str(one["sequence"])) for one in kept(receiver)) == list(range(1, 37))


async def test_an_event_that_is_rolled_back_is_not_told(
    callbacks: Callbacks, subscribe: Subscribe, courier: Courier, receiver: Receiver, db: Database
) -> None:
    await subscribe()
    with pytest.raises(LookupError):  # noqa: PT012
        async with db.transaction() as tx:
            new = NewEvent(BOOK, "recharge.paid", "RC1", 1, {})
            await outbox.emit(tx, [new], ids=callbacks.ids, now=callbacks.now())
            raise LookupError
    await outbox.publish_batch(db, {"recharge.paid": [callbacks.fan_out]}, now=callbacks.now())
    assert await courier.run_due() == 0


async def test_how_far_publishing_is_behind(callbacks: Callbacks, clock: SteppedClock, db: Database) -> None:
    assert await observe_outbox(db, now=clock.now()) == 0
    async with db.transaction() as tx:
        new = NewEvent(BOOK, "recharge.paid", "RC1", 1, {})
        await outbox.emit(tx, [new], ids=callbacks.ids, now=clock.now())
    clock.advance(90)
    assert await observe_outbox(db, now=clock.now()) == 90
    await outbox.publish_batch(db, {}, now=clock.now())
    assert await observe_outbox(db, now=clock.now()) == 0


EVENT = Event(BOOK, 1, "recharge.paid", "RC1", 1, {}, SteppedClock().now())


@given(size=st.integers(0, 3 * MOST_BODY_BYTES), character=st.sampled_from(["a", "钱", '"', "\n", "\x01"]))
def test_no_body_reaches_twenty_kilobytes(size: int, character: str) -> None:
    event = replace(EVENT, payload={"memo": character * (size // len(character.encode()))})
    body = message(event).body
    assert len(body.encode()) < MOST_BODY_BYTES
    read = json.loads(body)
    assert read["data"] in (None, event.payload)
    assert read["id"] == "1"


@pytest.mark.parametrize(("short_of", "kept_whole"), [(2, True), (1, True), (0, False), (-1, False)])
def test_where_the_line_is(short_of: int, kept_whole: bool) -> None:
    frame = len(message(replace(EVENT, payload={"memo": ""})).body)
    event = replace(EVENT, payload={"memo": "a" * (MOST_BODY_BYTES - frame - short_of)})
    assert (json.loads(message(event).body)["data"] is not None) == kept_whole
