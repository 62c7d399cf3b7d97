"""The queue of deliveries: who is next, fairly, and what became of it.

    waiting -> claimed (a lease) -> delivered | waiting on a later rung | dead
       ^           | lease over: the worker died; somebody else claims it
       +-----------+

The delay queue of `base.tasks` hands out work by its due time alone, and five hundred deliveries to a receiver that
hangs would stand before everybody else's. Here the delivery is the queue's row, and a claim asks each endpoint in turn
for no more than it may have in flight. Endpoints that are failing are claimed apart, from a budget of their own.
"""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from tael.base.db import Record, Tx
from tael.callbacks.store import Endpoint, read_endpoint

Key = tuple[int, int]
Health = Literal["healthy", "failing"]


@dataclass(frozen=True, slots=True)
class Job:
    """A claimed delivery with its endpoint as it stood at the claim. `number` is this attempt's."""

    endpoint: Endpoint
    event_id: int
    body: str
    rung: int
    number: int
    lease: uuid.UUID


@dataclass(frozen=True, slots=True)
class Result:
    """What became of a job and what follows: `status` is the delivery's, `due_at` matters while it waits."""

    job: Job
    at: datetime
    outcome: str
    http_status: int | None
    duration_ms: int
    response_sha256: bytes | None
    status: Literal["waiting", "delivered", "dead"]
    due_at: datetime


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a batch of results says about one endpoint: `failures` since its last success within the batch."""

    book: int
    endpoint_id: int
    succeeded: bool
    failures: int
    gone: bool


@dataclass(frozen=True, slots=True)
class Removal:
    """An endpoint that was taken out of service."""

    book: int
    endpoint_id: int
    status: Literal["paused", "disabled"]


async def claim(
    tx: Tx, health: Health, *, in_flight: Mapping[Key, int], each: int, limit: int, now: datetime, lease_end: datetime
) -> list[Job]:
    """Take due deliveries, `limit` at most and `each` per endpoint counting those `in_flight` here.

    Endpoints with the least in flight come first, then in an order that changes with every claim.
    """
    lease = uuid.uuid4()
    rows = await tx.fetch(
        _CLAIM, health == "failing", [book for book, _ in in_flight], [endpoint_id for _, endpoint_id in in_flight],
        list(in_flight.values()), each, limit, now, lease_end, lease, lease.time_low,
    )  # fmt: skip
    return [_read(row) for row in rows]


async def settle(tx: Tx, results: Sequence[Result]) -> None:
    """Record attempts and move their deliveries. A job whose lease is lost leaves its attempt and changes nothing."""
    # In the order of keys, like everybody who writes several deliveries: so nobody waits for one who waits for them.
    results = sorted(
        results, key=lambda result: (result.job.endpoint.book, result.job.endpoint.id, result.job.event_id)
    )
    jobs = [result.job for result in results]
    await tx.fetch(
        _SETTLE, [job.endpoint.book for job in jobs], [job.endpoint.id for job in jobs],
        [job.event_id for job in jobs], [job.lease for job in jobs], [job.number for job in jobs],
        [result.at for result in results], [result.outcome for result in results],
        [result.http_status for result in results], [result.duration_ms for result in results],
        [result.response_sha256 for result in results], [result.status for result in results],
        [result.due_at for result in results],
    )  # fmt: skip


async def judge(tx: Tx, verdicts: Sequence[Verdict], *, pause_before: datetime, now: datetime) -> list[Removal]:
    """Count failures of endpoints, forget them after a success, and take the hopeless out of service.

    One that answered 410 is disabled; one that has failed without a success since before `pause_before` is paused.
    Answers the endpoints that were taken out. A healthy endpoint's success writes nothing.
    """
    rows = await tx.fetch(
        _JUDGE, [verdict.book for verdict in verdicts], [verdict.endpoint_id for verdict in verdicts],
        [verdict.succeeded for verdict in verdicts], [verdict.failures for verdict in verdicts],
        [verdict.gone for verdict in verdicts], pause_before, now,
    )  # fmt: skip
    return [Removal(row["book"], row["id"], row["fate"]) for row in rows if row["fate"] is not None]


_CLAIM = """
with busy as materialized (
    select * from unnest($2::bigint[], $3::bigint[], $4::int[]) as busy(book, endpoint_id, sends)),
