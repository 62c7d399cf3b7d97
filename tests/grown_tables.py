"""Rows read by a statement whose plan was made while its tables were empty, once the tables have grown.

A connection keeps the plan of a statement it prepared. On an empty table a scan is as cheap as an index, and whoever
kept such a plan reads the whole table later. So: analyse the empty tables, run, let them grow, run again and count.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from tael.base.db import Database, Tx

Statement = Callable[[Tx], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class Growing:
    """Tables, and how they grow: every statement of `load` takes an instant as $1 and how many rows as $2."""

    tables: Sequence[str]
    load: Sequence[str]
    now: datetime
    rows: int = 5_000

    async def analyse(self, db: Database) -> None:
        """Let the planner know what the tables hold now."""
        async with db.transaction() as tx:
            for table in self.tables:
                await tx.execute(f"analyze {table}")

    async def grow(self, tx: Tx, rows: int = 0) -> None:
        """Fill the tables."""
        for statement in self.load:
            await tx.execute(statement, self.now, rows or self.rows)

    async def read(self, tx: Tx) -> dict[str, int]:
        """Rows or index entries, whichever are more, that this connection has lately read, by table."""
        found = await tx.fetch(
            """select t.relname, greatest(t.seq_tup_read + coalesce(t.idx_tup_fetch, 0), (
                   select sum(pg_stat_get_xact_tuples_returned(i.indexrelid)) from pg_stat_user_indexes i
                   where i.relid = t.relid))::bigint as rows
               from pg_stat_xact_user_tables t where t.relname = any($1)""",
            list(self.tables),
        )
        return {row["relname"]: row["rows"] for row in found}

    async def read_by(self, single: Database, run: Statement) -> int:
        """How many rows or index entries `run` reads now, in all tables."""
        async with single.transaction() as tx:
            before = await self.read(tx)
            await run(tx)
            after = await self.read(tx)
        return sum(after.values()) - sum(before.values())


async def twice(single: Database, run: Statement) -> None:
    """Plan what the first run meets, and what the second meets because of the first."""
    for _ in range(2):
        async with single.transaction() as tx:
            await run(tx)


async def rows_read(
    single: Database, db: Database, run: Statement, growing: Growing,
    *, rehearse: Callable[[Database, Statement], Awaitable[None]] = twice,
) -> int:  # fmt: skip
    """How many rows `run` reads in the grown tables with the plans of its rehearsal on the empty ones.

    `single` is a pool of one connection, which is why its plans stay.
    """
    await growing.analyse(db)
    await rehearse(single, run)
    async with db.transaction() as tx:
        await growing.grow(tx)
    return await growing.read_by(single, run)
