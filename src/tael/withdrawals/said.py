"""What a channel said about a payout, and what that does to its order and attempt. Pure: no database, no clock.

    the attempt is   told             becomes
    open             processing       paying
                     waiting          paying, with what the payee needs to confirm
                     paid             paid: the hold is settled
                     failed, cancelled, returned, or declined for good   failed: quota freed, and
                          the merchant account's own reason -> another account may try, with a new number
                          any other reason, or called back  -> the order has failed, the hold is released
                     not found        nothing: the identical request is sent again
                     we cannot tell   unknown
    failed           paid             a contradiction: booked to suspense once, never paid again, nobody's balance moves
    paid             returned         returned: the customer gets it back
                     failed           a contradiction: nothing moves

A statement about another number, amount or merchant account changes nothing, and neither does the answer to the wish
to call a payout back, whatever it says.
"""

from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum

from tael.base.errors import JsonValue, TaelError
from tael.base.money import Money
from tael.channels.contract import (
    ChannelError,
    MerchantAccount,
    Operation,
    Outcome,
    PayoutState,
    PayoutView,
    Result,
)
from tael.orders import (
    OPEN_ATTEMPT,
    Attempt,
    AttemptState,
    Order,
    OrderState,
    move_attempt,
    move_order,
)
from tael.payments.evidence import Exchange
from tael.payments.settlement import NotOurPayment, UnknownAttempt
from tael.withdrawals.lookup import KIND
from tael.withdrawals.store import Key

CONTRADICTION = "contradiction: paid although it had been refused"
"""The error of an attempt, and the reason of its order, that a channel has paid after a final no."""


class Verdict(StrEnum):
    """What a statement did.

    `open`: nobody knows the end yet. `resend`: the channel does not know the payout; only the identical request may
    follow. `next`: this merchant account will not, another one may. `contradicts`: a person has to look.
    """

    PAID = "paid"
    KNOWN = "known"
    OPEN = "open"
    RESEND = "resend"
    NEXT = "next"
    FAILED = "failed"
    RETURNED = "returned"
    CONTRADICTS = "contradicts"


@dataclass(frozen=True, slots=True)
class Said:
    """One statement about the attempt `number`: an answer, or a notice (`notice` is its id in the evidence)."""

    account: MerchantAccount
    number: str
    operation: Operation
    outcome: Outcome
    view: PayoutView | None
    error: ChannelError | None
    exchange: Exchange | None = None
    notice: int | None = None

    @property
    def key(self) -> Key:
        """Book and attempt number."""
        return self.account.book, self.number


def answered(account: MerchantAccount, number: str, operation: Operation, result: Result[PayoutView]) -> Said:
    """The statement in an answer."""
    kept = Exchange(account.book, number, operation, result.outcome, result.raw)
    return Said(account, number, operation, result.outcome, result.value, result.error, exchange=kept)


class Happened(StrEnum):
    """What has to be booked."""

    PAID = "paid"
    FAILED = "failed"
    CONTRADICTED = "contradicted"
    RETURNED = "returned"
    TAKEN_BACK = "taken_back"


@dataclass(frozen=True, slots=True)
class Entry:
    """Something that has to be booked. `taken_back`: what was paid in contradiction has returned."""

    what: Happened
    account: MerchantAccount
    order: Order
    attempt: Attempt


