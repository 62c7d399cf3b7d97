"""Pages of orders: every order once, newest first, in both directions, under every filter; other books do not exist."""

from datetime import timedelta

import pytest

from orders.conftest import NOW, NewOrderMaker, attempt_for
from tael.base.db import Database
from tael.base.ids import Ids
from tael.orders import (
    Filter,
    Order,
    OrderState,
    attempts_of,
    find_attempt,
    find_order,
    open_attempts,
    open_orders,
    page,
)
from tael.orders.moves import move_order
from tael.orders.moves import save as save_moves

MANY = 1000


@pytest.fixture
async def thousand(db: Database, new_order: NewOrderMaker) -> list[Order]:
    """A thousand orders, oldest first, one a minute: three accounts in turn, every fifth closed."""
    made: list[Order] = []
    async with db.transaction() as tx:
        for number in range(MANY):
            order = new_order(account=number % 3)
            await open_orders(tx, [order], now=NOW + timedelta(minutes=number), guard_s=0)
        await open_orders(tx, [new_order(book=2) for _ in range(10)], now=NOW, guard_s=0)
        made = (await page(tx, book=1, kind="recharge", only=Filter(), limit=MANY))[::-1]
        await save_moves(tx, [move_order(order, OrderState.CLOSED) for order in made[::5]], [])
    return made


FILTERS = [
    ("all", Filter(), lambda number: True),
    ("one account", Filter(account=1), lambda number: number % 3 == 1),
    ("closed", Filter(states=(OrderState.CLOSED,)), lambda number: number % 5 == 0),
    ("closed or created", Filter(states=(OrderState.CLOSED, OrderState.CREATED)), lambda number: True),
    ("paid", Filter(states=(OrderState.PAID,)), lambda number: False),
    ("from an instant on", Filter(created_from=NOW + timedelta(minutes=990)), lambda number: number >= 990),
    ("before an instant", Filter(created_before=NOW + timedelta(minutes=10)), lambda number: number < 10),
    ("all conditions", Filter(2, (OrderState.CLOSED,), NOW + timedelta(minutes=100), NOW + timedelta(minutes=200)),
     lambda number: number % 15 == 5 and 100 <= number < 200),
]  # fmt: skip


@pytest.mark.parametrize("limit", [7, 100, 1000])
async def test_pages_show_every_order_once_in_both_directions(db: Database, thousand: list[Order], limit: int) -> None:
    for name, only, wanted in FILTERS:
        expected = [order.order_no for number, order in enumerate(thousand) if wanted(number)][::-1]
        assert [one.order_no for one in await _forwards(db, only, limit)] == expected, name
        assert [one.order_no for one in await _backwards(db, only, limit)] == expected, name


async def test_other_books_do_not_exist(
    db: Database, thousand: list[Order], new_order: NewOrderMaker, ids: Ids
) -> None:
    theirs = new_order(book=2)
    attempt = attempt_for(theirs, ids)
    async with db.transaction() as tx:
        await open_orders(tx, [theirs], now=NOW, guard_s=0)
        await open_attempts(tx, [attempt], now=NOW)
        assert await find_order(tx, book=1, order_no=theirs.order_no) is None
        assert await find_attempt(tx, book=1, attempt_no=attempt.attempt_no) is None
        found = await find_order(tx, book=2, order_no=theirs.order_no)
        assert found is not None
        assert [one.attempt_no for one in (await attempts_of(tx, [found]))[theirs.order_no]] == [attempt.attempt_no]
        ours = await page(tx, book=1, kind="recharge", only=Filter(), limit=MANY + 100)
    assert len(ours) == MANY


async def test_a_page_is_read_from_an_index(db: Database, thousand: list[Order]) -> None:
    """The plan must not sort or scan what the page does not show."""
    async with db.transaction() as tx:
        rows = await tx.fetch(
            "explain select * from payment_order where book = 1 and kind = 'recharge' and id < 9223372036854775807 "
            "order by id desc limit 20"
        )
    plan = "\n".join(row[0] for row in rows)
    assert "Index Scan" in plan
    assert "Sort" not in plan


async def _forwards(db: Database, only: Filter, limit: int) -> list[Order]:
    shown: list[Order] = []
    async with db.transaction() as tx:
        while part := await page(
            tx, book=1, kind="recharge", only=only, limit=limit, older_than=shown[-1].id if shown else None
        ):
            assert len(part) <= limit
            shown += part
    return shown


async def _backwards(db: Database, only: Filter, limit: int) -> list[Order]:
    shown: list[Order] = []
    async with db.transaction() as tx:
        while part := await page(
            tx, book=1, kind="recharge", only=only, limit=limit, newer_than=shown[0].id if shown else 0
        ):
            shown = part + shown
    return shown
