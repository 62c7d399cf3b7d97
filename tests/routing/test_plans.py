"""A plan made while a table was empty must still find rows by index when the table has grown."""

from datetime import timedelta

import pytest

from grown_tables import Growing, Statement, rows_read
from tael.base.db import Database, Tx
from tael.routing import bind, cool, expire_unused, explain, give_back, release, reserve, set_used, settle, usage

from .conftest import BOOK, NOON, A, wanted

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
GROWING = Growing(("route", "route_hold", "quota_window"), LOAD, NOON)


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


STATEMENTS: dict[str, Statement] = {
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


@pytest.mark.parametrize("name", STATEMENTS)
async def test_a_plan_made_on_an_empty_table_still_probes_an_index(single: Database, db: Database, name: str) -> None:
    assert await rows_read(single, db, STATEMENTS[name], GROWING, rehearse=plan_every_statement) < 500


async def plan_every_statement(single: Database, run: Statement) -> None:
    """Run once where there is nothing, and once where there is just enough for every statement to be reached."""
    async with single.transaction() as tx:
        await run(tx)
    async with single.transaction() as tx:
        await GROWING.grow(tx, 200)
        await run(tx)
    async with single.transaction() as tx:
        for table in GROWING.tables:
            await tx.execute(f"truncate {table}")