@dataclass(slots=True)
class Plan:
    """What a batch of statements does to its locked orders and attempts. `called_back`: orders that are to end when
    their attempt does."""

    rows: dict[Key, tuple[Order, Attempt]]
    called_back: set[Key]
    now: datetime
    entries: list[Entry] = field(default_factory=list[Entry])
    told: list[tuple[str, Order, Attempt]] = field(default_factory=list[tuple[str, Order, Attempt]])
    tired: set[tuple[int, int]] = field(default_factory=set[tuple[int, int]])
    freed: set[Key] = field(default_factory=set[Key])
    onward: list[Order] = field(default_factory=list[Order])
    touched: set[Key] = field(default_factory=set[Key])

    def take(self, said: Said) -> Verdict | TaelError:
        """Apply one statement; earlier ones of the batch have been applied already."""
        if said.key not in self.rows:
            return UnknownAttempt(said.number)
        order, attempt = self.rows[said.key]
        proves = said.outcome is Outcome.SUCCEEDED and said.operation is not Operation.CANCEL_PAYOUT
        view = said.view if proves else None
        if not _is_ours(said, order, attempt):
            return NotOurPayment(said.number)
        if view is None:
            return self._without_view(said, order, attempt)
        if view.amount != Money(attempt.amount, attempt.currency) and (view.amount or view.state is PayoutState.PAID):
            return Verdict.CONTRADICTS
        if attempt.state in OPEN_ATTEMPT:
            return self._open(said, view, order, attempt)
        return self._ended(said, view, order, attempt)

    def changed(self) -> tuple[list[Order], list[Attempt]]:
        """The orders and attempts to write."""
        rows = [self.rows[key] for key in sorted(self.touched)]
        return list({(order.book, order.order_no): order for order, _ in rows}.values()), [one for _, one in rows]

    def _without_view(self, said: Said, order: Order, attempt: Attempt) -> Verdict:
        """No verified view: only an answer to the payout itself says something, and only a no is final."""
        if attempt.state not in OPEN_ATTEMPT:
            return Verdict.KNOWN
        if said.operation is not Operation.PAYOUT:
            return Verdict.OPEN
        match said.outcome:
            case Outcome.DECLINED:
                return self._decline(said, said.error, order, attempt)
            case Outcome.NOT_SENT:
                self._change(said.key, order, move_attempt(attempt, attempt.state, now=self.now, error=_why(said)))
            case Outcome.PENDING:
                self._keep_paying(said, order, attempt)
            case Outcome.UNKNOWN | Outcome.SUCCEEDED:
                if said.error is not None and said.error.kind.account_level:  # the next ones need not wait for it too
                    self.tired.add((said.account.book, said.account.id))
                moved = move_attempt(attempt, AttemptState.UNKNOWN, now=self.now, error=_why(said))
                self._change(said.key, move_order(order, OrderState.UNKNOWN, tells=False), moved)
        return Verdict.OPEN

    def _open(self, said: Said, view: PayoutView, order: Order, attempt: Attempt) -> Verdict:
        match view.state:
            case PayoutState.PROCESSING | PayoutState.CANCELLING:
                self._keep_paying(said, order, attempt)
                return Verdict.OPEN
            case PayoutState.WAITING_FOR_PAYEE:
                self._keep_paying(said, order, attempt, confirmation=view.confirmation)
                return Verdict.OPEN
            case PayoutState.NOT_FOUND:
                return Verdict.RESEND
            case PayoutState.PAID:
                done = move_attempt(attempt, AttemptState.PAID, now=self.now, channel_ref=view.channel_ref)
                paid = replace(move_order(order, OrderState.PAID, paid_at=view.paid_at or self.now), reason=None)
                self._change(said.key, paid, done)
                self._book(Happened.PAID, said, paid, done, topic="withdrawal.paid")
                return Verdict.PAID
            case PayoutState.FAILED | PayoutState.CANCELLED | PayoutState.RETURNED:
                return self._decline(said, view.reason, order, attempt, state=view.state)

    def _ended(self, said: Said, view: PayoutView, order: Order, attempt: Attempt) -> Verdict:
        known = attempt.channel_ref in (None, view.channel_ref)
        match attempt.state, view.state:
            case AttemptState.FAILED | AttemptState.CLOSED, PayoutState.PAID:
                done = move_attempt(
                    attempt, AttemptState.PAID, now=self.now, channel_ref=view.channel_ref, error=CONTRADICTION
                )
                told = move_order(order, order.state, reason=CONTRADICTION)
                self._change(said.key, told, done)
                self._book(Happened.CONTRADICTED, said, told, done, topic="withdrawal.contradiction")
                return Verdict.CONTRADICTS
            case AttemptState.PAID, PayoutState.RETURNED:
                return self._return(said, view, order, attempt)
            case AttemptState.PAID, PayoutState.FAILED | PayoutState.CANCELLED:
                return Verdict.CONTRADICTS
            case AttemptState.PAID, PayoutState.PAID:
                return Verdict.KNOWN if known else Verdict.CONTRADICTS
            case _:  # late words about what is over
                return Verdict.KNOWN

    def _return(self, said: Said, view: PayoutView, order: Order, attempt: Attempt) -> Verdict:
        reason = view.reason.code if view.reason else "returned"
        back = move_attempt(attempt, AttemptState.RETURNED, now=self.now, error=reason)
        if attempt.error == CONTRADICTION:
            told = move_order(order, order.state)
            self._change(said.key, told, back)
            self._book(Happened.TAKEN_BACK, said, told, back, topic="withdrawal.contradiction")
        else:
            told = move_order(order, OrderState.RETURNED, reason=f"returned: {reason}")
            self._change(said.key, told, back)
            self._book(Happened.RETURNED, said, told, back, topic="withdrawal.returned")
        return Verdict.RETURNED

    def _decline(
        self, said: Said, error: ChannelError | None, order: Order, attempt: Attempt, *, state: str = "declined"
    ) -> Verdict:
        reason = f"{error.kind}: {error.code}" if error else state
        failed = move_attempt(attempt, AttemptState.FAILED, now=self.now, error=reason)
        self.freed.add(said.key)
        tired = error is not None and error.kind.account_level
        if tired:
            self.tired.add((said.account.book, said.account.id))
        if tired and (order.book, order.order_no) not in self.called_back:
            waits = move_order(order, OrderState.PAYING, reason=reason, tells=False)
            self._change(said.key, waits, failed)
            if said.notice is not None:  # whoever asked goes on by himself
                self.onward.append(waits)
            return Verdict.NEXT
        over = move_order(order, OrderState.FAILED, reason=reason)
        self._change(said.key, over, failed)
        self._book(Happened.FAILED, said, over, failed, topic="withdrawal.failed")
        return Verdict.FAILED

    def _keep_paying(self, said: Said, order: Order, attempt: Attempt, *, confirmation: str | None = None) -> None:
        handoff = None if confirmation is None else _handoff(said.account, confirmation)
        asks = handoff is not None and handoff != attempt.handoff
        moved = move_attempt(attempt, AttemptState.PAYING, now=self.now, handoff=handoff)
        paying = move_order(order, OrderState.PAYING, tells=asks)
        self._change(said.key, paying, moved)
        if asks:
            self.told.append(("withdrawal.confirmation_needed", paying, moved))

    def _book(self, what: Happened, said: Said, order: Order, attempt: Attempt, *, topic: str) -> None:
        self.entries.append(Entry(what, said.account, order, attempt))
        self.told.append((topic, order, attempt))

    def _change(self, key: Key, order: Order, attempt: Attempt) -> None:
        for other, (known, one) in self.rows.items():
            if (known.book, known.order_no) == (order.book, order.order_no):
                self.rows[other] = (order, attempt if other == key else one)
        self.touched.add(key)


def _is_ours(said: Said, order: Order, attempt: Attempt) -> bool:
    account, view = said.account, said.view
    ours = (
        order.kind == KIND and attempt.merchant_account == account.id and attempt.channel == account.channel
        and order.mode == account.mode
    )  # fmt: skip
    if view is None:
        return ours
    here = view.mchid in (None, account.mchid) and view.appid in (None, account.appid)
    return ours and view.number == attempt.attempt_no and here


def _why(said: Said) -> str:
    return f"{said.error.kind}: {said.error.code}" if said.error else said.outcome.value


def _handoff(account: MerchantAccount, confirmation: str) -> dict[str, JsonValue]:
    return {"type": "confirmation", "mchid": account.mchid, "appid": account.appid, "package": confirmation}
