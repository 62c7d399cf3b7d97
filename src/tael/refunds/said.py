"""What a channel has said about a refund, and what that does to it. Pure: reads no database and no clock.

refunded            open -> paid       the hold is settled, the payment knows that it has gone back
closed, declined    open -> failed     the hold is released, the payment may be refunded again
processing, pending open -> paying
abnormal            open -> paying     with its reason: the payer could not be reached, a person decides
unknown             created -> unknown; what was accepted before stays accepted
not found, not sent (stays)            the identical request is sent again

refunded after failed -> paid          booked as paid in error, once; a person has to look
closed after paid     -> nothing       a person has to look
"""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from tael.base.errors import TaelError
from tael.base.money import Money
from tael.channels.contract import MerchantAccount, Outcome, RefundState, RefundView
from tael.guard import Claim
from tael.orders import (
    OPEN_ATTEMPT,
    Attempt,
    AttemptState,
    Order,
    OrderState,
    abandon_refund,
    begin_refund,
    complete_refund,
    move_attempt,
    move_order,
    refundable,
)
from tael.payments.evidence import Exchange
from tael.refunds.store import Refund, Source

KIND = "refund"
ABNORMAL = "abnormal"
"""The reason of a refund that waits for a person."""
AFTER_FAILURE = "refunded_after_failure"
Key = tuple[int, str]


class UnknownRefund(TaelError):
    """There is no refund with this number.
    zh: 不存在该退款流水号。
    """

    status = 404


class NotOurRefund(TaelError):
    """What is said contradicts what was asked for: another merchant account, payment or amount.
    zh: 渠道所述的商户号、支付单或金额与退款申请不符。
    """

    status = 422


class Verdict(StrEnum):
    """What a statement did: it ended the refund, said nothing final, was known already, or contradicts the books."""

    REFUNDED = "refunded"
    FAILED = "failed"
    NOTED = "noted"
    KNOWN = "known"
    CONTRADICTS = "contradicts"


class Happened(StrEnum):
    """What is to be booked."""

    REFUNDED = "refunded"
    FAILED = "failed"
    IN_ERROR = "in_error"


@dataclass(frozen=True, slots=True)
class Said:
    """A verified statement about the refund `number`: the end of a call, or a notice (`notice` is its id).

    `claim` is the request that waits for the answer.
    """

    account: MerchantAccount
    number: str
    outcome: Outcome
    view: RefundView | None
    error: str | None = None
    exchange: Exchange | None = None
    notice: int | None = None
    claim: Claim | None = None

    @property
    def key(self) -> Key:
        """Book and attempt number."""
        return self.account.book, self.number


@dataclass(frozen=True, slots=True)
class Row:
    """A refund under lock: its order, its attempt, and what it gives back."""

    order: Order
    attempt: Attempt
    refund: Refund


@dataclass(frozen=True, slots=True)
class Entry:
    """Something to be booked."""

    what: Happened
    row: Row
    account: MerchantAccount


