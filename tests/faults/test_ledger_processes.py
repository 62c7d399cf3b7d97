"""Several operating system processes post to one book at once, with limits that only one order of events respects."""

import asyncio
import sys

import pytest

from ledger.conftest import START
from tael.base.db import Database
from tael.cli.faults_poster import BANK, BOOK, WALLETS
from tael.ledger import DEBITS_WITHIN_CREDITS, AccountId, NewAccount, open_accounts, open_book
from tael.ledger.verify import verify

PROCESSES = 4
ENOUGH = 300


@pytest.mark.slow
async def test_processes_share_a_book(db: Database, dsn: str) -> None:
    async with db.transaction() as tx:
        await open_book(tx, BOOK, name="test", now=START)
        bank = NewAccount(book=BOOK, id=BANK, subject="1002", currency="CNY", normal="debit")
        wallets = [
            NewAccount(book=BOOK, id=AccountId(2 + n), subject="2001", currency="CNY", limits=DEBITS_WITHIN_CREDITS)
            for n in range(WALLETS)
        ]
        await open_accounts(tx, [bank, *wallets], now=START)
    posters = [
        await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tael.cli.faults_poster", dsn, f"p{number}", str(number),
            stdout=asyncio.subprocess.PIPE,
        )
        for number in range(PROCESSES)
    ]  # fmt: skip
    try:
        acknowledged = await asyncio.gather(*(_some(poster) for poster in posters))
    finally:
        for poster in posters:
            poster.kill()
            await poster.communicate()
    report = await verify(db, BOOK)
    assert report.findings == []
    assert report.postings >= sum(acknowledged) >= PROCESSES * ENOUGH


async def _some(poster: asyncio.subprocess.Process) -> int:
    assert poster.stdout is not None
    for _ in range(ENOUGH):
        assert await poster.stdout.readline()
    return ENOUGH
