"""Give back money in suspense: to the source, the whole of it, whatever the order that it was meant for.

    late_payment, paid_twice          by itself: the event `<kind>.suspended` leaves work for the sender
    amount_mismatch, account_closed   a person says so

    proposed -> refunding (a refund order, a hold on suspense) -> resolved, or proposed again when it failed for good

The lock of the order that the money was meant for guards its items, and a unique key forbids a second refund.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from tael.base import tasks
from tael.base.crash import crash_point
from tael.base.db import Tx
from tael.base.errors import TaelError
from tael.base.outbox import Event
from tael.base.tasks import NewTask
from tael.ledger import require_posted
from tael.orders import (
    Attempt,
    NewOrder,
    Opened,
    Order,
    OrderNotRefundable,
    attempts_of,
    find_order,
    lock_orders,
    open_attempts,
    open_orders,
)
from tael.payments import suspense
from tael.payments.kinds import KINDS
from tael.payments.platform import Platform
from tael.payments.suspense import GOES_BACK_BY_ITSELF, SuspenseItem
from tael.refunds import entries, store
from tael.refunds.asking import PREFIX, Begun, enqueue, new_attempt
from tael.refunds.said import KIND, Row
from tael.refunds.settle import REFUNDS
from tael.refunds.store import Refund, Source

_ITEM = "item:"


class SuspenseItemNotFound(TaelError):
    """There is no such suspense item.
    zh: 暂收款项不存在。
    """

    status = 404


@dataclass(frozen=True, slots=True)
class Opening:
    """The refund of a suspense item. `begun`: by this call, so it is this caller's to send."""

    row: Row
    begun: bool


def item_of(key: str) -> int | None:
    """The suspense item that a task of the sender is about; None when it is about a refund."""
    return int(key.removeprefix(_ITEM)) if key.startswith(_ITEM) else None


async def leave_work(tx: Tx, events: Sequence[Event], platform: Platform) -> None:
    """For the topics `<kind>.suspended`: leave work for each item that goes back by itself. Twice is once."""
    now = platform.now()
    items = await suspense.of_orders(tx, sorted({(event.book, event.subject) for event in events}))
    work = [
        NewTask(book, REFUNDS, f"{_ITEM}{item.id}", None, now) for book, item in items
        if item.state == "proposed" and item.reason in GOES_BACK_BY_ITSELF
    ]  # fmt: skip
    await tasks.enqueue(tx, work, ids=platform.ids, now=now)


async def open_refund(platform: Platform, *, book: int, item: int) -> Opening:
    """Commit to the refund of an item, or answer the one that is under way or done.

    Raises `SuspenseItemNotFound`, `OrderNotRefundable` (money of another origin), `OperationNotSupported`.
    """
    async with platform.db.transaction() as tx:
        found = await suspense.find(tx, book=book, item=item)
        if found is None:
            raise SuspenseItemNotFound
        (order,) = await lock_orders(tx, [(book, found.order_no)])
        found = await suspense.find(tx, book=book, item=item)  # the order is locked now, so nobody else decides
        assert found is not None, "items are never deleted"
        if found.refund_no is not None:
            return Opening(await _known(tx, book, found.refund_no), begun=False)
        row = await _begin(tx, platform, order, found)
        crash_point("refund.before_commit")
    crash_point("refund.committed")
    return Opening(row, begun=True)


def begun(opening: Opening) -> Begun:
    """The refund as something to send."""
    return Begun(None, opening.row)


async def _begin(tx: Tx, platform: Platform, order: Order, item: SuspenseItem) -> Row:
    if order.kind not in KINDS:
        raise OrderNotRefundable("the money came back from a payout", state=order.state)
    now, book = platform.now(), order.book
    paid = next(one for one in (await attempts_of(tx, [order]))[order.order_no] if one.attempt_no == item.attempt_no)
    platform.accounts.makes_refunds(platform.account_of(paid))
    held_from = await platform.chart.suspense(tx, book, item.currency, now=now)
    number = platform.ids.order_no(business=PREFIX, account=order.account)
    new = NewOrder(
        book=book, order_no=number, id=platform.ids.next(), kind=KIND, mode=order.mode, account=held_from,
        amount=item.amount, currency=item.currency, description=item.reason.value, business_order_no=None,
        # No caller's key has a space in it.
        request_key=f"suspense {number}", metadata={}, expires_at=now,
    )  # fmt: skip
    refund = Refund(
        book, number, order.order_no, Source.SUSPENSE, held_from=held_from, returned_to=None,
        payment_attempt=item.attempt_no, payment_ref=item.channel_ref, payment_total=item.amount,
        suspense_item=item.id, send_at=now,
    )  # fmt: skip
    (opened,) = await open_orders(tx, [new], now=now, guard_s=0)
    assert isinstance(opened, Opened), "its number is new"
    (attempt,) = await open_attempts(tx, [new_attempt(platform, new, paid)], now=now)
    assert isinstance(attempt, Attempt), "the order is new"
    await store.insert(tx, [refund])
    await suspense.move(tx, [(book, item.id, "refunding", number)])
    row = Row(opened.order, attempt, refund)
    await enqueue(tx, platform, [row])
    payable = await platform.chart.refundable(tx, book, item.currency, now=now)
    require_posted(await platform.ledger.post(tx, [entries.held(row.order, refund, payable=payable)], now=now))
    return row


async def _known(tx: Tx, book: int, refund_no: str) -> Row:
    order = await find_order(tx, book=book, order_no=refund_no)
    refund = (await store.find(tx, [(book, refund_no)]))[book, refund_no]
    assert order is not None, "an item names its refund only when there is one"
    return Row(order, (await attempts_of(tx, [order]))[refund_no][-1], refund)
