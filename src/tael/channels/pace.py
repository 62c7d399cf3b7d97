"""How fast a channel is called, by all processes together, and whether it is called at all.

    caller -> place in the row (one statement for all who ask at once) -> its turn -> call -> report
           -> no place within two seconds, or the breaker is open: nothing is sent, the caller may ask again later

The row of places is kept in PostgreSQL per merchant account and operation (`channel_pace`), so any number of processes
keep one limit. Places are given in the order of asking. A channel that answers "too many" is called half as fast, and
faster again as time passes. When most of the last calls found nobody there, the breaker opens for some seconds; then
one call tries. Neither ever says anything about money: what was not sent is not declined.
"""

import asyncio
import time
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

import structlog
from prometheus_client import Counter as Metric

from tael.base.batch import Batcher
from tael.base.db import Database
from tael.base.errors import TaelError
from tael.channels.contract import ErrorKind, MerchantAccount, Operation
from tael.channels.throttle import MAX_WAIT_S, Throttle

_SECOND = 1_000_000_000
_STALE = _SECOND // 50
"""A place that was taken ahead and not used for so long is lost: saved-up places would make a burst."""
_WATCHED = 20
"""The breaker judges by so many of the last calls: it opens when half of them found nobody there."""

_log = structlog.get_logger("tael.channels")
_PACED = Metric("tael_channel_paced", "Calls that were not sent to keep the pace", ["channel", "operation", "why"])


class Refusal(StrEnum):
    """Why a call may not be made now."""

    THROTTLED = "throttled"
    BREAKER_OPEN = "breaker_open"


class Pace(Protocol):
    """Who may call when."""

    async def enter(self, account: MerchantAccount, operation: Operation, rate: int) -> Refusal | None:
        """Wait for a turn among `rate` calls a second; answers why there is none."""
        ...

    async def report(
        self, account: MerchantAccount, operation: Operation, rate: int, *, kind: ErrorKind | None, status: int | None
    ) -> None:
        """Learn from how a call ended: why it did not succeed, and the HTTP status; None when no reply came."""
        ...


class LocalPace:
    """The pace of one process alone, for commands that make a few calls and end."""

    def __init__(self) -> None:
        self._throttles: dict[tuple[int, int, Operation], tuple[int, Throttle]] = {}

    async def enter(self, account: MerchantAccount, operation: Operation, rate: int) -> Refusal | None:
        """See `Pace`."""
        key = (account.book, account.id, operation)
        known = self._throttles.get(key)
        if known is None or known[0] != rate:
            known = self._throttles[key] = (rate, Throttle(rate))
        return None if await known[1].enter() else Refusal.THROTTLED

    async def report(
        self, account: MerchantAccount, operation: Operation, rate: int, *, kind: ErrorKind | None, status: int | None
    ) -> None:
        """Nothing to learn."""


@dataclass(frozen=True, slots=True)
class _Key:
    book: int
    account: int
    operation: Operation
    rate: int


@dataclass(slots=True)
class _Row:
    """What this process knows about one row: places taken ahead, when it last called, how its last calls ended."""

    ahead: deque[int] = field(default_factory=deque[int])
    door: asyncio.Lock = field(default_factory=asyncio.Lock)
    free_at: int = 0
    spacing: int = 0
    crowded: bool = False
    unavailable: deque[bool] = field(default_factory=lambda: deque[bool](maxlen=_WATCHED))
    tripped: bool = False


