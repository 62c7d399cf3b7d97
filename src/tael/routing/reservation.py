"""Reserve quota: choose a route for each operation and hold its amount, all in the caller's transaction.

    reserve -> Reserved   the amount is held in the day and the month of `now`; the same number again is the same hold
            -> NoRoute    no merchant account may take it, and why not, for each; or the number's hold is over

The choice is made on what is read without a lock. Writing it is one conditional statement per try, which adds to each
quota only what still fits; when others were faster, the try is rolled back and made again on what is true now, this
time with the quotas locked. So no limit is ever exceeded, and nobody waits while there is room.
"""

from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TypeAlias

from tael.base.clock import accounting_day
from tael.base.db import Tx
from tael.base.errors import JsonValue, TaelError
from tael.routing import store
from tael.routing.choice import Considered, Verdict, Wanted, consider, first_of_month, window_keys
from tael.routing.store import Hold, Key, Operation, Route, Window, WindowKey

_TRIES = 6
_Read: TypeAlias = Callable[[Tx, "set[WindowKey]"], Coroutine[None, None, dict[WindowKey, Window]]]


class NoRoute(TaelError):
    """No merchant account can take this operation now.
    zh: 当前没有可用的商户号承接该笔业务。
    """

    status = 422

    def __init__(self, reason: str, *, number: str, considered: Sequence[Considered] = ()) -> None:
        """Refuse. `reason` is `no_routes` (none is active for the operation), `none_fits` or `number_over`."""
        verdicts: list[JsonValue] = [
            {"merchant_account": str(one.route.merchant_account), "currency": one.route.currency,
             "verdict": one.verdict.value}
            for one in considered
        ]  # fmt: skip
        said = "; ".join(f"{one.route.label}: {one.verdict.value}" for one in considered)
        super().__init__(said or reason, reason=reason, considered=verdicts)
        self.reason = reason
        self.number = number
        self.considered = tuple(considered)


class QuotaContended(TaelError):
    """Others kept taking the quota that was about to be reserved; nothing was changed. Try again.
    zh: 额度竞争激烈，未做任何更改，请稍后重试。
    """

    status = 503
    retryable = True


@dataclass(frozen=True, slots=True)
class Reserved:
    """Quota is held for an attempt, which goes through this merchant account."""

    number: str
    merchant_account: int
    channel: str


class _OthersWereFaster(Exception):
    """Ends a try; the next one decides on what is true then."""


async def reserve(
    tx: Tx, wanted: Sequence[Wanted], *, now: datetime, bound: bool = True, expires_at: datetime | None = None
) -> list[Reserved | NoRoute]:
    """Hold quota for a batch of operations; answers one result each, in order. Earlier ones go first.

    `bound=False` holds for an attempt that does not exist yet: until `expires_at`, or until `bind`. A transaction
    that reserves twice, or ends a hold before it reserves, may meet another that does so in the opposite order; the
    database then lets one of them go, as unavailable. Raises `QuotaContended`.
    """
    assert bound == (expires_at is None), "a hold without an attempt needs an end, one with an attempt must have none"
    asked: dict[Key, Wanted] = {}
    for one in wanted:
        assert one.amount > 0, one
        assert one.number, one
        assert one.payee != "", one
        assert asked.setdefault((one.book, one.number), one) == one, "a number names one operation"
    reads: list[_Read] = [store.find_windows, *[store.lock_windows] * (_TRIES - 1)]
    for read in reads:
        try:
            async with tx.connection.transaction():
                known = await store.find_holds(tx, list(asked))
                if bound:
                    await _bind(tx, known)
                new = [one for key, one in asked.items() if key not in known]
                made = await _hold(tx, new, read, now=now, expires_at=expires_at)
        except _OthersWereFaster:
            continue
        results = made | {key: _known(hold, asked[key]) for key, hold in known.items()}
        return [results[one.book, one.number] for one in wanted]
    raise QuotaContended


