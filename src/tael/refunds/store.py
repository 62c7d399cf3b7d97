"""Rows and statements of refunds; private to this package. Each row belongs to an order of kind `refund`."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from tael.base.db import Record, Tx


class Source(StrEnum):
    """Where a refund goes back to: the channel that was paid, the payer's balance, or, out of suspense, the channel."""

    CHANNEL = "channel"
    BALANCE = "balance"
    SUSPENSE = "suspense"


@dataclass(frozen=True, slots=True)
class Refund:
    """What a refund gives back: money of the order `payment_no`, taken from the account `held_from`.

    `payment_attempt`, `payment_ref` and `payment_total` name the payment at its channel; `returned_to` is the payer's
    account when it was paid from a balance. `send_at`: not before. `abandoned`: it failed for good.
    """

    book: int
    order_no: str
    payment_no: str
    source: Source
    held_from: int
    returned_to: int | None
    payment_attempt: str
    payment_ref: str | None
    payment_total: int
    suspense_item: int | None
    send_at: datetime
    abandoned: bool = False


async def insert(tx: Tx, refunds: Sequence[Refund]) -> None:
    """Write new refunds; their orders are in already. A second one of a suspense item violates a unique key."""
    if refunds:
        await tx.execute(
            """insert into refund (book, order_no, payment_no, source, held_from, returned_to, payment_attempt,
                   payment_ref, payment_total, suspense_item, send_at)
               select * from unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::bigint[], $6::bigint[],
                   $7::text[], $8::text[], $9::bigint[], $10::bigint[], $11::timestamptz[])""",
            [one.book for one in refunds], [one.order_no for one in refunds], [one.payment_no for one in refunds],
            [one.source for one in refunds], [one.held_from for one in refunds], [one.returned_to for one in refunds],
            [one.payment_attempt for one in refunds], [one.payment_ref for one in refunds],
            [one.payment_total for one in refunds], [one.suspense_item for one in refunds],
            [one.send_at for one in refunds],
        )  # fmt: skip


async def find(tx: Tx, keys: Sequence[tuple[int, str]]) -> dict[tuple[int, str], Refund]:
    """Refunds by (book, own order number)."""
    rows = await tx.fetch(
        "select * from refund where book = any($1::bigint[]) and order_no = any($2::text[])",
        [book for book, _ in keys], [number for _, number in keys],
    )  # fmt: skip
    return {(row["book"], row["order_no"]): _read(row) for row in rows}


async def of_payments(tx: Tx, keys: Sequence[tuple[int, str]]) -> dict[tuple[int, str], list[Refund]]:
    """The refunds of payments, by (book, the payment's order number), in the order they were asked for."""
    found: dict[tuple[int, str], list[Refund]] = {key: [] for key in keys}
    rows = await tx.fetch(
        """select * from refund where book = any($1::bigint[]) and payment_no = any($2::text[])
           order by book, payment_no, order_no""",
        [book for book, _ in keys], [number for _, number in keys],
    )  # fmt: skip
    for row in rows:
        found[row["book"], row["payment_no"]].append(_read(row))
    return {key: sorted(refunds, key=lambda one: (one.send_at, one.order_no)) for key, refunds in found.items()}


async def abandon(tx: Tx, keys: Sequence[tuple[int, str]]) -> None:
    """Note that refunds have failed for good; another one may take their suspense item."""
    if keys:
        await tx.execute(
            "update refund set abandoned = true where book = any($1::bigint[]) and order_no = any($2::text[])",
            [book for book, _ in keys], [number for _, number in keys],
        )  # fmt: skip


def _read(row: Record) -> Refund:
    return Refund(
        row["book"], row["order_no"], row["payment_no"], Source(row["source"]), row["held_from"], row["returned_to"],
        row["payment_attempt"], row["payment_ref"], row["payment_total"], row["suspense_item"], row["send_at"],
        row["abandoned"],
    )  # fmt: skip
