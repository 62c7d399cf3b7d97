"""Fulfilment (履约): what was paid for has to be made, and that it was not is found out and repaired.

    unpaid -> expected     the payment is settled; in the same commit a task is put into the queue
           -> fulfilled    the business says that it has made the product; the task is cancelled
           -> waived       all the money went back first

When the product is due and nobody said that it is made, the business is told again (`payment.fulfilment_due`): after
the time it gave itself, then on a ladder. From the third time on a person is told as well; the alert closes when the
product is made. The ladder ends after a day or so; the alert does not.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final, Literal

from tael.alerts import Alert, AlertKind, clear, raise_alert
from tael.base import outbox, tasks
from tael.base.crash import crash_point
from tael.base.db import Record, Tx
from tael.base.errors import TaelError
from tael.base.ids import Ids
from tael.base.tasks import Again, Dead, Done, NewTask, Task, Verdict
from tael.orders import Order, OrderNotFound, OrderState, attempts_of, lock_orders, move_order, save
from tael.payments.kinds import PAYMENT
from tael.payments.platform import Platform
from tael.payments.views import order_event

FULFIL: Final = "fulfil"
"""Queue of products that are expected; the key is the order number."""
PRODUCT_NOT_MADE = AlertKind(
    "product_not_made", "critical", en="Order {subject} is paid, and after {times_asked} reminders nothing was made.",
    zh="订单 {subject} 已支付，催办 {times_asked} 次后仍未履约。",
)  # fmt: skip
ALERT_FROM: Final = 3
"""The reminder with this number is an alert, and so are those after it."""
_LADDER_S: Final = (60, 300, 1800)
_LAST_RUNG_S: Final = 3600
MOST_REMINDERS: Final = 24

FulfilmentState = Literal["unpaid", "expected", "fulfilled", "waived"]


class FulfilmentNotExpected(TaelError):
    """The payment was started without `fulfilment`, so nothing is waited for.
    zh: 该订单创建时未要求履约。
    """

    status = 409


class FulfilmentTooEarly(TaelError):
    """The order is not paid yet; nothing may be made for it.
    zh: 订单尚未支付，不能履约。
    """

    status = 409


class FulfilmentTooLate(TaelError):
    """All the money of this order has gone back; nothing may be made for it.
    zh: 订单已全额退款，不能履约。
    """

    status = 409


class AlreadyFulfilled(TaelError):
    """The order is fulfilled already, with another reference.
    zh: 订单已履约，且凭据不同。
    """

    status = 409


@dataclass(frozen=True, slots=True)
class Fulfilment:
    """What a business has to make for an order. `due_at` is when it is reminded next, if it has not said so by then."""

    book: int
    order_no: str
    state: FulfilmentState
    within_s: int
    due_at: datetime | None
    times_asked: int
    fulfilled_at: datetime | None
    reference: str | None


async def want(tx: Tx, orders: Sequence[tuple[Order, int | None]]) -> None:
    """Write with new orders within how many seconds after payment their product has to be made; None: it does not."""
    wanted = [(order, within_s) for order, within_s in orders if within_s is not None]
    if wanted:
        await tx.execute(
            """insert into payment_fulfilment (book, order_no, state, within_s)
               select book, order_no, 'unpaid', within_s
               from unnest($1::bigint[], $2::text[], $3::int[]) as new(book, order_no, within_s)
               on conflict (book, order_no) do nothing""",
            [order.book for order, _ in wanted], [order.order_no for order, _ in wanted],
            [within_s for _, within_s in wanted],
        )  # fmt: skip


async def expect(tx: Tx, orders: Sequence[Order], *, ids: Ids, now: datetime) -> None:
    """Wait for the products of orders that have just been paid, where there are any; once more changes nothing.

    Part of the settlement's commit: a payment whose product nobody waits for does not exist.
    """
    paid = [order for order in orders if order.kind == PAYMENT.name and order.state is OrderState.PAID]
    if not paid:
        return
    rows = await tx.fetch(
        """update payment_fulfilment set state = 'expected', due_at = $3::timestamptz + within_s * interval '1 second'
           where book = any($1::bigint[]) and order_no = any($2::text[]) and state = 'unpaid' returning *""",
        [order.book for order in paid], [order.order_no for order in paid], now,
    )  # fmt: skip
    work = [NewTask(row["book"], FULFIL, row["order_no"], None, row["due_at"]) for row in rows]
    await tasks.enqueue(tx, work, ids=ids, now=now)


async def find_fulfilment(tx: Tx, *, book: int, order_no: str) -> Fulfilment | None:
    """What is to be made for an order."""
    row = await tx.fetchrow("select * from payment_fulfilment where book = $1 and order_no = $2", book, order_no)
    return None if row is None else _read(row)


async def waive(tx: Tx, orders: Sequence[Order], *, now: datetime) -> None:
    """Wait no longer for the products of locked orders whose money has all gone back."""
    keys = [(order.book, order.order_no) for order in orders if order.state is OrderState.REFUNDED]
    if not keys:
        return
    rows = await tx.fetch(
        """update payment_fulfilment set state = 'waived' where book = any($1::bigint[]) and order_no = any($2::text[])
               and state = 'expected' returning book, order_no""",
        [book for book, _ in keys], [number for _, number in keys],
    )  # fmt: skip
    await _end(tx, [(row["book"], row["order_no"]) for row in rows], now=now)


class Fulfilments:
    """Records what was made, and reminds of what was not. One per process."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform

    async def fulfil(self, *, book: int, order_no: str, reference: str | None) -> Fulfilment:
        """Record that the product is made; once more with the same reference changes nothing.

        Raises `OrderNotFound`, `FulfilmentNotExpected`, `FulfilmentTooEarly`, `FulfilmentTooLate` or
        `AlreadyFulfilled`.
        """
        now = self._platform.now()
        async with self._platform.db.transaction() as tx:
            order, found = await self._lock(tx, book=book, order_no=order_no)
            if found.state == "fulfilled" and found.reference == reference:
                return found
            _check(order, found)
            done = replace(found, state="fulfilled", fulfilled_at=now, reference=reference)
            await _write(tx, done)
            await _end(tx, [(book, order_no)], now=now)
            crash_point("fulfil.before_commit")
        crash_point("fulfil.recorded")
        return done

    async def work(self, task: Task) -> Verdict:
        """Remind the business of the order `task.key`, if its product is due and was not made."""
        async with self._platform.db.transaction() as tx:
            try:
                order, found = await self._lock(tx, book=task.book, order_no=task.key)
            except TaelError as problem:
                return Dead(str(problem))
            verdict = await self._remind(tx, order, found)
            crash_point("fulfil.ask_before_commit")
        crash_point("fulfil.asked")
        return verdict

    async def _remind(self, tx: Tx, order: Order, found: Fulfilment) -> Verdict:
        now = self._platform.now()
        if order.state is OrderState.REFUNDED:
            await waive(tx, [order], now=now)
        if order.state is OrderState.REFUNDED or found.state != "expected" or found.due_at is None:
            return Done()
        if now < found.due_at:  # reminded before, by a worker that died before it said so
            return Again(found.due_at) if found.times_asked < MOST_REMINDERS else Done()
        times, due_at = found.times_asked + 1, now + timedelta(seconds=_rung_s(found.times_asked))
        if order.state is OrderState.REFUNDING:  # perhaps all of it goes back
            return Again(due_at)
        await _write(tx, replace(found, times_asked=times, due_at=due_at))
        await self._tell(tx, move_order(order, OrderState.PAID), times, now=now)
        return Again(due_at) if times < MOST_REMINDERS else Done()

    async def _tell(self, tx: Tx, order: Order, times: int, *, now: datetime) -> None:
        attempts = (await attempts_of(tx, [order]))[order.order_no]
        event = order_event("fulfilment_due", order, attempts[-1])
        told = replace(event, payload={**event.payload, "times_asked": times})
        await save(tx, [order], [])
        await outbox.emit(tx, [told], ids=self._platform.ids, now=now)
        if times >= ALERT_FROM:
            alert = Alert(order.book, PRODUCT_NOT_MADE, order.order_no, {"times_asked": times})
            await raise_alert(tx, [alert], ids=self._platform.ids, now=now)

    async def _lock(self, tx: Tx, *, book: int, order_no: str) -> tuple[Order, Fulfilment]:
        """The order, locked, and what is to be made for it; the lock guards both."""
        locked = await lock_orders(tx, [(book, order_no)])
        if not locked or locked[0].kind != PAYMENT.name:
            raise OrderNotFound
        found = await find_fulfilment(tx, book=book, order_no=order_no)
        if found is None:
            raise FulfilmentNotExpected
        return locked[0], found


def _check(order: Order, found: Fulfilment) -> None:
    if found.state == "fulfilled":
        raise AlreadyFulfilled(param="reference")
    if found.state == "unpaid":
        raise FulfilmentTooEarly(state=order.state)
    if found.state == "waived" or order.state is OrderState.REFUNDED:
        raise FulfilmentTooLate(state=order.state)


def _rung_s(asked: int) -> int:
    return _LADDER_S[asked] if asked < len(_LADDER_S) else _LAST_RUNG_S


async def _end(tx: Tx, keys: Sequence[tuple[int, str]], *, now: datetime) -> None:
    await tasks.cancel(tx, FULFIL, keys)
    await clear(tx, [(book, PRODUCT_NOT_MADE, order_no) for book, order_no in keys], now=now)


async def _write(tx: Tx, one: Fulfilment) -> None:
    await tx.execute(
        """update payment_fulfilment set state = $3, due_at = $4, times_asked = $5, fulfilled_at = $6, reference = $7
           where book = $1 and order_no = $2""",
        one.book, one.order_no, one.state, one.due_at, one.times_asked, one.fulfilled_at, one.reference,
    )  # fmt: skip


def _read(row: Record) -> Fulfilment:
    return Fulfilment(**dict(row))
