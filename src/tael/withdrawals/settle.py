"""Write what channels said about payouts: one commit per batch, from answers, queries and notices alike.

    lock orders and attempts -> Plan (pure) -> states, evidence, quota, limits, events, work -> the ledger, last

    paid          settle of the hold + Dr payouts payable Cr channel receivable     quota used
    failed        release of the hold                                               quota free, counts towards no limit
    returned      Dr channel receivable Cr the customer (suspense when the account is closed)     quota given back
    contradicted  Dr suspense payouts Cr channel receivable, once                   quota used

Statements come first, twice, late and in any order: the order's lock and the postings' keys make one effect of them.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

import structlog

from tael import routing
from tael.alerts import Alert, clear, raise_alert
from tael.alerts import Key as AlertKey
from tael.base import outbox, tasks
from tael.base.crash import crash_point
from tael.base.db import Tx, UniqueViolation
from tael.base.errors import TaelError
from tael.ledger import AccountId, Outcome, Posting, require_posted
from tael.orders import Order, OrderState, lock_by_attempt, save
from tael.payments import evidence, suspense
from tael.payments.alarms import PAYOUT_CONTRADICTION, PAYOUT_UNKNOWN
from tael.payments.evidence import Exchange
from tael.payments.platform import Platform
from tael.payments.settlement import NotOurPayment
from tael.payments.suspense import NewItem, SuspenseReason
from tael.risk import Risk
from tael.withdrawals import entries, store
from tael.withdrawals.lookup import details_of
from tael.withdrawals.opening import PAYOUT, payout_task
from tael.withdrawals.said import Entry, Happened, Plan, Said, Verdict
from tael.withdrawals.store import Key
from tael.withdrawals.undo import let_go
from tael.withdrawals.views import withdrawal_event

PATIENCE_S = 3 * 86_400
"""How long a payout may be unknown before a person is told; asking goes on."""
COOLING_S = 600
"""How long a merchant account pays nobody after it refused for a reason of its own."""
LATE_QUERY_S = 86_400
"""How often a paid payout that may still come back is asked about."""
Outcomes = list[Verdict | TaelError]

_log = structlog.get_logger("tael.payout")


class _AccountClosed(Exception):
    """These attempts have returned, and their customers' accounts take nothing any more."""

    def __init__(self, keys: set[Key]) -> None:
        super().__init__()
        self.keys = keys


