"""Open withdrawals inside the caller's transaction: everything about them but the hold, which the ledger does last.

    verdict of risk control -> order -> what was asked for -> approval -> events; the payout when nobody must approve

The verdict comes first, because it locks the person: two withdrawals of one member are never judged at the same time.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from tael import approvals
from tael.approvals import Approval, NewApproval
from tael.base import outbox, tasks
from tael.base.db import Tx
from tael.base.errors import TaelError
from tael.base.ids import Ids
from tael.base.outbox import NewEvent
from tael.base.tasks import NewTask
from tael.guard import Answer
from tael.orders import NewOrder, Opened, Order, OrderState, move_order, open_orders, save
from tael.risk import Judgement, Question, Risk, RiskOutcome, RiskRefused, require_allowed
from tael.withdrawals import store
from tael.withdrawals.lookup import KIND, Details, all_about, content_of
from tael.withdrawals.store import BoundPayee, Withdrawal
from tael.withdrawals.views import with_approval, withdrawal_event

PAYOUT = "payout"
"""Queue of payouts; the key is the order number."""

Said = dict[str, Answer | TaelError]


@dataclass(frozen=True, slots=True)
class Wanted:
    """A withdrawal that passed every check but risk control's and the ledger's."""

    order: NewOrder
    payee: BoundPayee
    maker: str


class Opening:
    """Opens withdrawals. One per process."""

    def __init__(self, ids: Ids, risk: Risk, *, guard_s: int) -> None:
        self._ids, self._risk, self._guard_s = ids, risk, guard_s

    async def open(self, tx: Tx, wanted: Sequence[Wanted], *, now: datetime) -> tuple[Said, list[Order]]:
        """Answers by order number, and the orders whose money has to be held now."""
        said, allowed = await self._judge(tx, wanted, now=now)
        found = await open_orders(tx, [one.order for one, _ in allowed], now=now, guard_s=self._guard_s)
        new: list[tuple[Order, Details]] = []
        for (one, judgement), opened in zip(allowed, found, strict=True):
            if isinstance(opened, TaelError):
                said[one.order.order_no] = opened
            elif opened.resumed:
                said[one.order.order_no] = await _as_it_stands(tx, opened)
            else:
                new.append((opened.order, _details(one, judgement)))
        # For those nothing was opened after all, so they count towards no limit.
        idle = [(one.order.book, KIND, one.order.order_no) for one, _ in allowed if one.order.order_no in said]
        await self._risk.void(tx, idle)
        return said | await self._commit(tx, new, now=now), [order for order, _ in new]

    async def _judge(
        self, tx: Tx, wanted: Sequence[Wanted], *, now: datetime
    ) -> tuple[Said, list[tuple[Wanted, Judgement]]]:
        said: Said = {}
        allowed: list[tuple[Wanted, Judgement]] = []
        judged = await self._risk.judge(tx, [_question(one) for one in wanted], now=now)
        for one, judgement in zip(wanted, judged, strict=True):
            try:
                require_allowed([judgement])
            except RiskRefused as refusal:
                said[one.order.order_no] = refusal
            else:
                allowed.append((one, judgement))
        return said, allowed

    async def _commit(self, tx: Tx, new: Sequence[tuple[Order, Details]], *, now: datetime) -> Said:
        await store.insert_withdrawals(tx, [details.withdrawal for _, details in new])
        asked = await self._ask(tx, new, now=now)
        said: Said = {}
        begun: list[Order] = []
        events: list[NewEvent] = []
        for order, details in new:
            approval = asked[order.order_no]
            waits = approval.state == "pending"
            to = OrderState.REVIEWING if waits else OrderState.APPROVED
            moved = move_order(replace(order, events=1), to, tells=not waits)
            events.append(withdrawal_event("withdrawal.created", replace(moved, events=1), [], details))
            if not waits:
                events.append(withdrawal_event("withdrawal.approved", moved, [], details))
            shown = with_approval(moved, [], details, approval if waits else None)
            said[order.order_no] = Answer(201, shown.model_dump_json().encode())
            begun.append(moved)
        await save(tx, begun, [])
        await outbox.emit(tx, events, ids=self._ids, now=now)
        due = [payout_task(order, now) for order in begun if order.state is OrderState.APPROVED]
        await tasks.enqueue(tx, due, ids=self._ids, now=now)
        return said

    async def _ask(self, tx: Tx, new: Sequence[tuple[Order, Details]], *, now: datetime) -> dict[str, Approval]:
        """An approval each; one person at least where risk control wants it looked at."""
        found: dict[str, Approval] = {}
        for least in (0, 1):
            asked = [
                NewApproval(
                    order.book, KIND, order.order_no, content_of(order, one), order.amount, order.currency,
                    one.withdrawal.maker, order.expires_at,
                )
                for order, one in new if bool(one.withdrawal.review) == bool(least)
            ]  # fmt: skip
            said = await approvals.ask(tx, asked, ids=self._ids, now=now, least=least)
            found |= {one.subject: one for one in said}
        return found


def payout_task(order: Order, due_at: datetime) -> NewTask:
    """The work of paying an order out."""
    return NewTask(order.book, PAYOUT, order.order_no, None, due_at)


def _question(wanted: Wanted) -> Question:
    order, payee = wanted.order, wanted.payee
    return Question(
        book=order.book, operation=KIND, number=order.order_no, person=payee.owner, account=order.account,
        amount=order.amount, currency=order.currency, payee=payee.fingerprint, extra={"payee_kind": payee.kind},
    )  # fmt: skip


def _details(wanted: Wanted, judgement: Judgement) -> Details:
    order, payee = wanted.order, wanted.payee
    review = ""
    if judgement.outcome is RiskOutcome.REVIEW:
        review = judgement.reason or ", ".join(judgement.rules) or "review"
    return Details(Withdrawal(order.book, order.order_no, payee.owner, payee.id, wanted.maker, review), payee)


async def _as_it_stands(tx: Tx, opened: Opened) -> Answer:
    """The same request came again after its stored answer was forgotten: the withdrawal as it is now."""
    (found,) = await all_about(tx, [opened.order])
    shown = with_approval(found.order, found.attempts, found.details, found.approval)
    return Answer(201, shown.model_dump_json().encode())
