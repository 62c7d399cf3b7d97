"""Withdrawals that wait for a person: the queue, and one withdrawal with everything its approver should see.

The page shows what risk control said, who asked and who decided, which merchant account would pay and what is left of
its quota, and the entries that will be posted. Approving sends the hash of what was shown, so nobody approves what
they did not see. On a live system the page only shows: people decide with their own API keys.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import parse_qs

from fastapi import APIRouter, Request, Response

from tael.base.db import Tx
from tael.base.errors import TaelError
from tael.console import access
from tael.console.frame import Page, Visitor, enter, render, visitor
from tael.ledger import books
from tael.orders import Filter, OrderNotFound, OrderState
from tael.risk.verdicts import Verdict as RiskVerdict
from tael.risk.verdicts import VerdictNotFound, find_verdict
from tael.routing import Considered
from tael.withdrawals import KIND
from tael.withdrawals.approve import Decisions, Verdict
from tael.withdrawals.lookup import Found, find_withdrawal
from tael.withdrawals.lookup import page as page_of
from tael.withdrawals.payout import Payouts

_SHOWN = 50


@dataclass(frozen=True, slots=True)
class _Sheet:
    """Everything about one withdrawal that its approver should see."""

    found: Found
    risk: RiskVerdict | None
    routes: Sequence[Considered]


class CannotDecideHere(TaelError):
    """This link may only look; decide with your own API key: `tael withdrawal approve`.
    zh: 此链接仅可查看，请使用本人的 API 密钥审批：tael withdrawal approve。
    """

    status = 403


def router(page: Page, decisions: Decisions, payouts: Payouts) -> APIRouter:
    """`/console/withdrawals` and below."""
    routes = APIRouter(include_in_schema=False)
    _reading_routes(routes, page, payouts)
    _deciding_routes(routes, page, decisions)
    return routes


def _reading_routes(routes: APIRouter, page: Page, payouts: Payouts) -> None:
    @routes.get("/console/withdrawals")
    async def queue(request: Request, key: str | None = None) -> Response:
        if key is not None:
            return enter(page, request, key)
        who = visitor(page, request)
        async with page.db.transaction() as tx:
            waiting = await _newest(tx, (OrderState.REVIEWING,))
            others = await _newest(tx, tuple(state for state in OrderState if state is not OrderState.REVIEWING))
        return render(page, who, "withdrawals.html", waiting=waiting, others=others)

    @routes.get("/console/withdrawals/{order_no}")
    async def sheet(request: Request, order_no: str, key: str | None = None) -> Response:
        if key is not None:
            return enter(page, request, key)
        who = visitor(page, request)
        async with page.db.transaction() as tx:
            shown = await _sheet(tx, payouts, await _find(tx, order_no))
        return render(page, who, "withdrawal.html", sheet=shown, may_decide=_may_decide(page, who, shown.found))


def _deciding_routes(routes: APIRouter, page: Page, decisions: Decisions) -> None:
    @routes.post("/console/withdrawals/{order_no}/{decision}")
    async def decide(request: Request, order_no: str, decision: str) -> Response:
        who, form = visitor(page, request), parse_qs((await request.body()).decode(errors="replace"))
        access.check_form(page.master_key, who.key, "".join(form.get("token", [])))
        if page.mode == "live" or who.person == access.NOBODY or decision not in {"approve", "reject"}:
            raise CannotDecideHere
        async with page.db.transaction() as tx:
            found = await _find(tx, order_no)
        verdict = Verdict(
            book=found.order.book, order_no=order_no, checker=who.person,
            note="".join(form.get("note", []))[:200].strip() or None,
            payload_sha256="".join(form.get("content", [])),
        )  # fmt: skip
        await (decisions.approve(verdict) if decision == "approve" else decisions.reject(verdict))
        return Response(status_code=303, headers={"Location": f"/console/withdrawals/{order_no}"})


def _may_decide(page: Page, who: Visitor, found: Found) -> bool:
    waits = found.approval is not None and found.approval.state == "pending"
    return waits and page.mode == "test" and who.person not in {access.NOBODY, found.details.withdrawal.maker}


async def _sheet(tx: Tx, payouts: Payouts, found: Found) -> _Sheet:
    order = found.order
    try:
        risk = await find_verdict(tx, book=order.book, operation=KIND, number=order.order_no)
    except VerdictNotFound:
        risk = None
    undecided = order.state in {OrderState.REVIEWING, OrderState.APPROVED}
    return _Sheet(found, risk, await payouts.explain(tx, found) if undecided else [])


async def _find(tx: Tx, order_no: str) -> Found:
    """The withdrawal of whichever book has it: the console shows one installation."""
    for book in await books(tx):
        with suppress(OrderNotFound):
            return await find_withdrawal(tx, book=book, order_no=order_no)
    raise OrderNotFound


async def _newest(tx: Tx, states: tuple[OrderState, ...]) -> list[Found]:
    found: list[Found] = []
    for book in await books(tx):
        found += await page_of(tx, book=book, only=Filter(states=states), limit=_SHOWN)
    return sorted(found, key=lambda one: one.order.id, reverse=True)[:_SHOWN]