class Settling:
    """Writes batches of statements. One per process."""

    def __init__(self, platform: Platform, risk: Risk) -> None:
        self._platform, self._risk = platform, risk

    async def settle(self, said: Sequence[Said]) -> Outcomes:
        """Write statements in one commit; answers one verdict or refusal each, in order."""
        now = self._platform.now()
        closed: set[Key] = set()
        while True:
            try:
                async with self._platform.db.transaction() as tx:
                    outcomes = await self._settle(tx, said, closed, now=now)
                    crash_point("payout.recorded_before_commit")
                crash_point("payout.recorded")
                _report(said, outcomes)
                return outcomes
            except UniqueViolation:
                # One channel number for two attempts: no honest channel says that, so it settles nothing.
                if len(said) == 1:
                    return [NotOurPayment(said[0].number)]
                raise
            except _AccountClosed as problem:
                closed |= problem.keys

    async def _settle(self, tx: Tx, said: Sequence[Said], closed: set[Key], *, now: datetime) -> Outcomes:
        rows = dict(await lock_by_attempt(tx, sorted({one.key for one in said})))
        # Read under the orders' locks: nobody calls one of them back before this is committed.
        back = await store.called_back(tx, sorted({(order.book, order.order_no) for order, _ in rows.values()}))
        plan = Plan(rows, back, now)
        outcomes = [plan.take(one) for one in said]
        orders, attempts = plan.changed()
        await save(tx, orders, attempts)
        kept: list[Exchange] = [one.exchange for one in said if one.exchange is not None]
        await evidence.keep_exchanges(tx, kept, ids=self._platform.ids, now=now)
        await evidence.note_verdicts(tx, _noted(said, outcomes))
        await raise_alert(tx, _alarms(said, outcomes), ids=self._platform.ids, now=now)
        await clear(tx, _known_at_last(plan), now=now)
        await self._quota(tx, plan, now=now)
        await let_go(tx, [one.order for one in plan.entries if one.what is Happened.FAILED], risk=self._risk)
        await self._tell(tx, plan, now=now)
        await self._work(tx, plan, now=now)
        await self._suspend(tx, plan, closed, now=now)
        await self._post(tx, plan, closed, now=now)
        return outcomes

    async def _quota(self, tx: Tx, plan: Plan, *, now: datetime) -> None:
        used = [_key(one) for one in plan.entries if one.what in {Happened.PAID, Happened.CONTRADICTED}]
        back = [_key(one) for one in plan.entries if one.what in {Happened.RETURNED, Happened.TAKEN_BACK}]
        if used:
            await routing.settle(tx, used, now=now)
        if plan.freed:
            await routing.release(tx, sorted(plan.freed), now=now)
        if back:
            await routing.give_back(tx, back, now=now)
        until = now + timedelta(seconds=COOLING_S)
        for book, account in sorted(plan.tired):  # at most one per merchant account, and rarely any
            await routing.cool(tx, book=book, merchant_account=account, operation="payout", until=until)

    async def _tell(self, tx: Tx, plan: Plan, *, now: datetime) -> None:
        if plan.told:
            details = await details_of(tx, [(order.book, order.order_no) for _, order, _ in plan.told])
            events = [
                withdrawal_event(topic, order, [attempt], details[order.book, order.order_no])
                for topic, order, attempt in plan.told
            ]
            await outbox.emit(tx, events, ids=self._platform.ids, now=now)

    async def _work(self, tx: Tx, plan: Plan, *, now: datetime) -> None:
        """Nothing is left to do about a paid or returned order, unless it may still come back; the next merchant
        account is tried at once."""
        over = [one for one in plan.entries if one.what in {Happened.PAID, Happened.RETURNED}]
        again = [
            payout_task(one.order, now + timedelta(seconds=LATE_QUERY_S)) for one in over
            if one.what is Happened.PAID and self._platform.connector(one.account).spec.late_return_s
        ] + [payout_task(order, now) for order in plan.onward]  # fmt: skip
        touched: list[Order] = [one.order for one in over] + plan.onward
        await tasks.cancel(tx, PAYOUT, [(order.book, order.order_no) for order in touched])
        await tasks.enqueue(tx, again, ids=self._platform.ids, now=now)

    async def _suspend(self, tx: Tx, plan: Plan, closed: set[Key], *, now: datetime) -> None:
        items = [
            NewItem(
                one.order.book, one.account.id, one.attempt.channel_ref or one.attempt.attempt_no, one.order.order_no,
                one.attempt.attempt_no, SuspenseReason.ACCOUNT_CLOSED, one.attempt.amount, one.attempt.currency,
            )
            for one in plan.entries if one.what is Happened.RETURNED and _key(one) in closed
        ]  # fmt: skip
        await suspense.put(tx, items, ids=self._platform.ids, now=now)

    async def _post(self, tx: Tx, plan: Plan, closed: set[Key], *, now: datetime) -> None:
        """The ledger's lock is taken last and held shortest."""
        postings: list[Posting] = []
        returning: dict[int, Key] = {}
        for one in plan.entries:
            if one.what is Happened.RETURNED and _key(one) not in closed:
                returning[len(postings)] = _key(one)
            postings += await self._postings(tx, one, closed, now=now)
        if not postings:
            return
        results = await self._platform.ledger.post(tx, postings, now=now)
        shut = {key for at, key in returning.items() if results[at].outcome is Outcome.CREDIT_ACCOUNT_CLOSED}
        if shut:
            raise _AccountClosed(shut)
        require_posted(results)

    async def _postings(self, tx: Tx, entry: Entry, closed: set[Key], *, now: datetime) -> list[Posting]:
        order, attempt, chart = entry.order, entry.attempt, self._platform.chart
        book, currency = order.book, order.currency
        receivable = await chart.receivable(tx, entry.account, currency, now=now)
        match entry.what:
            case Happened.FAILED:
                return [entries.release(order)]
            case Happened.PAID:
                payable = await chart.payable(tx, book, currency, now=now)
                return entries.paid(order, payable=payable, receivable=receivable)
            case Happened.CONTRADICTED:
                lost = await chart.paid_in_error(tx, book, currency, now=now)
                return [entries.contradicted(order, attempt, suspense=lost, receivable=receivable)]
            case Happened.TAKEN_BACK:
                lost = await chart.paid_in_error(tx, book, currency, now=now)
                return [entries.returned(order, attempt, receivable=receivable, credit=lost)]
            case Happened.RETURNED:
                shut = _key(entry) in closed
                credit = await chart.suspense(tx, book, currency, now=now) if shut else AccountId(order.account)
                return [entries.returned(order, attempt, receivable=receivable, credit=credit)]


def _key(entry: Entry) -> Key:
    return entry.attempt.book, entry.attempt.attempt_no


def _known_at_last(plan: Plan) -> list[AlertKey]:
    """Payouts whose end is known now after so long that a person was told."""
    over = plan.freed | {_key(one) for one in plan.entries if one.what is Happened.PAID}
    return [
        (key[0], PAYOUT_UNKNOWN, key[1]) for key in sorted(over)
        if plan.now >= plan.rows[key][1].created_at + timedelta(seconds=PATIENCE_S)
    ]  # fmt: skip


def _alarms(said: Sequence[Said], outcomes: Outcomes) -> list[Alert]:
    return [
        Alert(one.account.book, PAYOUT_CONTRADICTION, one.number, {"state": one.view.state if one.view else None})
        for one, outcome in zip(said, outcomes, strict=True)
        if outcome is Verdict.CONTRADICTS or isinstance(outcome, NotOurPayment)
    ]


def _noted(said: Sequence[Said], outcomes: Outcomes) -> list[tuple[int, int, str]]:
    return [
        (one.account.book, one.notice, type(outcome).__name__ if isinstance(outcome, TaelError) else outcome)
        for one, outcome in zip(said, outcomes, strict=True)
        if one.notice is not None
    ]


def _report(said: Sequence[Said], outcomes: Outcomes) -> None:
    """Say aloud what a person has to look at."""
    for one, outcome in zip(said, outcomes, strict=True):
        if outcome is Verdict.CONTRADICTS or isinstance(outcome, TaelError):
            what = type(outcome).__name__ if isinstance(outcome, TaelError) else outcome.value
            _log.error(
                "payout.contradiction", attempt_no=one.number, merchant_account=one.account.id, found=what,
                state=one.view.state.value if one.view else None,
            )  # fmt: skip
        elif outcome is Verdict.NEXT:
            _log.warning("payout.account_refused", attempt_no=one.number, merchant_account=one.account.id)


def may_return(order: Order, *, late_return_s: int, now: datetime) -> bool:
    """Whether a paid order may still come back."""
    paid_at = order.paid_at
    return order.state is OrderState.PAID and paid_at is not None and now < paid_at + timedelta(seconds=late_return_s)
