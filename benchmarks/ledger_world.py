"""A fresh server with an open book of wallets, and pgbench on that same server: what the ledger's benchmarks share."""

import asyncio
import gc
import re
import subprocess
import tempfile
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from tael.base.db import Database
from tael.base.embedded import Server, embedded
from tael.base.migrate import migrate
from tael.ledger import AccountId, BookId, NewAccount, open_accounts, open_book

BOOK = BookId(1)
WALLETS = 10_000


@dataclass(frozen=True, slots=True)
class World:
    """A running server, a pool on it, and the accounts of the book."""

    server: Server
    db: Database
    accounts: list[AccountId]


@asynccontextmanager
async def world(*, wallets: int = WALLETS) -> AsyncGenerator[World]:
    """Start the server with Tael's own settings, migrate, open `wallets` accounts without limits in book 1."""
    with tempfile.TemporaryDirectory(prefix="tael-bench-") as folder:
        Path(folder).chmod(0o711)
        with embedded(Path(folder) / "home", settings={"min_wal_size": "'2GB'"}) as server:
            async with await Database.connect(server.dsn) as db:
                await migrate(db)
                accounts = await _open(db, wallets)
                await _recycle_log_files(db)
                # The workers do the same after start: SPEED.md measured what the collector's pauses cost.
                gc.collect()
                gc.freeze()
                gc.set_threshold(100_000, 50, 1_000)
                yield World(server, db, accounts)


async def _open(db: Database, wallets: int) -> list[AccountId]:
    now = datetime.now(UTC)
    accounts = [AccountId(number) for number in range(1, wallets + 1)]
    async with db.transaction() as tx:
        await open_book(tx, BOOK, name="bench", now=now)
        opened = [NewAccount(book=BOOK, id=account, subject="2001", currency="CNY") for account in accounts]
        for start in range(0, wallets, 1_000):
            await open_accounts(tx, opened[start : start + 1_000], now=now)
    return accounts


async def _recycle_log_files(db: Database) -> None:
    """Write a gigabyte of log and checkpoint: a server that has run for an hour overwrites old log files, a new one
    has to create each (50 ms of waiting, for us and for pgbench alike)."""
    async with db.transaction() as tx:
        await tx.execute("set local statement_timeout = 0")
        await tx.execute("create table filler as select repeat(md5(n::text), 30) from generate_series(1, 1000000) n")
        await tx.execute("drop table filler")
    async with db.transaction() as tx:
        await tx.execute("set local statement_timeout = 0")
        await tx.execute("checkpoint")


async def pgbench(server: Server, *, clients: int, seconds: int) -> float:
    """Transactions per second of pgbench's tpcb-like script with prepared statements."""
    output = await _pgbench(server, "-M", "prepared", "-c", str(clients), "-j", "2", "-T", str(seconds), "-n")
    found = re.search(r"tps = ([\d.]+)", output)
    assert found is not None, output
    return float(found[1])


async def pgbench_tables(server: Server, *, scale: int = 50) -> None:
    """Create and fill pgbench's tables; `scale` branches, so that 32 clients do not queue for one row."""
    await _pgbench(server, "-i", "-q", "-s", str(scale))


async def _pgbench(server: Server, *arguments: str) -> str:
    command = [str(server.bin / "pgbench"), *arguments, server.dsn]
    done = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, check=True)
    return done.stdout
