"""Suspense (暂收): money that arrived at a channel and that its order cannot take. It is booked, shown, never lost.

    late_payment     the order was closed before the payer paid
    paid_twice       the order, or the attempt, was paid before with another channel number
    amount_mismatch  the channel reports another amount or currency than the order's
    account_closed   the account to be credited was closed meanwhile

Each item proposes a refund to the source. Money that came too late or twice goes back by itself; whoever paid another
amount, or for an account that was closed, is heard by a person first.

    proposed -> refunding -> resolved     or proposed again when the refund failed for good
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from tael.base.db import Record, Tx
from tael.base.ids import Ids
from tael.base.money import Money


class SuspenseReason(StrEnum):
    """Why the order cannot take the money."""

    LATE_PAYMENT = "late_payment"
    PAID_TWICE = "paid_twice"
    AMOUNT_MISMATCH = "amount_mismatch"
    ACCOUNT_CLOSED = "account_closed"


GOES_BACK_BY_ITSELF = frozenset({SuspenseReason.LATE_PAYMENT, SuspenseReason.PAID_TWICE})
"""Reasons that leave nothing to decide."""


@dataclass(frozen=True, slots=True)
class NewItem:
    """Money to be put into suspense; `amount` in minor units, as the channel reports it."""

    book: int
    merchant_account: int
    channel_ref: str
    order_no: str
    attempt_no: str
    reason: SuspenseReason
    amount: int
    currency: str


@dataclass(frozen=True, slots=True)
class SuspenseItem:
    """Money in suspense and what is proposed to do with it."""

    id: int
    merchant_account: int
    channel_ref: str
    order_no: str
    attempt_no: str
    reason: SuspenseReason
    amount: int
    currency: str
    proposal: str
    state: str
    created_at: datetime
    refund_no: str | None


async def known_refs(tx: Tx, refs: Sequence[tuple[int, int, str]]) -> dict[tuple[int, int, str], Money]:
    """What is in suspense already, by (book, merchant account, channel number); the caller holds the order's lock."""
    rows = await tx.fetch(
        """select book, merchant_account, channel_ref, amount, currency from suspense_item
           where book = any($1::bigint[]) and merchant_account = any($2::bigint[]) and channel_ref = any($3::text[])""",
        [book for book, _, _ in refs], [account for _, account, _ in refs], [ref for _, _, ref in refs],
    )  # fmt: skip
    return {
        (row["book"], row["merchant_account"], row["channel_ref"]): Money(row["amount"], row["currency"])
        for row in rows
    }


async def put(tx: Tx, items: Sequence[NewItem], *, ids: Ids, now: datetime) -> None:
    """Write items; the unique channel number refuses a second one for the same money."""
    if items:
        await tx.execute(
            """insert into suspense_item (book, id, merchant_account, channel_ref, order_no, attempt_no, reason, amount,
                   currency, proposal, state, created_at)
               select *, 'refund', 'proposed', $10::timestamptz from unnest($1::bigint[], $2::bigint[], $3::bigint[],
                   $4::text[], $5::text[], $6::text[], $7::text[], $8::bigint[], $9::text[])""",
            [item.book for item in items], [ids.next() for _ in items], [item.merchant_account for item in items],
            [item.channel_ref for item in items], [item.order_no for item in items],
            [item.attempt_no for item in items], [item.reason for item in items], [item.amount for item in items],
            [item.currency for item in items], now,
        )  # fmt: skip


async def find(tx: Tx, *, book: int, item: int) -> SuspenseItem | None:
    """One item of a book."""
    row = await tx.fetchrow("select * from suspense_item where book = $1 and id = $2", book, item)
    return None if row is None else _read(row)


async def of_orders(tx: Tx, orders: Sequence[tuple[int, str]]) -> list[tuple[int, SuspenseItem]]:
    """The items of orders by (book, order number), oldest first, each with its book."""
    rows = await tx.fetch(
        """select * from suspense_item where book = any($1::bigint[]) and order_no = any($2::text[]) order by id""",
        [book for book, _ in orders], [number for _, number in orders],
    )  # fmt: skip
    return [(row["book"], _read(row)) for row in rows]


async def move(tx: Tx, items: Sequence[tuple[int, int, str, str | None]]) -> None:
    """Write the states of items, (book, id, state, number of the refund); the caller holds their orders' locks."""
    if items:
        await tx.execute(
            """update suspense_item i set state = n.state, refund_no = n.refund_no
               from unnest($1::bigint[], $2::bigint[], $3::text[], $4::text[]) as n(book, id, state, refund_no)
               where i.book = any($1::bigint[]) and i.id = any($2::bigint[]) and i.book = n.book and i.id = n.id""",
            [book for book, *_ in items], [item for _, item, _, _ in items], [state for _, _, state, _ in items],
            [refund_no for *_, refund_no in items],
        )  # fmt: skip


async def page(tx: Tx, *, book: int, limit: int, older_than: int | None = None) -> list[SuspenseItem]:
    """Items of a book, newest first (keyset)."""
    rows = await tx.fetch(
        """select * from suspense_item where book = $1 and id < coalesce($2::bigint, 9223372036854775807)
           order by id desc limit $3""",
        book, older_than, limit,
    )  # fmt: skip
    return [_read(row) for row in rows]


def _read(row: Record) -> SuspenseItem:
    return SuspenseItem(
        row["id"], row["merchant_account"], row["channel_ref"], row["order_no"], row["attempt_no"],
        SuspenseReason(row["reason"]), row["amount"], row["currency"], row["proposal"], row["state"],
        row["created_at"], row["refund_no"],
    )  # fmt: skip
