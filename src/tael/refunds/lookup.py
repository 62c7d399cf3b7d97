"""Find refunds, as the outside sees them."""

from collections.abc import Sequence

from tael.base.db import Tx
from tael.orders import Filter, Order, OrderNotFound, attempts_of, find_order
from tael.orders import page as page_of_orders
from tael.refunds import store
from tael.refunds.said import KIND
from tael.refunds.views import RefundOrderView, refund_view


async def find_refund(tx: Tx, *, book: int, order_no: str) -> RefundOrderView:
    """One refund. Raises `OrderNotFound`."""
    order = await find_order(tx, book=book, order_no=order_no)
    if order is None or order.kind != KIND:
        raise OrderNotFound
    return (await views_of(tx, [order]))[0]


async def page(
    tx: Tx, *, book: int, only: Filter, limit: int, older_than: int | None = None, newer_than: int | None = None
) -> list[RefundOrderView]:
    """Refunds of a book, newest first."""
    orders = await page_of_orders(
        tx, book=book, kind=KIND, only=only, limit=limit, older_than=older_than, newer_than=newer_than
    )
    return await views_of(tx, orders)


async def views_of(tx: Tx, orders: Sequence[Order]) -> list[RefundOrderView]:
    """The views of refund orders, in order."""
    attempts = await attempts_of(tx, orders)
    refunds = await store.find(tx, [(order.book, order.order_no) for order in orders])
    return [refund_view(order, attempts[order.order_no][-1], refunds[order.book, order.order_no]) for order in orders]
