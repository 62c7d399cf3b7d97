"""Recover lost orders (掉单): ask the channel about every attempt that is still open, until it is certain.

    10 s, 20 s, 30 s, 1 min, 2 min, 5 min ...   query      paid -> settle     closed, failed -> conclude
                                                           unpaid without a hand-off -> send the same request again
    order expired                               close at the channel first, then locally; after any doubt query again

The task is cancelled when a notice settles the attempt first. Time alone never makes an attempt failed: what stays
unknown beyond the channel's last notice becomes a dead letter for a person, and keeps its state.
"""

from datetime import datetime, timedelta

import structlog
from prometheus_client import Counter

from tael.base import outbox, tasks
from tael.base.crash import crash_point
from tael.base.db import Tx
from tael.base.errors import TaelError
from tael.base.tasks import Again, Dead, Done, Task, Verdict
from tael.channels.contract import Operation, Outcome, PaymentRef, PaymentState, PaymentView, Result
from tael.orders import (
    OPEN_ATTEMPT,
    UNPAID_ORDER,
    Attempt,
    AttemptState,
    Order,
    OrderNotFound,
    OrderState,
    attempts_of,
    find_attempt,
    find_order,
    lock_by_attempt,
    lock_orders,
    move_attempt,
    move_order,
    save,
)
from tael.payments import evidence
from tael.payments.evidence import Exchange
from tael.payments.handover import Begun, Handover
from tael.payments.kinds import KINDS, Kind
from tael.payments.platform import Platform
from tael.payments.settlement import RECOVERY, Settlement, fact_of
from tael.payments.views import order_event

NOT_FOUND_GRACE_S = 120
"""How long after an order's expiry "no such order" still may mean that our request is on its way."""
PATIENCE_S = 3 * 86400
"""How long after expiry recovery keeps asking before it hands the attempt to a person."""

_log = structlog.get_logger("tael.recover")
_RECOVERED = Counter("tael_recovered_orders", "What recovery found", ["channel", "found"])


