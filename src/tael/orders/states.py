"""The states of an order (订单) and of an attempt (流水), and every legal move between them.

    money in   created -> paying -> paid -> refunding -> refunded, or paid again when only a part went back
                       \\-> unknown ...   failed -> paying (a new attempt), paid (a late success)
                       \\-> closed        nothing leaves closed, refunded, returned or invalid
    money out  created -> reviewing -> approved -> paying -> paid -> returned (the bank sent it back days later)
                       \\-> approved          \\-> invalid (rejected), failed (a verified no from every account)
    refund     created -> paying -> paid | failed
    attempt    created -> paying -> paid -> returned
                       \\-> failed, closed -> paid            money that came late; the order decides where it goes
                       \\-> unknown until a verified answer

`unknown` is a state: the channel was asked and we cannot tell. It is left only by a verified query, notice or bill.
The same tables stand in the database, which refuses any other move.
"""

from enum import StrEnum


class OrderState(StrEnum):
    """Where an order stands. `invalid` (无效订单): money arrived that the order cannot take, or it was refused."""

    CREATED = "created"
    PAYING = "paying"
    PAID = "paid"
    FAILED = "failed"
    CLOSED = "closed"
    REFUNDING = "refunding"
    REFUNDED = "refunded"
    INVALID = "invalid"
    UNKNOWN = "unknown"
    REVIEWING = "reviewing"
    APPROVED = "approved"
    RETURNED = "returned"


class AttemptState(StrEnum):
    """Where one attempt to pay stands. The first three are open: an order has at most one open attempt."""

    CREATED = "created"
    PAYING = "paying"
    UNKNOWN = "unknown"
    PAID = "paid"
    FAILED = "failed"
    CLOSED = "closed"
    RETURNED = "returned"


_O, _A = OrderState, AttemptState

ORDER_MOVES: dict[OrderState, frozenset[OrderState]] = {
    _O.CREATED: frozenset(
        {_O.PAYING, _O.UNKNOWN, _O.PAID, _O.FAILED, _O.CLOSED, _O.INVALID, _O.REVIEWING, _O.APPROVED}
    ),
    _O.REVIEWING: frozenset({_O.APPROVED, _O.INVALID}),
    _O.APPROVED: frozenset({_O.PAYING, _O.UNKNOWN, _O.PAID, _O.FAILED, _O.INVALID}),
    _O.PAYING: frozenset({_O.UNKNOWN, _O.PAID, _O.FAILED, _O.CLOSED, _O.INVALID}),
    _O.UNKNOWN: frozenset({_O.PAYING, _O.PAID, _O.FAILED, _O.CLOSED, _O.INVALID}),
    _O.FAILED: frozenset({_O.PAYING, _O.UNKNOWN, _O.PAID, _O.CLOSED, _O.INVALID}),
    _O.PAID: frozenset({_O.REFUNDING, _O.REFUNDED, _O.RETURNED}),
    _O.REFUNDING: frozenset({_O.REFUNDED, _O.PAID}),
    _O.CLOSED: frozenset(),
    _O.REFUNDED: frozenset(),
    _O.INVALID: frozenset(),
    _O.RETURNED: frozenset(),
}
"""Order moves; staying is not a move."""

ATTEMPT_MOVES: dict[AttemptState, frozenset[AttemptState]] = {
    _A.CREATED: frozenset({_A.PAYING, _A.UNKNOWN, _A.PAID, _A.FAILED, _A.CLOSED}),
    _A.PAYING: frozenset({_A.UNKNOWN, _A.PAID, _A.FAILED, _A.CLOSED}),
    _A.UNKNOWN: frozenset({_A.PAYING, _A.PAID, _A.FAILED, _A.CLOSED}),
    _A.FAILED: frozenset({_A.PAID}),
    _A.CLOSED: frozenset({_A.PAID}),
    _A.PAID: frozenset({_A.RETURNED}),
    _A.RETURNED: frozenset(),
}
"""Attempt moves; staying is not a move."""

OPEN_ATTEMPT = frozenset({_A.CREATED, _A.PAYING, _A.UNKNOWN})
"""An attempt that may still be paid as far as we know."""

UNPAID_ORDER = frozenset({_O.CREATED, _O.PAYING, _O.UNKNOWN, _O.FAILED})
"""An order of money in that a success may still pay."""
