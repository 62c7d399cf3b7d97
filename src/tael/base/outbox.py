"""The outbox: an event is a row written in the transaction that makes it true, and published afterwards.

    emit (in the caller's transaction) -> unpublished -> published (in the transaction of its handlers)

Handlers of a topic run in the relay's own transaction together with the mark "published", so a handler that writes
to this database takes effect exactly once. `sequence` counts a subject's events without gaps, so a receiver can
order them; several relays may publish side by side. An event whose handler keeps failing is parked after eight
attempts and never holds up the others.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import msgspec
import structlog

from tael.base.crash import crash_point
from tael.base.db import Database, Record, Tx
from tael.base.errors import JsonValue, TaelError
from tael.base.ids import Ids

_log = structlog.get_logger("tael.outbox")


@dataclass(frozen=True, slots=True)
class Event:
    """Something that became true: `topic` such as `recharge.paid`, about `subject`, its `sequence`-th event."""

    book: int
    id: int
    topic: str
    subject: str
    sequence: int
    payload: Mapping[str, JsonValue]
    created_at: datetime


@dataclass(frozen=True, slots=True)
class NewEvent:
    """An event to be written. `sequence` is the subject's own version number, counted by its owner."""

    book: int
    topic: str
    subject: str
    sequence: int
    payload: Mapping[str, JsonValue]


Handler = Callable[[Tx, Sequence[Event]], Awaitable[None]]


async def emit(tx: Tx, events: Sequence[NewEvent], *, ids: Ids, now: datetime) -> None:
    """Write events; they are published if and only if `tx` commits. One statement for any number."""
    if not events:
        return
    await tx.execute(
        """insert into event (book, id, topic, subject, sequence, payload, created_at)
           select * from unnest($1::bigint[], $2::bigint[], $3::text[], $4::text[], $5::int[], $6::jsonb[],
                                array_fill($7::timestamptz, array[cardinality($1::bigint[])]))""",
        [event.book for event in events], [ids.next() for _ in events], [event.topic for event in events],
        [event.subject for event in events], [event.sequence for event in events],
        [msgspec.json.encode(event.payload).decode() for event in events], now,
    )  # fmt: skip


async def publish_batch(
    db: Database, handlers: Mapping[str, Sequence[Handler]], *, now: datetime, limit: int = 500
) -> int:
    """Hand unpublished events to their topics' handlers and mark them, in one transaction; answers how many.

    Whatever a handler raises is raised again, and nothing is marked.
    """
    async with db.transaction() as tx:
        rows = await tx.fetch(_NEXT, limit)
        await _publish(tx, rows, handlers, now=now)
        if rows:
            crash_point("outbox.before_commit")
    if rows:
        crash_point("outbox.published")
    return len(rows)


async def publish_singly(
    db: Database, handlers: Mapping[str, Sequence[Handler]], *, now: datetime, limit: int = 500
) -> int:
    """Publish each event in its own transaction and count the failures of those that fail; answers how many went."""
    async with db.transaction() as tx:
        waiting = await tx.fetch(_NEXT, limit)
    published = 0
    for row in waiting:
        try:
            async with db.transaction() as tx:
                mine = await tx.fetch(_ONE, row["book"], row["id"])
                await _publish(tx, mine, handlers, now=now)
                published += len(mine)
        except Exception as problem:  # noqa: BLE001 (what a handler raises concerns its event only)
            _log.warning("outbox.handler_failed", event_id=row["id"], topic=row["topic"], exc_info=problem)
            async with db.transaction() as tx:
                await tx.execute(_COUNT_FAILURE, row["book"], row["id"])
    return published


async def parked(tx: Tx, *, most: int) -> list[tuple[int, str, int]]:
    """How many events were set aside by book and topic; no more than `most` of each are counted, nor listed."""
    rows = await tx.fetch(_PARKED, most)
    return [(row["book"], row["topic"], row["count"]) for row in rows]


class Relay:
    """Publishes until stopped: batch after batch while there is something, else every `poll_s` seconds."""

    def __init__(
        self,
        db: Database,
        handlers: Mapping[str, Sequence[Handler]],
        now: Callable[[], datetime],
        *,
        poll_s: float = 0.5,
    ) -> None:
        self._db, self._handlers, self._now, self._poll_s = db, handlers, now, poll_s
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        """Finish the batch under way and return from `run`."""
        self._stopping.set()

    async def run(self) -> None:
        """Publish until `stop`. A failure is logged and tried again; events stay in the table meanwhile."""
        while not self._stopping.is_set():
            try:
                published = await publish_batch(self._db, self._handlers, now=self._now())
            except TaelError as problem:
                _log.warning("outbox.publish_failed", error=str(problem))
                published = 0
            except Exception as problem:  # noqa: BLE001 (a worker loop outlives its handlers)
                _log.warning("outbox.batch_failed", exc_info=problem)
                published = await self._singly()
            if published == 0:
                await _wait(self._stopping, self._poll_s)

    async def _singly(self) -> int:
        try:
            return await publish_singly(self._db, self._handlers, now=self._now())
        except Exception as problem:  # noqa: BLE001 (a worker loop outlives its database)
            _log.warning("outbox.publish_failed", error=str(problem))
            return 0


def read_event(row: Record) -> Event:
    """An event from its row."""
    payload = msgspec.json.decode(row["payload"])
    return Event(row["book"], row["id"], row["topic"], row["subject"], row["sequence"], payload, row["created_at"])


# Parked events (eight failures) stay in the table, unpublished, for a person to look at.
_NEXT = """select book, id, topic, subject, sequence, payload, created_at from event
           where published_at is null and failures < 8 order by id limit $1 for update skip locked"""
_PARKED = """
    with recursive pile(book, topic) as (
        (select book, topic from event where published_at is null and failures >= 8 order by book, topic limit 1)
        union all
        select next.book, next.topic from pile, lateral (
            select book, topic from event where published_at is null and failures >= 8
                and (book, topic) > (pile.book, pile.topic) order by book, topic limit 1) next)
    select book, topic, (select count(*) from (
        select from event where event.book = pile.book and event.topic = pile.topic and published_at is null
            and failures >= 8 limit $1) waiting)
    from pile limit $1
"""
_ONE = """select book, id, topic, subject, sequence, payload, created_at from event
          where book = $1 and id = $2 and published_at is null for update skip locked"""
_COUNT_FAILURE = "update event set failures = failures + 1 where book = $1 and id = $2"
MARK = """update event set published_at = $3 from unnest($1::bigint[], $2::bigint[]) as done(book, id)
           where event.book = any($1::bigint[]) and event.id = any($2::bigint[])
               and event.book = done.book and event.id = done.id"""


async def _publish(tx: Tx, rows: Sequence[Record], handlers: Mapping[str, Sequence[Handler]], *, now: datetime) -> None:
    events = [read_event(row) for row in rows]
    for topic in dict.fromkeys(event.topic for event in events):
        for handler in handlers.get(topic, ()):
            await handler(tx, [event for event in events if event.topic == topic])
    if events:
        await tx.execute(MARK, [event.book for event in events], [event.id for event in events], now)


async def _wait(event: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return
