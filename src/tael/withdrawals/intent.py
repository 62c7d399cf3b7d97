"""What to do about a payout now, and the commitment to do it: the transaction before the channel is called.

approved, or refused by one account   route reserved + attempt with a fresh number + order paying  -> Send
attempt created                       nobody knows whether the channel was asked: the same again   -> Send
attempt paying, unknown               the channel is asked about it                                -> Ask
likewise, and called back             the channel is asked to cancel it, then about it             -> CallBack
paid, and may still come back         likewise                                                     -> Ask
no merchant account can now           the order stays as it is and says why                        -> Waiting
a person has to look                  paid in contradiction, not what was approved, or called back -> Halted
ended                                                                                              -> Over
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TypeAlias

from tael import approvals, routing
from tael.alerts import Alert, clear, raise_alert
from tael.base.db import Tx
from tael.base.errors import TaelError
from tael.base.money import Money
from tael.channels.contract import MerchantAccount
from tael.orders import (
    OPEN_ATTEMPT,
    Attempt,
    AttemptState,
    NewAttempt,
    Order,
    OrderState,
    lock_orders,
    move_order,
    open_attempts,
    save,
)
from tael.payments.alarms import PAYOUT_WAITS
from tael.payments.platform import Platform
from tael.routing import Considered, NoRoute, Wanted
from tael.withdrawals.candidates import Wish, able, others
from tael.withdrawals.lookup import Found, all_about, content_of
from tael.withdrawals.payees import Payees
from tael.withdrawals.said import CONTRADICTION
from tael.withdrawals.settle import may_return
from tael.withdrawals.store import Key
from tael.withdrawals.withdraw import PREFIX

_PAYABLE = frozenset({OrderState.APPROVED, OrderState.PAYING, OrderState.UNKNOWN})


@dataclass(frozen=True, slots=True)
class Send:
    """Ask the channel to pay this attempt."""

    attempt: Attempt
    wish: Wish


@dataclass(frozen=True, slots=True)
class Ask:
    """Ask the channel about this attempt."""

    attempt: Attempt
    wish: Wish


@dataclass(frozen=True, slots=True)
class CallBack:
    """Ask the channel to cancel this attempt, then about it. It has no wish: it is never asked to pay it."""

    attempt: Attempt


@dataclass(frozen=True, slots=True)
class Waiting:
    """No merchant account can pay now."""

    reason: str


@dataclass(frozen=True, slots=True)
class Halted:
    """A person has to look."""

    reason: str


@dataclass(frozen=True, slots=True)
class Over:
    """Nothing is left to do."""


Step: TypeAlias = Send | Ask | CallBack | Waiting | Halted | Over


@dataclass(frozen=True, slots=True)
class _Choice:
    """An order that needs a merchant account: what is wanted, and who could."""

    found: Found
    wish: Wish
    number: str
    able: Sequence[MerchantAccount]


class Intents:
    """Decides and commits the next step of payouts. One per process."""

    def __init__(self, platform: Platform, payees: Payees) -> None:
        self._platform, self._payees = platform, payees

    async def next_steps(self, tx: Tx, keys: Sequence[Key]) -> list[Step]:
        """The next step of each order, in order; what it commits to is written in `tx`."""
        now = self._platform.now()
        known = {(one.order.book, one.order.order_no): one for one in await all_about(tx, await lock_orders(tx, keys))}
        steps: dict[Key, Step] = {key: Over() for key in keys if key not in known}
        choices: list[_Choice] = []
        for key, found in known.items():
            step = self._without_route(found, now=now) or self._choose(found, now=now)
            if isinstance(step, _Choice):
                choices.append(step)
            else:
                steps[key] = step
        steps |= await self._commit(tx, choices, now=now)
        reasons = [(known[key], step.reason) for key, step in steps.items() if isinstance(step, Waiting | Halted)]
        await _note(tx, reasons)
        waits = [(one, reason) for one, reason in reasons if one.order.reason != reason]
        alarms = [Alert(one.order.book, PAYOUT_WAITS, one.order.order_no, {"reason": why}) for one, why in waits]
        await raise_alert(tx, alarms, ids=self._platform.ids, now=now)
        return [steps[key] for key in keys]

    async def explain(self, tx: Tx, found: Found) -> list[Considered]:
        """Through which merchant account this would be paid now, and why; nothing is reserved."""
        choice = self._choose(found, now=self._platform.now())
        if not isinstance(choice, _Choice):
            return []
        return await routing.explain(tx, self._wanted(choice), now=self._platform.now())

    def _without_route(self, found: Found, *, now: datetime) -> Step | None:
        """The next step of an order that needs no merchant account now; None when it needs one."""
        order, attempts = found.order, found.attempts
        paid = [one for one in attempts if one.state is AttemptState.PAID]
        if order.state is OrderState.PAID:
            by = next(one for one in paid if one.error != CONTRADICTION)
            spec = self._platform.connector(self._platform.account_of(by)).spec
            late = may_return(order, late_return_s=spec.late_return_s, now=now)
            return Ask(by, self._wish(found)) if late else Over()
        if order.state not in _PAYABLE:
            return Over()
        called_back = found.details.withdrawal.called_back is not None
        for attempt in attempts:
            if attempt.state in OPEN_ATTEMPT and called_back:
                return CallBack(attempt)
            if attempt.state is AttemptState.CREATED:
                return Send(attempt, self._wish(found))
            if attempt.state in OPEN_ATTEMPT:
                return Ask(attempt, self._wish(found))
        if paid:
            return Halted("a channel has paid this although it had refused it")
        if called_back:  # what is called back ends with its attempt; whoever left it open knew nothing of that
            return Halted("this was called back: cancel it to end it")
        return None

    def _choose(self, found: Found, *, now: datetime) -> _Choice | Step:
        order, approval = found.order, found.approval
        content = content_of(order, found.details)
        if approval is not None and approval.payload_sha256 != approvals.digest(content):
            return Halted("this is not what was approved")
        number = self._platform.ids.order_no(business=PREFIX, account=order.account)
        wish = self._wish(found)
        try:
            return _Choice(found, wish, number, able(self._platform, wish, number=number, now=now))
        except TaelError as problem:
            return Waiting(str(problem))

    def _wish(self, found: Found) -> Wish:
        order, payee = found.order, found.details.payee
        return Wish(payee, self._payees.open(payee), Money(order.amount, order.currency), order.description)

    async def _commit(self, tx: Tx, choices: Sequence[_Choice], *, now: datetime) -> dict[Key, Step]:
        """Reserve quota, open attempts, move the orders; those that no account takes wait."""
        wanted = [self._wanted(choice) for choice in choices]
        reserved = await routing.reserve(tx, wanted, now=now) if wanted else []
        steps: dict[Key, Step] = {}
        taken: list[tuple[_Choice, NewAttempt]] = []
        astray: list[Key] = []
        for choice, one in zip(choices, reserved, strict=True):
            order = choice.found.order
            account = None if isinstance(one, NoRoute) else _among(choice.able, one.merchant_account)
            if account is not None:
                taken.append((choice, self._attempt(choice, account)))
            elif isinstance(one, NoRoute):
                steps[order.book, order.order_no] = Waiting(f"{one.reason}: {one}")
            else:  # a merchant account that this process does not know yet
                astray.append((order.book, one.number))
                steps[order.book, order.order_no] = Waiting("the merchant account is not loaded yet")
        if astray:
            await routing.release(tx, astray, now=now)
        begun = await open_attempts(tx, [attempt for _, attempt in taken], now=now)
        orders: list[Order] = []
        for (choice, _), attempt in zip(taken, begun, strict=True):
            assert isinstance(attempt, Attempt), "the order is locked and has no open attempt"
            order = choice.found.order
            orders.append(replace(move_order(order, OrderState.PAYING, tells=False), reason=None))
            steps[order.book, order.order_no] = Send(attempt, choice.wish)
        await save(tx, orders, [])
        waited = [choice.found.order for choice, _ in taken if choice.found.order.reason]
        await clear(tx, [(order.book, PAYOUT_WAITS, order.order_no) for order in waited], now=now)
        return steps

    def _wanted(self, choice: _Choice) -> Wanted:
        """Accounts that refused this order before come again only when there is no other."""
        order = choice.found.order
        tried = {attempt.merchant_account for attempt in choice.found.attempts}
        fresh = [account for account in choice.able if account.id not in tried]
        among = fresh or choice.able
        return Wanted(
            book=order.book, number=choice.number, operation="payout",
            channels=tuple(sorted({account.channel for account in among})), amount=order.amount,
            currency=order.currency, payee=choice.found.details.payee.fingerprint,
            exclude=others(self._platform, order.book, among),
        )  # fmt: skip

    def _attempt(self, choice: _Choice, account: MerchantAccount) -> NewAttempt:
        order = choice.found.order
        return NewAttempt(
            book=order.book, attempt_no=choice.number, order_no=order.order_no, id=self._platform.ids.next(),
            channel=account.channel, merchant_account=account.id, method=choice.wish.bound.kind, amount=order.amount,
            currency=order.currency, payer_id=None, payer_ip=None,
        )  # fmt: skip


def _among(accounts: Sequence[MerchantAccount], id: int) -> MerchantAccount | None:
    return next((account for account in accounts if account.id == id), None)


async def _note(tx: Tx, reasons: Sequence[tuple[Found, str]]) -> None:
    """Show why an order does not go on."""
    moved = [
        move_order(found.order, found.order.state, reason=reason, tells=False)
        for found, reason in reasons if found.order.reason != reason
    ]  # fmt: skip
    await save(tx, moved, [])
