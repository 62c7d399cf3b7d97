"""Settle what a channel has proved: credit the customer once, or put the money into suspense; never lose it.

    fact (notice, query or close; verified) -> lock order and attempt -> decide -> one commit:
        order and attempt paid | suspense item + refund proposal
        ledger: Dr channel receivable   Cr customer's account | suspense
        outbox event, recovery cancelled

Facts come first, twice, late, in any order, from several processes: the order's lock, the posting's key (the order
number) and the channel number's unique index each make one effect out of them.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from tael.alerts import Alert, raise_alert
from tael.base import outbox, tasks
from tael.base.crash import crash_point
from tael.base.db import Tx, UniqueViolation
from tael.base.errors import TaelError
from tael.base.money import Money
from tael.base.outbox import NewEvent
from tael.channels.contract import MerchantAccount, PaymentState, PaymentView
from tael.ledger import AccountId, BookId, Outcome, Posting, Result, posting_id, require_posted
from tael.orders import (
    UNPAID_ORDER,
    Attempt,
    AttemptState,
    Order,
    OrderState,
    lock_by_attempt,
    move_attempt,
    move_order,
    save,
)
from tael.payments import evidence, suspense
from tael.payments.alarms import PAYMENT_CONTRADICTION
from tael.payments.fulfilment import expect
from tael.payments.kinds import KINDS, kind_of
from tael.payments.platform import Platform
from tael.payments.suspense import NewItem, SuspenseReason
from tael.payments.views import order_event

RECOVERY = "recover"
"""Queue of the recovery ladder; the key is the attempt number."""
SUSPENSE_CODE = 102
_HAS_BEEN_PAID = frozenset({OrderState.PAID, OrderState.REFUNDING, OrderState.REFUNDED})


class NotOurPayment(TaelError):
    """The payment belongs to another merchant account, app or environment than the order.
    zh: 该支付不属于订单对应的商户号、应用或环境。
    """

    status = 422


class UnknownAttempt(TaelError):
    """There is no payment attempt with this number.
    zh: 不存在该支付流水号。
    """

    status = 404


class Verdict(StrEnum):
    """What a fact did: it paid the order, was known already, or went into suspense.

    `contradicts`: the same payment was booked before with another amount. Nothing is changed; a person has to look.
    """

    PAID = "paid"
    KNOWN = "known"
    SUSPENDED = "suspended"
    CONTRADICTS = "contradicts"


@dataclass(frozen=True, slots=True)
class Fact:
    """A verified statement that an attempt is paid. `notice` is the id of the notice it came with, if any."""

    account: MerchantAccount
    payment: PaymentView
    notice: int | None = None

    @property
    def key(self) -> tuple[int, str]:
        """Book and attempt number."""
        return self.account.book, self.payment.number

    @property
    def ref(self) -> tuple[int, int, str]:
        """What makes the money itself unique: book, merchant account, channel number."""
        assert self.payment.channel_ref is not None
        return self.account.book, self.account.id, self.payment.channel_ref


Outcomes = list[Verdict | TaelError]


class Settlement:
    """Settles batches of facts. One per process."""

    def __init__(self, platform: Platform) -> None:
        self._db, self._ledger, self._ids, self._chart = platform.db, platform.ledger, platform.ids, platform.chart

    async def settle(self, facts: Sequence[Fact], *, now: datetime) -> Outcomes:
        """Settle facts in one commit; answers one verdict or refusal per fact, in order."""
        refused: set[tuple[int, str]] = set()
        while True:
            try:
                async with self._db.transaction() as tx:
                    outcomes = await self._settle(tx, facts, refused, now=now)
                    crash_point("settle.before_commit")
                crash_point("settle.committed")
                return outcomes
            except UniqueViolation:
                # One channel number for two attempts: no honest channel says that, so it settles nothing.
                if len(facts) == 1:
                    return [NotOurPayment(facts[0].payment.number)]
                raise
            except _AccountRefused as problem:
                # The customer's account cannot be credited any more: the same money, but to suspense.
                refused |= problem.keys

    async def _settle(self, tx: Tx, facts: Sequence[Fact], refused: set[tuple[int, str]], *, now: datetime) -> Outcomes:
        locked = await lock_by_attempt(tx, sorted({fact.key for fact in facts}))
        in_suspense = await suspense.known_refs(tx, [fact.ref for fact in facts])
        plan = _Plan(dict(locked), in_suspense, refused, now)
        outcomes = [plan.take(fact) for fact in facts]
        orders, attempts = plan.changed()
        await save(tx, orders, attempts)
        await expect(tx, orders, ids=self._ids, now=now)
        await suspense.put(tx, plan.suspended, ids=self._ids, now=now)
        await outbox.emit(tx, plan.events, ids=self._ids, now=now)
        await tasks.cancel(tx, RECOVERY, plan.settled)
        await evidence.note_verdicts(tx, _noted(facts, outcomes))
        await raise_alert(tx, _alarms(facts, outcomes), ids=self._ids, now=now)
        await self._post(tx, plan, now=now)
        return outcomes

    async def _post(self, tx: Tx, plan: "_Plan", *, now: datetime) -> None:
        """The ledger's lock is taken last and held shortest."""
        if not plan.entries:
            return
        postings = [await self._posting(tx, entry, now=now) for entry in plan.entries]
        results = await self._ledger.post(tx, postings, now=now)
        closed = {
            entry.key for entry, result in zip(plan.entries, results, strict=True)
            if entry.reason is None and _credit_refused(result)
        }  # fmt: skip
        if closed:
            raise _AccountRefused(closed)
        require_posted(results)

    async def _posting(self, tx: Tx, entry: "_Entry", *, now: datetime) -> Posting:
        fact, order = entry.fact, entry.order
        amount = fact.payment.amount
        assert amount is not None
        receivable = await self._chart.receivable(tx, fact.account, amount.currency, now=now)
        if entry.reason is None:
            kind = kind_of(order)
            key = posting_id(kind.name, order.order_no, at=order.created_at)
            credit, code = AccountId(order.account), kind.code
        else:
            credit, code = await self._chart.suspense(tx, order.book, amount.currency, now=now), SUSPENSE_CODE
            key = posting_id("suspense", f"{fact.account.id}:{fact.payment.channel_ref}", at=order.created_at)
        return Posting(
            book=BookId(order.book), id=key, debit=receivable, credit=credit, amount=amount.minor,
            currency=amount.currency, code=code, order_no=order.order_no,
        )  # fmt: skip


