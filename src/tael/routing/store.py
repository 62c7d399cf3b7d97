"""Rows and statements of routes, holds and quota windows; private to this package. Every statement works on a list.

Rows are found by `column = any(array)`, an index probe per element whatever the planner believes about the table.
Quota windows are locked in the order of their key by every statement that changes them, so that no two transactions
wait for each other in a circle.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Literal, NamedTuple, TypeAlias

from tael.base.db import Record, Tx

Operation: TypeAlias = Literal["payout", "payment"]
RouteState: TypeAlias = Literal["active", "paused"]
HoldState: TypeAlias = Literal["held", "used", "released", "expired", "returned"]
Period: TypeAlias = Literal["day", "month"]
Key: TypeAlias = tuple[int, str]
"""A book and an attempt's number."""

MOST = 2**62 - 1
"""The most that a window without a limit takes, in minor units: sums of two never leave the database's integers."""


@dataclass(frozen=True, slots=True)
class Route:
    """A merchant account in the choice for an operation. Lower priority goes first; amounts are minor units.

    A limit of None is no limit. `label` and `channel` are the merchant account's own, for people and for callers.
    """

    book: int
    operation: Operation
    merchant_account: int
    currency: str
    channel: str
    label: str
    priority: int
    state: RouteState = "active"
    cooling_until: datetime | None = None
    single_min: int | None = None
    single_max: int | None = None
    daily_limit: int | None = None
    monthly_limit: int | None = None
    payee_daily_limit: int | None = None
    payee_daily_count: int | None = None
    payee_monthly_limit: int | None = None


@dataclass(frozen=True, slots=True)
class Hold:
    """The quota that the attempt `number` takes; `day` and `month` name the windows it counts in, whenever it ends."""

    book: int
    number: str
    merchant_account: int
    channel: str
    operation: Operation
    currency: str
    payee: str | None
    amount: int
    day: date
    month: date
    state: HoldState
    bound: bool
    expires_at: datetime | None


class WindowKey(NamedTuple):
    """Whose quota in which period: a merchant account's, or with a payee what that payee gets from it."""

    book: int
    merchant_account: int
    operation: Operation
    currency: str
    period: Period
    starts: date
    payee: str


@dataclass(frozen=True, slots=True)
class Window:
    """What is used and held of a quota, and its limits (None: no limit)."""

    key: WindowKey
    used_amount: int = 0
    held_amount: int = 0
    used_count: int = 0
    held_count: int = 0
    amount_limit: int | None = None
    count_limit: int | None = None

    @property
    def remaining(self) -> int | None:
        """Minor units left; None without a limit."""
        if self.amount_limit is None:
            return None
        return max(self.amount_limit - self.used_amount - self.held_amount, 0)


class Change(NamedTuple):
    """What is added to a window; negative to take away."""

    used_amount: int = 0
    held_amount: int = 0
    used_count: int = 0
    held_count: int = 0


async def routes_of(tx: Tx, operations: Iterable[tuple[int, Operation]]) -> list[Route]:
    """The routes of (book, operation), in the order of choice."""
    asked = set(operations)
    rows = await tx.fetch(
        """select * from route where book = any($1::bigint[]) and operation = any($2::text[])
           order by book, operation, priority, merchant_account, currency""",
        list({book for book, _ in asked}), list({operation for _, operation in asked}),
    )  # fmt: skip
    return [route for row in rows if ((route := read_route(row)).book, route.operation) in asked]


async def put_route(tx: Tx, route: Route, *, now: datetime) -> Route:
    """Insert a route or replace all its settings; its cooling stays. Answers what is stored."""
    row = await tx.fetchrow(
        """insert into route as r (book, operation, merchant_account, currency, channel, label, priority, state,
               single_min, single_max, daily_limit, monthly_limit, payee_daily_limit, payee_daily_count,
               payee_monthly_limit, created_at, changed_at)
           values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $16)
           on conflict (book, operation, merchant_account, currency) do update set channel = excluded.channel,
               label = excluded.label, priority = excluded.priority, state = excluded.state,
               single_min = excluded.single_min, single_max = excluded.single_max,
               daily_limit = excluded.daily_limit, monthly_limit = excluded.monthly_limit,
               payee_daily_limit = excluded.payee_daily_limit, payee_daily_count = excluded.payee_daily_count,
               payee_monthly_limit = excluded.payee_monthly_limit, changed_at = excluded.changed_at
           returning *""",
        route.book, route.operation, route.merchant_account, route.currency, route.channel, route.label,
        route.priority, route.state, route.single_min, route.single_max, route.daily_limit, route.monthly_limit,
        route.payee_daily_limit, route.payee_daily_count, route.payee_monthly_limit, now,
    )  # fmt: skip
    assert row is not None
    return read_route(row)


