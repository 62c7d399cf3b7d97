"""Where the time comes from: one instant for all processes, whatever their own clocks say.

Only `app.py`, the command line and tests hold a clock; every other function takes `now`. Deadlines follow the
database's clock, so a worker whose clock is three days wrong neither expires a live order nor renews a dead lease.
"""

import time
from datetime import UTC, date, datetime, timedelta
from typing import Protocol
from zoneinfo import ZoneInfo

from tael.base.db import Database

ACCOUNTING_ZONE = ZoneInfo("Asia/Shanghai")


class Clock(Protocol):
    """Answers the present instant, with time zone UTC."""

    def now(self) -> datetime:
        """The present instant."""
        ...


class DatabaseClock:
    """The database's time, carried forward between synchronisations by this machine's monotonic clock."""

    def __init__(self, *, at: datetime) -> None:
        self._at, self._mark = at, time.monotonic()

    @classmethod
    async def synchronised(cls, db: Database) -> "DatabaseClock":
        """A clock that agrees with the database to within one round trip."""
        return cls(at=await _database_time(db))

    async def synchronise(self, db: Database) -> None:
        """Correct the drift of the monotonic clock; the time may step by what has drifted."""
        self._at, self._mark = await _database_time(db), time.monotonic()

    def now(self) -> datetime:
        """The present instant."""
        return self._at + timedelta(seconds=time.monotonic() - self._mark)


class SteppedClock:
    """A clock that stands still until told: for tests and for the demo's movable time."""

    def __init__(self, at: datetime | None = None) -> None:
        self._now = at or datetime(2026, 1, 5, 2, tzinfo=UTC)

    def now(self) -> datetime:
        """The present instant."""
        return self._now

    def advance(self, seconds: int) -> None:
        """Let time pass."""
        self._now += timedelta(seconds=seconds)


def accounting_day(now: datetime) -> date:
    """The calendar day in the accounting zone (Asia/Shanghai) that an instant falls on."""
    return now.astimezone(ACCOUNTING_ZONE).date()


def milliseconds(instant: datetime) -> int:
    """Whole milliseconds since 1970, without passing through a float."""
    return (instant - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)


async def _database_time(db: Database) -> datetime:
    async with db.transaction() as tx:
        now = await tx.fetchval("select clock_timestamp()")
    assert isinstance(now, datetime)
    return now
