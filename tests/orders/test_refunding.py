"""What may still go back of a paid order: the pure functions, and the database that says the same."""

from dataclasses import replace

import asyncpg
import pytest

from orders.conftest import NewOrderMaker, opened
from tael.base.db import Database
from tael.orders import (
    Order,
    OrderNotRefundable,
    OrderState,
    RefundExceeds,
    abandon_refund,
    begin_refund,
    complete_refund,
    refundable,
    save,
)

S = OrderState


@pytest.fixture
async def paid(db: Database, new_order: NewOrderMaker) -> Order:
    """A paid order of 1.00."""
    return replace(await opened(db, new_order(amount=100)), state=S.PAID)


# Steps, then state, refunded, pending, what may still be asked back, and how many more events were counted.
STORIES = [
    ([], (S.PAID, 0, 0, 100, 0)),
    ([("begin", 100)], (S.REFUNDING, 0, 100, 0, 0)),
    ([("begin", 100), ("complete", 100)], (S.REFUNDED, 100, 0, 0, 1)),
    ([("begin", 100), ("abandon", 100)], (S.PAID, 0, 0, 100, 0)),
    ([("begin", 30), ("complete", 30)], (S.PAID, 30, 0, 70, 1)),
    ([("begin", 30), ("begin", 70)], (S.REFUNDING, 0, 100, 0, 0)),
    ([("begin", 30), ("begin", 70), ("complete", 30)], (S.REFUNDING, 30, 70, 0, 1)),
    ([("begin", 30), ("begin", 70), ("complete", 30), ("abandon", 70)], (S.PAID, 30, 0, 70, 1)),
    ([("begin", 30), ("begin", 70), ("complete", 30), ("complete", 70)], (S.REFUNDED, 100, 0, 0, 2)),
]
MOVES = {"begin": begin_refund, "complete": complete_refund, "abandon": abandon_refund}


@pytest.mark.parametrize(("steps", "outcome"), STORIES, ids=str)
def test_what_steps_come_to(paid: Order, steps: list[tuple[str, int]], outcome: tuple[object, ...]) -> None:
    order = paid
    for name, amount in steps:
        order = MOVES[name](order, amount)
    events = order.events - paid.events
    assert (order.state, order.refunded, order.refund_pending, refundable(order), events) == outcome


@pytest.mark.parametrize("taken", [0, 40, 100])
def test_never_more_than_is_left(paid: Order, taken: int) -> None:
    order = begin_refund(paid, taken) if taken else paid
    with pytest.raises(RefundExceeds):
        begin_refund(order, 101 - taken)


@pytest.mark.parametrize("state", sorted(set(S) - {S.PAID, S.REFUNDING}))
def test_only_what_is_paid_can_go_back(paid: Order, state: OrderState) -> None:
    with pytest.raises(OrderNotRefundable):
        begin_refund(replace(paid, state=state), 1)


@pytest.mark.parametrize(("refunded", "pending"), [(101, 0), (0, 101), (60, 41), (-1, 0), (0, -1)])
async def test_the_database_refuses_it_too(db: Database, new_order: NewOrderMaker, refunded: int, pending: int) -> None:
    order = await opened(db, new_order(amount=100))
    with pytest.raises(asyncpg.CheckViolationError):
        async with db.transaction() as tx:
            await save(tx, [replace(order, refunded=refunded, refund_pending=pending)], [])
