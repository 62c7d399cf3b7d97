"""Rows and statements of adjustments; private to this package. Rows are found by `column = any(array)`."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from tael.base.db import Record, Tx


class AdjustmentState(StrEnum):
    """Where an adjustment stands. Nothing leaves any state but the first."""

    PROPOSED = "proposed"
    POSTED = "posted"
    REJECTED = "rejected"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class Adjustment:
    """An adjustment. `amount` is the sum of its legs in minor units; `events` counts the events told about it.

    `evidence` refers to a document kept elsewhere, `linked_order` to the order it is about, `reverses` to the
    adjustment that it takes back.
    """

    book: int
    adjustment_no: str
    id: int
    state: AdjustmentState
    reason: str
    evidence: str | None
    linked_order: str | None
    reverses: str | None
    amount: int
    currency: str
    maker: str
    request_key: str
    events: int
    created_at: datetime
    expires_at: datetime
    ended_at: datetime | None
    ended_by: str | None


async def insert(tx: Tx, adjustment: Adjustment) -> bool:
    """Insert an adjustment; False when its request key, or the reversal of what it reverses, exists."""
    tag = await tx.execute(
        """insert into adjustment (book, adjustment_no, id, state, reason, evidence, linked_order, reverses, amount,
               currency, maker, request_key, events, created_at, expires_at)
           values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15) on conflict do nothing""",
        adjustment.book, adjustment.adjustment_no, adjustment.id, adjustment.state, adjustment.reason,
        adjustment.evidence, adjustment.linked_order, adjustment.reverses, adjustment.amount, adjustment.currency,
        adjustment.maker, adjustment.request_key, adjustment.events, adjustment.created_at, adjustment.expires_at,
    )  # fmt: skip
    return tag.endswith(" 1")


async def by_number(tx: Tx, *, book: int, numbers: Sequence[str]) -> dict[str, Adjustment]:
    """Adjustments of a book by number."""
    rows = await tx.fetch("select * from adjustment where book = $1 and adjustment_no = any($2::text[])", book, numbers)
    return {row["adjustment_no"]: _read(row) for row in rows}


async def by_request_key(tx: Tx, *, book: int, key: str) -> Adjustment | None:
    """The adjustment that a request key made."""
    row = await tx.fetchrow("select * from adjustment where book = $1 and request_key = $2", book, key)
    return None if row is None else _read(row)


async def end(tx: Tx, adjustments: Sequence[Adjustment]) -> None:
    """Write the state that adjustments end in; the caller holds the locks of their approvals."""
    await tx.execute(
        """update adjustment a set state = n.state, events = n.events, ended_at = n.ended_at, ended_by = n.ended_by
           from unnest($1::bigint[], $2::text[], $3::text[], $4::int[], $5::timestamptz[], $6::text[])
               as n(book, adjustment_no, state, events, ended_at, ended_by)
           where a.book = any($1::bigint[]) and a.adjustment_no = any($2::text[])
               and a.book = n.book and a.adjustment_no = n.adjustment_no""",
        [one.book for one in adjustments], [one.adjustment_no for one in adjustments],
        [one.state for one in adjustments], [one.events for one in adjustments],
        [one.ended_at for one in adjustments], [one.ended_by for one in adjustments],
    )  # fmt: skip


async def page(
    tx: Tx, *, book: int, state: AdjustmentState | None, limit: int, older_than: int | None
) -> list[Adjustment]:
    """A page of a book's adjustments, newest first (keyset)."""
    rows = await tx.fetch(
        """select * from adjustment where book = $1 and id < coalesce($2::bigint, 9223372036854775807)
               and ($4::text is null or state = $4) order by id desc limit $3""",
        book, older_than, limit, state,
    )  # fmt: skip
    return [_read(row) for row in rows]


def _read(row: Record) -> Adjustment:
    return Adjustment(
        row["book"], row["adjustment_no"], row["id"], AdjustmentState(row["state"]), row["reason"], row["evidence"],
        row["linked_order"], row["reverses"], row["amount"], row["currency"], row["maker"], row["request_key"],
        row["events"], row["created_at"], row["expires_at"], row["ended_at"], row["ended_by"],
    )  # fmt: skip