async def explain(tx: Tx, wanted: Wanted, *, now: datetime) -> list[Considered]:
    """Every route of the operation in the order of choice, with the verdict that `reserve` would give and figures."""
    routes = await store.routes_of(tx, [(wanted.book, wanted.operation)])
    windows = await store.find_windows(tx, _keys([wanted], {(wanted.book, wanted.operation): routes}, now))
    return consider(wanted, routes, windows, now=now)


async def _hold(
    tx: Tx, wanted: Sequence[Wanted], read: _Read, *, now: datetime, expires_at: datetime | None
) -> dict[Key, Reserved | NoRoute]:
    """One try: decide on what `read` answers, and write it if it is still true. Raises `_OthersWereFaster`."""
    if not wanted:
        return {}
    routes = _by_operation(await store.routes_of(tx, [(one.book, one.operation) for one in wanted]))
    windows = await read(tx, _keys(wanted, routes, now))
    taken: dict[WindowKey, Window] = {}
    holds: list[Hold] = []
    results: dict[Key, Reserved | NoRoute] = {}
    for one in wanted:
        considered = consider(one, routes.get((one.book, one.operation), []), windows, now=now)
        chosen = next((each for each in considered if each.verdict is Verdict.CHOSEN), None)
        if chosen is None:
            results[one.book, one.number] = _no_route(one, considered)
            continue
        for quota in chosen.quotas:
            windows[quota.key] = _with(quota, one.amount)
            taken[quota.key] = _with(taken.get(quota.key) or _empty(quota), one.amount)
        holds.append(_new_hold(one, chosen.route, now=now, expires_at=expires_at))
        results[one.book, one.number] = Reserved(one.number, chosen.route.merchant_account, chosen.route.channel)
    if holds and not (await store.take(tx, taken) and await store.insert_holds(tx, holds, now=now) == len(holds)):
        raise _OthersWereFaster
    return results


def _by_operation(routes: Sequence[Route]) -> dict[tuple[int, Operation], list[Route]]:
    found: dict[tuple[int, Operation], list[Route]] = {}
    for route in routes:
        found.setdefault((route.book, route.operation), []).append(route)
    return found


def _keys(
    wanted: Sequence[Wanted], routes: Mapping[tuple[int, Operation], Sequence[Route]], now: datetime
) -> set[WindowKey]:
    """Every window that may have a say."""
    day = accounting_day(now)
    return {
        key
        for one in wanted
        for route in routes.get((one.book, one.operation), [])
        for key in window_keys(route, one.payee, day=day)
    }


def _with(window: Window, amount: int) -> Window:
    return replace(window, held_amount=window.held_amount + amount, held_count=window.held_count + 1)


def _empty(window: Window) -> Window:
    return replace(window, used_amount=0, held_amount=0, used_count=0, held_count=0)


def _new_hold(wanted: Wanted, route: Route, *, now: datetime, expires_at: datetime | None) -> Hold:
    day = accounting_day(now)
    return Hold(
        wanted.book, wanted.number, route.merchant_account, route.channel, wanted.operation, wanted.currency,
        wanted.payee, wanted.amount, day, first_of_month(day), "held", expires_at is None, expires_at,
    )  # fmt: skip


def _no_route(wanted: Wanted, considered: Sequence[Considered]) -> NoRoute:
    active = any(one.route.state == "active" for one in considered)
    return NoRoute("none_fits" if active else "no_routes", number=wanted.number, considered=considered)


def _known(hold: Hold, wanted: Wanted) -> Reserved | NoRoute:
    """The answer to a number that has its hold already: quota that was given back is never taken again under it."""
    same = (hold.operation, hold.amount, hold.currency, hold.payee)
    assert same == (wanted.operation, wanted.amount, wanted.currency, wanted.payee), "a number names one operation"
    if hold.state in {"held", "used"}:
        return Reserved(hold.number, hold.merchant_account, hold.channel)
    return NoRoute("number_over", number=hold.number)


async def _bind(tx: Tx, known: dict[Key, Hold]) -> None:
    """Tie earlier holds without an attempt to the attempt that exists now; they may have ended meanwhile."""
    loose = [key for key, hold in known.items() if not hold.bound]
    if loose:
        await store.bind_holds(tx, loose)
        known |= await store.find_holds(tx, loose)
