"""The tables of legal moves in Python are those in the database, which refuses every other move by itself."""

from dataclasses import replace
from itertools import product
from typing import TypeVar

import asyncpg
import pytest

from orders.conftest import NOW, NewOrderMaker, attempted, opened
from tael.base.db import Database
from tael.base.ids import Ids
from tael.orders import (
    ATTEMPT_MOVES,
    OPEN_ATTEMPT,
    ORDER_MOVES,
    UNPAID_ORDER,
    Attempt,
    AttemptState,
    Order,
    OrderState,
    find_attempt,
    move_attempt,
    move_order,
)

Row = TypeVar("Row", Order, Attempt)
ORDER_PAIRS = [(was, to) for was, to in product(OrderState, OrderState) if was is not to]
ATTEMPT_PAIRS = [(was, to) for was, to in product(AttemptState, AttemptState) if was is not to]


async def test_every_pair_of_order_states_is_judged_alike(db: Database) -> None:
    async with db.transaction() as tx:
        for was, to in ORDER_PAIRS:
            assert await tx.fetchval("select order_move_is_legal($1, $2)", was, to) is (to in ORDER_MOVES[was]), (
                was,
                to,
            )


async def test_every_pair_of_attempt_states_is_judged_alike(db: Database) -> None:
    async with db.transaction() as tx:
        for was, to in ATTEMPT_PAIRS:
            legal = await tx.fetchval("select attempt_move_is_legal($1, $2)", was, to)
            assert legal is (to in ATTEMPT_MOVES[was]), (was, to)


async def test_the_database_makes_legal_order_moves_and_refuses_the_others(
    db: Database, new_order: NewOrderMaker
) -> None:
    order = await opened(db, new_order())
    for was, to in ORDER_PAIRS:
        await _force(db, "payment_order", was)
        assert await _moves(db, "payment_order", to) is (to in ORDER_MOVES[was]), (was, to)
    assert order.state is OrderState.CREATED


async def test_the_database_makes_legal_attempt_moves_and_refuses_the_others(
    db: Database, new_order: NewOrderMaker, ids: Ids
) -> None:
    await attempted(db, new_order(), ids)
    for was, to in ATTEMPT_PAIRS:
        await _force(db, "payment_attempt", was)
        assert await _moves(db, "payment_attempt", to) is (to in ATTEMPT_MOVES[was]), (was, to)


@pytest.mark.parametrize("state", [state for state in OrderState if state is not OrderState.CREATED])
async def test_an_order_begins_as_created(db: Database, new_order: NewOrderMaker, state: OrderState) -> None:
    await opened(db, new_order())
    copy = """insert into payment_order select book, 'X' || substr(order_no, 2), id + 1, kind, mode, $1, account,
                  amount, currency, description, business_order_no, request_key || 'x', metadata, reason, events,
                  created_at, expires_at, paid_at from payment_order"""
    with pytest.raises(asyncpg.CheckViolationError):
        async with db.transaction() as tx:
            await tx.execute(copy, state)


@pytest.mark.parametrize("state", [OrderState.CLOSED, OrderState.REFUNDED, OrderState.INVALID, OrderState.RETURNED])
async def test_nothing_leaves_a_final_state(db: Database, new_order: NewOrderMaker, state: OrderState) -> None:
    await opened(db, new_order())
    await _force(db, "payment_order", state)
    assert [to for to in OrderState if to is not state and await _moves(db, "payment_order", to)] == []


async def test_moves_are_checked_before_they_are_written(db: Database, new_order: NewOrderMaker, ids: Ids) -> None:
    order = await opened(db, new_order())
    for was, to in ORDER_PAIRS:
        start = _in_state(order, was)
        if to in ORDER_MOVES[was]:
            moved = move_order(start, to, reason="why")
            assert (moved.state, moved.reason, moved.events) == (to, "why", order.events + 1)
        else:
            with pytest.raises(AssertionError):
                move_order(start, to)
    number = await attempted(db, new_order(), ids)
    async with db.transaction() as tx:
        attempt = await find_attempt(tx, book=1, attempt_no=number)
    assert attempt is not None
    for was, to in ATTEMPT_PAIRS:
        if to in ATTEMPT_MOVES[was]:
            moved_attempt = move_attempt(_in_state(attempt, was), to, now=NOW)
            assert (moved_attempt.ended_at is None) is (to in OPEN_ATTEMPT)
        else:
            with pytest.raises(AssertionError):
                move_attempt(_in_state(attempt, was), to, now=NOW)


def test_what_is_unpaid_or_approved_can_be_paid_and_nothing_else_can_become_paid_but_by_a_refund_that_ends() -> None:
    """`approved` is of money out: its success may come before anybody has heard that it was sent."""
    assert {state for state in OrderState if OrderState.PAID in ORDER_MOVES[state]} == UNPAID_ORDER | {
        OrderState.APPROVED, OrderState.REFUNDING,
    }  # fmt: skip
    assert {state for state in AttemptState if AttemptState.PAID in ATTEMPT_MOVES[state]} == set(AttemptState) - {
        AttemptState.PAID, AttemptState.RETURNED,
    }  # fmt: skip


def _in_state(row: Row, state: OrderState | AttemptState) -> Row:
    return replace(row, state=state)


async def _force(db: Database, table: str, state: str) -> None:
    """Put the row into a state, legal or not."""
    async with db.transaction() as tx:
        await tx.execute(f"alter table {table} disable trigger legal_move")
        await tx.execute(f"update {table} set state = $1", state)
        await tx.execute(f"alter table {table} enable trigger legal_move")


async def _moves(db: Database, table: str, state: str) -> bool:
    """Whether the database lets the row move to a state; the row stays as it was."""
    try:
        async with db.transaction() as tx:
            await tx.execute(f"update {table} set state = $1", state)
            raise _Undone
    except _Undone:
        return True
    except asyncpg.CheckViolationError as refusal:
        return refusal.constraint_name != f"{table}_legal_move"


class _Undone(Exception):
    pass
