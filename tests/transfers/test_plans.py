"""A plan made while the tables were empty must still find rows by index when they have grown."""

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from uuid import UUID

import pytest

from tael.base.db import Database, Tx
from tael.transfers import Transfer, lookup, store

NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)
ROWS = 20_000
LOAD = [
    """insert into transfer (book, order_no, id, state, debit, credit, amount, currency, note, business_transfer_no,
           request_key, batch_no, place, posting, created_at)
       select 1, lpad(n::text, 32, '0'), n, 'done', n % 50 + 1, 100 + n % 50, 1, 'CNY', '',
           case when n % 2 = 0 then 'B' || n end, case when n % 2 = 0 then 'K' || n end,
           case when n % 2 = 1 then lpad((n / 100)::text, 32, '0') end, case when n % 2 = 1 then n end,
           gen_random_uuid(), $1 from generate_series(1, $2::int) n""",
    """insert into transfer_batch (book, batch_no, id, request_key, fingerprint, atomic, size, created_at)
       select 1, lpad(n::text, 32, '0'), n, 'K' || n, 'x', true, 1, $1 from generate_series(1, $2::int) n""",
    """insert into transfer_refusal (book, batch_no, place, problem)
       select 1, lpad(n::text, 32, '0'), 0, '{}' from generate_series(1, $2::int) n
       where $1::timestamptz is not null""",
    """insert into fund_hold (book, id, account, amount, currency, reason, request_key, posting, state, created_at)
       select 1, n, n % 50 + 1, 1, 'CNY', 'r', 'K' || n, gen_random_uuid(), 'open', $1
       from generate_series(1, $2::int) n""",
]
TABLES = ("transfer", "transfer_batch", "transfer_refusal", "fund_hold")
BATCH = store.Batch(1, f"{7:032}", 7, "K7", b"x", False, 1, NOON)


def transfer(number: int) -> Transfer:
    return Transfer(
        1, f"{number:032}", number, 1, 2, 1, "CNY", "", f"B{number}", f"K{number}", None, None, None, UUID(int=number),
        NOON,
    )  # fmt: skip


async def members(tx: Tx) -> None:
    await store.members_of(tx, [BATCH])
    await store.refusals_of(tx, [BATCH])


STATEMENTS: dict[str, Callable[[Tx], Awaitable[object]]] = {
    "insert": lambda tx: store.insert_transfers(tx, [transfer(10**6 + one) for one in range(10)]),
    "earlier": lambda tx: store.earlier_transfers(tx, [transfer(2 * one) for one in range(10)]),
    "find": lambda tx: store.find_transfer(tx, book=1, order_no=f"{7:032}"),
    "outgoing": lambda tx: lookup.page(tx, book=1, account=7, direction="outgoing", limit=10),
    "incoming": lambda tx: lookup.page(tx, book=1, account=107, direction="incoming", limit=10, older_than=9_000),
    "newer": lambda tx: lookup.page(tx, book=1, account=107, direction="incoming", limit=10, newer_than=9_000),
    "insert batches": lambda tx: store.insert_batches(tx, [BATCH]),
    "earlier batches": lambda tx: store.earlier_batches(tx, [BATCH]),
    "find batch": lambda tx: store.find_batch(tx, book=1, batch_no=f"{7:032}"),
    "members": members,
    "lock holds": lambda tx: store.lock_holds(tx, [(1, one) for one in range(10)]),
    "end holds": lambda tx: store.end_holds(tx, [(1, one, None) for one in range(10)], now=NOON),
    "find hold": lambda tx: store.find_hold(tx, book=1, id=7),
    "hold of key": lambda tx: store.hold_of_key(tx, book=1, request_key="K7"),
    "holds": lambda tx: lookup.page_of_holds(tx, book=1, account=7, limit=10),
}


@pytest.fixture
async def one(dsn: str) -> AsyncIterator[Database]:
    """A single connection, so that the plan of the first run is the plan of the second."""
    async with await Database.connect(dsn, min_size=1, max_size=1) as db:
        yield db


async def test_plans_made_on_empty_tables_still_probe_an_index(one: Database, db: Database) -> None:
    async with db.transaction() as tx:
        for table in TABLES:
            await tx.execute(f"analyze {table}")
    for run in STATEMENTS.values():
        async with one.transaction() as tx:
            await run(tx)
    async with db.transaction() as tx:
        await tx.execute("delete from fund_hold")
        for load in LOAD:
            await tx.execute(load + " on conflict do nothing", NOON, ROWS)
    found: dict[str, int] = {}
    for name, run in STATEMENTS.items():
        async with one.transaction() as tx:
            before = await read(tx)
            await run(tx)
            found[name] = await read(tx) - before
    assert {name: rows for name, rows in found.items() if rows >= ROWS // 40} == {}


async def read(tx: Tx) -> int:
    """Rows that this connection has lately read from the tables or their indexes."""
    rows = await tx.fetchval(
        "select sum(seq_tup_read + idx_tup_fetch) from pg_stat_xact_user_tables where relname = any($1)", list(TABLES)
    )
    entries = await tx.fetchval(
        """select sum(pg_stat_get_xact_tuples_returned(indexrelid)) from pg_stat_user_indexes
           where relname = any($1)""",
        list(TABLES),
    )
    return max(int(str(rows or 0)), int(str(entries or 0)))
