"""A plan made while the tables were empty must still find rows by index when they have grown."""

from datetime import UTC, datetime
from uuid import UUID

from grown_tables import Growing, Statement
from tael.base.db import Database, Tx
from tael.transfers import Transfer, lookup, store

NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)
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
GROWING = Growing(
    ("transfer", "transfer_batch", "transfer_refusal", "fund_hold"),
    [f"{statement} on conflict do nothing" for statement in LOAD], NOON, 20_000,
)  # fmt: skip
BATCH = store.Batch(1, f"{7:032}", 7, "K7", b"x", False, 1, NOON)


def transfer(number: int) -> Transfer:
    return Transfer(
        1, f"{number:032}", number, 1, 2, 1, "CNY", "", f"B{number}", f"K{number}", None, None, None, UUID(int=number),
        NOON,
    )  # fmt: skip


async def members(tx: Tx) -> None:
    await store.members_of(tx, [BATCH])
    await store.refusals_of(tx, [BATCH])


STATEMENTS: dict[str, Statement] = {
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


async def test_plans_made_on_empty_tables_still_probe_an_index(single: Database, db: Database) -> None:
    await GROWING.analyse(db)
    for run in STATEMENTS.values():
        async with single.transaction() as tx:
            await run(tx)
    async with db.transaction() as tx:
        await tx.execute("delete from fund_hold")
        await GROWING.grow(tx)
    found = {name: await GROWING.read_by(single, run) for name, run in STATEMENTS.items()}
    assert {name: rows for name, rows in found.items() if rows >= GROWING.rows // 40} == {}