async def set_state(
    tx: Tx, *, book: int, operation: Operation, merchant_account: int, currency: str, state: RouteState, now: datetime
) -> bool:
    """Pause a route or put it back; putting it back ends its cooling. Answers whether it exists."""
    tag = await tx.execute(
        """update route set state = $5, changed_at = $6,
               cooling_until = case when $5 = 'active' then null else cooling_until end
           where book = $1 and operation = $2 and merchant_account = $3 and currency = $4""",
        book, operation, merchant_account, currency, state, now,
    )  # fmt: skip
    return tag != "UPDATE 0"


async def cool(tx: Tx, *, book: int, operation: Operation, merchant_account: int, until: datetime) -> None:
    """Keep a merchant account's routes out of the choice until then; never shortens an earlier cooling."""
    await tx.execute(
        """update route set cooling_until = $4
           where book = $1 and operation = $2 and merchant_account = $3
               and (cooling_until is null or cooling_until < $4)""",
        book, operation, merchant_account, until,
    )  # fmt: skip


async def find_holds(tx: Tx, keys: Sequence[Key]) -> dict[Key, Hold]:
    """The holds of (book, number) that exist."""
    rows = await tx.fetch(
        "select * from route_hold where book = any($1::bigint[]) and number = any($2::text[])",
        [book for book, _ in keys], [number for _, number in keys],
    )  # fmt: skip
    return _asked(rows, keys)


async def lock_holds(tx: Tx, keys: Sequence[Key]) -> dict[Key, Hold]:
    """Lock the holds of (book, number), in that order, and answer what they are now."""
    rows = await tx.fetch(
        """select * from route_hold where book = any($1::bigint[]) and number = any($2::text[])
           order by book, number for update""",
        [book for book, _ in keys], [number for _, number in keys],
    )  # fmt: skip
    return _asked(rows, keys)


async def lock_unused(tx: Tx, *, now: datetime, limit: int) -> list[Hold]:
    """Lock holds without an attempt whose time is over, oldest first; those that others work on are left out."""
    rows = await tx.fetch(
        """select * from route_hold where state = 'held' and not bound and expires_at <= $1
           order by expires_at limit $2 for update skip locked""",
        now, limit,
    )  # fmt: skip
    return [read_hold(row) for row in rows]


async def insert_holds(tx: Tx, holds: Sequence[Hold], *, now: datetime) -> int:
    """Insert the holds whose numbers are new; answers how many."""
    tag = await tx.execute(
        """insert into route_hold (book, number, merchant_account, channel, operation, currency, payee, amount, day,
               month, state, bound, expires_at, created_at)
           select n.book, n.number, n.merchant_account, n.channel, n.operation, n.currency, n.payee, n.amount, n.day,
               n.month, 'held', n.bound, n.expires_at, $13
           from unnest($1::bigint[], $2::text[], $3::bigint[], $4::text[], $5::text[], $6::text[], $7::text[],
               $8::bigint[], $9::date[], $10::date[], $11::boolean[], $12::timestamptz[]) as n(book, number,
               merchant_account, channel, operation, currency, payee, amount, day, month, bound, expires_at)
           order by n.book, n.number on conflict do nothing""",
        [hold.book for hold in holds], [hold.number for hold in holds], [hold.merchant_account for hold in holds],
        [hold.channel for hold in holds], [hold.operation for hold in holds], [hold.currency for hold in holds],
        [hold.payee for hold in holds], [hold.amount for hold in holds], [hold.day for hold in holds],
        [hold.month for hold in holds], [hold.bound for hold in holds], [hold.expires_at for hold in holds], now,
    )  # fmt: skip
    return int(tag.split()[-1])


