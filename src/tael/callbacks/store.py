"""Endpoints, deliveries and attempts: the row types and every statement on them but the queue's (see `queue`)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from tael.base.db import Record, Tx
from tael.base.outbox import Event, read_event

EndpointStatus = Literal["enabled", "disabled", "paused", "deleted"]
DeliveryStatus = Literal["waiting", "delivered", "dead"]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a business wants to be told. `reason` says why it is not enabled, `failures` counts since a success."""

    book: int
    id: int
    url: str
    topics: tuple[str, ...]
    description: str
    status: EndpointStatus
    reason: str
    generation: int
    previous_until: datetime | None
    failures: int
    failing_since: datetime | None
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Delivery:
    """One event for one endpoint. `attempts` counts tries ever made, `rung` those failed since it was (re)started."""

    book: int
    endpoint_id: int
    event_id: int
    topic: str
    status: DeliveryStatus
    rung: int
    attempts: int
    due_at: datetime
    last_error: str | None
    created_at: datetime
    finished_at: datetime | None


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try. `status` is the HTTP status if there was an answer; of its body only a hash is kept."""

    number: int
    at: datetime
    outcome: str
    status: int | None
    duration_ms: int
    response_sha256: bytes | None


@dataclass(frozen=True, slots=True)
class Message:
    """What is sent about an event: fixed when it is first put into the queue."""

    book: int
    event_id: int
    topic: str
    body: str


async def lock_book(tx: Tx, book: int) -> None:
    """Until the end of the transaction, nobody else adds endpoints to this book."""
    await tx.execute("select pg_advisory_xact_lock($1, hashint8($2))", _ADDING, book)


async def count_endpoints(tx: Tx, book: int) -> int:
    """How many endpoints the book has."""
    count = await tx.fetchval("select count(*) from callback_endpoint where book = $1 and status <> 'deleted'", book)
    assert isinstance(count, int)
    return count


async def insert_endpoint(tx: Tx, endpoint: Endpoint, *, patterns: Sequence[str]) -> None:
    """Add an endpoint. `patterns` are its topics as SQL LIKE patterns."""
    await tx.execute(
        """insert into callback_endpoint (book, id, url, topics, patterns, description, status, created_at)
           values ($1, $2, $3, $4, $5, $6, $7, $8)""",
        endpoint.book, endpoint.id, endpoint.url, list(endpoint.topics), list(patterns), endpoint.description,
        endpoint.status, endpoint.created_at,
    )  # fmt: skip


async def endpoints(tx: Tx, book: int) -> list[Endpoint]:
    """All endpoints of a book, oldest first; there are few."""
    rows = await tx.fetch(f"{_ENDPOINT} where book = $1 and status <> 'deleted' order by id", book)
    return [read_endpoint(row) for row in rows]


async def endpoint(tx: Tx, book: int, endpoint_id: int) -> Endpoint | None:
    """One endpoint of a book."""
    row = await tx.fetchrow(f"{_ENDPOINT} where book = $1 and id = $2 and status <> 'deleted'", book, endpoint_id)
    return None if row is None else read_endpoint(row)


async def endpoint_to_change(tx: Tx, book: int, endpoint_id: int) -> Endpoint | None:
    """One endpoint, locked until the end of the transaction."""
    row = await tx.fetchrow(
        f"{_ENDPOINT} where book = $1 and id = $2 and status <> 'deleted' for update", book, endpoint_id
    )
    return None if row is None else read_endpoint(row)


async def describe(tx: Tx, endpoint: Endpoint, *, patterns: Sequence[str]) -> None:
    """Write what the business may change about its endpoint."""
    await tx.execute(
        """update callback_endpoint set url = $3, topics = $4, patterns = $5, description = $6
           where book = $1 and id = $2""",
        endpoint.book, endpoint.id, endpoint.url, list(endpoint.topics), list(patterns), endpoint.description,
    )  # fmt: skip


async def set_status(tx: Tx, book: int, endpoint_id: int, status: str, *, reason: str) -> None:
    """Enable, disable, pause or delete; the count of failures starts anew."""
    await tx.execute(
        """update callback_endpoint set status = $3, reason = $4, failures = 0, failing_since = null
           where book = $1 and id = $2""",
        book, endpoint_id, status, reason,
    )  # fmt: skip


async def rotate(tx: Tx, book: int, endpoint_id: int, *, previous_until: datetime) -> None:
    """Start the next generation of secrets; the present one goes on signing until `previous_until`."""
    await tx.execute(
        "update callback_endpoint set generation = generation + 1, previous_until = $3 where book = $1 and id = $2",
        book, endpoint_id, previous_until,
    )  # fmt: skip


async def count_ping(tx: Tx, book: int, endpoint_id: int, *, since: datetime, now: datetime, most: int) -> bool:
    """Take one of `most` pings of the present minute; False when none is left. `since` is a minute before `now`."""
    tag = await tx.execute(
        """update callback_endpoint set pings = case when pings_since > $3 then pings + 1 else 1 end,
               pings_since = case when pings_since > $3 then pings_since else $4 end
           where book = $1 and id = $2 and (pings < $5 or pings_since is null or pings_since <= $3)""",
        book, endpoint_id, since, now, most,
    )  # fmt: skip
    return tag.endswith(" 1")


async def subscribe(tx: Tx, messages: Sequence[Message], *, now: datetime) -> None:
    """Put each message into the queue of every enabled endpoint that wants its topic; twice is once."""
    await tx.execute(
        """insert into callback_delivery (book, endpoint_id, event_id, topic, body, due_at, created_at)
           select e.book, e.id, m.event_id, m.topic, m.body, $5, $5
           from unnest($1::bigint[], $2::bigint[], $3::text[], $4::text[]) as m(book, event_id, topic, body)
           join callback_endpoint e on e.book = m.book and e.status = 'enabled' and m.topic like any (e.patterns)
           on conflict do nothing""",
        *_columns(messages), now,
    )  # fmt: skip


async def send_again(tx: Tx, endpoint_id: int, messages: Sequence[Message], *, now: datetime) -> int:
    """Put messages into one endpoint's queue, at the foot of the ladder; answers how many were not there already.

    A message that was sent before keeps its body. One that is waiting, or on its way, stays as it is.
    """
    tag = await tx.execute(
        """insert into callback_delivery as d (book, endpoint_id, event_id, topic, body, due_at, created_at)
           select m.book, $5, m.event_id, m.topic, m.body, $6, $6
           from unnest($1::bigint[], $2::bigint[], $3::text[], $4::text[]) as m(book, event_id, topic, body)
           order by m.event_id
           on conflict (book, endpoint_id, event_id) do update
           set status = 'waiting', rung = 0, due_at = excluded.due_at, finished_at = null
           where d.status <> 'waiting'""",
        *_columns(messages), endpoint_id, now,
    )  # fmt: skip
    return int(tag.rsplit(" ", 1)[1])


async def restart(tx: Tx, book: int, endpoint_id: int, event_id: int, *, now: datetime) -> None:
    """Put one delivery back to the foot of the ladder, due now, unless a worker is busy with it."""
    await tx.execute(
        """update callback_delivery set status = 'waiting', rung = 0, due_at = $4, finished_at = null
           where book = $1 and endpoint_id = $2 and event_id = $3 and lease is null""",
        book, endpoint_id, event_id, now,
    )  # fmt: skip


async def events_between(
    tx: Tx, endpoint: Endpoint, *, start: datetime, end: datetime, after: int, first_id: int, last_id: int,
    again: Sequence[DeliveryStatus], limit: int,
) -> list[Event]:  # fmt: skip
    """Events of the endpoint's topics from `start` until before `end`, by id: those it was never sent, and those whose
    delivery has a status in `again`.

    `first_id` and `last_id` bound the ids that these instants can have, so that the primary key finds the range.
    """
    rows = await tx.fetch(
        """select v.book, v.id, v.topic, v.subject, v.sequence, v.payload, v.created_at
           from event v join callback_endpoint e on e.book = v.book and e.id = $2
           left join callback_delivery d on d.book = v.book and d.endpoint_id = $2 and d.event_id = v.id
           where v.book = $1 and v.id > $3 and v.id between $4 and $5 and v.created_at >= $6 and v.created_at < $7
             and v.topic like any (e.patterns)
             and (d.status is null or d.status = any ($8::text[]))
           order by v.id limit $9""",
        endpoint.book, endpoint.id, after, first_id, last_id, start, end, list(again), limit,
    )  # fmt: skip
    return [read_event(row) for row in rows]


async def deliveries(
    tx: Tx, book: int, endpoint_id: int, *, status: DeliveryStatus | None, before: int | None, limit: int
) -> list[Delivery]:
    """An endpoint's deliveries, newest event first, those with ids below `before`."""
    only = "" if status is None else f" and status = '{status}'"  # a literal, so that the index of dead letters serves
    rows = await tx.fetch(
        f"{_DELIVERY} where book = $1 and endpoint_id = $2 and event_id < $3{only} order by event_id desc limit $4",
        book, endpoint_id, before or _LARGEST_ID, limit,
    )  # fmt: skip
    return [read_delivery(row) for row in rows]


