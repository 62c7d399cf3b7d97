"""Row `ledger-batch`: postings in batches of 1,000 through `Ledger.post`, against raw COPY of the rows they need.

A transfer in double entry needs three rows: the transfer and an entry of each account. The peer copies exactly those,
ready made, into three plain tables in transactions of 1,000 transfers, without deciding anything and without an
index; `with keys` is the same with the primary keys that a ledger cannot do without. Two batches are under way at a
time on both sides. Rounds alternate, and the figures are medians of the rounds.
"""

import asyncio
import itertools
import os
import random
import time
from datetime import UTC, datetime
from uuid import UUID

import asyncpg
import uvloop

from benchmarks.ledger_world import BOOK, World, world
from benchmarks.report import middle, report
from tael.ledger import Ledger, Posting, posting_id

SIZE = 1_000
SECONDS = int(os.environ.get("BENCH_SECONDS", "6"))
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "3"))
Rows = tuple[list[tuple[object, ...]], list[tuple[object, ...]]]
_number = itertools.count()
_seq = itertools.count(1)

TABLES = """
    create table {0}transfer (id uuid {1}, debit bigint not null, credit bigint not null, amount bigint not null,
        code smallint not null, at timestamptz not null);
    create table {0}entry (account bigint not null, seq bigint not null, transfer uuid not null, amount bigint not null,
        debits bigint not null, credits bigint not null, at timestamptz not null {2});"""


def _batches(here: World, count: int) -> list[list[Posting]]:
    """Batches of random transfers, made before the clock starts."""
    draw, now = random.Random(3).sample, datetime.now(UTC)
    return [
        [
            Posting(
                book=BOOK, id=posting_id("batch", str(next(_number)), at=now), debit=debit, credit=credit, amount=1,
                currency="CNY", code=1,
            )
            for debit, credit in (draw(here.accounts, 2) for _ in range(SIZE))
        ]
        for _ in range(count)
    ]  # fmt: skip


async def ours(here: World, ledger: Ledger, batches: list[list[Posting]]) -> float:
    """Postings per second in transactions of 1,000, two at a time."""
    waiting = iter(batches)

    async def lane() -> None:
        for batch in waiting:
            async with here.db.transaction() as tx:
                results = await ledger.post(tx, batch, now=datetime.now(UTC))
            assert all(result.ok for result in results)

    begin = time.perf_counter()
    await asyncio.gather(lane(), lane())
    return len(batches) * SIZE / (time.perf_counter() - begin)


async def copy(here: World, prefix: str, batches: list[Rows]) -> float:
    """Transfers per second when their three rows are copied in transactions of 1,000, two at a time."""
    waiting = iter(batches)

    async def lane() -> None:
        connection = await asyncpg.connect(here.server.dsn)
        for transfers, entries in waiting:
            async with connection.transaction():
                await connection.copy_records_to_table(f"{prefix}transfer", records=transfers)
                await connection.copy_records_to_table(f"{prefix}entry", records=entries)
        await connection.close()

    begin = time.perf_counter()
    await asyncio.gather(lane(), lane())
    return len(batches) * SIZE / (time.perf_counter() - begin)


def three_rows(batches: list[list[Posting]]) -> list[Rows]:
    """The transfer and the two entries of every posting."""
    now = datetime.now(UTC)
    return [
        (
            [(UUID(int=one.id.int), one.debit, one.credit, one.amount, one.code, now) for one in batch],
            [
                (account, next(_seq), UUID(int=one.id.int), one.amount, 10**6, 10**6, now)
                for one in batch
                for account in (one.debit, one.credit)
            ],
        )
        for batch in batches
    ]


async def main() -> None:
    """Run the row, on the event loop that Tael's workers use."""
    await asyncio.to_thread(uvloop.run, _measure())


async def _measure() -> None:
    rates: dict[str, list[float]] = {"ours": [], "copy": [], "keyed": []}
    count = SECONDS * 30
    async with world() as here:
        async with here.db.transaction() as tx:
            await tx.execute(TABLES.format("plain_", "", ""))
            await tx.execute(TABLES.format("keyed_", "primary key", ", primary key (account, seq)"))
        ledger = Ledger()
        await ours(here, ledger, _batches(here, 20))
        for _ in range(ROUNDS):
            rates["copy"].append(await copy(here, "plain_", three_rows(_batches(here, count))))
            rates["ours"].append(await ours(here, ledger, _batches(here, count)))
            rates["keyed"].append(await copy(here, "keyed_", three_rows(_batches(here, count))))
    rate, peer, keyed = middle(rates["ours"]), middle(rates["copy"]), middle(rates["keyed"])
    report(
        "ledger-batch", ours=rate, peer=peer, ratio=rate / peer,
        table=[
            ("COPY of the three rows, no index", f"{peer:,.0f} transfers/s"),
            ("COPY of the three rows, with keys", f"{keyed:,.0f} transfers/s"),
            ("postings in batches of 1,000", f"{rate:,.0f}/s = {rate / peer:.2f} of COPY, {rate / keyed:.2f} if keyed"),
        ],
        detail={"keyed": keyed, "keyed_ratio": rate / keyed, "rounds": rates},
    )  # fmt: skip