class SharedPace:
    """The pace that all processes on one database keep together. One per process."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._rows: dict[tuple[int, int, Operation], _Row] = {}
        self._asking: Batcher[_Key, int | Refusal] = Batcher(self._take, lanes=1, max_wait_ms=MAX_WAIT_S * 1000)

    async def enter(self, account: MerchantAccount, operation: Operation, rate: int) -> Refusal | None:
        """See `Pace`. A database that cannot be asked gives no place."""
        row = self._row(account.book, account.id, operation)
        place = _from_ahead(row)
        if place is None:
            try:
                place = await self._asking.submit(_Key(account.book, account.id, operation, rate))
            except TaelError:
                place = Refusal.THROTTLED
        if isinstance(place, Refusal):
            _PACED.labels(account.channel, operation, place).inc()
            return place
        await _sleep_until(place)
        async with row.door:
            # A process that was held up must not make good for it in a burst: its calls leave one by one and keep
            # their distance, counted from when the one before really left.
            await _sleep_until(row.free_at)
            row.free_at = time.monotonic_ns() + row.spacing
        return None

    async def report(
        self, account: MerchantAccount, operation: Operation, rate: int, *, kind: ErrorKind | None, status: int | None
    ) -> None:
        """See `Pace`."""
        row = self._row(account.book, account.id, operation)
        key = (account.book, account.id, operation)
        if kind is ErrorKind.RATE_LIMITED:
            _log.warning("channel.slowed_down", channel=account.channel, account=account.id, operation=operation.value)
            row.ahead.clear()
            await self._do("select slow_down($1, $2, $3, $4)", *key, rate)
        nobody_there = status is None or status >= 500
        row.unavailable.append(nobody_there)
        if nobody_there:
            if row.tripped or (len(row.unavailable) == _WATCHED and sum(row.unavailable) * 2 >= _WATCHED):
                _log.error(
                    "channel.breaker_open", channel=account.channel, account=account.id, operation=operation.value
                )
                row.unavailable.clear()
                row.ahead.clear()
                row.tripped = True
                await self._do("select open_breaker($1, $2, $3)", *key)
        elif row.tripped:
            row.tripped = False
            await self._do("select close_breaker($1, $2, $3)", *key)

    def _row(self, book: int, account: int, operation: Operation) -> _Row:
        key = (book, account, operation)
        row = self._rows.get(key)
        if row is None:
            row = self._rows[key] = _Row()
        return row

    async def _take(self, keys: Sequence[_Key]) -> list[int | Refusal]:
        """Places for everyone who asks: monotonic nanoseconds of the turn, in the order of asking."""
        wanted = Counter(keys)
        asked = sorted(wanted, key=lambda key: (key.book, key.account, key.operation))
        ahead = [0 if self._of(key).crowded else min(wanted[key] * 2, key.rate // 50) for key in asked]
        async with self._db.transaction() as tx:
            rows = await tx.fetch(
                """select t.* from (select * from unnest($1::bigint[], $2::bigint[], $3::text[], $4::int[], $5::int[])
                       with ordinality as a(book, account, operation, places, rate, place) order by place) as a
                   cross join lateral take_places(a.book, a.account, a.operation, a.places, a.rate, $6) as t
                   order by a.place""",
                [key.book for key in asked], [key.account for key in asked], [key.operation for key in asked],
                [wanted[key] + more for key, more in zip(asked, ahead, strict=True)], [key.rate for key in asked],
                MAX_WAIT_S * 1_000_000,
            )  # fmt: skip
        heard = time.monotonic_ns()
        places: dict[_Key, deque[int] | Refusal] = {}
        for key, record in zip(asked, rows, strict=True):
            row, spacing = self._of(key), record["spacing_us"] * 1000
            first = heard + record["wait_us"] * 1000
            row.spacing, row.crowded = spacing, record["wait_us"] > 0
            if record["is_open"]:
                row.tripped = True
                places[key] = Refusal.BREAKER_OPEN
            else:
                places[key] = deque(first + index * spacing for index in range(record["granted"]))
        answers = [_next(places[key]) for key in keys]
        for key, left in places.items():
            if isinstance(left, deque):
                self._of(key).ahead.extend(left)
        return answers

    def _of(self, key: _Key) -> _Row:
        return self._row(key.book, key.account, key.operation)

    async def _do(self, sql: str, *args: object) -> None:
        try:
            async with self._db.transaction() as tx:
                await tx.execute(sql, *args)
        except TaelError as problem:  # the pace is a courtesy; what it learned is lost, and learned again
            _log.warning("channel.pace_not_kept", error=str(problem))


def _next(places: deque[int] | Refusal) -> int | Refusal:
    if isinstance(places, Refusal):
        return places
    return places.popleft() if places else Refusal.THROTTLED


def _from_ahead(row: _Row) -> int | None:
    """A place that this process took ahead, if one is still fresh."""
    now = time.monotonic_ns()
    while row.ahead:
        place = row.ahead.popleft()
        if place >= now - _STALE:
            return place
    return None


async def _sleep_until(at: int) -> None:
    wait = at - time.monotonic_ns()
    if wait > 0:
        await asyncio.sleep(wait / _SECOND)
