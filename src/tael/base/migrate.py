"""Schema migrations: numbered SQL files, applied in order, once, each in its own transaction.

A file that was applied may not change any more: its checksum is kept and compared. One migrator at a time holds an
advisory lock, so any number of processes may start together.
"""

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import resources

from tael.base.db import Database, Tx
from tael.base.errors import TaelError

_LOCK = 7_305_401  # one number for "tael migrates", shared by every version
_BOOKKEEPING = """
    create table if not exists schema_migration (
        number int primary key, name text not null, sha256 text not null, applied_at timestamptz not null default now())
"""


class MigrationChanged(TaelError):
    """A migration that was already applied differs from the shipped file, or is missing from it.
    zh: 已执行的迁移与随附文件不一致，或随附文件中缺失。
    """

    status = 500


@dataclass(frozen=True, slots=True)
class Migration:
    """One file `NNNN_name.sql`."""

    number: int
    name: str
    sql: str

    @property
    def sha256(self) -> str:
        """Checksum of the file's text, hexadecimal."""
        return hashlib.sha256(self.sql.encode()).hexdigest()


def shipped() -> list[Migration]:
    """The migrations of this version in order; numbers are 1, 2, 3 ... without gaps."""
    found = sorted(_read(), key=lambda migration: migration.number)
    assert [migration.number for migration in found] == list(range(1, len(found) + 1)), "gap in migration numbers"
    return found


async def migrate(db: Database, *, migrations: list[Migration] | None = None) -> list[Migration]:
    """Bring the schema up to date; answers what was applied now. Raises `MigrationChanged`."""
    wanted = shipped() if migrations is None else migrations
    async with db.transaction() as tx:
        await tx.execute("select pg_advisory_xact_lock($1)", _LOCK)
        await tx.execute(_BOOKKEEPING)
    applied: list[Migration] = []
    for migration in wanted:
        async with db.transaction() as tx:
            await tx.execute("set local lock_timeout = '120s'; set local statement_timeout = 0")
            await tx.execute("select pg_advisory_xact_lock($1)", _LOCK)
            if await _is_new(tx, migration):
                await tx.execute(migration.sql)
                await tx.execute(
                    "insert into schema_migration (number, name, sha256) values ($1, $2, $3)",
                    migration.number, migration.name, migration.sha256,
                )  # fmt: skip
                applied.append(migration)
    return applied


async def pending(db: Database) -> list[Migration]:
    """What `migrate` would apply; raises `MigrationChanged` like it."""
    async with db.transaction() as tx:
        if await tx.fetchval("select to_regclass('schema_migration')") is None:
            return shipped()
        return [migration for migration in shipped() if await _is_new(tx, migration)]


async def _is_new(tx: Tx, migration: Migration) -> bool:
    known = await tx.fetchval("select sha256 from schema_migration where number = $1", migration.number)
    if known is not None and known != migration.sha256:
        raise MigrationChanged(f"{migration.number:04d}_{migration.name}")
    return known is None


def _read() -> Iterator[Migration]:
    for file in resources.files("tael").joinpath("migrations").iterdir():
        if matched := re.fullmatch(r"(\d{4})_(\w+)\.sql", file.name):
            yield Migration(int(matched[1]), matched[2], file.read_text("utf-8"))
