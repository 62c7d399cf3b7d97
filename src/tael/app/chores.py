"""The periodic work of a process, as two lists: what is done, how often, and in which transactions."""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Final

import structlog

from tael import alerts, approvals, routing
from tael.adjustments import expire as expire_adjustments
from tael.alerts import observe_open
from tael.app.parts import Parts
from tael.base.clock import Clock, DatabaseClock
from tael.base.jobs import Job
from tael.callbacks import forget_old as forget_callbacks
from tael.guard import forget_old
from tael.ledger import books, cut_day
from tael.orders import forget_submissions

_log = structlog.get_logger("tael.app")
_WATCH: Final = "watch"


class Chores:
    """What a process does again and again: chores of its own, and jobs that one process does for all."""

    def __init__(self, parts: Parts, clock: Clock) -> None:
        self._parts, self._platform, self._clock = parts, parts.platform, clock

    def own(self) -> list[tuple[int, Callable[[], Awaitable[object]]]]:
        """What every process does for itself: seconds between two runs, and what is run."""
        return [
            (20, lambda: self._platform.ids.renew(self._platform.db)),
            (30, self._synchronise),
            (30, self.refresh_accounts),
            (20, lambda: observe_open(self._platform.db)),
        ]

    def jobs(self) -> list[Job]:
        """What one process does at a time. A new job is a row here."""
        return [
            Job("keep_books", 5, self.keep_books),
            Job("expire_approvals", 20, self.expire_approvals),
            Job("expire_quota", 20, self.expire_quota),
            Job("forget", 20, self.forget),
            Job(_WATCH, 20, self.watch),
        ]

    async def refresh_accounts(self) -> None:
        """Load new and changed merchant accounts and renew the channels' keys; what is unusable is logged."""
        for refusal in await self._platform.accounts.refresh(self._platform.db):
            _log.error("merchant_account.unusable", error=str(refusal))
        for account in self._platform.accounts:
            await self._platform.connector(account).keep_keys(account, now=self._clock.now())

    async def keep_books(self, now: datetime) -> None:
        """Move every book's accounting day on when it is over, and record the expiry of holds whose time is over."""
        async with self._platform.db.transaction() as tx:
            all_books = await books(tx)
        for book in all_books:
            async with self._platform.db.transaction() as tx:
                await cut_day(tx, book, now=now)
                await self._platform.ledger.expire_due(tx, book, now=now)

    async def expire_approvals(self, now: datetime) -> None:
        """End approvals that nobody decided in time, with what waited for them."""
        async with self._platform.db.transaction() as tx:
            ended = await approvals.expire_due(tx, now=now, limit=500)
            await expire_adjustments(tx, ended, ids=self._platform.ids, now=now)
            await self._parts.decisions.expire(tx, ended)

    async def expire_quota(self, now: datetime) -> None:
        """Give back quota that was reserved and never used."""
        async with self._platform.db.transaction() as tx:
            await routing.expire_unused(tx, now=now)

    async def forget(self, now: datetime) -> None:
        """Delete what is kept for a time only, a bounded batch of each kind."""
        async with self._platform.db.transaction() as tx:
            await forget_old(tx, now=now)
            await forget_submissions(tx, now=now)
            await forget_callbacks(tx, now=now)

    async def watch(self, now: datetime) -> None:
        """Look for dead letters, for events set aside, and for jobs in trouble."""
        names = {job.name for job in self.jobs()}
        async with self._platform.db.transaction() as tx:
            await alerts.watch(tx, names, me=_WATCH, ids=self._platform.ids, now=now)

    async def _synchronise(self) -> None:
        if isinstance(self._clock, DatabaseClock):
            await self._clock.synchronise(self._platform.db)
