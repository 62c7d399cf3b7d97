"""How much of a paid order may still go back: pure functions on a locked order, and the moves that follow.

    paid -> refunding     a refund was asked for: its amount is pending
         -> paid          the refund failed for good, or went back and something is left
         -> refunded      everything has gone back

The sum of what has gone back and what is on its way never exceeds the amount; the database refuses it too.
"""

from dataclasses import replace

from tael.base.errors import TaelError
from tael.orders.moves import move_order
from tael.orders.states import OrderState
from tael.orders.store import Order

REFUNDABLE = frozenset({OrderState.PAID, OrderState.REFUNDING})
"""An order that money can go back from."""


class RefundExceeds(TaelError):
    """The refund is more than what is left of the payment.
    zh: 退款金额超过可退余额。
    """

    status = 422


class OrderNotRefundable(TaelError):
    """An order in this state has nothing to refund.
    zh: 该状态的订单不可退款。
    """

    status = 409


def refundable(order: Order) -> int:
    """What may still be asked back, in minor units."""
    return order.amount - order.refunded - order.refund_pending if order.state in REFUNDABLE else 0


def begin_refund(order: Order, amount: int) -> Order:
    """The order with `amount` on its way back. Raises `OrderNotRefundable` or `RefundExceeds`."""
    if order.state not in REFUNDABLE:
        raise OrderNotRefundable(f"the order is {order.state}", state=order.state)
    if amount > refundable(order):
        raise RefundExceeds(f"{refundable(order)} is left", refundable=refundable(order))
    pending = replace(order, refund_pending=order.refund_pending + amount)
    return move_order(pending, OrderState.REFUNDING, tells=False)


def complete_refund(order: Order, amount: int) -> Order:
    """The order after `amount` has gone back; counts one more event about it, to be emitted."""
    pending, refunded = order.refund_pending - amount, order.refunded + amount
    return _after(replace(order, refund_pending=pending, refunded=refunded, events=order.events + 1))


def abandon_refund(order: Order, amount: int) -> Order:
    """The order after a refund of `amount` failed for good; it may be asked for again."""
    return _after(replace(order, refund_pending=order.refund_pending - amount))


def _after(order: Order) -> Order:
    assert order.refund_pending >= 0, order.order_no
    if order.refund_pending:
        return order
    return move_order(order, OrderState.REFUNDED if order.refunded == order.amount else OrderState.PAID, tells=False)