class _AccountRefused(Exception):
    def __init__(self, keys: set[tuple[int, str]]) -> None:
        super().__init__()
        self.keys = keys


@dataclass(frozen=True, slots=True)
class _Entry:
    """Money to be booked: to the customer, or to suspense for `reason`."""

    fact: Fact
    order: Order
    reason: SuspenseReason | None

    @property
    def key(self) -> tuple[int, str]:
        return self.fact.key


@dataclass(slots=True)
class _Plan:
    """What a batch of facts does to its locked orders and attempts. Pure: reads no database and no clock."""

    rows: dict[tuple[int, str], tuple[Order, Attempt]]
    in_suspense: dict[tuple[int, int, str], Money]
    refused: set[tuple[int, str]]
    now: datetime
    entries: list[_Entry] = field(default_factory=list)
    suspended: list[NewItem] = field(default_factory=list)
    events: list[NewEvent] = field(default_factory=list)
    settled: list[tuple[int, str]] = field(default_factory=list)
    touched: set[tuple[int, str]] = field(default_factory=set)

    def take(self, fact: Fact) -> Verdict | TaelError:
        """Apply one fact; earlier facts of the batch have been applied already."""
        if fact.key not in self.rows or self.rows[fact.key][0].kind not in KINDS:
            return UnknownAttempt(fact.payment.number)
        order, attempt = self.rows[fact.key]
        if not _is_ours(fact, order, attempt):
            return NotOurPayment(fact.payment.number)
        self.settled.append(fact.key)
        if attempt.channel_ref == fact.payment.channel_ref or fact.ref in self.in_suspense:
            booked = self.in_suspense.get(fact.ref, Money(attempt.amount, attempt.currency))
            return Verdict.KNOWN if fact.payment.amount == booked else Verdict.CONTRADICTS
        reason = self._reason(fact, order, attempt)
        if reason is None:
            self._pay(fact, order, attempt)
            return Verdict.PAID
        self._suspend(fact, order, attempt, reason)
        return Verdict.SUSPENDED

    def changed(self) -> tuple[list[Order], list[Attempt]]:
        """The orders and attempts to write."""
        rows = [self.rows[key] for key in sorted(self.touched)]
        return list({order.order_no: order for order, _ in rows}.values()), [attempt for _, attempt in rows]

    def _reason(self, fact: Fact, order: Order, attempt: Attempt) -> SuspenseReason | None:
        amount = fact.payment.amount
        assert amount is not None
        if attempt.state is AttemptState.PAID or order.state in _HAS_BEEN_PAID:
            return SuspenseReason.PAID_TWICE
        if (amount.minor, amount.currency) != (attempt.amount, attempt.currency):
            return SuspenseReason.AMOUNT_MISMATCH
        if order.state not in UNPAID_ORDER:
            return SuspenseReason.LATE_PAYMENT
        return SuspenseReason.ACCOUNT_CLOSED if fact.key in self.refused else None

    def _pay(self, fact: Fact, order: Order, attempt: Attempt) -> None:
        paid = move_order(order, OrderState.PAID, paid_at=fact.payment.paid_at or self.now)
        done = move_attempt(attempt, AttemptState.PAID, now=self.now, channel_ref=fact.payment.channel_ref)
        self._change(fact, paid, done)
        self.entries.append(_Entry(fact, paid, None))
        self.events.append(order_event("paid", paid, done))

    def _suspend(self, fact: Fact, order: Order, attempt: Attempt, reason: SuspenseReason) -> None:
        to = OrderState.INVALID if order.state in UNPAID_ORDER else order.state
        told = move_order(order, to, reason=reason if to is OrderState.INVALID else None)
        if attempt.state is not AttemptState.PAID:
            attempt = move_attempt(attempt, AttemptState.PAID, now=self.now, channel_ref=fact.payment.channel_ref)
        self._change(fact, told, attempt)
        amount, ref = fact.payment.amount, fact.payment.channel_ref
        assert amount is not None
        assert ref is not None
        self.in_suspense[fact.ref] = amount
        self.suspended.append(
            NewItem(
                order.book,
                fact.account.id,
                ref,
                order.order_no,
                attempt.attempt_no,
                reason,
                amount.minor,
                amount.currency,
            )
        )
        self.entries.append(_Entry(fact, told, reason))
        self.events.append(order_event("suspended", told, attempt, suspended=amount, reason=reason))

    def _change(self, fact: Fact, order: Order, attempt: Attempt) -> None:
        for key, (known, other) in self.rows.items():
            if (known.book, known.order_no) == (order.book, order.order_no):
                self.rows[key] = (order, attempt if key == fact.key else other)
        self.touched.add(fact.key)


