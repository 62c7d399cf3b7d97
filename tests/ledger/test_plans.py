"""The trap of a plan made on an empty table: analysed while empty, then loaded, every statement still uses its index.

The statements run on the application's own pool, so the plans are the kept ones of its connections. A statement that
reads a book's rows instead of its own shows in the server's counters: rows read per posting grow with the book.
"""

from datetime import timedelta
from types import SimpleNamespace

from tael.base.db import Database
from tael.ledger import (
    HOLD,
    RELEASE,
    REVERSE,
    SETTLE,
    AccountId,
    NewAccount,
    balance_at,
    balances,
    find,
    holds,
    statement,
)

from .conftest import BOOK, START, on_postgres
from .story import ALICE, BANK, BOB, end, open_all, outcomes, pay, post

TABLES = ("posting", "account", "open_hold", "refused_posting")
ROWS = 6_000


async def read_so_far(db: Database) -> dict[str, int]:
    """Rows and index entries read so far, per table."""
    async with db.transaction() as tx:
        await tx.execute("select pg_stat_force_next_flush()")
    async with db.transaction() as tx:
        await tx.execute("select pg_stat_clear_snapshot()")
        found = await tx.fetch(
            """select t.relname, t.seq_tup_read + sum(i.idx_tup_read)::bigint + sum(i.idx_tup_fetch)::bigint as read
               from pg_stat_user_tables t join pg_stat_user_indexes i on i.relid = t.relid
               where t.relname = any($1::text[]) group by t.relname, t.seq_tup_read""",
            list(TABLES),
        )
    return {record["relname"]: record["read"] for record in found}


async def test_analysed_while_empty_then_loaded(single: Database) -> None:
    engine = on_postgres(single)
    async with single.transaction() as tx:
        await engine.open_book(tx, BOOK, name="test", now=START)
        await tx.execute("alter table posting set (autovacuum_enabled = off)")
        await tx.execute("alter table account set (autovacuum_enabled = off)")
        await tx.execute("alter table open_hold set (autovacuum_enabled = off)")
        await tx.execute("analyze")
    await open_all(engine)
    await everything(engine, single, "empty")
    many = [NewAccount(book=BOOK, id=AccountId(1_000 + n), subject="2001", currency="CNY") for n in range(2_000)]
    async with single.transaction() as tx:
        await engine.open_accounts(tx, many, now=START)
    for batch in range(ROWS // 500):
        await post(engine, *(pay(f"{batch}-{n}", BANK, 1_000 + (batch * 500 + n) % 2_000, 1) for n in range(500)))
        await post(engine, *(pay(f"h{batch}-{n}", BANK, 1_000 + n, 1, HOLD, timeout_s=999) for n in range(50)))
    before = await read_so_far(single)
    await everything(engine, single, "loaded")
    after = await read_so_far(single)
    read = {table: after[table] - before[table] for table in TABLES}
    # A single scan of a table would read at least the six hundred open holds.
    assert max(read.values()) < 300, read


async def everything(engine: SimpleNamespace, db: Database, name: str) -> None:
    """Every statement of the package once or twice."""
    later = START + timedelta(seconds=5)
    found = await outcomes(
        engine, pay(f"{name}1", BANK, ALICE, 100), pay(f"{name}2", ALICE, BOB, 10, HOLD, timeout_s=1),
        pay(f"{name}3", ALICE, BOB, 10, HOLD), pay(f"{name}4", ALICE, BOB, 10, HOLD),
        pay(f"{name}5", ALICE, BOB, 10**6),
    )  # fmt: skip
    assert found == ["posted"] * 4 + ["exceeds_credits"]
    ends = [end(f"{name}6", f"{name}3", SETTLE), end(f"{name}7", f"{name}4", RELEASE)]
    assert await outcomes(engine, *ends, end(f"{name}8", f"{name}1", REVERSE, 1)) == ["posted"] * 3
    assert await outcomes(engine, pay(f"{name}9", ALICE, BOB, 1), now=later) == ["posted"]
    async with db.transaction() as tx:
        await engine.expire_due(tx, BOOK, now=later, limit=10)
        assert len(await balances(tx, BOOK, [ALICE, BOB])) == 2
        assert await statement(tx, BOOK, ALICE, limit=3)
        assert await statement(tx, BOOK, ALICE, limit=3, newest_first=True, side="credit")
        await holds(tx, BOOK, ALICE, limit=3)
        assert (await balance_at(tx, BOOK, ALICE, later)).seq
        assert await find(tx, BOOK, [pay(f"{name}1", 1, 2, 1).id])
