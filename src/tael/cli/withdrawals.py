"""`tael withdrawal list | show | approve | reject | cancel`: withdrawals and who releases them.

Who acts, and in which book, is what the API key in TAEL_API_KEY says: a person cannot pass for another by an argument.
"""

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager

from cyclopts import App
from rich.console import Console
from rich.table import Table

from tael.base.money import format_minor
from tael.cli.acting import acting
from tael.cli.connection import leased_ids
from tael.cli.printing import print_json
from tael.guard import Caller
from tael.ledger import Ledger
from tael.orders import Filter, OrderState
from tael.risk import Risk
from tael.withdrawals import lookup
from tael.withdrawals.approve import Decisions, Verdict
from tael.withdrawals.lookup import Found
from tael.withdrawals.views import WithdrawalWithApproval, with_approval

app = App(name="withdrawal", help="Withdrawals: look, approve, reject. TAEL_API_KEY says who acts.")


@app.command(name="list")
async def list_(*, state: OrderState | None = None, limit: int = 50, json: bool = False) -> None:
    """Show withdrawals, newest first; `--state reviewing` is what waits for approval."""
    only = Filter(states=() if state is None else (state,))
    async with _acting("withdrawals:read") as (decisions, caller), decisions.db.transaction() as tx:
        found = await lookup.page(tx, book=caller.book, only=only, limit=limit)
    _show(found, as_json=json)


@app.command
async def show(number: str, *, json: bool = False) -> None:
    """Show one withdrawal with its attempts and decisions."""
    async with _acting("withdrawals:read") as (decisions, caller), decisions.db.transaction() as tx:
        found = await lookup.find_withdrawal(tx, book=caller.book, order_no=number)
    _show([found], as_json=json)
    if not json:
        _show_parts(_view(found))


@app.command
async def approve(number: str, *, note: str | None = None, seen: str | None = None, json: bool = False) -> None:
    """Approve what another person asked for; the last approval needed starts the payout.

    Parameters
    ----------
    seen: `payload_sha256` of what was looked at; anything else is refused
    """
    async with _acting("withdrawals:approve") as (decisions, caller):
        found = await decisions.approve(Verdict(caller.book, number, caller.checker(), note, seen))
    _show([found], as_json=json)


@app.command
async def reject(number: str, *, note: str | None = None, seen: str | None = None, json: bool = False) -> None:
    """Reject what another person asked for; one rejection is enough, and the money is unfrozen.

    Parameters
    ----------
    seen: `payload_sha256` of what was looked at; anything else is refused
    """
    async with _acting("withdrawals:approve") as (decisions, caller):
        found = await decisions.reject(Verdict(caller.book, number, caller.checker(), note, seen))
    _show([found], as_json=json)


@app.command
async def cancel(number: str, *, json: bool = False) -> None:
    """Withdraw the request while no channel was asked to pay, or call it back while a channel waits for the payee."""
    async with _acting("withdrawals:write") as (decisions, caller):
        found = await decisions.cancel(book=caller.book, order_no=number, person=caller.person)
    _show([found], as_json=json)


@asynccontextmanager
async def _acting(scope: str) -> AsyncGenerator[tuple[Decisions, Caller]]:
    """Who decides, and who acts. Raises `InvalidApiKey` or `InsufficientScope`."""
    async with acting(scope) as one, leased_ids(one.db, one.now) as ids:
        yield Decisions(one.db, ids, Ledger(), Risk(), one.now), one.caller


def _view(found: Found) -> WithdrawalWithApproval:
    return with_approval(found.order, found.attempts, found.details, found.approval)


def _show(found: Sequence[Found], *, as_json: bool) -> None:
    views = [_view(one) for one in found]
    if as_json:
        print_json(views)
        return
    table = Table("withdrawal", "state", "amount", "payee", "asked by", "approved", "reason")
    for one in views:
        decisions = one.approval.decisions if one.approval else []
        approving = sum(decision.decision == "approve" for decision in decisions)
        called_back = f"called back by {one.called_back_by}" if one.called_back_by else None
        table.add_row(
            one.order_no, one.state, f"{format_minor(one.amount, one.currency)} {one.currency}",
            f"{one.payee.kind} {one.payee.masked} {one.payee.holder}", one.maker,
            f"{approving} of {one.approval.needed}" if one.approval else "nobody is needed",
            one.reason or called_back or one.review or "",
        )  # fmt: skip
    Console().print(table)


def _show_parts(view: WithdrawalWithApproval) -> None:
    attempts = Table("attempt", "state", "channel", "merchant account", "number at the channel", "error")
    for one in view.attempts:
        attempts.add_row(
            one.attempt_no, one.state, one.channel, one.merchant_account, one.channel_ref or "", one.error or ""
        )
    Console().print(attempts)
    if view.approval is not None:
        Console().print(f"content {view.approval.payload_sha256}", markup=False)
        for decision in view.approval.decisions:
            said = f"{decision.checker}: {decision.decision} at {decision.at:%Y-%m-%d %H:%M:%S}Z {decision.note or ''}"
            Console().print(said, markup=False)
