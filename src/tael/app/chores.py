"""The periodic work of a process, as one list: what is done, how often, and in which transactions."""

from collections.abc import Awaitable, Callable

import structlog

from tael import approvals, routing
from tael.adjustments import expire as expire_adjustments
from tael.app.parts import Parts
from tael.base.clock import Clock, DatabaseClock
from tael.callbacks import forget_old as forget_callbacks
from tael.guard import forget_old
from tael.ledger import books, cut_day
from tael.orders import forget_submissions

_log = structlog.get_logger("tael.app")


class Chores:
    """The chores of one process."""

    def __init__(self, parts: Parts, clock: Clock) -> None:
        self._parts, self._platform, self._clock = parts, parts.platform, clock

    def all(self) -> list[tuple[int, Callable[[], Awaitable[object]]]]:
        """Seconds between two runs, and what is run."""
        return [
            (20, lambda: self._platform.ids.renew(self._platform.db)),
            (30, self._synchronise),
            (30, self.refresh_accounts),
            (20, self.forget),
            (5, self.keep_books),
            (20, self.expire),
        ]

    async def refresh_accounts(self) -> None:
        """Load new and changed merchant accounts and renew the channels' keys; what is unusable is logged."""
        for refusal in await self._platform.accounts.refresh(self._platform.db):
            _log.error("merchant_account.unusable", error=str(refusal))
        for account in self._platform.accounts:
            await self._platform.connector(account).keep_keys(account, now=self._clock.now())

    async def keep_books(self) -> None:
        """Move every book's accounting day on when it is over, and record the expiry of holds whose time is over."""
        async with self._platform.db.transaction() as tx:
            all_books = await books(tx)
        for book in all_books:
            async with self._platform.db.transaction() as tx:
                await cut_day(tx, book, now=self._clock.now())
                await self._platform.ledger.expire_due(tx, book, now=self._clock.now())

    async def expire(self) -> None:
        """End approvals that nobody decided in time, with what waited for them, and quota that nobody used."""
        now, ids = self._clock.now(), self._platform.ids
        async with self._platform.db.transaction() as tx:
            ended = await approvals.expire_due(tx, now=now, limit=500)
            await expire_adjustments(tx, ended, ids=ids, now=now)
            await self._parts.decisions.expire(tx, ended)
        async with self._platform.db.transaction() as tx:
            await routing.expire_unused(tx, now=now)

    async def forget(self) -> None:
        """Delete what is kept for a time only, a bounded batch of each kind."""
        async with self._platform.db.transaction() as tx:
            await forget_old(tx, now=self._clock.now())
            await forget_submissions(tx, now=self._clock.now())
            await forget_callbacks(tx, now=self._clock.now())

    async def _synchronise(self) -> None:
        if isinstance(self._clock, DatabaseClock):
            await self._clock.synchronise(self._platform.db)
