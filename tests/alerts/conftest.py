"""Alerts of a company whose things get lost."""

from collections.abc import Awaitable, Callable

import pytest

from tael.alerts import Alert, AlertKind, StoredAlert, page, raise_alert
from tael.base.clock import SteppedClock
from tael.base.db import Database
from tael.base.ids import Ids

BOOK = 1
LOST = AlertKind("thing_lost", "critical", en="{count} of {subject} lost.", zh="{subject} 丢失 {count} 件。")
LATE = AlertKind("thing_late", "warning", en="{subject} is late.", zh="{subject} 迟到。")

Raise = Callable[..., Awaitable[None]]
Shown = Callable[..., Awaitable[list[StoredAlert]]]


@pytest.fixture
def clock() -> SteppedClock:
    return SteppedClock()


@pytest.fixture
async def ids(db: Database, clock: SteppedClock) -> Ids:
    return await Ids.lease(db, clock.now)


def lost(subject: str = "T-1", count: int = 1, book: int = BOOK) -> Alert:
    return Alert(book, LOST, subject, {"count": count})


@pytest.fixture
def raised(db: Database, ids: Ids, clock: SteppedClock) -> Raise:
    """Raise alerts in a transaction of their own."""

    async def some(*alerts: Alert) -> None:
        async with db.transaction() as tx:
            await raise_alert(tx, alerts, ids=ids, now=clock.now())

    return some


@pytest.fixture
def shown(db: Database) -> Shown:
    """A page of a book."""

    async def some(book: int = BOOK, limit: int = 99, **more: object) -> list[StoredAlert]:
        async with db.transaction() as tx:
            return await page(tx, book=book, limit=limit, **more)

    return some
