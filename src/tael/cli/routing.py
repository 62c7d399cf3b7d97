"""`tael route list | set | explain | pause | resume`: merchant accounts by priority and quota."""

import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Annotated, Literal

from cyclopts import App, Parameter
from rich.console import Console
from rich.table import Table

from tael.base.clock import accounting_day
from tael.base.db import Tx
from tael.base.money import format_minor
from tael.channels.accounts import AccountRow, MerchantAccountNotFound, list_accounts
from tael.cli.connection import transaction
from tael.cli.printing import print_json
from tael.routing import (
    Considered,
    Operation,
    Route,
    RouteState,
    Usage,
    Verdict,
    Wanted,
    Window,
    list_routes,
    put_route,
    set_state,
    usage,
)
from tael.routing import (
    explain as explain_choice,
)

app = App(name="route", help="Merchant accounts by priority and quota (额度路由).")

Limit = Annotated[int | None, Parameter(help="Minor units; left out: stays as it is, 0: no limit")]
Name = Annotated[str, Parameter(help="The merchant account's name")]


@app.command(name="list")
async def list_(*, book: int = 1, json: bool = False) -> None:
    """Show every route in the order of choice, with what it used and holds today and this month."""
    async with transaction() as (tx, now):
        found = await usage(tx, book=book, day=accounting_day(now))
    if json:
        print_json([_flat(one) for one in found])
        return
    table = Table("operation", "priority", "merchant account", "channel", "currency", "state", "single", "day", "month")
    for one in found:
        route = one.route
        cooling = route.cooling_until is not None and now < route.cooling_until
        table.add_row(
            route.operation, str(route.priority), route.label, route.channel, route.currency,
            "cooling" if cooling and route.state == "active" else route.state, _range(route), _bar(one.day),
            _bar(one.month),
        )  # fmt: skip
    Console().print(table)


@app.command(name="set")
async def set_(
    name: Name, *, operation: Operation = "payout", currency: str = "CNY",
    priority: Annotated[int | None, Parameter(help="Lower goes first")] = None,
    single_min: Limit = None, single_max: Limit = None, daily_limit: Limit = None, monthly_limit: Limit = None,
    payee_daily_limit: Limit = None, payee_monthly_limit: Limit = None,
    payee_daily_count: Annotated[int | None, Parameter(help="Operations; 0: no limit")] = None, book: int = 1,
    json: bool = False,
) -> None:  # fmt: skip
    """Put a merchant account into the choice for an operation, or change its limits."""
    limits = {
        "single_min": single_min, "single_max": single_max, "daily_limit": daily_limit,
        "monthly_limit": monthly_limit, "payee_daily_limit": payee_daily_limit,
        "payee_daily_count": payee_daily_count, "payee_monthly_limit": payee_monthly_limit,
    }  # fmt: skip
    given = {field: limit or None for field, limit in limits.items() if limit is not None}
    async with transaction() as (tx, now):
        account = await _account(tx, book, name)
        known = [
            route for route in await list_routes(tx, book=book)
            if (route.merchant_account, route.operation, route.currency) == (account.id, operation, currency)
        ]  # fmt: skip
        before = known[0] if known else Route(book, operation, account.id, currency, "", "", 100)
        wanted = replace(
            before, channel=account.channel, label=account.name,
            priority=before.priority if priority is None else priority, **given,
        )  # fmt: skip
        route = await put_route(tx, wanted, now=now)
    if json:
        print_json(asdict(route))
        return
    Console().print(f"{route.label}: {operation} in {currency}, priority {route.priority}, {_limits(route)}")


@app.command
async def explain(
    amount: Annotated[int, Parameter(help="Minor units")], *, operation: Operation = "payout", currency: str = "CNY",
    channel: Annotated[list[str] | None, Parameter(help="Only these channels; repeat for several")] = None,
    payee: str | None = None,
    exclude: Annotated[list[str] | None, Parameter(help="Merchant accounts to leave out, by name")] = None,
    only: Annotated[str | None, Parameter(help="The merchant account to insist on, by name")] = None,
    book: int = 1, json: bool = False,
) -> None:  # fmt: skip
    """Say where an operation would go now, and why. Nothing is reserved. Exit code 1 when it would go nowhere."""
    async with transaction() as (tx, now):
        wanted = Wanted(
            book=book, number="", operation=operation, channels=tuple(channel) if channel else None, amount=amount,
            currency=currency, payee=payee,
            exclude=frozenset([(await _account(tx, book, name)).id for name in exclude or []]),
            only=None if only is None else (await _account(tx, book, only)).id,
        )  # fmt: skip
        considered = await explain_choice(tx, wanted, now=now)
    if json:
        print_json([_verdict(one) for one in considered])
    else:
        _show_choice(considered, f"{operation} of {format_minor(amount, currency)} {currency}")
    if not any(one.verdict is Verdict.CHOSEN for one in considered):
        sys.exit(1)


