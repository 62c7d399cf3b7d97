"""Keep the table of routes: set one, pause one, let one cool.

    active <-> paused      by a person
    active, cooling until  by a failure that is the merchant account's own (no funds, quota at the channel, frozen)

A route is never deleted: quota that was taken through it may still be settled or come back.
"""

from datetime import datetime

from tael.base.db import Tx
from tael.base.errors import TaelError
from tael.base.money import EXPONENTS
from tael.routing import store
from tael.routing.store import MOST, Operation, Route, RouteState

MOST_ROUTES = 100
"""Routes that one book may have for one operation."""


class InvalidRoute(TaelError):
    """The route cannot be stored as it stands.
    zh: 路由信息无效。
    """

    status = 422


class RouteNotFound(TaelError):
    """There is no such route.
    zh: 路由不存在。
    """

    status = 404


async def put_route(tx: Tx, route: Route, *, now: datetime) -> Route:
    """Set one route, known by book, operation, merchant account and currency; a cooling goes on. Answers it as stored.

    Limits that are lowered below what is taken already stop further operations and change none. Raises
    `InvalidRoute`.
    """
    _check(route)
    routes = await store.routes_of(tx, [(route.book, route.operation)])
    known = any((one.merchant_account, one.currency) == (route.merchant_account, route.currency) for one in routes)
    if not known and len(routes) >= MOST_ROUTES:
        raise InvalidRoute(f"an operation has {MOST_ROUTES} routes at most")
    return await store.put_route(tx, route, now=now)


async def list_routes(tx: Tx, *, book: int) -> list[Route]:
    """Every route of a book, by operation and in the order of choice."""
    return await store.routes_of(tx, [(book, "payment"), (book, "payout")])


async def set_state(
    tx: Tx, *, book: int, merchant_account: int, operation: Operation, currency: str, state: RouteState, now: datetime
) -> None:
    """Take a route out of the choice, or put it back and end its cooling. Raises `RouteNotFound`."""
    known = await store.set_state(
        tx, book=book, operation=operation, merchant_account=merchant_account, currency=currency, state=state, now=now
    )
    if not known:
        raise RouteNotFound(f"{operation} in {currency} through {merchant_account}")


async def cool(tx: Tx, *, book: int, merchant_account: int, operation: Operation, until: datetime) -> None:
    """Leave a merchant account out of the choice until then, in every currency; a longer cooling stays."""
    await store.cool(tx, book=book, operation=operation, merchant_account=merchant_account, until=until)


def _check(route: Route) -> None:
    if route.currency not in EXPONENTS:
        raise InvalidRoute("the currency is not supported", param="currency")
    if not 0 <= route.priority <= 1_000_000:
        raise InvalidRoute("must be between 0 and 1,000,000", param="priority")
    for field, limit, most in (
        ("single_min", route.single_min, MOST), ("single_max", route.single_max, MOST),
        ("daily_limit", route.daily_limit, MOST), ("monthly_limit", route.monthly_limit, MOST),
        ("payee_daily_limit", route.payee_daily_limit, MOST), ("payee_monthly_limit", route.payee_monthly_limit, MOST),
        ("payee_daily_count", route.payee_daily_count, 1_000_000),
    ):  # fmt: skip
        if limit is not None and not 1 <= limit <= most:
            raise InvalidRoute("a limit is a whole number above zero; leave it out for none", param=field)
    if route.single_min is not None and route.single_max is not None and route.single_min > route.single_max:
        raise InvalidRoute("must not be above single_max", param="single_min")
