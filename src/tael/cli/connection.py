"""The database that a command works on: TAEL_DATABASE_URL, or the embedded one in TAEL_HOME."""

from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import asynccontextmanager, contextmanager
from datetime import datetime

from tael.base.clock import DatabaseClock
from tael.base.db import Database, Tx
from tael.base.embedded import embedded
from tael.base.ids import Ids
from tael.base.settings import Settings


@contextmanager
def database_url(settings: Settings) -> Generator[str]:
    """The configured database, or the embedded server for as long as the block lasts."""
    if settings.database_url:
        yield settings.database_url
    else:
        with embedded(settings.home) as server:
            yield server.dsn


@asynccontextmanager
async def connect() -> AsyncGenerator[Database]:
    """A pool on the database that the settings name."""
    with database_url(Settings()) as dsn:
        async with await Database.connect(dsn, min_size=1, max_size=4) as db:
            yield db


@asynccontextmanager
async def transaction() -> AsyncGenerator[tuple[Tx, datetime]]:
    """One transaction on that database, and the database's time."""
    async with connect() as db:
        now = (await DatabaseClock.synchronised(db)).now()
        async with db.transaction() as tx:
            yield tx, now


@asynccontextmanager
async def leased_ids(db: Database, now: Callable[[], datetime]) -> AsyncGenerator[Ids]:
    """Ids for one command; the node number is given back at the end. Raises `NoFreeNode`."""
    ids = await Ids.lease(db, now)
    try:
        yield ids
    finally:
        await ids.release(db)
