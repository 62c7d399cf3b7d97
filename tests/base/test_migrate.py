"""Migrations: in order, once, unchangeable, and by one migrator at a time."""

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest

from tael.base.db import Database
from tael.base.migrate import Migration, MigrationChanged, migrate, pending, shipped

ONE = Migration(1, "one", "create table one (n int)")
TWO = Migration(2, "two", "insert into one values (1); create table two (n int)")
BROKEN = Migration(3, "broken", "create table three (n int); insert into nowhere values (1)")


@pytest.fixture
async def empty(server_dsn: str, request: pytest.FixtureRequest) -> AsyncIterator[Database]:
    """An empty database."""
    name = f"tael_empty_{abs(hash(request.node.nodeid)) % 10**9}"
    admin = await asyncpg.connect(server_dsn)
    await admin.execute(f"create database {name}")
    head, _, query = server_dsn.partition("?")
    dsn = f"{head.rsplit('/', 1)[0]}/{name}" + (f"?{query}" if query else "")
    async with await Database.connect(dsn) as db:
        yield db
    await admin.execute(f"drop database {name} with (force)")
    await admin.close()


async def test_in_order_and_once(empty: Database) -> None:
    assert await migrate(empty, migrations=[ONE, TWO]) == [ONE, TWO]
    assert await migrate(empty, migrations=[ONE, TWO]) == []
    assert await _value(empty, "select count(*) from one") == 1


async def test_what_came_later_is_added(empty: Database) -> None:
    await migrate(empty, migrations=[ONE])
    assert await migrate(empty, migrations=[ONE, TWO]) == [TWO]


async def test_a_file_that_was_applied_may_not_change(empty: Database) -> None:
    await migrate(empty, migrations=[ONE])
    changed = Migration(1, "one", ONE.sql + " ")
    with pytest.raises(MigrationChanged):
        await migrate(empty, migrations=[changed, TWO])
    assert await _value(empty, "select to_regclass('two')") is None


async def test_a_broken_file_leaves_nothing_behind(empty: Database) -> None:
    with pytest.raises(asyncpg.UndefinedTableError):
        await migrate(empty, migrations=[ONE, TWO, BROKEN])
    assert await _value(empty, "select to_regclass('three')") is None
    assert await _value(empty, "select max(number) from schema_migration") == 2
    mended = Migration(3, "broken", "create table three (n int)")
    assert await migrate(empty, migrations=[ONE, TWO, mended]) == [mended]


async def test_five_migrators_at_once_do_the_work_once(empty: Database) -> None:
    done = await asyncio.gather(*(migrate(empty, migrations=[ONE, TWO]) for _ in range(5)))
    assert sorted(migration.number for some in done for migration in some) == [1, 2]
    assert await _value(empty, "select count(*) from one") == 1


async def test_what_is_shipped_brings_an_empty_database_up_to_date(empty: Database) -> None:
    assert await pending(empty) == shipped()
    assert await migrate(empty) == shipped()
    assert await pending(empty) == []


async def test_a_database_of_a_newer_version_is_not_touched(empty: Database) -> None:
    """An old program meets a newer schema: it knows all of its own files, so it may run, and it applies nothing."""
    await migrate(empty, migrations=[ONE, TWO])
    assert await migrate(empty, migrations=[ONE]) == []


def test_numbers_have_no_gaps_and_names_say_something() -> None:
    found = shipped()
    assert [migration.number for migration in found] == list(range(1, len(found) + 1))
    assert all(migration.name.isidentifier() for migration in found)


async def _value(db: Database, sql: str) -> object:
    async with db.transaction() as tx:
        return await tx.fetchval(sql)
