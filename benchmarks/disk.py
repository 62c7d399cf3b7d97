"""Row `disk`: bytes per transfer with all indexes, after 400,000 transfers between 10,000 random wallets.

The peer is the naive schema: a transfer row with its key and two entry rows with theirs, filled with the same
transfers by COPY. `order numbers` is the same measurement with a 32-character order number in every row, `scattered`
with ids that do not begin with their time.
"""

import os
import random
from collections.abc import Iterator
from datetime import UTC, datetime

from benchmarks.ledger_batch import TABLES, three_rows
from benchmarks.ledger_world import BOOK, World, world
from benchmarks.report import report
from tael.base.db import Database
from tael.ledger import Ledger, Posting, posting_id

TRANSFERS = int(os.environ.get("BENCH_TRANSFERS", "400000"))
SIZE = 1_000


async def main() -> None:
    """Run the row."""
    sizes = {
        "plain": await _ours(ordered=True, order_numbers=False),
        "scattered": await _ours(ordered=False, order_numbers=False),
        "order numbers": await _ours(ordered=True, order_numbers=True),
    }
    peer = await _peer()
    ours = sizes["plain"]
    report(
        "disk", ours=ours, peer=peer, ratio=ours / peer,
        table=[
            ("three rows with keys", f"{peer:.0f} B per transfer"),
            *((f"posting, {name}", f"{size:.0f} B per transfer") for name, size in sizes.items()),
        ],
        detail={"transfers": TRANSFERS, **sizes},
    )  # fmt: skip


def _batches(here: World, *, ordered: bool, order_numbers: bool) -> Iterator[list[Posting]]:
    draw = random.Random(5).sample
    for start in range(0, TRANSFERS, SIZE):
        batch: list[Posting] = []
        for number in range(start, start + SIZE):
            debit, credit = draw(here.accounts, 2)
            identity = posting_id("disk", str(number), at=datetime.now(UTC) if ordered else None)
            order_no = f"RC1030K{number:025d}" if order_numbers else None
            batch.append(
                Posting(
                    book=BOOK, id=identity, debit=debit, credit=credit, amount=1, currency="CNY", code=1,
                    order_no=order_no,
                )
            )  # fmt: skip
        yield batch


async def _ours(*, ordered: bool, order_numbers: bool) -> float:
    async with world() as here:
        ledger = Ledger()
        before = await _size(here.db, "posting")
        for batch in _batches(here, ordered=ordered, order_numbers=order_numbers):
            async with here.db.transaction() as tx:
                await ledger.post(tx, batch, now=datetime.now(UTC))
        return (await _size(here.db, "posting") - before) / TRANSFERS


async def _peer() -> float:
    async with world() as here:
        async with here.db.transaction() as tx:
            await tx.execute(TABLES.format("", "primary key", ", primary key (account, seq)"))
        for batch in _batches(here, ordered=True, order_numbers=False):
            ((transfers, entries),) = three_rows([batch])
            async with here.db.transaction() as tx:
                await tx.connection.copy_records_to_table("transfer", records=transfers)
                await tx.connection.copy_records_to_table("entry", records=entries)
        return (await _size(here.db, "transfer") + await _size(here.db, "entry")) / TRANSFERS


async def _size(db: Database, table: str) -> int:
    async with db.transaction() as tx:
        size = await tx.fetchval("select pg_total_relation_size($1::text::regclass)", table)
    assert isinstance(size, int)
    return size
