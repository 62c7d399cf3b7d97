"""A plan made while a table was empty must still find rows by index when the table has grown."""

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta

import pytest

from tael.base.db import Database, Tx
from tael.routing import bind, cool, expire_unused, explain, give_back, release, reserve, set_used, settle, usage

from .conftest import BOOK, NOON, A, wanted

ROWS = 5_000
KEYS = [(BOOK, f"H{number}") for number in range(100, 110)]
LOAD = [
    """insert into route (book, operation, merchant_account, currency, channel, label, priority, state, daily_limit,
           created_at, changed_at)
       select n, 'payout', 11, 'CNY', 'wechat', 'A', 1, 'active', 1000000, $1, $1 from generate_series(1, $2) n""",
    """insert into route_hold (book, number, merchant_account, channel, operation, currency, payee, amount, day, month,
           state, bound, expires_at, created_at)
       select 1, 'H' || n, 11, 'wechat', 'payout', 'CNY', n::text, 1, '2026-01-05', '2026-01-01', 'held', n > 50,
           case when n > 50 then null else $1::timestamptz end, $1
       from generate_series(1, $2) n""",
    """insert into quota_window (book, merchant_account, operation, currency, period, starts, payee, used_amount,
           held_amount, used_count, held_count)
       select 1, 11, 'payout', 'CNY', period, case period when 'day' then date '2026-01-05' else '2026-01-01' end,
           case n when 0 then '' else n::text end, 0, 100000, 0, 100000
       from generate_series(0, $2) n, unnest(array['day', 'month']) period
       where $1::timestamptz is not null on conflict do nothing""",
]
TABLES = ("route", "route_hold", "quota_window")


async def hold(tx: Tx, *, known: bool) -> object:
    numbers = [number for _, number in KEYS] if known else [f"new-{number}" for number in range(10)]
    return await reserve(
        tx, [wanted(1, number=number, payee=str(100 + at)) for at, number in enumerate(numbers)], now=NOON
    )


async def correct(tx: Tx) -> object:
    return await set_used(
        tx, book=BOOK, merchant_account=A, operation="payout", currency="CNY", day=NOON.date(), used_amount=1,
        used_count=1,
    )  # fmt: skip


async def repeat_settle(tx: Tx) -> None:
    await settle(tx, KEYS, now=NOON)
    await give_back(tx, KEYS, now=NOON)


STATEMENTS: dict[str, Callable[[Tx], Awaitable[object]]] = {
    "reserve": lambda tx: hold(tx, known=False),
    "reserve_again": lambda tx: hold(tx, known=True),
    "settle_and_give_back": repeat_settle,
    "release": lambda tx: release(tx, KEYS, now=NOON),
    "bind": lambda tx: bind(tx, KEYS),
    "expire_unused": lambda tx: expire_unused(tx, now=NOON + timedelta(days=1), limit=10),
    "cool": lambda tx: cool(tx, book=BOOK, merchant_account=A, operation="payout", until=NOON),
    "explain": lambda tx: explain(tx, wanted(payee="7"), now=NOON),
    "usage": lambda tx: usage(tx, book=BOOK, day=NOON.date()),
    "set_used": correct,
}


@pytest.fixture
async def one(dsn: str) -> AsyncIterator[Database]:
    """A single connection, so that the plan of the first run is the plan of the second."""
    async with await Database.connect(dsn, min_size=1, max_size=1) as db:
        yield db


@pytest.mark.parametrize("name", STATEMENTS)
async def test_a_plan_made_on_an_empty_table_still_probes_an_index(one: Database, db: Database, name: str) -> None:
    run = STATEMENTS[name]
    async with db.transaction() as tx:
        for table in TABLES:
            await tx.execute(f"analyze {table}")
    await plan_every_statement(one, run)
    async with db.transaction() as tx:
        for table in TABLES:
            await tx.execute(f"truncate {table}")
        for statement in LOAD:
            await tx.execute(statement, NOON, ROWS)
    async with one.transaction() as tx:
        await run(tx)
        read = await tx.fetchval(
            "select sum(seq_tup_read + idx_tup_fetch) from pg_stat_xact_user_tables where relname = any($1)",
            list(TABLES),
        )
        returned = await tx.fetchval(
            """select sum(pg_stat_get_xact_tuples_returned(indexrelid)) from pg_stat_user_indexes
               where relname = any($1)""",
            list(TABLES),
        )
    assert int(str(read or 0)) < 500
    assert int(str(returned or 0)) < 500


async def plan_every_statement(one: Database, run: Callable[[Tx], Awaitable[object]]) -> None:
    """Run once where there is nothing, and once where there is just enough for every statement to be reached."""
    for rows in (0, 200):
        async with one.transaction() as tx:
            if rows:
                for statement in LOAD:
                    await tx.execute(statement, NOON, rows)
            await run(tx)