async def end_holds(tx: Tx, holds: Sequence[Hold], *, state: HoldState, now: datetime) -> None:
    """Move locked holds on; one that was never bound keeps the time at which it would have expired."""
    await tx.execute(
        """update route_hold h set state = $3, ended_at = $4 from unnest($1::bigint[], $2::text[]) n(book, number)
           where h.book = any($1::bigint[]) and h.number = any($2::text[])
               and h.book = n.book and h.number = n.number""",
        [hold.book for hold in holds], [hold.number for hold in holds], state, now,
    )  # fmt: skip


async def bind_holds(tx: Tx, keys: Sequence[Key]) -> set[Key]:
    """Tie holds to their attempts; answers those that are held or used, which are bound now."""
    found = await lock_holds(tx, keys)
    alive = [key for key, hold in found.items() if hold.state in {"held", "used"}]
    if loose := [key for key in alive if not found[key].bound]:
        await tx.execute(
            """update route_hold h set bound = true, expires_at = null
               from unnest($1::bigint[], $2::text[]) n(book, number)
               where h.book = any($1::bigint[]) and h.number = any($2::text[])
                   and h.book = n.book and h.number = n.number""",
            [book for book, _ in loose], [number for _, number in loose],
        )  # fmt: skip
    return set(alive)


async def find_windows(tx: Tx, keys: Collection[WindowKey]) -> dict[WindowKey, Window]:
    """What is taken in these windows, by key; a window in which nothing happened yet is left out."""
    rows = await tx.fetch(
        """select * from quota_window
           where book = any($1::bigint[]) and merchant_account = any($2::bigint[]) and operation = any($3::text[])
               and currency = any($4::text[]) and period = any($5::text[]) and starts = any($6::date[])
               and payee = any($7::text[])""",
        *_probes(keys),
    )  # fmt: skip
    return _windows(rows)


async def lock_windows(tx: Tx, keys: Collection[WindowKey]) -> dict[WindowKey, Window]:
    """Like `find_windows`, and nobody else changes them until this transaction ends."""
    rows = await tx.fetch(
        """select * from quota_window
           where book = any($1::bigint[]) and merchant_account = any($2::bigint[]) and operation = any($3::text[])
               and currency = any($4::text[]) and period = any($5::text[]) and starts = any($6::date[])
               and payee = any($7::text[])
           order by book, merchant_account, operation, currency, period, starts, payee for update""",
        *_probes(keys),
    )  # fmt: skip
    return _windows(rows)


async def open_windows(tx: Tx, keys: Collection[WindowKey]) -> None:
    """Insert empty windows where there are none."""
    await tx.execute(
        """insert into quota_window (book, merchant_account, operation, currency, period, starts, payee, used_amount,
               held_amount, used_count, held_count)
           select n.*, 0, 0, 0, 0
           from unnest($1::bigint[], $2::bigint[], $3::text[], $4::text[], $5::text[], $6::date[], $7::text[]) n
           order by 1, 2, 3, 4, 5, 6, 7 on conflict do nothing""",
        *_columns(keys),
    )  # fmt: skip


async def take(tx: Tx, wanted: Mapping[WindowKey, Window]) -> bool:
    """Add what is held in `wanted` to the windows, each only within its limits; answers whether all could be added.

    One conditional statement, so the limits hold whatever was read before. Not all: roll back to before it.
    """
    windows = list(wanted.values())
    tag = await tx.execute(
        """insert into quota_window as w (book, merchant_account, operation, currency, period, starts, payee,
               used_amount, held_amount, used_count, held_count, amount_limit, count_limit)
           select n.book, n.merchant_account, n.operation, n.currency, n.period, n.starts, n.payee, 0, n.amount, 0,
               n.count, n.amount_limit, n.count_limit
           from unnest($1::bigint[], $2::bigint[], $3::text[], $4::text[], $5::text[], $6::date[], $7::text[],
               $8::bigint[], $9::bigint[], $10::bigint[], $11::bigint[]) n(book, merchant_account, operation, currency,
               period, starts, payee, amount, count, amount_limit, count_limit)
           order by 1, 2, 3, 4, 5, 6, 7
           on conflict (book, merchant_account, operation, currency, period, starts, payee) do update set
               held_amount = w.held_amount + excluded.held_amount, held_count = w.held_count + excluded.held_count,
               amount_limit = excluded.amount_limit, count_limit = excluded.count_limit
               where w.used_amount + w.held_amount + excluded.held_amount <= coalesce(excluded.amount_limit, $12)
                   and w.used_count + w.held_count + excluded.held_count <= coalesce(excluded.count_limit, $12)""",
        *_columns(wanted), [window.held_amount for window in windows], [window.held_count for window in windows],
        [window.amount_limit for window in windows], [window.count_limit for window in windows], MOST,
    )  # fmt: skip
    return int(tag.split()[-1]) == len(windows)


