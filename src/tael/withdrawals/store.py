"""Rows and statements of payees and withdrawals; private to this package. Rows are found by `column = any(array)`."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from tael.base.db import Record, Tx

PayeeKind = Literal["bank_card", "wechat_user", "alipay_user"]
PayeeState = Literal["active", "unbound"]
Key = tuple[int, str]
"""A book and an order number."""


@dataclass(frozen=True, slots=True)
class BoundPayee:
    """Whom the member `owner` may be paid as. `masked` and `holder` can be shown, `sealed` holds all of it.

    `space` is the app that the id belongs to, empty when it belongs to none. `fingerprint` is equal for equal payees
    of a book, `content` for payees whose every field is equal.
    """

    book: int
    id: int
    owner: int
    kind: PayeeKind
    space: str
    sealed: bytes
    fingerprint: str
    content: str
    masked: str
    holder: str
    state: PayeeState
    created_at: datetime
    unbound_at: datetime | None


@dataclass(frozen=True, slots=True)
class Withdrawal:
    """What a withdrawal order says beyond every order: whose money goes to which payee, and who asked for it.

    `review` says why risk control wants it looked at; empty when it does not. `called_back` is the person who called
    it back while it waited for its payee at the channel.
    """

    book: int
    order_no: str
    owner: int
    payee: int
    maker: str
    review: str
    called_back: str | None = None


async def insert_payee(tx: Tx, payee: BoundPayee) -> bool:
    """Insert; False when the owner has this payee already."""
    row = await tx.fetchrow(
        """insert into payee (book, id, owner, kind, space, sealed, fingerprint, content, masked, holder, state,
               created_at)
           values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, 'active', $11) on conflict do nothing returning id""",
        payee.book, payee.id, payee.owner, payee.kind, payee.space, payee.sealed, payee.fingerprint, payee.content,
        payee.masked, payee.holder, payee.created_at,
    )  # fmt: skip
    return row is not None


async def payee_by_fingerprint(tx: Tx, *, book: int, owner: int, fingerprint: str) -> BoundPayee | None:
    """The owner's active payee with this fingerprint."""
    row = await tx.fetchrow(
        "select * from payee where book = $1 and owner = $2 and fingerprint = $3 and state = 'active'",
        book, owner, fingerprint,
    )  # fmt: skip
    return None if row is None else _payee(row)


async def payees(tx: Tx, keys: Sequence[tuple[int, int]]) -> dict[tuple[int, int], BoundPayee]:
    """Payees by (book, id), active or not."""
    rows = await tx.fetch(
        "select * from payee where book = any($1::bigint[]) and id = any($2::bigint[])",
        [book for book, _ in keys], [id for _, id in keys],
    )  # fmt: skip
    return {(row["book"], row["id"]): _payee(row) for row in rows}


async def page_of_payees(
    tx: Tx, *, book: int, owner: int, state: PayeeState | None, limit: int, older_than: int | None
) -> list[BoundPayee]:
    """Payees of an owner, newest first (keyset)."""
    rows = await tx.fetch(
        """select * from payee where book = $1 and owner = $2 and ($3::text is null or state = $3)
               and id < coalesce($4::bigint, 9223372036854775807) order by id desc limit $5""",
        book, owner, state, older_than, limit,
    )  # fmt: skip
    return [_payee(row) for row in rows]


async def unbind_payee(tx: Tx, *, book: int, id: int, now: datetime) -> None:
    """Make a payee unusable for new withdrawals; once more changes nothing."""
    await tx.execute(
        "update payee set state = 'unbound', unbound_at = $3 where book = $1 and id = $2 and state = 'active'",
        book, id, now,
    )  # fmt: skip


async def insert_withdrawals(tx: Tx, new: Sequence[Withdrawal]) -> None:
    """Insert in one statement."""
    if new:
        await tx.execute(
            """insert into withdrawal (book, order_no, owner, payee, maker, review)
               select * from unnest($1::bigint[], $2::text[], $3::bigint[], $4::bigint[], $5::text[], $6::text[])""",
            [one.book for one in new], [one.order_no for one in new], [one.owner for one in new],
            [one.payee for one in new], [one.maker for one in new], [one.review for one in new],
        )  # fmt: skip


async def withdrawals(tx: Tx, keys: Sequence[Key]) -> dict[Key, Withdrawal]:
    """Withdrawals by (book, order number)."""
    rows = await tx.fetch(
        "select * from withdrawal where book = any($1::bigint[]) and order_no = any($2::text[])",
        [book for book, _ in keys], [number for _, number in keys],
    )  # fmt: skip
    return {
        (row["book"], row["order_no"]): Withdrawal(
            row["book"], row["order_no"], row["owner"], row["payee"], row["maker"], row["review"], row["called_back"]
        )
        for row in rows
    }


async def call_back(tx: Tx, *, book: int, order_no: str, person: str) -> None:
    """Write who called a withdrawal back. The caller holds the order's lock and has seen that nobody did."""
    await tx.execute("update withdrawal set called_back = $3 where book = $1 and order_no = $2", book, order_no, person)


async def called_back(tx: Tx, keys: Sequence[Key]) -> set[Key]:
    """Which of these withdrawals somebody has called back."""
    rows = await tx.fetch(
        """select book, order_no from withdrawal
           where book = any($1::bigint[]) and order_no = any($2::text[]) and called_back is not null""",
        [book for book, _ in keys], [number for _, number in keys],
    )  # fmt: skip
    return {(row["book"], row["order_no"]) for row in rows}


def _payee(row: Record) -> BoundPayee:
    return BoundPayee(
        row["book"], row["id"], row["owner"], row["kind"], row["space"], row["sealed"], row["fingerprint"],
        row["content"], row["masked"], row["holder"], row["state"], row["created_at"], row["unbound_at"],
    )  # fmt: skip
