"""Orders on a database of their own, and a shop for what only shows over HTTP."""

import itertools
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from pathlib import Path

import pytest

from flows.conftest import Shop, open_shop
from tael.base.clock import SteppedClock
from tael.base.db import Database
from tael.base.ids import Ids
from tael.orders import NewAttempt, NewOrder, Opened, Order, open_attempts, open_orders

NOW = SteppedClock().now()
NewOrderMaker = Callable[..., NewOrder]


@pytest.fixture
async def ids(db: Database) -> Ids:
    """Numbers."""
    return await Ids.lease(db, SteppedClock().now)


@pytest.fixture
def new_order(ids: Ids) -> NewOrderMaker:
    """Make an order to open; every one has its own request key and description unless told otherwise."""
    count = itertools.count()

    def make(**changes: object) -> NewOrder:
        number = next(count)
        fields: dict[str, object] = {
            "book": 1, "order_no": ids.order_no(business="RC", account=7), "id": ids.next(), "kind": "recharge",
            "mode": "test", "account": 7, "amount": 100, "currency": "CNY", "description": f"order {number}",
            "business_order_no": None, "request_key": f"key-{number}", "metadata": {},
            "expires_at": NOW + timedelta(minutes=15),
        } | changes  # fmt: skip
        return NewOrder(**fields)

    return make


@pytest.fixture
async def shop(dsn: str, tmp_path: Path) -> AsyncIterator[Shop]:
    """A shop with the guard against double submission on, as it is by default."""
    async with open_shop(dsn, tmp_path) as opened:
        yield opened


def attempt_for(order: Order | NewOrder, ids: Ids) -> NewAttempt:
    """An attempt to pay an order."""
    return NewAttempt(
        book=order.book, attempt_no=ids.order_no(business="RC", account=7), order_no=order.order_no, id=ids.next(),
        channel="wechat", merchant_account=1, method="native", amount=order.amount, currency=order.currency,
        payer_id=None, payer_ip=None,
    )  # fmt: skip


async def opened(db: Database, order: NewOrder) -> Order:
    """Open one order in its own transaction."""
    async with db.transaction() as tx:
        (result,) = await open_orders(tx, [order], now=NOW, guard_s=0)
    assert isinstance(result, Opened)
    return result.order


async def attempted(db: Database, order: NewOrder, ids: Ids) -> str:
    """Open an order with an attempt; answers the attempt's number."""
    await opened(db, order)
    attempt = attempt_for(order, ids)
    async with db.transaction() as tx:
        await open_attempts(tx, [attempt], now=NOW)
    return attempt.attempt_no