async def change_windows(tx: Tx, changes: Mapping[WindowKey, Change]) -> None:
    """Add to existing windows, after locking them in the order of their keys.

    What is used follows the channel's own count where one was set, so taking away from it stops at zero.
    """
    found = await lock_windows(tx, changes)
    await _write_windows(
        tx,
        [
            replace(
                found[key], used_amount=max(found[key].used_amount + change.used_amount, 0),
                held_amount=found[key].held_amount + change.held_amount,
                used_count=max(found[key].used_count + change.used_count, 0),
                held_count=found[key].held_count + change.held_count,
            )
            for key, change in changes.items()
        ],
    )  # fmt: skip


async def _write_windows(tx: Tx, windows: Sequence[Window]) -> None:
    """Write the counters of locked windows. The conflict finds each row by one probe of the key."""
    await tx.execute(
        """insert into quota_window (book, merchant_account, operation, currency, period, starts, payee, used_amount,
               held_amount, used_count, held_count)
           select * from unnest($1::bigint[], $2::bigint[], $3::text[], $4::text[], $5::text[], $6::date[], $7::text[],
               $8::bigint[], $9::bigint[], $10::bigint[], $11::bigint[])
           on conflict (book, merchant_account, operation, currency, period, starts, payee) do update set
               used_amount = excluded.used_amount, held_amount = excluded.held_amount,
               used_count = excluded.used_count, held_count = excluded.held_count""",
        *_columns([window.key for window in windows]), [window.used_amount for window in windows],
        [window.held_amount for window in windows], [window.used_count for window in windows],
        [window.held_count for window in windows],
    )  # fmt: skip


def _columns(keys: Iterable[WindowKey]) -> list[list[int | str | date]]:
    """Keys as the seven arrays of their columns."""
    return [list(column) for column in zip(*keys, strict=True)] or [[] for _ in WindowKey._fields]


def _probes(keys: Iterable[WindowKey]) -> list[list[int | str | date]]:
    """The distinct values of each column: what the probes of all keys have in common is asked for once."""
    return [list(dict.fromkeys(column)) for column in _columns(keys)]


def _asked(rows: Sequence[Record], keys: Sequence[Key]) -> dict[Key, Hold]:
    asked = set(keys)
    holds = [read_hold(row) for row in rows]
    return {key: hold for hold in holds if (key := (hold.book, hold.number)) in asked}


def _windows(rows: Sequence[Record]) -> dict[WindowKey, Window]:
    found = [
        Window(
            WindowKey(
                row["book"], row["merchant_account"], row["operation"], row["currency"], row["period"], row["starts"],
                row["payee"],
            ),
            row["used_amount"], row["held_amount"], row["used_count"], row["held_count"], row["amount_limit"],
            row["count_limit"],
        )
        for row in rows
    ]  # fmt: skip
    return {window.key: window for window in found}


def read_route(row: Record) -> Route:
    """A route from its row."""
    return Route(
        row["book"], row["operation"], row["merchant_account"], row["currency"], row["channel"], row["label"],
        row["priority"], row["state"], row["cooling_until"], row["single_min"], row["single_max"], row["daily_limit"],
        row["monthly_limit"], row["payee_daily_limit"], row["payee_daily_count"], row["payee_monthly_limit"],
    )  # fmt: skip


def read_hold(row: Record) -> Hold:
    """A hold from its row."""
    return Hold(
        row["book"], row["number"], row["merchant_account"], row["channel"], row["operation"], row["currency"],
        row["payee"], row["amount"], row["day"], row["month"], row["state"], row["bound"], row["expires_at"],
    )  # fmt: skip
