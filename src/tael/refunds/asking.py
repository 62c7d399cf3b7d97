"""Ask for a refund (退款): everything is committed before the channel hears of it.

    tx 1   idempotency key + refund order + attempt + what it gives back
           the payment's row takes the amount as pending: together with what went back, never more than was paid
           ledger: the amount is held on the account that was paid
           work for the sender
    then   sending.py, at once or when the channel's rule about the distance between refunds allows it

A refund of a payment from a balance needs no channel: it is all done in tx 1. A batch shares the commit; whoever is
refused, by the payment's row or by the ledger, leaves no trace.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from tael.base import outbox, tasks
from tael.base.crash import crash_point
from tael.base.db import Tx
from tael.base.errors import TaelError
from tael.base.money import Money
from tael.base.outbox import NewEvent
from tael.base.tasks import NewTask
from tael.guard import Answer, Claim, answered, begin, finish, free
from tael.orders import (
    Attempt,
    AttemptState,
    NewAttempt,
    NewOrder,
    Opened,
    Order,
    OrderState,
    attempts_of,
    begin_refund,
    complete_refund,
    lock_orders,
    move_attempt,
    move_order,
    open_attempts,
    open_orders,
    save,
)
from tael.payments.from_balance import BALANCE
from tael.payments.fulfilment import waive
from tael.payments.leaving_out import LeftOut, Refused, committed, require_all
from tael.payments.platform import Platform
from tael.payments.views import order_event
from tael.refunds import entries, store
from tael.refunds.said import KIND, Key, Row
from tael.refunds.settle import REFUNDS
from tael.refunds.store import Refund, Source
from tael.refunds.views import answer, refund_event

PREFIX = "RF"
METHOD = "refund"


class TooManyRefunds(TaelError):
    """The channel refunds one payment only so many times, and that many were asked for.
    zh: 该支付单的退款次数已达渠道上限。
    """

    status = 422


class CurrencyDiffers(TaelError):
    """A refund is made in the currency of its payment.
    zh: 退款币种必须与支付币种一致。
    """

    status = 422


@dataclass(frozen=True, slots=True)
class StartRefund:
    """A request to give back `amount` of a payment, under the merchant's own number."""

    claim: Claim
    amount: Money
    reason: str
    business_refund_no: str


@dataclass(frozen=True, slots=True)
class Intent:
    """A refund with its numbers drawn; nothing is stored yet. `paid` is the attempt that paid the payment."""

    command: StartRefund
    order: NewOrder
    attempt: NewAttempt
    refund: Refund
    payment: Order
    paid: Attempt


@dataclass(frozen=True, slots=True)
class Begun:
    """A committed refund that is to be sent now. `claim` is answered when the channel's answer is recorded."""

    claim: Claim | None
    row: Row


def intent(platform: Platform, command: StartRefund, payment: Order, paid: Attempt) -> Intent:
    """Draw the numbers of a refund. Raises `CurrencyDiffers`, or `OperationNotSupported` by the channel."""
    ids, now, amount = platform.ids, platform.now(), command.amount
    if amount.currency != payment.currency:
        raise CurrencyDiffers(param="currency")
    from_balance = paid.channel == BALANCE
    if not from_balance:
        platform.accounts.makes_refunds(platform.account_of(paid))
    order = NewOrder(
        book=payment.book, order_no=ids.order_no(business=PREFIX, account=payment.account), id=ids.next(), kind=KIND,
        mode=payment.mode, account=payment.account, amount=amount.minor, currency=amount.currency,
        description=command.reason, business_order_no=command.business_refund_no, request_key=command.claim.key,
        metadata={}, expires_at=now,
    )  # fmt: skip
    refund = Refund(
        payment.book, order.order_no, payment.order_no, Source.BALANCE if from_balance else Source.CHANNEL,
        held_from=payment.account, returned_to=int(paid.payer_id or 0) if from_balance else None,
        payment_attempt=paid.attempt_no, payment_ref=paid.channel_ref, payment_total=paid.amount, suspense_item=None,
        send_at=now,
    )  # fmt: skip
    return Intent(command, order, new_attempt(platform, order, paid), refund, payment, paid)