@app.command
async def pause(name: Name, *, operation: Operation = "payout", currency: str = "CNY", book: int = 1) -> None:
    """Take a route out of the choice; what already went through it is settled as before."""
    await _set_state(book, name, operation, currency, "paused")


@app.command
async def resume(name: Name, *, operation: Operation = "payout", currency: str = "CNY", book: int = 1) -> None:
    """Put a paused or cooling route back into the choice."""
    await _set_state(book, name, operation, currency, "active")


async def _set_state(book: int, name: str, operation: Operation, currency: str, state: RouteState) -> None:
    async with transaction() as (tx, now):
        account = await _account(tx, book, name)
        await set_state(
            tx, book=book, merchant_account=account.id, operation=operation, currency=currency, state=state, now=now
        )
    Console().print(f"{name}: {operation} in {currency} is {state}")


async def _account(tx: Tx, book: int, name: str) -> AccountRow:
    """A merchant account of the book. Raises `MerchantAccountNotFound`."""
    for row in await list_accounts(tx):
        if (row.book, row.name) == (book, name):
            return row
    raise MerchantAccountNotFound(name)


def _show_choice(considered: Sequence[Considered], what: str) -> None:
    table = Table("", "priority", "merchant account", "channel", "verdict", "day", "month", title=what)
    for one in considered:
        chosen = one.verdict is Verdict.CHOSEN
        payee = [_bar(window) for window in one.quotas[2:]] or ["", ""]
        day, month = (
            f"{_bar(window)}\npayee {of_payee}" if of_payee else _bar(window)
            for window, of_payee in zip(one.quotas[:2], payee, strict=True)
        )
        table.add_row(
            "→" if chosen else "", str(one.route.priority), one.route.label, one.route.channel,
            one.verdict.value.replace("_", " "), day, month, style="green" if chosen else "",
        )  # fmt: skip
    Console().print(table)


def _range(route: Route) -> str:
    low, high = (
        "" if limit is None else format_minor(limit, route.currency) for limit in (route.single_min, route.single_max)
    )
    return f"{low} to {high}" if low or high else "any"


def _bar(window: Window) -> str:
    """Used and held of the limits."""
    currency = window.key.currency
    limit = "no limit" if window.amount_limit is None else format_minor(window.amount_limit, currency)
    amounts = f"{format_minor(window.used_amount, currency)} + {format_minor(window.held_amount, currency)} of {limit}"
    if window.count_limit is None:
        return amounts
    return f"{amounts}, {window.used_count + window.held_count} of {window.count_limit} times"


def _limits(route: Route) -> str:
    fields: Sequence[tuple[str, int | None]] = [
        ("day", route.daily_limit), ("month", route.monthly_limit), ("payee's day", route.payee_daily_limit),
        ("payee's month", route.payee_monthly_limit),
    ]  # fmt: skip
    said = [f"{name} {format_minor(limit, route.currency)}" for name, limit in fields if limit is not None]
    said += [f"{route.payee_daily_count} a day and payee"] if route.payee_daily_count else []
    return ", ".join(said) or "no limits"


def _flat(one: Usage) -> dict[str, object]:
    return {**asdict(one.route), "day": _window(one.day), "month": _window(one.month)}


def _verdict(one: Considered) -> dict[str, object]:
    return {**asdict(one.route), "verdict": one.verdict.value, "quotas": [_window(window) for window in one.quotas]}


def _window(window: Window) -> dict[str, object]:
    of: Literal["payee", "merchant_account"] = "payee" if window.key.payee else "merchant_account"
    return {
        "of": of, "period": window.key.period, "starts": window.key.starts, "used_amount": window.used_amount,
        "held_amount": window.held_amount, "used_count": window.used_count, "held_count": window.held_count,
        "amount_limit": window.amount_limit, "count_limit": window.count_limit, "remaining": window.remaining,
    }  # fmt: skip
