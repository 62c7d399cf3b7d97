"""`tael transfer list | show | batch | holds`: what moved between accounts, and what is frozen. Reads only.

The book is what the API key in TAEL_API_KEY says.
"""

import os
import sys
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime

import msgspec
from cyclopts import App
from rich.console import Console
from rich.table import Table

import tael.cli
from tael.app import master_key
from tael.base.clock import DatabaseClock
from tael.base.db import Tx
from tael.base.money import format_minor
from tael.base.settings import Settings
from tael.guard import KeyRing
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
    sys.stdout.write(msgspec.json.encode(found).decode() + "\n")


@app.command
async def holds(account: int, *, limit: int = 50, json: bool = False) -> None:
    """Show what is or was frozen on an account, newest first."""
    async with _reading() as (tx, book, now):
        found = await lookup.page_of_holds(tx, book=book, account=account, limit=limit)
    views = [hold_view(one, now=now) for one in found]
    if json:
        sys.stdout.write(msgspec.json.encode([one.model_dump(mode="json") for one in views]).decode() + "\n")
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
    settings = Settings()
    async with tael.cli.connect() as db:
        clock = await DatabaseClock.synchronised(db)
        ring = KeyRing(db, pepper=master_key(settings), mode=settings.mode, now=clock.now)
        caller = await ring.authenticate(f"Bearer {os.environ.get('TAEL_API_KEY', '')}")
        caller.require("transfers:read")
        async with db.transaction() as tx:
            yield tx, caller.book, clock.now()


def _show(found: Sequence[Transfer], *, as_json: bool) -> None:
    if as_json:
        sys.stdout.write(msgspec.json.encode([transfer_fields(one) for one in found]).decode() + "\n")
        return
    table = Table("transfer", "from", "to", "amount", "note", "at")
    for one in found:
        amount = f"{format_minor(one.amount, one.currency)} {one.currency}"
        at = f"{one.created_at:%Y-%m-%d %H:%M:%S}Z"
        table.add_row(one.order_no, str(one.debit), str(one.credit), amount, one.note, at)
    Console().print(table)
