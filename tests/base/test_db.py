"""Transactions: all or nothing, honest about what is unknown, and never waiting for ever."""

import asyncio

import pytest

from tael.base.db import Database, DatabaseUnavailable, OutcomeUnknown, UniqueViolation


@pytest.fixture
async def table(db: Database) -> str:
    """A table with one column that is unique at commit."""
    async with db.transaction() as tx:
        await tx.execute("create table kept (n int unique deferrable initially deferred)")
    return "kept"


async def rows(db: Database) -> int:
    async with db.transaction() as tx:
        found = await tx.fetchval("select count(*) from kept")
    assert isinstance(found, int)
    return found


async def test_returning_commits_and_raising_rolls_back(db: Database, table: str) -> None:
    async with db.transaction() as tx:
        await tx.execute("insert into kept values (1)")
    with pytest.raises(ZeroDivisionError):  # noqa: PT012
        async with db.transaction() as tx:
            await tx.execute("insert into kept values (2)")
            raise ZeroDivisionError
    assert await rows(db) == 1


async def test_what_waits_for_the_commit_runs_after_it_and_only_then(db: Database, table: str) -> None:
    heard: list[str] = []
    async with db.transaction() as tx:
        tx.on_commit(lambda: heard.append("committed"))
        assert heard == []
    with pytest.raises(ZeroDivisionError):  # noqa: PT012
        async with db.transaction() as tx:
            tx.on_commit(lambda: heard.append("rolled back"))
            raise ZeroDivisionError
    assert heard == ["committed"]


async def test_a_refusal_at_commit_is_not_a_commit(db: Database, table: str) -> None:
    heard: list[str] = []
    with pytest.raises(UniqueViolation):  # noqa: PT012
        async with db.transaction() as tx:
            tx.on_commit(lambda: heard.append("committed"))
            await tx.execute("insert into kept values (1), (1)")
    assert (heard, await rows(db)) == ([], 0)


async def test_a_backend_that_dies_before_the_commit_changed_nothing(db: Database, table: str) -> None:
    with pytest.raises(DatabaseUnavailable):  # noqa: PT012
        async with db.transaction() as tx:
            await tx.execute("insert into kept values (1)")
            await _kill(db, await tx.fetchval("select pg_backend_pid()"))
            await tx.execute("insert into kept values (2)")
    assert await rows(db) == 0, "and the pool has replaced the connection"


async def test_a_backend_that_dies_at_the_commit_leaves_the_outcome_unknown(db: Database, table: str) -> None:
    with pytest.raises(OutcomeUnknown):  # noqa: PT012
        async with db.transaction() as tx:
            await tx.execute("insert into kept values (1)")
            await _kill(db, await tx.fetchval("select pg_backend_pid()"))
    assert await rows(db) in {0, 1}


async def test_a_lock_somebody_holds_is_an_unavailable_database_not_a_hang(db: Database, table: str) -> None:
    async with db.transaction() as holder:
        await holder.execute("lock table kept in access exclusive mode")
        with pytest.raises(DatabaseUnavailable):  # noqa: PT012
            async with db.transaction() as tx:
                await tx.execute("set local lock_timeout = '50ms'")
                await tx.execute("insert into kept values (1)")


async def test_a_deadlock_ends_with_one_of_two_told_to_try_again(db: Database, table: str) -> None:
    both = asyncio.Barrier(2)

    async def take(first: int, second: int) -> str:
        try:
            async with db.transaction() as tx:
                await tx.execute("set local deadlock_timeout = '20ms'")
                await tx.execute("select pg_advisory_xact_lock($1)", first)
                await both.wait()
                await tx.execute("select pg_advisory_xact_lock($1)", second)
        except DatabaseUnavailable:
            return "again"
        return "done"

    assert sorted(await asyncio.gather(take(1, 2), take(2, 1))) == ["again", "done"]


async def test_no_server_is_an_unavailable_database() -> None:
    with pytest.raises(DatabaseUnavailable):
        await Database.connect("postgresql://tael@127.0.0.1:1/none")


async def test_a_report_reads_one_instant_and_writes_nothing(db: Database, table: str) -> None:
    async with db.report() as report:
        before = await report.fetchval("select count(*) from kept")
        async with db.transaction() as tx:
            await tx.execute("insert into kept values (1)")
        assert await report.fetchval("select count(*) from kept") == before == 0
    with pytest.raises(DatabaseUnavailable):
        async with db.report() as report:
            await report.execute("insert into kept values (2)")
    assert await rows(db) == 1


async def _kill(db: Database, pid: object) -> None:
    async with db.transaction() as tx:
        assert await tx.fetchval("select pg_terminate_backend($1, 5000)", pid)
