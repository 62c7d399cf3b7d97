"""The process dies by SIGKILL before and after each commit; the same step again ends in the same place, once."""

import asyncio
import json
import os
import signal
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tael.base.clock import SteppedClock
from tael.base.db import Database
from tael.ledger.verify import verify

from .conftest import BOOK, open_books

STEP = str(Path(__file__).with_name("step.py"))


async def step(dsn: str, *words: str, crash_at: str = "") -> tuple[int, str, str]:
    """Run a step; answers exit code, output and complaints."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, STEP, dsn, *words, env=os.environ | {"TAEL_CRASH_AT": crash_at},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    said, complained = await process.communicate()
    return process.returncode or 0, said.decode(), complained.decode()


async def counts(db: Database) -> tuple[int, ...]:
    """Adjustments, approvals, decisions, postings, events."""
    tables = ("adjustment", "approval", "approval_decision", "posting", "event")
    async with db.transaction() as tx:
        return tuple([int(str(await tx.fetchval(f"select count(*) from {table}"))) for table in tables])


# The point, what is there after the death, what the same step says then, and what is there in the end.
PROPOSING = [
    ("adjustment.propose_before_commit", (0, 0, 0, 0, 0), (1, 1, 0, 0, 1)),
    ("adjustment.proposed", (1, 1, 0, 0, 1), (1, 1, 0, 0, 1)),
]
APPROVING = [
    ("adjustment.approve_before_commit", (1, 1, 0, 0, 1), "posted"),
    ("adjustment.approved", (1, 1, 1, 2, 2), "AlreadyDecided"),
]


@pytest.fixture
async def books(db: Database) -> Database:
    await open_books(db, SteppedClock(datetime.now(UTC)))
    return db


@pytest.mark.parametrize(("point", "after", "finally_"), PROPOSING)
async def test_dead_while_proposing(
    books: Database, dsn: str, point: str, after: tuple[int, ...], finally_: tuple[int, ...]
) -> None:
    assert await step(dsn, "propose", crash_at=point) == (-signal.SIGKILL, "", "")
    assert await counts(books) == after
    (_, first, _), (_, again, _) = [await step(dsn, "propose") for _ in range(2)]
    assert json.loads(first) == json.loads(again)
    assert await counts(books) == finally_
    assert (await verify(books, BOOK)).ok


@pytest.mark.parametrize(("point", "after", "said"), APPROVING)
async def test_dead_while_approving(
    books: Database, dsn: str, point: str, after: tuple[int, ...], said: str
) -> None:  # fmt: skip
    number = json.loads((await step(dsn, "propose"))[1])["adjustment_no"]
    assert (await step(dsn, "approve", number, crash_at=point))[:2] == (-signal.SIGKILL, "")
    assert await counts(books) == after
    _, spoke, complained = await step(dsn, "approve", number)
    assert said in spoke + complained
    assert await counts(books) == (1, 1, 1, 2, 2)
    async with books.transaction() as tx:
        assert await tx.fetchval("select state from adjustment") == "posted"
    assert (await verify(books, BOOK)).ok