async def dead_letters(tx: Tx, book: int, *, limit: int) -> list[Delivery]:
    """Dead letters of all endpoints of a book that still exist, endpoint by endpoint."""
    rows = await tx.fetch(
        f"""{_DELIVERY} d where book = $1 and status = 'dead'
            and exists (select from callback_endpoint e where e.book = $1 and e.id = d.endpoint_id
                        and e.status <> 'deleted')
            order by endpoint_id, event_id limit $2""",
        book, limit,
    )  # fmt: skip
    return [read_delivery(row) for row in rows]


async def delivery(tx: Tx, book: int, endpoint_id: int, event_id: int) -> Delivery | None:
    """One delivery."""
    row = await tx.fetchrow(
        f"{_DELIVERY} where book = $1 and endpoint_id = $2 and event_id = $3", book, endpoint_id, event_id
    )
    return None if row is None else read_delivery(row)


async def attempts(tx: Tx, book: int, endpoint_id: int, event_id: int) -> list[Attempt]:
    """The recorded tries of a delivery, oldest first. A number that is missing belongs to a worker that died."""
    rows = await tx.fetch(
        """select number, at, outcome, status, duration_ms, response_sha256 from callback_attempt
           where book = $1 and endpoint_id = $2 and event_id = $3 order by number""",
        book, endpoint_id, event_id,
    )  # fmt: skip
    return [Attempt(*row.values()) for row in rows]


