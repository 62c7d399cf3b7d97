"""A plan made while a table was empty must still find rows by index when the table has grown."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from grown_tables import Growing, Statement, rows_read
from tael.base import outbox, tasks
from tael.base.db import Database, Tx
from tael.guard import Claim, begin, finish, free
from tael.orders import attempts_of, lock_by_attempt, lock_orders, save
from tael.orders.store import Attempt, Order, earlier_orders, read_attempt, read_order
from tael.payments import evidence, suspense

NOW = datetime(2026, 1, 5, tzinfo=UTC)
KEYS = [(1, f"RC{number:030d}") for number in range(100, 110)]
LOAD = [
    """insert into payment_order (book, order_no, id, kind, mode, state, account, amount, currency, description,
           request_key, metadata, created_at, expires_at)
       select 1, 'RC' || lpad(n::text, 30, '0'), n, 'recharge', 'test', 'created', 7, 1, 'CNY', '', n::text, '{}', $1,
           $1
       from generate_series(1, $2) n""",
    """insert into payment_attempt (book, attempt_no, order_no, id, state, channel, merchant_account, method, amount,
           currency, created_at)
       select 1, 'RC' || lpad(n::text, 30, '0'), 'RC' || lpad(n::text, 30, '0'), n, 'created', 'wechat', 5, 'native', 1,
           'CNY', $1 from generate_series(1, $2) n""",
    """insert into task (book, id, queue, key, payload, due_at, created_at)
       select 1, n, 'recover', 'RC' || lpad(n::text, 30, '0'), 'null', $1, $1 from generate_series(1, $2) n""",
    """insert into idempotency (book, key, endpoint, fingerprint, locked_until, created_at)
       select 1, n::text, '', '', $1, $1 from generate_series(1, $2) n on conflict do nothing""",
    """insert into channel_notice (book, id, merchant_account, event_id, attempt_no, state, sha256, raw, received_at)
       select 1, n, 5, '', '', '', '', '', $1 from generate_series(1, $2) n""",
    """insert into event (book, id, topic, subject, sequence, payload, created_at)
       select 1, n, 't', n::text, 1, '{}', $1 from generate_series(1, $2) n""",
]
TABLES = ("payment_order", "payment_attempt", "task", "idempotency", "channel_notice", "event", "suspense_item")
GROWING = Growing(TABLES, LOAD, NOW)


async def rows(tx: Tx) -> tuple[list[Order], list[Attempt]]:
    orders = await tx.fetch("select * from payment_order where book = 1 and order_no = any($1)", [no for _, no in KEYS])
    attempts = await tx.fetch(
        "select * from payment_attempt where book = 1 and attempt_no = any($1)", [no for _, no in KEYS]
    )
    return [read_order(row) for row in orders], [read_attempt(row) for row in attempts]


async def change(tx: Tx) -> None:
    orders, attempts = await rows(tx)
    await save(tx, [replace(one, events=9) for one in orders], [replace(one, error="e") for one in attempts])


async def look_up(tx: Tx) -> None:
    orders, _ = await rows(tx)
    await attempts_of(tx, orders)
    await earlier_orders(tx, orders)  # type: ignore[arg-type]


CLAIMS = [Claim(1, str(number), "", b"") for number in range(100, 110)]
STATEMENTS: dict[str, Statement] = {
    "lock_by_attempt": lambda tx: lock_by_attempt(tx, KEYS),
    "lock_orders": lambda tx: lock_orders(tx, KEYS),
    "save": change,
    "look_up": look_up,
    "cancel": lambda tx: tasks.cancel(tx, "recover", KEYS),
    "begin": lambda tx: begin(tx, CLAIMS, now=NOW),
    "finish": lambda tx: finish(tx, [(claim, 201, b"") for claim in CLAIMS]),
    "free": lambda tx: free(tx, CLAIMS),
    "note_verdicts": lambda tx: evidence.note_verdicts(tx, [(1, number, "paid") for number in range(100, 110)]),
    "known_refs": lambda tx: suspense.known_refs(tx, [(1, 5, str(number)) for number in range(100, 110)]),
    "mark_published": lambda tx: tx.execute(outbox.MARK, [1] * 10, list(range(100, 110)), NOW),
}


@pytest.mark.parametrize("name", STATEMENTS)
async def test_a_plan_made_on_an_empty_table_still_probes_an_index(single: Database, db: Database, name: str) -> None:
    assert await rows_read(single, db, STATEMENTS[name], GROWING) < 500
