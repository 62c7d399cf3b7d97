"""Routes, operations and figures to play with."""

import itertools
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

import pytest

from tael.base.db import Database
from tael.routing import NoRoute, Reserved, Route, Wanted, put_route, reserve

BOOK = 1
NOON = datetime(2026, 1, 5, 4, tzinfo=UTC)  # 12:00 in Shanghai
A, B, C = 11, 12, 13
_numbers = itertools.count(1)


def route(merchant_account: int = A, **changes: object) -> Route:
    """A route without limits unless told otherwise; A goes before B, B before C."""
    fields: dict[str, object] = {
        "book": BOOK, "operation": "payout", "merchant_account": merchant_account, "currency": "CNY",
        "channel": "wechat", "label": {A: "A", B: "B", C: "C"}.get(merchant_account, "other"),
        "priority": merchant_account,
    } | changes  # fmt: skip
    return Route(**fields)


def wanted(amount: int = 100, **changes: object) -> Wanted:
    """An operation with a number of its own."""
    fields: dict[str, object] = {
        "book": BOOK, "number": f"N{next(_numbers)}", "operation": "payout", "channels": None, "amount": amount,
        "currency": "CNY", "payee": None,
    } | changes  # fmt: skip
    return Wanted(**fields)


async def put(db: Database, *routes: Route) -> None:
    """Set routes."""
    async with db.transaction() as tx:
        for one in routes:
            await put_route(tx, one, now=NOON)


async def reserve_now(
    db: Database, *operations: Wanted, now: datetime = NOON, **more: object
) -> list[Reserved | NoRoute]:
    """Reserve in a transaction of its own."""
    async with db.transaction() as tx:
        return await reserve(tx, operations, now=now, **more)


def went(results: Sequence[Reserved | NoRoute]) -> list[int | str]:
    """Merchant accounts, or the reason why there is none."""
    return [one.merchant_account if isinstance(one, Reserved) else one.reason for one in results]


@pytest.fixture
def figures(db: Database) -> Callable[..., object]:
    """Used and held amounts, used and held counts of a window."""

    async def read(
        merchant_account: int = A, period: str = "day", payee: str = "", starts: str | None = None
    ) -> tuple[int, ...]:
        async with db.transaction() as tx:
            rows = await tx.fetch(
                """select * from quota_window where merchant_account = $1 and period = $2 and payee = $3
                       and ($4::text is null or starts::text = $4)""",
                merchant_account, period, payee, starts,
            )  # fmt: skip
        assert len(rows) < 2
        columns = ("used_amount", "held_amount", "used_count", "held_count")
        return tuple(rows[0][column] for column in columns) if rows else (0, 0, 0, 0)

    return read
