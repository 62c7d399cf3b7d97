"""Open orders, and begin attempts to pay them.

    open_orders   -> Opened               a new order, or the one that this request opened before (`resumed`)
                  -> IdempotencyKeyReused the key opened another order, even longer ago than answers are kept
                  -> DuplicateOrder       the business order number already has an order
                  -> DuplicateSubmission  the same content was submitted a moment ago
    open_attempts -> Attempt              its intent is committed before the channel hears of it
                  -> AttemptRefused       another attempt of the order is still open

The database decides each of these by a unique key; nothing is read first and trusted afterwards.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeAlias

import msgspec

from tael.base.db import Tx
from tael.base.errors import TaelError
from tael.guard import IdempotencyKeyReused
from tael.orders import store
from tael.orders.states import AttemptState, OrderState
from tael.orders.store import Attempt, NewAttempt, NewOrder, Order


class DuplicateOrder(TaelError):
    """This business order number already has an order.
    zh: 该业务订单号已存在订单。
    """

    status = 409


class DuplicateSubmission(TaelError):
    """The same order was submitted a moment ago; look at that one instead of paying twice.
    zh: 订单重复提交，请查看刚才提交的订单。
    """

    status = 409


class AttemptRefused(TaelError):
    """The order already has an open payment attempt.
    zh: 该订单已有进行中的支付流水。
    """

    status = 409


class OrderNotPayable(TaelError):
    """An order in this state cannot be paid; place a new order.
    zh: 该状态的订单不能支付，请重新下单。
    """

    status = 409


Refusal: TypeAlias = DuplicateOrder | DuplicateSubmission | IdempotencyKeyReused


@dataclass(frozen=True, slots=True)
class Opened:
    """The order of a request. `resumed`: the same request opened it before, and died or was repeated."""

    order: Order
    resumed: bool


async def open_orders(tx: Tx, orders: Sequence[NewOrder], *, now: datetime, guard_s: int) -> list[Opened | Refusal]:
    """Open a batch of orders; answers one result per order, in order.

    An identical submission (same account, amount, kind, description and business order number) within `guard_s`
    seconds is refused; 0 switches that off.
    """
    inserted = await store.insert_orders(tx, orders, now=now)
    refused = [order for order in orders if order.order_no not in inserted]
    earlier = await store.earlier_orders(tx, refused) if refused else []
    holders = await _hold_submissions(tx, [one for one in orders if one.order_no in inserted], now=now, guard_s=guard_s)
    results: list[Opened | Refusal] = []
    for order in orders:
        if order.order_no not in inserted:
            results.append(_earlier(order, earlier))
        elif holders.get(order.order_no, order.order_no) != order.order_no:
            results.append(DuplicateSubmission(order_no=holders[order.order_no]))
        else:
            results.append(Opened(_created(order, now), resumed=False))
    return results


async def open_attempts(tx: Tx, attempts: Sequence[NewAttempt], *, now: datetime) -> list[Attempt | AttemptRefused]:
    """Commit to a batch of attempts, at most one open attempt per order; answers one result each, in order."""
    inserted = await store.insert_attempts(tx, attempts, now=now)
    return [
        _begun(attempt, now) if attempt.attempt_no in inserted else AttemptRefused(order_no=attempt.order_no)
        for attempt in attempts
    ]


async def _hold_submissions(tx: Tx, orders: Sequence[NewOrder], *, now: datetime, guard_s: int) -> dict[str, str]:
    """For each order the number of the order that holds its content; takes refused orders out of the table again."""
    if not guard_s or not orders:
        return {}
    first: dict[tuple[int, bytes], str] = {}
    for order in orders:
        first.setdefault((order.book, _digest(order)), order.order_no)
    asked = [(book, digest, number) for (book, digest), number in first.items()]
    held = await store.take_submissions(tx, asked, now=now, until=now + timedelta(seconds=guard_s))
    holders = {order.order_no: held.get((order.book, _digest(order)), "") for order in orders}
    refused = [order for order in orders if holders[order.order_no] != order.order_no]
    await store.delete_orders(tx, [(order.book, order.order_no) for order in refused])
    return holders


def _digest(order: NewOrder | Order) -> bytes:
    content = (order.kind, order.account, order.amount, order.currency, order.description, order.business_order_no)
    return hashlib.sha256(msgspec.json.encode(content)).digest()


def _earlier(order: NewOrder, earlier: Sequence[Order]) -> Opened | Refusal:
    for known in earlier:
        if (known.book, known.request_key) == (order.book, order.request_key):
            same = _digest(known) == _digest(order)
            return Opened(known, resumed=True) if same else IdempotencyKeyReused(order_no=known.order_no)
    wanted = (order.book, order.kind, order.business_order_no)
    taken = [known for known in earlier if (known.book, known.kind, known.business_order_no) == wanted]
    return DuplicateOrder(order_no=taken[0].order_no if taken else "")


def _created(order: NewOrder, now: datetime) -> Order:
    return Order(
        order.book, order.order_no, order.id, order.kind, order.mode, OrderState.CREATED, order.account, order.amount,
        order.currency, order.description, order.business_order_no, order.request_key, order.metadata, None, 0, now,
        order.expires_at, None,
    )  # fmt: skip


def _begun(attempt: NewAttempt, now: datetime) -> Attempt:
    return Attempt(
        attempt.book, attempt.attempt_no, attempt.order_no, attempt.id, AttemptState.CREATED, attempt.channel,
        attempt.merchant_account, attempt.method, attempt.amount, attempt.currency, attempt.payer_id,
        attempt.payer_ip, None, None, None, now, None, attempt.return_url,
    )  # fmt: skip
