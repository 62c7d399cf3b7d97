"""Find orders and attempts: by number, by page, and under lock for those who will change them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from tael.base.db import Tx
from tael.base.errors import TaelError
from tael.orders import store
from tael.orders.states import OrderState
from tael.orders.store import Attempt, Order


class OrderNotFound(TaelError):
    """There is no such order.
    zh: 订单不存在。
    """

    status = 404


lock_by_attempt = store.lock_by_attempt
lock_orders = store.lock_orders


@dataclass(frozen=True, slots=True)
class Filter:
    """Which orders a page shows: all conditions that are given must hold."""

    account: int | None = None
    states: tuple[OrderState, ...] = ()
    created_from: datetime | None = None
    created_before: datetime | None = None
    business_order_no: str | None = None


async def find_order(tx: Tx, *, book: int, order_no: str) -> Order | None:
    """One order of a book by its number."""
    row = await tx.fetchrow("select * from payment_order where book = $1 and order_no = $2", book, order_no)
    return None if row is None else store.read_order(row)


async def find_orders(tx: Tx, keys: Sequence[tuple[int, str]]) -> list[Order]:
    """Orders by (book, number), newest first."""
    rows = await tx.fetch(
        "select * from payment_order where book = any($1::bigint[]) and order_no = any($2::text[])",
        [book for book, _ in keys], [number for _, number in keys],
    )  # fmt: skip
    return sorted((store.read_order(row) for row in rows), key=lambda order: order.id, reverse=True)


async def find_by_business_no(tx: Tx, *, book: int, kind: str, number: str) -> Order | None:
    """One order of a book by the business's own number, which is unique per kind."""
    found = await _by_business_no(tx, book=book, kind=kind, number=number)
    return found[0] if found else None


async def find_attempt(tx: Tx, *, book: int, attempt_no: str) -> Attempt | None:
    """One attempt of a book by its number."""
    row = await tx.fetchrow("select * from payment_attempt where book = $1 and attempt_no = $2", book, attempt_no)
    return None if row is None else store.read_attempt(row)


async def attempts_of(tx: Tx, orders: Sequence[Order]) -> dict[str, list[Attempt]]:
    """The attempts of orders by order number, oldest first."""
    rows = await tx.fetch(
        """select * from payment_attempt where book = any($1::bigint[]) and order_no = any($2::text[])
           order by id""",
        [order.book for order in orders], [order.order_no for order in orders],
    )  # fmt: skip
    found: dict[str, list[Attempt]] = {order.order_no: [] for order in orders}
    for row in rows:
        found[row["order_no"]].append(store.read_attempt(row))
    return found


async def page(
    tx: Tx,
    *,
    book: int,
    kind: str,
    only: Filter,
    limit: int,
    older_than: int | None = None,
    newer_than: int | None = None,
) -> list[Order]:
    """Up to `limit` orders, newest first, beyond the order id `older_than` or before `newer_than` (keyset)."""
    if only.business_order_no is not None:  # unique, so there is nothing to page through
        found = await _by_business_no(tx, book=book, kind=kind, number=only.business_order_no)
        return [order for order in found if _shown(order, only, older_than, newer_than)]
    backwards = newer_than is not None
    rows = await tx.fetch(
        _PAGE_BACKWARDS if backwards else _PAGE, book, kind, newer_than if backwards else older_than, limit,
        only.account, list(only.states) or None, only.created_from, only.created_before,
    )  # fmt: skip
    orders = [store.read_order(row) for row in rows]
    return orders[::-1] if backwards else orders


async def _by_business_no(tx: Tx, *, book: int, kind: str, number: str) -> list[Order]:
    rows = await tx.fetch(
        "select * from payment_order where book = $1 and business_order_no = $2 and kind = $3", book, number, kind
    )
    return [store.read_order(row) for row in rows]


def _shown(order: Order, only: Filter, older_than: int | None, newer_than: int | None) -> bool:
    """Whether an order meets every condition that is given."""
    return (
        only.account in (None, order.account)
        and (not only.states or order.state in only.states)
        and (only.created_from is None or order.created_at >= only.created_from)
        and (only.created_before is None or order.created_at < only.created_before)
        and (older_than is None or order.id < older_than)
        and (newer_than is None or order.id > newer_than)
    )


_WHERE = """
    select * from payment_order where book = $1 and kind = $2 and ($5::bigint is null or account = $5)
        and ($6::text[] is null or state = any($6)) and ($7::timestamptz is null or created_at >= $7)
        and ($8::timestamptz is null or created_at < $8)"""
_PAGE = _WHERE + " and id < coalesce($3::bigint, 9223372036854775807) order by id desc limit $4"
_PAGE_BACKWARDS = _WHERE + " and id > $3::bigint order by id limit $4"