async def forget(tx: Tx, *, below: int, limit: int) -> int:
    """Delete finished deliveries of events with ids `below`, and their attempts; answers how many deliveries."""
    count = await tx.fetchval(
        """with old as materialized (
               select picked.* from callback_endpoint e cross join lateral (
                   select d.book, d.endpoint_id, d.event_id from callback_delivery d
                   where d.book = e.book and d.endpoint_id = e.id and d.event_id < $1 and d.status <> 'waiting'
                   order by d.event_id limit $2 for update skip locked) picked
               limit $2),
           tries as (delete from callback_attempt a using old where a.book = old.book
                     and a.endpoint_id = old.endpoint_id and a.event_id = old.event_id),
           gone as (delete from callback_delivery d using old where d.book = old.book
                    and d.endpoint_id = old.endpoint_id and d.event_id = old.event_id returning 1)
           select count(*) from gone""",
        below, limit,
    )  # fmt: skip
    assert isinstance(count, int)
    return count


def read_endpoint(row: Record) -> Endpoint:
    """An endpoint from its row."""
    return Endpoint(
        row["book"], row["id"], row["url"], tuple(row["topics"]), row["description"], row["status"], row["reason"],
        row["generation"], row["previous_until"], row["failures"], row["failing_since"], row["created_at"],
    )  # fmt: skip


def read_delivery(row: Record) -> Delivery:
    """A delivery from its row."""
    return Delivery(
        row["book"], row["endpoint_id"], row["event_id"], row["topic"], row["status"], row["rung"], row["attempts"],
        row["due_at"], row["last_error"], row["created_at"], row["finished_at"],
    )  # fmt: skip


_ADDING = 7305405
_LARGEST_ID = 2**63 - 1
_ENDPOINT = """select book, id, url, topics, description, status, reason, generation, previous_until, failures,
                      failing_since, created_at from callback_endpoint"""
_DELIVERY = """select book, endpoint_id, event_id, topic, status, rung, attempts, due_at, last_error, created_at,
                      finished_at from callback_delivery"""


def _columns(messages: Sequence[Message]) -> tuple[list[int], list[int], list[str], list[str]]:
    return (
        [message.book for message in messages],
        [message.event_id for message in messages],
        [message.topic for message in messages],
        [message.body for message in messages],
    )
