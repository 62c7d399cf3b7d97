"""A plan made while a table was empty must still find rows by index when the table has grown."""

import contextlib
from datetime import timedelta

import pytest

from grown_tables import Growing, Statement, rows_read
from risk.conftest import MORNING, asks
from tael.base.db import Database
from tael.risk import Risk, freeze, install_shipped, rule_sets, store, unfreeze

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
GROWING = Growing(
    ("risk_rule_set", "risk_subject", "risk_usage", "risk_verdict", "risk_freeze"), LOAD, MORNING,
)  # fmt: skip
TEN = range(7, 17)
KEYS = [(1, "withdrawal", f"WD{number}") for number in TEN]
STATEMENTS: dict[str, Statement] = {
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


@pytest.mark.parametrize("name", STATEMENTS)
async def test_a_plan_made_on_an_empty_table_still_probes_an_index(
    single: Database, db: Database, accounts: tuple[int, int], name: str
) -> None:
    async with db.transaction() as tx:
        await install_shipped(tx, now=MORNING)
    assert await rows_read(single, db, STATEMENTS[name], GROWING, rehearse=take_back) < 500


async def take_back(single: Database, run: Statement) -> None:
    """Run twice and keep nothing but the plans."""
    for _ in range(2):
        with contextlib.suppress(ZeroDivisionError):
            async with single.transaction() as tx:
                await run(tx)
                raise ZeroDivisionError
