"""Write what channels said about refunds: one commit per batch, from answers, queries and notices alike.

    lock refunds and payments -> Plan (pure) -> states, evidence, suspense, events, work, answers -> the ledger, last

Statements come first, twice, late and in any order: the locks and the postings' keys make one effect of them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import structlog

from tael.alerts import Alert, clear, raise_alert
from tael.base import outbox, tasks
from tael.base.batch import Batcher
from tael.base.crash import crash_point
from tael.base.db import Tx, UniqueViolation
from tael.base.errors import TaelError
from tael.channels.contract import RefundState
from tael.guard import Answer, finish
from tael.ledger import Posting, require_posted
from tael.orders import attempts_of, lock_by_attempt, lock_orders, save
from tael.payments import evidence, suspense
from tael.payments.alarms import REFUND_ABNORMAL, REFUND_CONTRADICTION
from tael.payments.fulfilment import waive
from tael.payments.platform import MAX_WAIT_MS, Platform
from tael.payments.views import order_event
from tael.refunds import entries, store
from tael.refunds.said import KIND, Entry, Happened, NotOurRefund, Plan, Row, Said, Verdict
from tael.refunds.views import answer, refund_event

REFUNDS = "refund"
"""Queue of the sender; the key is the number of the refund's attempt, or `item:` and the id of a suspense item."""

_log = structlog.get_logger("tael.refund")


@dataclass(frozen=True, slots=True)
class Recorded:
    """What a statement did, and the refund as it is now; `answer` is None when there is no such refund."""

    verdict: Verdict | TaelError
    answer: Answer | None


class Settling:
    """Writes statements; concurrent ones share a commit. One per process."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._recording: Batcher[Said, Recorded] = Batcher(self.settle, max_wait_ms=MAX_WAIT_MS)

    async def record(self, said: Said) -> Recorded:
        """Write one statement, together with those that wait."""
        return await self._recording.submit(said)

    async def close(self) -> None:
        """Finish what is under way."""
        await self._recording.close()

    async def settle(self, said: Sequence[Said]) -> list[Recorded]:
        """Write statements in one commit; answers one result each, in order."""
        now = self._platform.now()
        try:
            async with self._platform.db.transaction() as tx:
                recorded = await self._settle(tx, said, now=now)
                crash_point("refund.recorded_before_commit")
        except UniqueViolation:
            # One channel number for two refunds: no honest channel says that, so it settles nothing.
            if len(said) == 1:
                recorded = [Recorded(NotOurRefund(said[0].number), None)]
            else:
                return [one for single in said for one in await self.settle([single])]
        else:
            crash_point("refund.recorded")
        for one, result in zip(said, recorded, strict=True):
            _report(one, result.verdict)
        return recorded

    async def _settle(self, tx: Tx, said: Sequence[Said], *, now: datetime) -> list[Recorded]:
        plan = await self._plan(tx, said, now=now)
        verdicts = [plan.take(one) for one in said]
        await save(
            tx,
            [plan.rows[key].order for key in sorted(plan.touched)]
            + [plan.payments[key] for key in sorted(plan.touched_payments)],
            [plan.rows[key].attempt for key in sorted(plan.touched)],
        )
        await waive(tx, [plan.payments[key] for key in sorted(plan.touched_payments)], now=now)
        kept = [one.exchange for one in said if one.exchange is not None]
        await evidence.keep_exchanges(tx, kept, ids=self._platform.ids, now=now)
        await evidence.note_verdicts(tx, _noted(said, verdicts))
        await raise_alert(tx, _alarms(said, verdicts), ids=self._platform.ids, now=now)
        over = [one.row.attempt for one in plan.entries]
        await clear(tx, [(one.book, REFUND_ABNORMAL, one.attempt_no) for one in over], now=now)
        await self._suspense(tx, plan)
        await self._tell(tx, plan, now=now)
        ended = [(one.row.attempt.book, one.row.attempt.attempt_no) for one in plan.entries]
        await tasks.cancel(tx, REFUNDS, ended)
        answers = [_shown(plan.rows.get(one.key)) for one in said]
        waiting = [(one.claim, shown) for one, shown in zip(said, answers, strict=True) if one.claim and shown]
        await finish(tx, [(claim, shown.status, shown.body) for claim, shown in waiting])
        await self._post(tx, plan, now=now)
        return [Recorded(verdict, shown) for verdict, shown in zip(verdicts, answers, strict=True)]

    async def _plan(self, tx: Tx, said: Sequence[Said], *, now: datetime) -> Plan:
        """Refunds are locked before payments, each in the order of their numbers, wherever both are locked."""
        locked = await lock_by_attempt(tx, sorted({one.key for one in said}))
        refunds = await store.find(tx, [(order.book, order.order_no) for order, _ in locked.values()])
        rows = {
            key: Row(order, attempt, refunds[order.book, order.order_no])
            for key, (order, attempt) in locked.items() if order.kind == KIND
        }  # fmt: skip
        payments = await lock_orders(tx, sorted({(row.refund.book, row.refund.payment_no) for row in rows.values()}))
        return Plan(rows, {(order.book, order.order_no): order for order in payments}, now)

    async def _suspense(self, tx: Tx, plan: Plan) -> None:
        failed = [one.row.refund for one in plan.entries if one.what is Happened.FAILED]
        await store.abandon(tx, [(refund.book, refund.order_no) for refund in failed])
        moves: list[tuple[int, int, str, str | None]] = []
        for one in plan.entries:
            refund = one.row.refund
            if refund.suspense_item is not None and one.what is Happened.REFUNDED:
                moves.append((refund.book, refund.suspense_item, "resolved", refund.order_no))
            elif refund.suspense_item is not None and one.what is Happened.FAILED:
                moves.append((refund.book, refund.suspense_item, "proposed", None))
        await suspense.move(tx, moves)

    async def _tell(self, tx: Tx, plan: Plan, *, now: datetime) -> None:
        events = [refund_event(topic, row.order, row.attempt, row.refund) for topic, row in plan.told]
        if plan.given_back:
            attempts = await attempts_of(tx, [payment for payment, _ in plan.given_back])
            for payment, refund in plan.given_back:
                paid = [one for one in attempts[payment.order_no] if one.attempt_no == refund.payment_attempt]
                events.append(order_event("refunded", payment, paid[0]))
        await outbox.emit(tx, events, ids=self._platform.ids, now=now)

    async def _post(self, tx: Tx, plan: Plan, *, now: datetime) -> None:
        """The ledger's lock is taken last and held shortest."""
        postings = [posting for one in plan.entries for posting in await self._postings(tx, one, now=now)]
        if postings:
            require_posted(await self._platform.ledger.post(tx, postings, now=now))

    async def _postings(self, tx: Tx, entry: Entry, *, now: datetime) -> list[Posting]:
        order, chart = entry.row.order, self._platform.chart
        if entry.what is Happened.FAILED:
            return [entries.released(order)]
        receivable = await chart.receivable(tx, entry.account, order.currency, now=now)
        if entry.what is Happened.REFUNDED:
            payable = await chart.refundable(tx, order.book, order.currency, now=now)
            return entries.refunded(order, payable=payable, receivable=receivable)
        lost = await chart.refunded_in_error(tx, order.book, order.currency, now=now)
        return [entries.in_error(order, lost=lost, receivable=receivable)]


