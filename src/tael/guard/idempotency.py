"""Idempotency keys: one effect per key, the first answer for every repetition.

    begin -> Fresh    (ours; do the work, then `finish` stores the answer)
          -> Replay   (answered before: the stored answer, for 30 days)
          -> InFlight (somebody is at it: 409)
          -> Reused   (the key stands for another request: 422)

`begin` runs in the transaction that commits the intent, so a refused request leaves its key free. A worker that dies
leaves its key locked for twenty seconds (longer than a channel call takes); whoever repeats the request then gets
`Fresh` and continues the same work, which is safe because the work itself is keyed too.
"""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from fastapi import Request

from tael.base.db import Tx
from tael.base.errors import TaelError

STORED_DAYS = 30
LOCK_S = 20
_KEY = re.compile(r"[\x21-\x7e]{1,255}")
IDEMPOTENCY_HEADER: dict[str, object] = {
    "name": "Idempotency-Key", "in": "header", "required": True,
    "description": "One value per request that is meant once; repeat it to repeat the request safely.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"},
}  # fmt: skip
"""The header in the OpenAPI document of an endpoint that takes it."""


class IdempotencyKeyRequired(TaelError):
    """This request moves money and needs an Idempotency-Key header of 1 to 255 visible ASCII characters.
    zh: 涉及资金的请求必须带 Idempotency-Key 请求头（1–255 个可见 ASCII 字符）。
    """

    status = 400


class IdempotencyInFlight(TaelError):
    """A request with this Idempotency-Key is still running.
    zh: 相同幂等键的请求正在处理中。
    """

    status = 409
    retryable = True


class IdempotencyKeyReused(TaelError):
    """This Idempotency-Key was used for another request.
    zh: 该幂等键已用于另一个请求。
    """

    status = 422


@dataclass(frozen=True, slots=True)
class Claim:
    """A request that wants to take effect under `key`. `endpoint` is method and route, `fingerprint` its SHA-256."""

    book: int
    key: str
    endpoint: str
    fingerprint: bytes


@dataclass(frozen=True, slots=True)
class Fresh:
    """Nobody has answered this request; the key is ours until the lock ends."""


@dataclass(frozen=True, slots=True)
class Replay:
    """This very request was answered before."""

    status: int
    answer: bytes


@dataclass(frozen=True, slots=True)
class InFlight:
    """This very request is being worked on by somebody else."""


@dataclass(frozen=True, slots=True)
class Reused:
    """The key belongs to a request with another body or endpoint."""


Standing = Fresh | Replay | InFlight | Reused


@dataclass(frozen=True, slots=True)
class Answer:
    """What to answer: HTTP status, body as sent the first time, and whether it is a repetition."""

    status: int
    body: bytes
    replayed: bool = False


async def begin(tx: Tx, claims: Sequence[Claim], *, now: datetime) -> list[Standing]:
    """Take the keys of a batch of requests; answers where each stands, in their order."""
    first = {(claim.book, claim.key): claim for claim in reversed(claims)}
    mine = list(first.values())
    won = {
        (row["book"], row["key"])
        for row in await tx.fetch(
            _TAKE, [claim.book for claim in mine], [claim.key for claim in mine], [claim.endpoint for claim in mine],
            [claim.fingerprint for claim in mine], now, now + timedelta(seconds=LOCK_S),
            now - timedelta(days=STORED_DAYS),
        )
    }  # fmt: skip
    others = [
        claim for claim in claims if (claim.book, claim.key) not in won or first[claim.book, claim.key] is not claim
    ]
    stored = await _stored(tx, others)
    return [stored[id(claim)] if id(claim) in stored else Fresh() for claim in claims]


def answered(standing: Standing) -> Answer | TaelError | None:
    """The result of a request that is not ours to work on; None when it is."""
    match standing:
        case Replay(status, body):
            return Answer(status, body, replayed=True)
        case InFlight():
            return IdempotencyInFlight()
        case Reused():
            return IdempotencyKeyReused()
        case Fresh():
            return None


