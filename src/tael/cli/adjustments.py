"""`tael adjustment propose | list | approve | reject | cancel`: manual adjustments (调账), by two people at least.

Who acts, and in which book, is what the API key in TAEL_API_KEY says: a person cannot pass for another by an argument.
"""

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import Annotated

import msgspec
from cyclopts import App, Parameter
from rich.console import Console
from rich.table import Table

from tael import adjustments
from tael.adjustments import Adjustment, Adjustments, AdjustmentState, Leg, LegsRefused, NewAdjustment, Verdict
from tael.adjustments.views import AdjustmentView, adjustment_view
from tael.approvals import Approval
from tael.base.money import format_minor
from tael.cli.acting import acting
from tael.cli.connection import leased_ids
from tael.cli.printing import print_json
from tael.guard import Caller, claim_for
from tael.ledger import Ledger

app = App(name="adjustment", help="Manual adjustments: propose, decide, look. TAEL_API_KEY says who acts.")


@app.command
async def propose(
    key: str, *, reason: str,
    leg: Annotated[tuple[str, ...], Parameter(help="DEBIT:CREDIT:AMOUNT in minor units, may be repeated")] = (),
    currency: str = "", evidence: str | None = None, order: str | None = None, reverses: str | None = None,
    json: bool = False,
) -> None:  # fmt: skip
    """Propose to book by hand. KEY makes it happen once: the same command again answers the same adjustment.

    Parameters
    ----------
    reason: why, for whoever approves
    currency: of all legs
    evidence: where the document is that shows it
    order: number of the order it is about
    reverses: number of a posted adjustment to take back, instead of legs
    """
    legs = [_leg(text) for text in leg]
    content = msgspec.json.encode([reason, leg, currency, evidence, order, reverses])
    async with _acting("adjustments:write") as (desk, caller):
        claim = claim_for(book=caller.book, key=key, endpoint="tael adjustment propose", body=content)
        said = await desk.start(
            claim,
            NewAdjustment(
                book=caller.book, maker=caller.person, request_key=key, reason=reason, legs=legs, currency=currency,
                evidence=evidence, order_no=order, reverses=reverses,
            ),
        )  # fmt: skip
    _show([AdjustmentView.model_validate_json(said.body)], as_json=json)


@app.command(name="list")
async def list_(*, state: AdjustmentState | None = None, limit: int = 50, json: bool = False) -> None:
    """Show adjustments, newest first; `--state proposed` is what waits."""
    async with _acting("adjustments:read") as (desk, caller), desk.db.transaction() as tx:
        found = await adjustments.page(tx, book=caller.book, state=state, limit=limit)
    _show([adjustment_view(*one) for one in found], as_json=json)


@app.command
async def approve(number: str, *, note: str | None = None, seen: str | None = None, json: bool = False) -> None:
    """Approve what another person proposed; the last approval needed books it.

    Parameters
    ----------
    seen: `payload_sha256` of what was looked at; anything else is refused
    """
    async with _acting("adjustments:approve") as (desk, caller):
        done = await desk.approve(Verdict(caller.book, number, caller.checker(), note, seen))
    _show_one(done, as_json=json)


@app.command
async def reject(number: str, *, note: str | None = None, seen: str | None = None, json: bool = False) -> None:
    """Reject what another person proposed; one rejection is enough.

    Parameters
    ----------
    seen: `payload_sha256` of what was looked at; anything else is refused
    """
    async with _acting("adjustments:approve") as (desk, caller):
        done = await desk.reject(Verdict(caller.book, number, caller.checker(), note, seen))
    _show_one(done, as_json=json)


@app.command
async def cancel(number: str, *, json: bool = False) -> None:
    """Withdraw a proposal that waits."""
    async with _acting("adjustments:write") as (desk, caller):
        done = await desk.cancel(book=caller.book, adjustment_no=number, person=caller.person)
    _show_one(done, as_json=json)


@asynccontextmanager
async def _acting(scope: str) -> AsyncGenerator[tuple[Adjustments, Caller]]:
    """The desk, and who acts at it. Raises `InvalidApiKey` or `InsufficientScope`."""
    async with acting(scope) as one, leased_ids(one.db, one.now) as ids:
        yield Adjustments(one.db, ids, Ledger(), one.now), one.caller


def _leg(text: str) -> Leg:
    parts = text.split(":")
    if len(parts) != 3 or not all(part.isascii() and part.isdigit() and len(part) < 20 for part in parts):
        raise LegsRefused(f"{text}: DEBIT:CREDIT:AMOUNT is expected", param="leg")
    debit, credit, amount = (int(part) for part in parts)
    return Leg(debit, credit, amount)


def _show_one(done: tuple[Adjustment, Approval], *, as_json: bool) -> None:
    _show([adjustment_view(*done)], as_json=as_json)


def _show(found: Sequence[AdjustmentView], *, as_json: bool) -> None:
    if as_json:
        print_json(found)
        return
    table = Table("adjustment", "state", "amount", "debit → credit", "proposed by", "approved", "reason")
    for one in found:
        approving = sum(decision.decision == "approve" for decision in one.decisions)
        table.add_row(
            one.adjustment_no, one.state, f"{format_minor(one.amount, one.currency)} {one.currency}",
            "\n".join(f"{leg.debit} → {leg.credit} {format_minor(leg.amount, one.currency)}" for leg in one.legs),
            one.maker, f"{approving} of {one.needed}", one.reason,
        )  # fmt: skip
    Console().print(table)