class Recovery:
    """Works the recovery queue. One per process."""

    def __init__(self, platform: Platform, settlement: Settlement, handover: Handover) -> None:
        self._platform, self._settlement, self._handover = platform, settlement, handover

    async def work(self, task: Task) -> Verdict:
        """One rung of the ladder for the attempt `task.key`."""
        found = await self._find(task.book, task.key)
        if found is None:
            return Dead("no such attempt")
        order, attempt = found
        if attempt.state not in OPEN_ATTEMPT:
            return Done()
        now = self._platform.now()
        expired = now >= order.expires_at
        certain = await (self._close(order, attempt) if expired else self._ask(order, attempt))
        crash_point("recover.worked")
        if certain:
            return Done()
        if now >= order.expires_at + timedelta(seconds=PATIENCE_S):
            return Dead("still unknown; ask the channel and settle by hand")
        return Again(self._next(order, task.attempt))

    async def close(self, *, book: int, order_no: str, kind: Kind | None = None) -> bool:
        """Close an unpaid order now, at the channel first; False when it is not certain (or paid meanwhile)."""
        async with self._platform.db.transaction() as tx:
            locked = await lock_orders(tx, [(book, order_no)])
            if not locked or locked[0].kind not in ({kind.name} if kind else KINDS):
                raise OrderNotFound
            attempts = (await attempts_of(tx, locked))[order_no]
            open_now = [attempt for attempt in attempts if attempt.state in OPEN_ATTEMPT]
            if not open_now:
                return await _close_locally(tx, locked[0], platform=self._platform)
        return await self._close(locked[0], open_now[0])

    async def _find(self, book: int, attempt_no: str) -> tuple[Order, Attempt] | None:
        async with self._platform.db.transaction() as tx:
            attempt = await find_attempt(tx, book=book, attempt_no=attempt_no)
            order = attempt and await find_order(tx, book=book, order_no=attempt.order_no)
        return (order, attempt) if order and attempt else None

    async def _ask(self, order: Order, attempt: Attempt) -> bool:
        """Query; True when the attempt's fate is certain now."""
        view = await self._query(order, attempt)
        if view is None:
            return False
        if view.state in {PaymentState.UNPAID, PaymentState.NOT_FOUND} and attempt.handoff is None:
            # The channel never got our request, or its answer was lost: the same request is safe and gives the
            # hand-off that the payer is waiting for.
            placed = view.state is PaymentState.UNPAID
            await self._handover.hand_over(Begun(None, order, attempt, placed=placed))
            return False
        return await self._conclude(attempt, view.state)

    async def _close(self, order: Order, attempt: Attempt) -> bool:
        """Close at the channel, then here."""
        state = await self.close_at_channel(order, attempt)
        return state is not None and await self._conclude(attempt, state)

    async def close_at_channel(self, order: Order, attempt: Attempt) -> PaymentState | None:
        """Make the attempt impossible at its channel; answers what is certain then. A payment is settled on the spot.

        A refusal to close usually means paid, so it is followed by a query. None: we cannot tell.
        """
        account = self._platform.account_of(attempt)
        connector = self._platform.accounts.takes_payments(account)
        result = await connector.close_payment(account, PaymentRef(attempt.attempt_no), now=self._platform.now())
        await self._keep(attempt, Operation.CLOSE, result)
        crash_point("recover.close_answered")
        if result.outcome is Outcome.SUCCEEDED and result.value and result.value.state is PaymentState.CLOSED:
            return PaymentState.CLOSED
        view = await self._query(order, attempt)
        if view is None:
            return None
        gone = view.state is PaymentState.NOT_FOUND
        if gone and self._platform.now() >= order.expires_at + timedelta(seconds=NOT_FOUND_GRACE_S):
            return PaymentState.CLOSED
        return view.state

    async def _query(self, order: Order, attempt: Attempt) -> PaymentView | None:
        """What the channel says for certain; a payment is settled on the spot. None: we cannot tell."""
        account = self._platform.account_of(attempt)
        now = self._platform.now()
        ref = PaymentRef(attempt.attempt_no)
        result = await self._platform.accounts.takes_payments(account).query_payment(account, ref, now=now)
        await self._keep(attempt, Operation.QUERY, result)
        crash_point("recover.query_answered")
        if result.outcome is not Outcome.SUCCEEDED or result.value is None:
            return None
        fact = fact_of(account, result.value)
        if fact is None:
            return result.value
        (outcome,) = await self._settlement.settle([fact], now=now)
        found = type(outcome).__name__ if isinstance(outcome, TaelError) else str(outcome)
        _RECOVERED.labels(account.channel, found).inc()
        _log.info("recover.found", order_no=order.order_no, attempt_no=attempt.attempt_no, found=found)
        return None if isinstance(outcome, TaelError) else result.value

    async def _conclude(self, attempt: Attempt, state: PaymentState) -> bool:
        """Write down what is certain; True when nothing is left to ask."""
        match state:
            case PaymentState.PAID | PaymentState.REFUNDED:
                return True
            case PaymentState.CLOSED:
                return await self._end(attempt, AttemptState.CLOSED, OrderState.CLOSED, "closed")
            case PaymentState.FAILED:
                return await self._end(attempt, AttemptState.FAILED, OrderState.FAILED, "failed")
            case PaymentState.UNPAID | PaymentState.PAYING | PaymentState.NOT_FOUND:
                return False

    async def _end(self, attempt: Attempt, to: AttemptState, order_to: OrderState, what: str) -> bool:
        platform, now = self._platform, self._platform.now()
        key = (attempt.book, attempt.attempt_no)
        async with platform.db.transaction() as tx:
            order, present = (await lock_by_attempt(tx, [key]))[key]
            if present.state not in OPEN_ATTEMPT:
                return True
            ended = move_attempt(present, to, now=now)
            moved = move_order(order, order_to) if order.state in UNPAID_ORDER else order
            await save(tx, [moved], [ended])
            if moved is not order:
                await outbox.emit(tx, [order_event(what, moved, ended)], ids=platform.ids, now=now)
            await tasks.cancel(tx, RECOVERY, [key])
        crash_point("recover.ended")
        return True

    async def _keep(self, attempt: Attempt, operation: Operation, result: Result[PaymentView]) -> None:
        exchange = Exchange(attempt.book, attempt.attempt_no, operation, result.outcome, result.raw)
        async with self._platform.db.transaction() as tx:
            await evidence.keep_exchanges(tx, [exchange], ids=self._platform.ids, now=self._platform.now())

    def _next(self, order: Order, asked: int) -> datetime:
        """When to ask again: after the ladder's next pause, but at once when the order expires before that."""
        now = self._platform.now()
        due = now + self._platform.settings.recovery_pause(asked)
        return min(due, order.expires_at) if now < order.expires_at else due


async def _close_locally(tx: Tx, order: Order, *, platform: Platform) -> bool:
    """Close an order that no attempt can pay any more; True when it is closed."""
    if order.state not in UNPAID_ORDER:
        return order.state is OrderState.CLOSED
    closed = move_order(order, OrderState.CLOSED)
    last = (await attempts_of(tx, [order]))[order.order_no][-1]
    await save(tx, [closed], [])
    await outbox.emit(tx, [order_event("closed", closed, last)], ids=platform.ids, now=platform.now())
    return True