ready as materialized (
    select e.book, e.id from callback_endpoint e cross join lateral (
        -- With a limit, so that it stays one index probe for each endpoint, whatever the planner thinks.
        select from callback_delivery d
        where d.book = e.book and d.endpoint_id = e.id and d.status = 'waiting' and d.due_at <= $7 limit 1) has_work
    where (e.failures > 0) = $1),
turn as materialized (
    select ready.book, ready.id, $5::int - coalesce(busy.sends, 0) as room
    from ready left join busy on busy.book = ready.book and busy.endpoint_id = ready.id
    where coalesce(busy.sends, 0) < $5::int
    order by coalesce(busy.sends, 0), hashint8extended(ready.id, $10)
    limit $6),
due as materialized (
    select picked.* from turn cross join lateral (
        select d.book, d.endpoint_id, d.event_id from callback_delivery d
        where d.book = turn.book and d.endpoint_id = turn.id and d.status = 'waiting' and d.due_at <= $7
        order by d.due_at, d.event_id limit turn.room for update skip locked) picked
    limit $6)
update callback_delivery d set lease = $9, due_at = $8, attempts = attempts + 1
from due join callback_endpoint e on e.book = due.book and e.id = due.endpoint_id
where d.book = due.book and d.endpoint_id = due.endpoint_id and d.event_id = due.event_id
returning d.event_id, d.body, d.rung, d.attempts, d.lease, e.book, e.id, e.url, e.topics, e.description, e.status,
          e.reason, e.generation, e.previous_until, e.failures, e.failing_since, e.created_at"""

_SETTLE = """
with result as materialized (
    select * from unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::uuid[], $5::int[], $6::timestamptz[], $7::text[],
                         $8::int[], $9::int[], $10::bytea[], $11::text[], $12::timestamptz[])
             as r(book, endpoint_id, event_id, lease, number, at, outcome, http_status, duration_ms, sha256, status,
                  due_at)),
moved as (
    update callback_delivery d
    set lease = null, status = r.status, due_at = r.due_at,
        rung = d.rung + case when r.status = 'delivered' then 0 else 1 end,
        last_error = case when r.status = 'delivered' then null else r.outcome end,
        finished_at = case when r.status = 'waiting' then null else r.at end
    from result r
    where d.book = r.book and d.endpoint_id = r.endpoint_id and d.event_id = r.event_id and d.lease = r.lease)
insert into callback_attempt (book, endpoint_id, event_id, number, at, outcome, status, duration_ms, response_sha256)
select book, endpoint_id, event_id, number, at, outcome, http_status, duration_ms, sha256 from result
on conflict do nothing"""

_JUDGE = """
with verdict as materialized (
    select * from unnest($1::bigint[], $2::bigint[], $3::boolean[], $4::int[], $5::boolean[])
             as v(book, endpoint_id, succeeded, failures, gone)),
locked as materialized (
    select e.book, e.id, v.failures, v.gone,
           case when v.succeeded then 0 else e.failures end as before,
           case when v.succeeded then null else e.failing_since end as since
    from verdict v join callback_endpoint e on e.book = v.book and e.id = v.endpoint_id
    where e.status = 'enabled' and (v.failures > 0 or e.failures > 0) order by e.book, e.id for update of e),
judged as materialized (
    select *, case when gone then 'disabled' when failures > 0 and since < $6 then 'paused' end as fate from locked)
update callback_endpoint e
set failures = before + judged.failures,
    failing_since = case when judged.failures > 0 then coalesce(since, $7) end,
    status = coalesce(fate, e.status),
    reason = case fate when 'disabled' then 'gone' when 'paused' then 'failing' else e.reason end
from judged where e.book = judged.book and e.id = judged.id
returning e.book, e.id, fate"""


def _read(row: Record) -> Job:
    return Job(read_endpoint(row), row["event_id"], row["body"], row["rung"], row["attempts"], row["lease"])