@dataclass(slots=True)
class Plan:
    """What a batch of statements does to locked refunds (by attempt) and to the payments they come from (by order)."""

    rows: dict[Key, Row]
    payments: dict[Key, Order]
    now: datetime
    entries: list[Entry] = field(default_factory=list[Entry])
    told: list[tuple[str, Row]] = field(default_factory=list[tuple[str, Row]])
    touched: set[Key] = field(default_factory=set[Key])
    given_back: list[tuple[Order, Refund]] = field(default_factory=list[tuple[Order, Refund]])
    touched_payments: set[Key] = field(default_factory=set[Key])

    def take(self, said: Said) -> Verdict | TaelError:
        """Apply one statement; earlier ones of the batch have been applied already."""
        row = self.rows.get(said.key)
        if row is None:
            return UnknownRefund(said.number)
        if not _is_ours(said, row):
            return NotOurRefund(said.number)
        state = said.view.state if said.view else None
        if said.outcome is Outcome.DECLINED:
            state = RefundState.CLOSED
        if row.attempt.state not in OPEN_ATTEMPT:
            return self._ended(said, row, state)
        match state:
            case RefundState.REFUNDED:
                return self._refunded(said, row)
            case RefundState.CLOSED:
                return self._failed(said, row)
            case RefundState.ABNORMAL:
                return self._abnormal(said, row)
            case RefundState.PROCESSING:
                return self._note(said, row, AttemptState.PAYING)
            case RefundState.NOT_FOUND:
                return self._note(said, row, row.attempt.state)
            case None:
                return self._note(said, row, _OPEN[said.outcome])

    def _refunded(self, said: Said, row: Row) -> Verdict:
        assert said.view is not None
        order = move_order(row.order, OrderState.PAID, paid_at=said.view.refunded_at or self.now)
        done = self._change(row, order, AttemptState.PAID, channel_ref=said.view.channel_ref)
        self.entries.append(Entry(Happened.REFUNDED, done, said.account))
        self.told.append(("refund.succeeded", done))
        if row.refund.source is not Source.SUSPENSE:
            payment = complete_refund(self._payment(row), row.order.amount)
            self._change_payment(payment)
            self.given_back.append((payment, row.refund))
        return Verdict.REFUNDED

    def _failed(self, said: Said, row: Row) -> Verdict:
        order = move_order(row.order, OrderState.FAILED, reason=said.error or RefundState.CLOSED.value)
        done = self._change(row, order, AttemptState.FAILED, error=said.error)
        self.entries.append(Entry(Happened.FAILED, done, said.account))
        self.told.append(("refund.failed", done))
        if row.refund.source is not Source.SUSPENSE:
            self._change_payment(abandon_refund(self._payment(row), row.order.amount))
        return Verdict.FAILED

    def _abnormal(self, said: Said, row: Row) -> Verdict:
        if row.order.reason == ABNORMAL:
            return Verdict.KNOWN
        order = move_order(row.order, OrderState.PAYING, reason=ABNORMAL)
        self.told.append(("refund.needs_attention", self._change(row, order, AttemptState.PAYING)))
        return Verdict.NOTED

    def _note(self, said: Said, row: Row, to: AttemptState) -> Verdict:
        """Nothing final. What the channel has accepted once stays accepted, whatever cannot be told later."""
        if row.attempt.state is AttemptState.PAYING or to is AttemptState.CREATED:
            to = row.attempt.state
        order = move_order(row.order, _ORDER[to], tells=False)
        self._change(row, order, to, error=said.error)
        return Verdict.NOTED

    def _ended(self, said: Said, row: Row, state: RefundState | None) -> Verdict:
        was_paid = row.attempt.state is AttemptState.PAID
        if was_paid:
            return Verdict.CONTRADICTS if state is RefundState.CLOSED else Verdict.KNOWN
        if state is not RefundState.REFUNDED:
            return Verdict.KNOWN
        assert said.view is not None
        order = move_order(
            row.order, OrderState.PAID, reason=AFTER_FAILURE, paid_at=said.view.refunded_at or self.now
        )  # fmt: skip
        done = self._change(row, order, AttemptState.PAID, channel_ref=said.view.channel_ref)
        self.entries.append(Entry(Happened.IN_ERROR, done, said.account))
        self.told.append(("refund.contradiction", done))
        payment = self._payment(row)
        if row.refund.source is not Source.SUSPENSE and refundable(payment) >= row.order.amount:
            payment = complete_refund(begin_refund(payment, row.order.amount), row.order.amount)
            self._change_payment(payment)
            self.given_back.append((payment, row.refund))
        return Verdict.CONTRADICTS

    def _payment(self, row: Row) -> Order:
        return self.payments[row.refund.book, row.refund.payment_no]

    def _change_payment(self, payment: Order) -> None:
        key = payment.book, payment.order_no
        self.payments[key] = payment
        self.touched_payments.add(key)

    def _change(
        self, row: Row, order: Order, to: AttemptState, *, channel_ref: str | None = None, error: str | None = None
    ) -> Row:
        attempt = move_attempt(row.attempt, to, now=self.now, channel_ref=channel_ref, error=error)
        changed = Row(order, attempt, row.refund)
        key = attempt.book, attempt.attempt_no
        self.rows[key] = changed
        self.touched.add(key)
        return changed


_OPEN: dict[Outcome, AttemptState] = {
    Outcome.PENDING: AttemptState.PAYING,
    Outcome.UNKNOWN: AttemptState.UNKNOWN,
    Outcome.SUCCEEDED: AttemptState.UNKNOWN,
    Outcome.NOT_SENT: AttemptState.CREATED,
}
_ORDER = {
    AttemptState.CREATED: OrderState.CREATED,
    AttemptState.PAYING: OrderState.PAYING,
    AttemptState.UNKNOWN: OrderState.UNKNOWN,
}


def _is_ours(said: Said, row: Row) -> bool:
    account, view, attempt = said.account, said.view, row.attempt
    if attempt.merchant_account != account.id or attempt.channel != account.channel or row.order.mode != account.mode:
        return False
    if view is None:
        return True
    amount = Money(attempt.amount, attempt.currency)
    return (
        view.number == attempt.attempt_no
        and view.payment_number in (None, row.refund.payment_attempt)
        and (view.amount == amount or (view.amount is None and view.state is not RefundState.REFUNDED))
        and view.mchid in (None, account.mchid)
    )
