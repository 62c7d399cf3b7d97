"""A plan made while the tables were empty must still find approvals and adjustments by index when they have grown."""

from datetime import UTC, datetime, timedelta

import pytest

from grown_tables import Growing, Statement, rows_read
from tael import approvals
from tael.adjustments import store as rows
from tael.approvals import Approval, NewApproval
from tael.base.db import Database, Tx
from tael.base.ids import Ids

NOW = datetime(2026, 1, 5, tzinfo=UTC)
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
GROWING = Growing(("approval", "approval_decision", "approval_tier", "adjustment"), LOAD, NOW)


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
STATEMENTS: dict[str, Statement] = {
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


@pytest.mark.parametrize("name", STATEMENTS)
async def test_a_plan_made_on_an_empty_table_still_probes_an_index(single: Database, db: Database, name: str) -> None:
    IDS[:] = [await Ids.lease(db, lambda: NOW)]
    assert await rows_read(single, db, STATEMENTS[name], GROWING) < 500
