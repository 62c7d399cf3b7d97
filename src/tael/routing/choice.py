"""Which route an operation takes: pure rules over routes and the state of their quotas. No database, no clock.

Routes are considered by priority, then by merchant account; the first that may take the operation is chosen. Both the
reservation and its explanation are decided here, so that they cannot disagree.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from enum import StrEnum

from tael.base.clock import accounting_day
from tael.routing.store import MOST, Hold, Operation, Route, Window, WindowKey


@dataclass(frozen=True, slots=True)
class Wanted:
    """An operation that needs a merchant account; `number` is its attempt's number, `amount` in minor units.

    `channels`: only these, None for any. `payee`: whose limits count too, None when nobody is known; a lasting name
    of theirs, such as the channel's id or a digest, never a card number. `exclude`: merchant accounts that were tried
    already. `only`: the merchant account that the caller insists on; its limits still apply.
    """

    book: int
    number: str
    operation: Operation
    channels: tuple[str, ...] | None
    amount: int
    currency: str
    payee: str | None
    exclude: frozenset[int] = frozenset()
    only: int | None = None


class Verdict(StrEnum):
    """What became of a route that was considered."""

    CHOSEN = "chosen"
    AVAILABLE = "available"
    PAUSED = "paused"
    COOLING = "cooling"
    OTHER_CURRENCY = "other_currency"
    OTHER_CHANNEL = "other_channel"
    NOT_ASKED_FOR = "not_asked_for"
    EXCLUDED = "excluded"
    BELOW_SINGLE_MIN = "below_single_min"
    ABOVE_SINGLE_MAX = "above_single_max"
    DAILY_LIMIT = "daily_limit"
    MONTHLY_LIMIT = "monthly_limit"
    PAYEE_DAILY_LIMIT = "payee_daily_limit"
    PAYEE_DAILY_COUNT = "payee_daily_count"
    PAYEE_MONTHLY_LIMIT = "payee_monthly_limit"


@dataclass(frozen=True, slots=True)
class Considered:
    """A route and the verdict on it. `available` would have been taken, had none before it been chosen.

    `quotas`: the windows it counts in, as they were found: day and month of the merchant account, then of the payee.
    """

    route: Route
    verdict: Verdict
    quotas: tuple[Window, ...]


def consider(
    wanted: Wanted, routes: Sequence[Route], windows: Mapping[WindowKey, Window], *, now: datetime
) -> list[Considered]:
    """The verdict on every route, in the order of `routes`; at most one is chosen."""
    found: list[Considered] = []
    chosen = False
    for route in routes:
        quotas = quotas_of(route, wanted.payee, windows, day=accounting_day(now))
        verdict = _refused(route, wanted, now) or _exceeded(wanted, quotas)
        if verdict is None:
            verdict = Verdict.AVAILABLE if chosen else Verdict.CHOSEN
            chosen = True
        found.append(Considered(route, verdict, quotas))
    return found


def quotas_of(route: Route, payee: str | None, windows: Mapping[WindowKey, Window], *, day: date) -> tuple[Window, ...]:
    """The windows of a day that a route counts in, with the limits that the route sets now."""
    limits = [(route.daily_limit, None), (route.monthly_limit, None)]
    if payee is not None:
        limits += [(route.payee_daily_limit, route.payee_daily_count), (route.payee_monthly_limit, None)]
    keys = window_keys(route, payee, day=day)
    return tuple(
        replace(windows.get(key) or Window(key), amount_limit=amount, count_limit=count)
        for key, (amount, count) in zip(keys, limits, strict=True)
    )


def window_keys(route: Route | Hold, payee: str | None, *, day: date) -> list[WindowKey]:
    """The windows that count what goes through a route on a day: two of the merchant account, two more of a payee."""
    whole = WindowKey(route.book, route.merchant_account, route.operation, route.currency, "day", day, "")
    periods = [whole, whole._replace(period="month", starts=first_of_month(day))]
    return periods if payee is None else [*periods, *(key._replace(payee=payee) for key in periods)]


def first_of_month(day: date) -> date:
    """The day on which a day's month starts."""
    return day.replace(day=1)


def _refused(route: Route, wanted: Wanted, now: datetime) -> Verdict | None:
    """Why the route is out of the choice whatever its quota."""
    cases = [
        (route.currency != wanted.currency, Verdict.OTHER_CURRENCY),
        (wanted.channels is not None and route.channel not in wanted.channels, Verdict.OTHER_CHANNEL),
        (wanted.only not in (None, route.merchant_account), Verdict.NOT_ASKED_FOR),
        (route.merchant_account in wanted.exclude, Verdict.EXCLUDED),
        (route.state == "paused", Verdict.PAUSED),
        (route.cooling_until is not None and now < route.cooling_until, Verdict.COOLING),
        (route.single_min is not None and wanted.amount < route.single_min, Verdict.BELOW_SINGLE_MIN),
        (route.single_max is not None and wanted.amount > route.single_max, Verdict.ABOVE_SINGLE_MAX),
    ]
    return next((verdict for true, verdict in cases if true), None)


def _exceeded(wanted: Wanted, quotas: Sequence[Window]) -> Verdict | None:
    """The first quota that the operation does not fit into."""
    verdicts = (Verdict.DAILY_LIMIT, Verdict.MONTHLY_LIMIT, Verdict.PAYEE_DAILY_LIMIT, Verdict.PAYEE_MONTHLY_LIMIT)
    for quota, verdict in zip(quotas, verdicts, strict=False):
        most = MOST if quota.amount_limit is None else quota.amount_limit
        if quota.used_amount + quota.held_amount + wanted.amount > most:
            return verdict
        if quota.count_limit is not None and quota.used_count + quota.held_count >= quota.count_limit:
            return Verdict.PAYEE_DAILY_COUNT
    return None
