"""A plan made while the tables were empty must still find approvals and adjustments by index when they have grown."""

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta

import pytest

from tael import approvals
from tael.adjustments import store as rows
from tael.approvals import Approval, NewApproval
from tael.base.db import Database, Tx
from tael.base.ids import Ids

NOW = datetime(2026, 1, 5, tzinfo=UTC)
ROWS = 5_000
NUMBERS = [f"AD{number:030d}" for number in range(100, 110)]
LOAD = [
    """insert into approval (book, id, kind, subject, payload, payload_sha256, amount, currency, maker, needed, state,
           expires_at, created_at)
       select 1, n, 'adjustment', 'AD' || lpad(n::text, 30, '0'), '{}', encode(sha256('{}'), 'hex'), 1, 'CNY', 'wang',
           1, 'pending', $1::timestamptz + interval '1 day', $1 from generate_series(1, $2) n""",
    """insert into approval_decision (book, approval, checker, decision, at)
       select 1, n, 'li', 'approve', $1 from generate_series(1, $2) n""",
    """insert into adjustment (book, adjustment_no, id, state, reason, amount, currency, maker, request_key, events,
           created_at, expires_at)
       select 1, 'AD' || lpad(n::text, 30, '0'), n, 'proposed', 'why', 1, 'CNY', 'wang', n::text, 1, $1, $1
       from generate_series(1, $2) n""",
]
TABLES = ("approval", "approval_decision", "approval_tier", "adjustment")


async def ask(tx: Tx) -> list[Approval]:
    new = [NewApproval(1, "adjustment", f"new {n}", {}, 1, "CNY", "wang", NOW + timedelta(days=1)) for n in range(10)]
    return await approvals.ask(tx, new, ids=IDS[0], now=NOW)


async def reject(tx: Tx) -> None:
    for number in NUMBERS:
        if await approvals.find(tx, book=1, kind="adjustment", subject=number):
            await approvals.decide(
                tx, book=1, kind="adjustment", subject=number, checker="zhao", approve=False, note=None,
                payload_sha256=None, now=NOW,
            )  # fmt: skip


IDS: list[Ids] = []
STATEMENTS: dict[str, Callable[[Tx], Awaitable[object]]] = {
    "ask": ask,
    "reject": reject,
    "find_all": lambda tx: approvals.find_all(tx, book=1, kind="adjustment", subjects=NUMBERS),
    "older": lambda tx: approvals.page(tx, book=1, limit=10, older_than=2_000),
    "pending": lambda tx: approvals.page(tx, book=1, state="pending", limit=10),
    "expire": lambda tx: approvals.expire_due(tx, now=NOW, limit=10),
    "expire some": lambda tx: approvals.expire_due(tx, now=NOW + timedelta(days=2), limit=10),
    "tiers": lambda tx: approvals.tiers_of(tx, [(1, "adjustment", "CNY")]),
    "by_number": lambda tx: rows.by_number(tx, book=1, numbers=NUMBERS),
    "by_request_key": lambda tx: rows.by_request_key(tx, book=1, key="100"),
    "page": lambda tx: rows.page(tx, book=1, state=None, limit=10, older_than=2_000),
}


@pytest.fixture
async def one(dsn: str) -> AsyncIterator[Database]:
    """A single connection, so that the plan of the first run is the plan of the second."""
    async with await Database.connect(dsn, min_size=1, max_size=1) as db:
        yield db


@pytest.mark.parametrize("name", STATEMENTS)
async def test_a_plan_made_on_an_empty_table_still_probes_an_index(one: Database, db: Database, name: str) -> None:
    run = STATEMENTS[name]
    IDS[:] = [await Ids.lease(db, lambda: NOW)]
    async with db.transaction() as tx:
        for table in TABLES:
            await tx.execute(f"analyze {table}")
    for _ in range(2):
        async with one.transaction() as tx:
            await run(tx)
    async with db.transaction() as tx:
        for statement in LOAD:
            await tx.execute(statement, NOW, ROWS)
    async with one.transaction() as tx:
        await run(tx)
        read = await tx.fetchval(
            "select sum(seq_tup_read + idx_tup_fetch) from pg_stat_xact_user_tables where relname = any($1)",
            list(TABLES),
        )
    assert int(str(read or 0)) < 500
