"""The two engines behind one interface, so that every test of the ledger's behaviour runs on both."""

import os
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from types import SimpleNamespace

import asyncpg
import pytest

from tael import ledger as package
from tael.base.db import Database
from tael.ledger import BookId, Ledger
from tael.ledger.memory import MemoryLedger

BOOK = BookId(1)
START = datetime(2026, 1, 5, 2, tzinfo=UTC)


def on_postgres(db: Database) -> SimpleNamespace:
    """The package's functions and a `Ledger`, under the names that the in-memory engine gives its methods."""
    ledger = Ledger()
    names = ("open_book", "open_accounts", "balance", "balances", "balance_at", "statement", "holds", "find")
    return SimpleNamespace(
        transaction=db.transaction, post=ledger.post, expire_due=ledger.expire_due, ledger=ledger,
        **{name: getattr(package, name) for name in names},
    )  # fmt: skip


def in_memory() -> SimpleNamespace:
    memory = MemoryLedger()
    names = [name for name in dir(memory) if not name.startswith("_")]
    return SimpleNamespace(**{name: getattr(memory, name) for name in names})


@pytest.fixture(params=["memory", "postgres"])
def bare_engine(request: pytest.FixtureRequest) -> SimpleNamespace:
    """An engine without any book."""
    return in_memory() if request.param == "memory" else on_postgres(request.getfixturevalue("db"))


@pytest.fixture
async def engine(bare_engine: SimpleNamespace) -> SimpleNamespace:
    """An engine with an open, empty book 1."""
    async with bare_engine.transaction() as tx:
        await bare_engine.open_book(tx, BOOK, name="test", now=START)
    return bare_engine


@pytest.fixture(scope="session")
async def shared_db(server_dsn: str, template: str) -> AsyncIterator[Database]:
    """One database for tests that each open a book of their own in it."""
    name = f"tael_ledger_{os.getpid()}"
    connection = await asyncpg.connect(server_dsn)
    await connection.execute(f"create database {name} template {template} strategy file_copy")
    head, _, query = server_dsn.partition("?")
    async with await Database.connect(f"{head.rsplit('/', 1)[0]}/{name}?{query}") as db:
        yield db
    await connection.execute(f"drop database {name} with (force)")
    await connection.close()
