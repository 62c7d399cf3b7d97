"""`tael transfer list | show | batch | holds`: what moved between accounts, and what is frozen. Reads only.

The book is what the API key in TAEL_API_KEY says.
"""

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime

from cyclopts import App
from rich.console import Console
from rich.table import Table

from tael.base.db import Tx
from tael.base.money import format_minor
from tael.cli.acting import acting
from tael.cli.printing import print_json
from tael.transfers import Transfer, lookup
from tael.transfers.lookup import Direction
from tael.transfers.views import hold_view, transfer_fields

app = App(name="transfer", help="Transfers between accounts, and frozen funds. TAEL_API_KEY says whose.")


@app.command(name="list")
async def list_(account: int, *, direction: Direction = "outgoing", limit: int = 50, json: bool = False) -> None:
    """Show transfers out of an account, or into it, newest first."""
    async with _reading() as (tx, book, _):
        found = await lookup.page(tx, book=book, account=account, direction=direction, limit=limit)
    _show(found, as_json=json)


@app.command
async def show(number: str, *, json: bool = False) -> None:
    """Show one transfer."""
    async with _reading() as (tx, book, _):
        found = await lookup.find_transfer(tx, book=book, order_no=number)
    _show([found], as_json=json)


@app.command
async def batch(number: str) -> None:
    """Show one batch with what was done and what was refused, as JSON."""
    async with _reading() as (tx, book, _):
        found = await lookup.find_batch(tx, book=book, batch_no=number)
    print_json(found)


@app.command
async def holds(account: int, *, limit: int = 50, json: bool = False) -> None:
    """Show what is or was frozen on an account, newest first."""
    async with _reading() as (tx, book, now):
        found = await lookup.page_of_holds(tx, book=book, account=account, limit=limit)
    views = [hold_view(one, now=now) for one in found]
    if json:
        print_json(views)
        return
    table = Table("hold", "state", "amount", "reason", "expires", "used by")
    for one in views:
        expires = "never" if one.expires_at is None else f"{one.expires_at:%Y-%m-%d %H:%M:%S}Z"
        amount = f"{format_minor(one.amount, one.currency)} {one.currency}"
        table.add_row(one.id, one.state, amount, one.reason, expires, one.used_by or "")
    Console().print(table)


@asynccontextmanager
async def _reading() -> AsyncGenerator[tuple[Tx, int, datetime]]:
    """A transaction, whose book is read, and the time. Raises `InvalidApiKey` or `InsufficientScope`."""
    async with acting("transfers:read") as one, one.db.transaction() as tx:
        yield tx, one.caller.book, one.now()


def _show(found: Sequence[Transfer], *, as_json: bool) -> None:
    if as_json:
        print_json([transfer_fields(one) for one in found])
        return
    table = Table("transfer", "from", "to", "amount", "note", "at")
    for one in found:
        amount = f"{format_minor(one.amount, one.currency)} {one.currency}"
        at = f"{one.created_at:%Y-%m-%d %H:%M:%S}Z"
        table.add_row(one.order_no, str(one.debit), str(one.credit), amount, one.note, at)
    Console().print(table)
