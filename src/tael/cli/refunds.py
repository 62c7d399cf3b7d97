"""`tael refund list | show | start`: money that goes back to where it came from.

Who acts, and in which book, is what the API key in TAEL_API_KEY says: a person cannot pass for another by an argument.
"""

import re
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Annotated

import msgspec
from cyclopts import App, Parameter
from cyclopts.validators import Number
from rich.console import Console
from rich.table import Table

from tael.base.money import MAX_MINOR, Money, format_minor
from tael.channels.accounts import MerchantAccounts
from tael.channels.pace import SharedPace
from tael.channels.registry import connectors
from tael.channels.transport import Transport
from tael.cli.acting import acting
from tael.cli.connection import leased_ids
from tael.cli.printing import print_json
from tael.guard import Caller, claim_for
from tael.ledger import Ledger
from tael.orders import Filter, OrderState
from tael.payments.chart import Chart
from tael.payments.platform import Platform
from tael.refunds import Refunds, StartRefund, lookup
from tael.refunds.views import RefundOrderView

app = App(name="refund", help="Refunds: look, and give a payment back. TAEL_API_KEY says who acts.")


@app.command(name="list")
async def list_(*, state: OrderState | None = None, limit: int = 50, json: bool = False) -> None:
    """Show refunds, newest first; `--state unknown` is what nobody can tell yet."""
    only = Filter(states=() if state is None else (state,))
    async with _acting("refunds:read") as (platform, caller), platform.db.transaction() as tx:
        found = await lookup.page(tx, book=caller.book, only=only, limit=limit)
    _show(found, as_json=json)


@app.command
async def show(number: str, *, json: bool = False) -> None:
    """Show one refund."""
    async with _acting("refunds:read") as (platform, caller), platform.db.transaction() as tx:
        found = await lookup.find_refund(tx, book=caller.book, order_no=number)
    _show([found], as_json=json)


def _is_business_no(_: object, value: str) -> None:
    if not re.fullmatch(r"[0-9A-Za-z_\-]{1,64}", value):
        raise ValueError("1 to 64 letters, digits, _ or -")


def _is_reason(_: object, value: str) -> None:
    if not 1 <= len(value) <= 80:
        raise ValueError("1 to 80 letters")


@app.command
async def start(
    payment: Annotated[str, Parameter(help="The payment's order number")],
    amount: Annotated[int, Parameter(help="Minor units (fen)", validator=Number(gte=1, lte=MAX_MINOR))],
    number: Annotated[str, Parameter(help="The business's own number of the refund", validator=_is_business_no)],
    *,
    reason: Annotated[
        str, Parameter(help="Up to 80 letters; some channels show it to the payer", validator=_is_reason)
    ],
    currency: str = "CNY",
    json: bool = False,
) -> None:
    """Give back a payment, in whole or in part, to where it came from.

    One number is one refund for ever: the same command again starts nothing new, it shows the refund as it was then.
    """
    asked = _Asked(payment, amount, number, currency, reason)
    async with _acting("refunds:write") as (platform, caller):
        claim = claim_for(
            book=caller.book, key=f"tael refund {number}", endpoint="tael refund start",
            body=msgspec.json.encode(asked),
        )  # fmt: skip
        refunds = Refunds(platform)
        try:
            answer = await refunds.start(
                StartRefund(claim, Money(amount, currency), reason, number), payment_no=payment
            )
        finally:
            await refunds.close()
    _show([RefundOrderView.model_validate_json(answer.body)], as_json=json)


@dataclass(frozen=True, slots=True)
class _Asked:
    """What a command asks for: the same again is the same refund, anything else under its number is refused."""

    payment: str
    amount: int
    number: str
    currency: str
    reason: str


@asynccontextmanager
async def _acting(scope: str) -> AsyncGenerator[tuple[Platform, Caller]]:
    """What a use case works with, and who acts. Raises `InvalidApiKey` or `InsufficientScope`."""
    async with acting(scope) as one:
        transport = Transport(pace=SharedPace(one.db))
        try:
            accounts = MerchantAccounts(connectors(transport))
            await accounts.refresh(one.db)
            async with leased_ids(one.db, one.now) as ids:
                yield Platform(one.db, ids, Ledger(), Chart(), accounts, one.settings, one.now), one.caller
        finally:
            transport.close()


def _show(found: Sequence[RefundOrderView], *, as_json: bool) -> None:
    if as_json:
        print_json(found)
        return
    table = Table("refund", "business number", "state", "amount", "of payment", "through", "number there", "note")
    for one in found:
        table.add_row(
            one.refund_no, one.business_refund_no or "", one.state,
            f"{format_minor(one.amount, one.currency)} {one.currency}", one.payment_no, one.channel,
            one.channel_ref or one.attempt_no, one.note or "",
        )  # fmt: skip
    Console().print(table)
