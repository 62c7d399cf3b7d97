"""Who acts, and in which book: what the API key in TAEL_API_KEY says, as at the API."""

import os
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime

from tael.app import master_key
from tael.base.clock import DatabaseClock
from tael.base.db import Database
from tael.base.settings import Settings
from tael.cli.connection import connect
from tael.guard import Caller, KeyRing


@dataclass(frozen=True, slots=True)
class Acting:
    """Somebody at work: who it is, on which database, and the database's time."""

    caller: Caller
    db: Database
    settings: Settings
    now: Callable[[], datetime]


@asynccontextmanager
async def acting(scope: str) -> AsyncGenerator[Acting]:
    """Whoever holds the key, allowed `scope`. Raises `InvalidApiKey` or `InsufficientScope`."""
    settings = Settings()
    async with connect() as db:
        clock = await DatabaseClock.synchronised(db)
        ring = KeyRing(db, pepper=master_key(settings), mode=settings.mode, now=clock.now)
        caller = await ring.authenticate(f"Bearer {os.environ.get('TAEL_API_KEY', '')}")
        caller.require(scope)
        yield Acting(caller, db, settings, clock.now)