def _shown(row: Row | None) -> Answer | None:
    return None if row is None else answer(row.order, row.attempt, row.refund)


def _alarms(said: Sequence[Said], verdicts: Sequence[Verdict | TaelError]) -> list[Alert]:
    found: list[Alert] = []
    for one, verdict in zip(said, verdicts, strict=True):
        state = one.view.state if one.view else None
        if verdict is Verdict.CONTRADICTS or isinstance(verdict, NotOurRefund):
            found.append(Alert(one.account.book, REFUND_CONTRADICTION, one.number, {"state": state}))
        elif verdict is Verdict.NOTED and state is RefundState.ABNORMAL:
            found.append(Alert(one.account.book, REFUND_ABNORMAL, one.number))
    return found


def _noted(said: Sequence[Said], verdicts: Sequence[Verdict | TaelError]) -> list[tuple[int, int, str]]:
    return [
        (one.account.book, one.notice, type(verdict).__name__ if isinstance(verdict, TaelError) else verdict)
        for one, verdict in zip(said, verdicts, strict=True)
        if one.notice is not None
    ]


def _report(said: Said, verdict: Verdict | TaelError) -> None:
    """Say aloud what a person has to look at."""
    state = said.view.state.value if said.view else None
    if verdict is Verdict.CONTRADICTS or isinstance(verdict, TaelError):
        found = type(verdict).__name__ if isinstance(verdict, TaelError) else verdict.value
        _log.error("refund.contradiction", attempt_no=said.number, merchant_account=said.account.id, found=found,
                   state=state)  # fmt: skip
    elif state == "abnormal" and verdict is Verdict.NOTED:
        _log.error("refund.needs_attention", attempt_no=said.number, merchant_account=said.account.id)
