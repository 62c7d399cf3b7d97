"""HTTP of routing: the table of routes, what is used of their quotas, and where an operation would go and why."""

import re
from collections.abc import Callable, Sequence
from datetime import date, datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from tael.base.clock import accounting_day
from tael.base.db import Database
from tael.base.http import Body, InvalidField, StrictRoute
from tael.guard import Caller, requires
from tael.routing.choice import Considered, Verdict, Wanted
from tael.routing.figures import Usage, usage
from tael.routing.reservation import explain
from tael.routing.store import MOST, Operation, Period, Route, RouteState, Window
from tael.routing.upkeep import list_routes, put_route


def _day(given: object) -> object:
    # Left alone, a number would be taken for seconds since 1970.
    if not isinstance(given, str) or not re.fullmatch("[0-9]{4}-[0-9]{2}-[0-9]{2}", given):
        raise ValueError("a day as YYYY-MM-DD is expected")
    return given


Reader = Annotated[Caller, requires("routing:read")]
Writer = Annotated[Caller, requires("routing:write")]
Id = Annotated[str, Field(pattern=r"^[1-9][0-9]{0,18}$", description="A 64-bit id as a string")]
Currency = Annotated[str, Field(pattern="^[A-Z]{3}$")]
Channel = Annotated[str, Field(pattern="^[a-z][a-z0-9]{1,31}$")]
Limit = Annotated[int | None, Field(default=None, ge=1, le=MOST, description="Minor units; null: no limit")]
Day = Annotated[date | None, BeforeValidator(_day), Query(description="YYYY-MM-DD; default: today")]
Naming = Callable[[int, int], tuple[str, str]]
"""Book and id of a merchant account -> its channel and its name. Raises a refusal when the book has none."""


class PutRoute(Body):
    """One route, known by merchant account, operation and currency; every field that is left out becomes its default.

    Lower priority goes first.
    """

    merchant_account: Id
    operation: Operation
    currency: Currency
    priority: int = Field(default=100, ge=0, le=1_000_000)
    state: RouteState = "active"
    single_min: Limit
    single_max: Limit
    daily_limit: Limit
    monthly_limit: Limit
    payee_daily_limit: Limit
    payee_daily_count: int | None = Field(default=None, ge=1, le=1_000_000)
    payee_monthly_limit: Limit


class Explain(Body):
    """An operation that is only asked about. `exclude`: merchant accounts to leave out; `only`: to insist on."""

    operation: Operation
    amount: int = Field(ge=1, le=MOST, description="Minor units: 100 is 1.00 CNY")
    currency: Currency
    channels: list[Channel] | None = Field(default=None, min_length=1, max_length=20)
    payee: str | None = Field(default=None, min_length=1, max_length=128)
    exclude: list[Id] = Field(default_factory=list, max_length=100)
    only: Id | None = None


class View(BaseModel):
    """Base of every answer."""

    model_config = ConfigDict(frozen=True, from_attributes=True)


class RouteView(View):
    """A route. While it is cooling nothing goes through it."""

    object: Literal["route"] = "route"
    merchant_account: str
    label: str
    channel: str
    operation: Operation
    currency: str
    priority: int
    state: RouteState
    cooling_until: datetime | None
    single_min: int | None
    single_max: int | None
    daily_limit: int | None
    monthly_limit: int | None
    payee_daily_limit: int | None
    payee_daily_count: int | None
    payee_monthly_limit: int | None


class RouteList(View):
    """Every route, by operation and in the order of choice."""

    data: list[RouteView]


class QuotaView(View):
    """What is used and held of a quota in a calendar day or month, Asia/Shanghai; amounts in minor units."""

    of: Literal["merchant_account", "payee"]
    period: Period
    starts: date
    used_amount: int
    held_amount: int
    used_count: int
    held_count: int
    amount_limit: int | None
    count_limit: int | None
    remaining: int | None


class UsageView(View):
    """A route's quotas of a day and of its month."""

    merchant_account: str
    label: str
    channel: str
    operation: Operation
    currency: str
    day: QuotaView
    month: QuotaView


class UsageList(View):
    """The quotas of every route."""

    data: list[UsageView]


class ConsideredView(View):
    """A route and what became of it; `available` would have been chosen, had none before it been."""

    merchant_account: str
    label: str
    channel: str
    currency: str
    priority: int
    verdict: Verdict
    quotas: list[QuotaView]