def _is_ours(fact: Fact, order: Order, attempt: Attempt) -> bool:
    account, payment = fact.account, fact.payment
    return (
        attempt.merchant_account == account.id
        and attempt.channel == account.channel
        and order.mode == account.mode
        and payment.mchid == account.mchid
        and payment.appid == account.appid
        and payment.state in {PaymentState.PAID, PaymentState.REFUNDED}
    )


def _credit_refused(result: Result) -> bool:
    return result.outcome is Outcome.CREDIT_ACCOUNT_CLOSED


def _alarms(facts: Sequence[Fact], outcomes: Outcomes) -> list[Alert]:
    return [
        Alert(fact.account.book, PAYMENT_CONTRADICTION, fact.payment.number, {"channel_ref": fact.payment.channel_ref})
        for fact, outcome in zip(facts, outcomes, strict=True)
        if outcome is Verdict.CONTRADICTS
    ]


def _noted(facts: Sequence[Fact], outcomes: Outcomes) -> list[tuple[int, int, str]]:
    return [
        (fact.account.book, fact.notice, type(outcome).__name__ if isinstance(outcome, TaelError) else outcome)
        for fact, outcome in zip(facts, outcomes, strict=True)
        if fact.notice is not None
    ]


def fact_of(account: MerchantAccount, payment: PaymentView) -> Fact | None:
    """The fact in a query's answer; None when it does not say that the payment is paid."""
    if payment.state not in {PaymentState.PAID, PaymentState.REFUNDED}:
        return None
    return Fact(account, payment)
