"""Orders (订单) and attempts (流水): what is to be paid, and each try to pay it. Knows no channel and no ledger.

One order system serves every payment business: the kind tells them apart.
"""

from tael.orders.lookup import (
    Filter,
    OrderNotFound,
    attempts_of,
    find_attempt,
    find_by_business_no,
    find_order,
    find_orders,
    lock_by_attempt,
    lock_orders,
    page,
)
from tael.orders.moves import move_attempt, move_order, save
from tael.orders.opening import (
    AttemptRefused,
    DuplicateOrder,
    DuplicateSubmission,
    Opened,
    OrderNotPayable,
    open_attempts,
    open_orders,
)
from tael.orders.refunding import (
    OrderNotRefundable,
    RefundExceeds,
    abandon_refund,
    begin_refund,
    complete_refund,
    refundable,
)
from tael.orders.states import ATTEMPT_MOVES, OPEN_ATTEMPT, ORDER_MOVES, UNPAID_ORDER, AttemptState, OrderState
from tael.orders.store import Attempt, NewAttempt, NewOrder, Order, forget_submissions

__all__ = [
    "ATTEMPT_MOVES",
    "OPEN_ATTEMPT",
    "ORDER_MOVES",
    "UNPAID_ORDER",
    "Attempt",
    "AttemptRefused",
    "AttemptState",
    "DuplicateOrder",
    "DuplicateSubmission",
    "Filter",
    "NewAttempt",
    "NewOrder",
    "Opened",
    "Order",
    "OrderNotFound",
    "OrderNotPayable",
    "OrderNotRefundable",
    "OrderState",
    "RefundExceeds",
    "abandon_refund",
    "attempts_of",
    "begin_refund",
    "complete_refund",
    "find_attempt",
    "find_by_business_no",
    "find_order",
    "find_orders",
    "forget_submissions",
    "lock_by_attempt",
    "lock_orders",
    "move_attempt",
    "move_order",
    "open_attempts",
    "open_orders",
    "page",
    "refundable",
    "save",
]