class Explanation(View):
    """Where the operation would go now, null for nowhere, and the verdict on every route in the order of choice."""

    merchant_account: str | None
    considered: list[ConsideredView]


def router(db: Database, naming: Naming, now: Callable[[], datetime]) -> APIRouter:
    """The routes of routing. `naming` knows the merchant accounts that a book has."""
    routes = APIRouter(route_class=StrictRoute, tags=["routing"])

    @routes.get("/v1/routes")
    async def get_routes(caller: Reader) -> RouteList:
        """Every route with its limits."""
        async with db.transaction() as tx:
            return RouteList(data=[_route(one) for one in await list_routes(tx, book=caller.book)])

    @routes.put("/v1/routes")
    async def set_route(body: PutRoute, caller: Writer) -> RouteView:
        """Set one route: make it, or replace its settings."""
        merchant_account = _id(body.merchant_account, "merchant_account")
        channel, label = naming(caller.book, merchant_account)
        route = Route(
            caller.book, body.operation, merchant_account, body.currency, channel, label, body.priority, body.state,
            single_min=body.single_min, single_max=body.single_max, daily_limit=body.daily_limit,
            monthly_limit=body.monthly_limit, payee_daily_limit=body.payee_daily_limit,
            payee_daily_count=body.payee_daily_count, payee_monthly_limit=body.payee_monthly_limit,
        )  # fmt: skip
        async with db.transaction() as tx:
            return _route(await put_route(tx, route, now=now()))

    @routes.get("/v1/routes/usage")
    async def get_route_usage(caller: Reader, day: Day = None) -> UsageList:
        """What every route used and holds, today or on another day and in its month."""
        async with db.transaction() as tx:
            found = await usage(tx, book=caller.book, day=day or accounting_day(now()))
        return UsageList(data=[_usage(one) for one in found])

    @routes.post("/v1/routes/explain")
    async def explain_route(body: Explain, caller: Reader) -> Explanation:
        """Where an operation would go now, and why. Nothing is reserved."""
        async with db.transaction() as tx:
            considered = await explain(tx, _wanted(body, caller.book), now=now())
        return _explanation(considered)

    return routes


def _wanted(body: Explain, book: int) -> Wanted:
    return Wanted(
        book, "", body.operation, None if body.channels is None else tuple(body.channels), body.amount, body.currency,
        body.payee, frozenset(_id(one, "exclude") for one in body.exclude),
        None if body.only is None else _id(body.only, "only"),
    )  # fmt: skip


def _route(route: Route) -> RouteView:
    return RouteView(
        merchant_account=str(route.merchant_account), label=route.label, channel=route.channel,
        operation=route.operation, currency=route.currency, priority=route.priority, state=route.state,
        cooling_until=route.cooling_until, single_min=route.single_min, single_max=route.single_max,
        daily_limit=route.daily_limit, monthly_limit=route.monthly_limit, payee_daily_limit=route.payee_daily_limit,
        payee_daily_count=route.payee_daily_count, payee_monthly_limit=route.payee_monthly_limit,
    )  # fmt: skip


def _usage(one: Usage) -> UsageView:
    route = one.route
    return UsageView(
        merchant_account=str(route.merchant_account), label=route.label, channel=route.channel,
        operation=route.operation, currency=route.currency, day=_quota(one.day), month=_quota(one.month),
    )  # fmt: skip


def _quota(window: Window) -> QuotaView:
    return QuotaView(
        of="payee" if window.key.payee else "merchant_account", period=window.key.period, starts=window.key.starts,
        used_amount=window.used_amount, held_amount=window.held_amount, used_count=window.used_count,
        held_count=window.held_count, amount_limit=window.amount_limit, count_limit=window.count_limit,
        remaining=window.remaining,
    )  # fmt: skip


def _explanation(considered: Sequence[Considered]) -> Explanation:
    chosen = [str(one.route.merchant_account) for one in considered if one.verdict is Verdict.CHOSEN]
    views = [
        ConsideredView(
            merchant_account=str(one.route.merchant_account), label=one.route.label, channel=one.route.channel,
            currency=one.route.currency, priority=one.route.priority, verdict=one.verdict,
            quotas=[_quota(window) for window in one.quotas],
        )
        for one in considered
    ]  # fmt: skip
    return Explanation(merchant_account=chosen[0] if chosen else None, considered=views)


def _id(text: str, param: str) -> int:
    number = int(text)
    if number >= 2**63:
        raise InvalidField("a 64-bit id is expected", param=param)
    return number
