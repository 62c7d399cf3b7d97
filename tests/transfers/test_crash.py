"""The process dies by SIGKILL before and after the commit of a transfer; the same request again takes effect once."""

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest

from tael.base.clock import SteppedClock
from tael.base.db import Database
from tael.ledger.verify import verify
from transfers.conftest import ALICE, BOB, BOOK, counts, open_books, put_together

STEP = str(Path(__file__).parent / "step.py")


async def step(dsn: str, home: Path, verb: str, *, crash_at: str = "") -> tuple[int, str, str]:
    """Run a step; answers exit code, output and complaints."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, STEP, dsn, str(home), verb, env=os.environ | {"TAEL_CRASH_AT": crash_at},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    said, complained = await process.communicate()
    return process.returncode or 0, said.decode(), complained.decode()


# The step, where it dies, what is there after the death (transfers, postings, events, batches, holds), and in the end.
CASES = [
    ("transfer", "transfer.before_commit", (0, 0, 0, 0, 0), (1, 1, 1, 0, 0)),
    ("transfer", "transfer.committed", (1, 1, 1, 0, 0), (1, 1, 1, 0, 0)),
    ("batch", "transfer.before_commit", (0, 0, 0, 0, 0), (2, 2, 2, 1, 0)),
    ("batch", "transfer.committed", (2, 2, 2, 1, 0), (2, 2, 2, 1, 0)),
    ("hold", "hold.before_commit", (0, 0, 0, 0, 0), (0, 0, 0, 0, 1)),
    ("hold", "hold.committed", (0, 0, 0, 0, 1), (0, 0, 0, 0, 1)),
]


@pytest.mark.parametrize(("verb", "point", "after", "finally_"), CASES)
async def test_dead_before_and_after_the_commit(
    db: Database, dsn: str, tmp_path: Path, verb: str, point: str, after: tuple[int, ...], finally_: tuple[int, ...]
) -> None:
    await open_books(await put_together(db, SteppedClock(), tmp_path))
    assert await step(dsn, tmp_path, verb, crash_at=point) == (-signal.SIGKILL, "", "")
    assert await found(db) == after
    (_, first, _), (_, again, _) = [await step(dsn, tmp_path, verb) for _ in range(2)]
    assert first
    assert first == again
    assert await found(db) == finally_
    report = await verify(db, BOOK)
    assert report.ok, report


async def found(db: Database) -> tuple[int, ...]:
    async with db.transaction() as tx:
        holds = await tx.fetchval("select count(*) from open_hold where debit = $1 and amount = 300", ALICE)
        rows = await tx.fetchval("select count(*) from fund_hold")
        moved = await tx.fetchval(
            "select coalesce(sum(amount), 0)::bigint from posting where debit = $1 and credit = $2", ALICE, BOB
        )
    assert holds == rows
    transfers, *rest, batches, _ = await counts(db)
    assert moved == 300 * transfers
    return (transfers, *rest, batches, int(str(holds)))
