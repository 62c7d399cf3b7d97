"""A plan made while a table was empty must still find rows by index when the table has grown."""

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta

import pytest

from risk.conftest import MORNING, asks
from tael.base.db import Database, Tx
from tael.risk import Risk, freeze, install_shipped, rule_sets, store, unfreeze

ROWS = 5_000
TABLES = ("risk_rule_set", "risk_subject", "risk_usage", "risk_verdict", "risk_freeze")
LOAD = [
    "insert into risk_subject select 1, n from generate_series(1, $2) n where $1::timestamptz is not null",
    """insert into risk_usage (book, operation, number, person, day, amount, currency, payee, at)
       select 1, 'withdrawal', 'WD' || n, n, '2026-01-04', 1, 'CNY', 'card', $1 from generate_series(1, $2) n""",
    """insert into risk_usage (book, operation, number, person, day, amount, currency, payee, at)
       select 1, 'withdrawal', 'OLD' || n, 7, '2024-01-04', 1, 'CNY', 'card', $1 from generate_series(1, $2) n""",
    """insert into risk_verdict (book, operation, number, person, facts, rules_of, version, outcome, rules, reasons,
           trace, at)
       select 1, 'withdrawal', 'WD' || n, n, '{"amount": 1, "currency": "CNY", "payee": "card", "account": "1"}', 0, 1,
           'pass', '{}', '{}', '[]', $1::timestamptz - n * interval '1 minute' from generate_series(1, $2) n""",
    """insert into risk_rule_set select 1, 'op_' || chr(97 + n % 10), n, 'retired', '{}', '', '', $1, $1
       from generate_series(1, $2) n""",
    """insert into risk_freeze (book, account, number, reason, frozen_by, frozen_at)
       select 1, n, 1, '', '', $1 from generate_series(100, $2) n""",
]
TEN = range(7, 17)
KEYS = [(1, "withdrawal", f"WD{number}") for number in TEN]
STATEMENTS: dict[str, Callable[[Tx], Awaitable[object]]] = {
    "judge": lambda tx: Risk().judge(
        tx, [asks(f"new{number}", person=number, payee="card") for number in TEN], now=MORNING
    ),
    "judge again": lambda tx: store.verdicts(tx, KEYS),
    "void": lambda tx: Risk().void(tx, KEYS),
    "past": lambda tx: store.past(tx, book=1, operation="withdrawal", since=MORNING - timedelta(minutes=20), most=100),
    "listed": lambda tx: rule_sets.listed(tx, book=1, operation="op_a"),
    "next_version": lambda tx: store.next_version(tx, book=1, operation="op_a"),
    "in_force": lambda tx: store.in_force(tx, [(1, "op_a"), (1, "withdrawal")]),
    "freeze": lambda tx: freeze(tx, book=1, account=1, reason="", by="", now=MORNING),
    "unfreeze": lambda tx: unfreeze(tx, book=1, account=1, reason="", by="", now=MORNING),
}


@pytest.fixture
async def one(dsn: str) -> AsyncIterator[Database]:
    """A single connection, so that the plan of the first run is the plan of the second."""
    async with await Database.connect(dsn, min_size=1, max_size=1) as db:
        yield db


@pytest.mark.parametrize("name", STATEMENTS)
async def test_a_plan_made_on_an_empty_table_still_probes_an_index(
    one: Database, db: Database, accounts: tuple[int, int], name: str
) -> None:
    async with db.transaction() as tx:
        await install_shipped(tx, now=MORNING)
        for table in TABLES:
            await tx.execute(f"analyze {table}")
    for _ in range(2):
        try:
            async with one.transaction() as tx:
                await STATEMENTS[name](tx)
                raise ZeroDivisionError  # take it back, keep the plans
        except ZeroDivisionError:
            pass
    async with db.transaction() as tx:
        for statement in LOAD:
            await tx.execute(statement, MORNING, ROWS)
    async with one.transaction() as tx:
        await STATEMENTS[name](tx)
        read = await tx.fetchval(
            "select sum(seq_tup_read + idx_tup_fetch) from pg_stat_xact_user_tables where relname = any($1)",
            list(TABLES),
        )
    assert int(str(read or 0)) < 500