async def finish(tx: Tx, answers: Sequence[tuple[Claim, int, bytes]]) -> None:
    """Store the answers of requests that began as `Fresh`; repetitions get exactly these bytes."""
    if answers:
        await tx.execute(
            """update idempotency set status = done.status, answer = done.answer
               from unnest($1::bigint[], $2::text[], $3::smallint[], $4::bytea[]) as done(book, key, status, answer)
               where idempotency.book = any($1::bigint[]) and idempotency.key = any($2::text[])
                   and idempotency.book = done.book and idempotency.key = done.key and idempotency.status is null""",
            [claim.book for claim, _, _ in answers], [claim.key for claim, _, _ in answers],
            [status for _, status, _ in answers], [answer for _, _, answer in answers],
        )  # fmt: skip


async def free(tx: Tx, claims: Sequence[Claim]) -> None:
    """Give back keys that `begin` answered with `Fresh` in this very transaction: their requests were refused."""
    if claims:
        await tx.execute(
            """delete from idempotency i using unnest($1::bigint[], $2::text[]) as mine(book, key)
               where i.book = any($1::bigint[]) and i.key = any($2::text[])
                   and i.book = mine.book and i.key = mine.key and i.status is null""",
            [claim.book for claim in claims], [claim.key for claim in claims],
        )  # fmt: skip


async def forget_old(tx: Tx, *, now: datetime, limit: int = 5000) -> int:
    """Delete answers older than 30 days, `limit` at most; answers how many."""
    tag = await tx.execute(
        """delete from idempotency where (book, key) in
               (select book, key from idempotency where created_at < $1 order by created_at limit $2)""",
        now - timedelta(days=STORED_DAYS), limit,
    )  # fmt: skip
    return int(tag.split()[-1])


def idempotency_key(request: Request) -> str:
    """The Idempotency-Key of a request; two of them are none. Raises `IdempotencyKeyRequired`."""
    given = request.headers.getlist("idempotency-key")
    if len(given) != 1 or not _KEY.fullmatch(given[0]):
        raise IdempotencyKeyRequired
    return given[0]


def claim_for(*, book: int, key: str, endpoint: str, body: bytes) -> Claim:
    """The claim of a request whose raw body is `body`."""
    return Claim(book, key, endpoint, hashlib.sha256(body).digest())


# A free key is taken; so is one whose worker died (its lock is over) and one that is older than we promise to keep.
_TAKE = """
    insert into idempotency as i (book, key, endpoint, fingerprint, locked_until, created_at)
    select c.book, c.key, c.endpoint, c.fingerprint, $6, $5
    from unnest($1::bigint[], $2::text[], $3::text[], $4::bytea[]) as c(book, key, endpoint, fingerprint)
    order by c.book, c.key
    on conflict (book, key) do update
        set locked_until = excluded.locked_until, endpoint = excluded.endpoint, fingerprint = excluded.fingerprint,
            created_at = excluded.created_at, status = null, answer = null
        where i.created_at < $7
           or (i.status is null and i.locked_until <= $5
               and i.fingerprint = excluded.fingerprint and i.endpoint = excluded.endpoint)
    returning i.book, i.key"""


async def _stored(tx: Tx, claims: Sequence[Claim]) -> dict[int, Standing]:
    """Where the requests stand that did not win their key, by the identity of the claim."""
    if not claims:
        return {}
    rows = await tx.fetch(
        """select book, key, endpoint, fingerprint, status, answer from idempotency
           where book = any($1::bigint[]) and key = any($2::text[])""",
        [claim.book for claim in claims], [claim.key for claim in claims],
    )  # fmt: skip
    found = {(row["book"], row["key"]): row for row in rows}
    standings: dict[int, Standing] = {}
    for claim in claims:
        row = found[claim.book, claim.key]
        if row["fingerprint"] != claim.fingerprint or row["endpoint"] != claim.endpoint:
            standings[id(claim)] = Reused()
        elif row["status"] is None:
            standings[id(claim)] = InFlight()
        else:
            standings[id(claim)] = Replay(row["status"], row["answer"])
    return standings
