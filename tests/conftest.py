"""One embedded PostgreSQL per test run (or TAEL_TEST_DATABASE_URL), one fresh database per test that asks for one."""

import os
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import asyncpg
import pytest

from shop import Shop, open_shop
from tael.base.db import Database
from tael.base.embedded import Server, embedded
from tael.base.migrate import migrate


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """The embedded server of this run."""
    with tempfile.TemporaryDirectory(prefix="tael-test-") as folder:
        Path(folder).chmod(0o711)
        settings = {
            "shared_buffers": "'128MB'", "max_wal_size": "'2GB'", "max_connections": "200",
            # A killed server loses nothing by this, only a machine without power would; and databases are copied fast.
            "fsync": "off", "full_page_writes": "off",
        }  # fmt: skip
        with embedded(Path(folder) / "home", settings=settings) as running:
            yield running


@pytest.fixture(scope="session")
def server_dsn(request: pytest.FixtureRequest) -> str:
    """A superuser's DSN of the server under test."""
    return os.environ.get("TAEL_TEST_DATABASE_URL") or request.getfixturevalue("server").dsn


@pytest.fixture(scope="session")
async def template(server_dsn: str) -> str:
    """A migrated database that every test's database is copied from."""
    name = f"tael_template_{os.getpid()}"
    await _admin(server_dsn, f"create database {name}")
    async with await Database.connect(_with_database(server_dsn, name), min_size=1, max_size=1) as db:
        await migrate(db)
    return name


@pytest.fixture
async def dsn(server_dsn: str, template: str, request: pytest.FixtureRequest) -> AsyncIterator[str]:
    """DSN of an own, migrated, empty database; dropped afterwards."""
    name = f"tael_test_{os.getpid()}_{abs(hash(request.node.nodeid)) % 10**9}"
    await _admin(server_dsn, f"create database {name} template {template} strategy file_copy")
    yield _with_database(server_dsn, name)
    await _admin(server_dsn, f"drop database {name} with (force)")


@pytest.fixture
async def db(dsn: str) -> AsyncIterator[Database]:
    """A pool on this test's own database."""
    async with await Database.connect(dsn) as database:
        yield database


@pytest.fixture
async def single(dsn: str) -> AsyncIterator[Database]:
    """A pool of one connection on this test's own database: every statement meets the plan it made first."""
    async with await Database.connect(dsn, min_size=1, max_size=1) as database:
        yield database


@pytest.fixture
async def shop(dsn: str, tmp_path: Path) -> AsyncIterator[Shop]:
    """A shop with one merchant account, one API key with all scopes, and a receiver for callbacks."""
    async with open_shop(dsn, tmp_path) as opened:
        yield opened


async def _admin(dsn: str, sql: str) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(sql)
    finally:
        await connection.close()


def _with_database(dsn: str, name: str) -> str:
    head, _, query = dsn.partition("?")
    return f"{head.rsplit('/', 1)[0]}/{name}" + (f"?{query}" if query else "")
