"""How much of each quota is used, and its correction by the channel's own count (额度校准)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from tael.base.db import Tx
from tael.routing import store
from tael.routing.choice import first_of_month, quotas_of, window_keys
from tael.routing.store import MOST, Change, Operation, Route, Window, WindowKey
from tael.routing.upkeep import list_routes


@dataclass(frozen=True, slots=True)
class Usage:
    """A route with what it used and holds in a day and in that day's month."""

    route: Route
    day: Window
    month: Window


@dataclass(frozen=True, slots=True)
class Drift:
    """By how much the channel's count was above ours, in minor units and in number; below zero: under it."""

    amount: int
    count: int


async def usage(tx: Tx, *, book: int, day: date) -> list[Usage]:
    """The quotas of every route of a book, in the order of `list_routes`."""
    routes = await list_routes(tx, book=book)
    windows = await store.find_windows(tx, _keys(routes, day))
    found: list[Usage] = []
    for route in routes:
        of_day, of_month = quotas_of(route, None, windows, day=day)
        found.append(Usage(route, of_day, of_month))
    return found


async def set_used(
    tx: Tx, *, book: int, merchant_account: int, operation: Operation, currency: str, day: date, used_amount: int,
    used_count: int,
) -> Drift:  # fmt: skip
    """Take over what the channel's bill of a day counts for a merchant account; answers by how much ours was wrong.

    The month moves by the same difference. What is held is ours alone and stays.
    """
    assert 0 <= used_amount <= MOST
    assert 0 <= used_count <= MOST
    of_day = WindowKey(book, merchant_account, operation, currency, "day", day, "")
    of_month = of_day._replace(period="month", starts=first_of_month(day))
    await store.open_windows(tx, [of_day, of_month])
    ours = (await store.lock_windows(tx, {of_day, of_month}))[of_day]
    drift = Drift(used_amount - ours.used_amount, used_count - ours.used_count)
    change = Change(used_amount=drift.amount, used_count=drift.count)
    await store.change_windows(tx, {of_day: change, of_month: change})
    return drift


def _keys(routes: Sequence[Route], day: date) -> set[WindowKey]:
    return {key for route in routes for key in window_keys(route, None, day=day)}
