"""The database that a command works on: TAEL_DATABASE_URL, or the embedded one in TAEL_HOME."""

from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager

from tael.base.db import Database
from tael.base.embedded import embedded
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