def new_attempt(platform: Platform, order: NewOrder, paid: Attempt) -> NewAttempt:
    """The attempt of a refund, at the merchant account that was paid; its number is the refund's number there."""
    return NewAttempt(
        book=order.book, attempt_no=platform.ids.order_no(business=PREFIX, account=order.account),
        order_no=order.order_no, id=platform.ids.next(), channel=paid.channel, merchant_account=paid.merchant_account,
        method=METHOD, amount=order.amount, currency=order.currency, payer_id=paid.payer_id, payer_ip=None,
    )  # fmt: skip


class Asking:
    """Transaction 1. One per process."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform

    async def ask(self, intents: Sequence[Intent]) -> list[Begun | Answer | TaelError]:
        """Commit to a batch of refunds; one result per intent."""
        results = await committed(self._platform.db, lambda tx, refused: self._commit(tx, intents, refused))
        crash_point("refund.committed")
        return results

    async def _commit(self, tx: Tx, intents: Sequence[Intent], refused: Refused) -> list[Begun | Answer | TaelError]:
        standings = await begin(tx, [one.command.claim for one in intents], now=self._platform.now())
        results: dict[int, Begun | Answer | TaelError] = {
            index: said for index, standing in enumerate(standings) if (said := answered(standing)) is not None
        }
        ours = [index for index in range(len(intents)) if index not in results]
        results |= refused
        new = await self._open(tx, intents, [index for index in ours if index not in results], results)
        await free(tx, [intents[index].command.claim for index in ours if isinstance(results.get(index), TaelError)])
        rows, payments, short = await self._reserve(tx, intents, new)
        results |= await self._write(tx, intents, rows, payments)
        if short:  # only now: whoever the ledger refuses takes nothing away from the others
            raise LeftOut(short)
        crash_point("refund.before_commit")
        return [results[index] for index in range(len(intents))]

    async def _open(
        self, tx: Tx, intents: Sequence[Intent], wanted: Sequence[int], results: dict[int, Begun | Answer | TaelError]
    ) -> dict[int, tuple[Order, Attempt]]:
        """The new refund orders with their attempts, by index; what became of other requests goes to `results`."""
        now = self._platform.now()
        opened = await open_orders(tx, [intents[index].order for index in wanted], now=now, guard_s=0)
        orders: dict[int, Order] = {}
        for index, one in zip(wanted, opened, strict=True):
            if isinstance(one, Opened) and not one.resumed:
                orders[index] = one.order
            else:
                results[index] = one if isinstance(one, TaelError) else await _resume(tx, intents[index], one, now)
        attempts = await open_attempts(tx, [intents[index].attempt for index in orders], now=now)
        new: dict[int, tuple[Order, Attempt]] = {}
        for (index, order), attempt in zip(orders.items(), attempts, strict=True):
            assert isinstance(attempt, Attempt), "the order is new"
            new[index] = order, attempt
        return new

    async def _reserve(
        self, tx: Tx, intents: Sequence[Intent], new: dict[int, tuple[Order, Attempt]]
    ) -> tuple[dict[int, Row], dict[Key, Order], Refused]:
        """Lock the payments and let each refund take its part; answers those that find too little, too."""
        keys = sorted({(intents[index].order.book, intents[index].refund.payment_no) for index in new})
        payments = {(order.book, order.order_no): order for order in await lock_orders(tx, keys)}
        earlier = await store.of_payments(tx, keys)
        rows: dict[int, Row] = {}
        refused: Refused = {}
        for index, (order, attempt) in new.items():
            refund = intents[index].refund
            key = refund.book, refund.payment_no
            try:
                placed = self._placed(refund, attempt, earlier[key])
                payments[key] = begin_refund(payments[key], order.amount)
            except TaelError as refusal:
                refused[index] = refusal
                continue
            earlier[key].append(placed)
            rows[index] = Row(order, attempt, placed)
        return rows, payments, refused

    def _placed(self, refund: Refund, attempt: Attempt, earlier: Sequence[Refund]) -> Refund:
        """The refund with the time it may be sent. Raises `TooManyRefunds`."""
        if refund.source is Source.BALANCE:
            return refund
        spec = self._platform.connector(self._platform.account_of(attempt)).spec
        alike = [one for one in earlier if one.source is Source.CHANNEL]
        if spec.refunds_most and sum(not one.abandoned for one in alike) >= spec.refunds_most:
            raise TooManyRefunds(most=spec.refunds_most)
        if not alike or not spec.refund_gap_s:
            return refund
        apart = max(one.send_at for one in alike) + timedelta(seconds=spec.refund_gap_s)
        return replace(refund, send_at=max(refund.send_at, apart))

    async def _write(
        self, tx: Tx, intents: Sequence[Intent], rows: dict[int, Row], payments: dict[Key, Order]
    ) -> dict[int, Begun | Answer]:
        platform, now = self._platform, self._platform.now()
        await store.insert(tx, [row.refund for row in rows.values()])
        events: list[NewEvent] = []
        done: list[Row] = []
        for index, row in rows.items():
            if row.refund.source is Source.BALANCE:
                rows[index], payment = _given_back(row, payments, now)
                done.append(rows[index])
                events.append(refund_event("refund.succeeded", rows[index].order, rows[index].attempt, row.refund))
                events.append(order_event("refunded", payment, intents[index].paid))
        await save(tx, [*(row.order for row in done), *payments.values()], [row.attempt for row in done])
        await waive(tx, list(payments.values()), now=now)
        await outbox.emit(tx, events, ids=platform.ids, now=now)
        await enqueue(tx, platform, [row for row in rows.values() if row.refund.source is not Source.BALANCE])
        results = {index: self._result(intents[index], row) for index, row in rows.items()}
        answers = [(index, one) for index, one in results.items() if isinstance(one, Answer)]
        await finish(tx, [(intents[index].command.claim, one.status, one.body) for index, one in answers])
        await self._post(tx, rows)
        return results

    def _result(self, one: Intent, row: Row) -> Begun | Answer:
        if row.refund.source is Source.BALANCE or row.refund.send_at > self._platform.now():
            return answer(row.order, row.attempt, row.refund)
        return Begun(one.command.claim, row)

    async def _post(self, tx: Tx, rows: dict[int, Row]) -> None:
        """The ledger's lock is taken last and held shortest. Raises `LeftOut` with those that it refuses."""
        if not rows:
            return
        chart, now = self._platform.chart, self._platform.now()
        postings = [
            entries.to_balance(row.order, row.refund) if row.refund.source is Source.BALANCE
            else entries.held(
                row.order, row.refund,
                payable=await chart.refundable(tx, row.order.book, row.order.currency, now=now),
            )
            for row in rows.values()
        ]  # fmt: skip
        results = await self._platform.ledger.post(tx, postings, now=now)
        require_all({index: [one] for index, one in zip(rows, results, strict=True)})


