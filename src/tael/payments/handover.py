"""Hand a committed attempt over to its channel and record what the channel said.

no tx  channel.create_payment                     may fail in any way; the same request again is safe
tx     hand-off and states, raw exchange, stored answer

created, unknown -> paying     the channel gave a hand-off
                 -> unknown    we cannot tell; recovery asks
                 -> failed     the channel said no, for good
                 (stays)       nothing was sent; recovery sends the same request
"""

from collections.abc import Sequence
from dataclasses import dataclass

from tael.base import outbox, tasks
from tael.base.batch import Batcher
from tael.base.crash import crash_point
from tael.channels.contract import Operation, Outcome, PaymentHandoff, Result
from tael.guard import Answer, Claim, finish
from tael.orders import (
    OPEN_ATTEMPT,
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
from tael.payments import evidence, handoff
from tael.payments.evidence import Exchange
from tael.payments.platform import MAX_WAIT_MS, Platform
from tael.payments.settlement import RECOVERY
from tael.payments.views import order_event, order_view


@dataclass(frozen=True, slots=True)
class Begun:
    """An order and its attempt, committed. `claim` is answered when the hand-off is recorded.

    `placed`: the channel has the order, as it has just said; only the hand-off is missing. If it says no now, that is
    about what has become of the order since (somebody closed it, perhaps), and its query will tell.
    """

    claim: Claim | None
    order: Order
    attempt: Attempt
    placed: bool = False


@dataclass(frozen=True, slots=True)
class _HandedOver:
    """What the channel answered to an attempt."""

    begun: Begun
    result: Result[PaymentHandoff]

    @property
    def key(self) -> tuple[int, str]:
        """Book and attempt number."""
        return self.begun.attempt.book, self.begun.attempt.attempt_no


class Handover:
    """Hands attempts over. Concurrent records share a transaction. One per process."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._recording: Batcher[_HandedOver, Answer] = Batcher(self._record, max_wait_ms=MAX_WAIT_MS)

    async def hand_over(self, begun: Begun) -> Answer:
        """Ask the channel for the hand-off of a committed attempt and record what it said. Safe to repeat."""
        account = self._platform.account_of(begun.attempt)
        result = await self._platform.accounts.takes_payments(account).create_payment(
            account, self._platform.channel_request(begun.order, begun.attempt), now=self._platform.now()
        )
        crash_point("handover.channel_answered")
        return await self._recording.submit(_HandedOver(begun, result))

    async def close(self) -> None:
        """Finish what is under way."""
        await self._recording.close()

    async def _record(self, handed: Sequence[_HandedOver]) -> list[Answer]:
        """Transaction 2 for a batch. A notice may have settled an attempt meanwhile; then only evidence is added."""
        now, platform = self._platform.now(), self._platform
        async with platform.db.transaction() as tx:
            locked = await lock_by_attempt(tx, [one.key for one in handed])
            before = dict(locked)
            for one in handed:  # one after the other: a batch may hold two answers about one attempt
                locked[one.key] = self._moved(*locked[one.key], one.result, placed=one.begun.placed)
            moved = [row for key, row in locked.items() if row != before[key]]
            await save(tx, [order for order, _ in moved], [attempt for _, attempt in moved])
            await evidence.keep_exchanges(tx, [_exchange(one) for one in handed], ids=platform.ids, now=now)
            failed = [row for row in moved if row[1].state is AttemptState.FAILED]
            await outbox.emit(tx, [order_event("failed", *one) for one in failed], ids=platform.ids, now=now)
            await tasks.cancel(tx, RECOVERY, [(attempt.book, attempt.attempt_no) for _, attempt in failed])
            answers = [answer(order, [attempt]) for order, attempt in (locked[one.key] for one in handed)]
            await finish(
                tx,
                [(one.begun.claim, said.status, said.body) for one, said in zip(handed, answers, strict=True)
                 if one.begun.claim is not None],
            )  # fmt: skip
            crash_point("handover.before_commit")
        crash_point("handover.committed")
        return answers

    def _moved(
        self, order: Order, attempt: Attempt, result: Result[PaymentHandoff], *, placed: bool
    ) -> tuple[Order, Attempt]:
        """Order and attempt after the channel's answer to `create_payment`."""
        now = self._platform.now()
        if attempt.state not in OPEN_ATTEMPT or order.state not in UNPAID_ORDER:
            return order, attempt
        error = f"{result.error.kind}: {result.error.code}" if result.error else None
        match result.outcome:
            case Outcome.SUCCEEDED:
                assert result.value is not None
                shown = handoff.stored(result.value)
                moved = move_attempt(attempt, AttemptState.PAYING, now=now, handoff=shown)
                return move_order(order, OrderState.PAYING, tells=False), moved
            case Outcome.DECLINED if not placed:
                moved = move_attempt(attempt, AttemptState.FAILED, now=now, error=error)
                return move_order(order, OrderState.FAILED, reason=error), moved
            case Outcome.NOT_SENT | Outcome.DECLINED:
                return order, move_attempt(attempt, attempt.state, now=now, error=error)
            case Outcome.UNKNOWN | Outcome.PENDING:
                if attempt.handoff is not None:  # an earlier answer gave the hand-off; it still holds
                    return order, attempt
                moved = move_attempt(attempt, AttemptState.UNKNOWN, now=now, error=error)
                return move_order(order, OrderState.UNKNOWN, tells=False), moved


def answer(order: Order, attempts: Sequence[Attempt]) -> Answer:
    """The answer that shows an order as it is: 201, or 202 while nobody can say whether the channel has it."""
    status = 202 if order.state in {OrderState.CREATED, OrderState.UNKNOWN} else 201
    return Answer(status, order_view(order, attempts).model_dump_json().encode())


def _exchange(one: _HandedOver) -> Exchange:
    attempt = one.begun.attempt
    return Exchange(attempt.book, attempt.attempt_no, Operation.CREATE, one.result.outcome, one.result.raw)