async def enqueue(tx: Tx, platform: Platform, rows: Sequence[Row]) -> None:
    """Work for the sender: what is sent now is looked after a moment later, what has to wait is sent then."""
    now = platform.now()
    soon = now + timedelta(seconds=platform.settings.recovery_ladder_s[0])
    work = [
        NewTask(
            row.order.book, REFUNDS, row.attempt.attempt_no, None,
            row.refund.send_at if row.refund.send_at > now else soon,
        )
        for row in rows
    ]  # fmt: skip
    await tasks.enqueue(tx, work, ids=platform.ids, now=now)


async def _resume(tx: Tx, one: Intent, opened: Opened, now: datetime) -> Begun | Answer:
    """The same request came again before it was answered: go on where the first one stopped."""
    order = opened.order
    attempt = (await attempts_of(tx, [order]))[order.order_no][-1]
    refund = (await store.find(tx, [(order.book, order.order_no)]))[order.book, order.order_no]
    if attempt.state is AttemptState.CREATED and refund.send_at <= now:
        return Begun(one.command.claim, Row(order, attempt, refund))
    said = answer(order, attempt, refund)
    await finish(tx, [(one.command.claim, said.status, said.body)])
    return said


def _given_back(row: Row, payments: dict[Key, Order], now: datetime) -> tuple[Row, Order]:
    """A refund to a balance, done, and its payment, which knows it."""
    key = row.refund.book, row.refund.payment_no
    payment = payments[key] = complete_refund(payments[key], row.order.amount)
    order = move_order(row.order, OrderState.PAID, paid_at=now)
    return Row(order, move_attempt(row.attempt, AttemptState.PAID, now=now), row.refund), payment
