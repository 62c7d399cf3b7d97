"""Decide withdrawals: four eyes before any money leaves.

    reviewing -> approved   as many people approved as the amount needs: the payout is enqueued
              -> invalid    rejected by one, cancelled, or nobody decided in time: the hold is released
    approved  -> invalid    cancelled while no channel was asked, or every channel that was asked has refused for good
    paying    -> paying     called back while the channel waits for the payee: only the intent is stored, the payout's
                            worker asks the channel, and what the channel then says ends it as it always does

The approval's lock is taken before the order's, always in this turn. What is approved is the stored content; a checker
who sends the hash of what was shown is refused when something else is stored. Concurrent decisions share a transaction,
and whoever is refused in it does not take the others along.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from tael import approvals
from tael.approvals import Approval, ApprovalNotFound, ApprovalNotPending, NewDecision
from tael.base import outbox, tasks
from tael.base.batch import Batcher
from tael.base.crash import crash_point
from tael.base.db import Database, Tx
from tael.base.errors import TaelError
from tael.base.ids import Ids
from tael.ledger import Ledger
from tael.orders import (
    OPEN_ATTEMPT,
    AttemptState,
    Order,
    OrderNotFound,
    OrderState,
    attempts_of,
    find_order,
    find_orders,
    lock_orders,
    move_order,
    save,
)
from tael.payments.platform import MAX_WAIT_MS
from tael.risk import Risk
from tael.withdrawals import store
from tael.withdrawals.lookup import KIND, Found, all_about, details_of
from tael.withdrawals.opening import PAYOUT, payout_task
from tael.withdrawals.store import Key
from tael.withdrawals.undo import let_go, unfreeze
from tael.withdrawals.views import withdrawal_event

_CANCELLABLE = frozenset({OrderState.REVIEWING, OrderState.APPROVED, OrderState.PAYING, OrderState.UNKNOWN})


class WithdrawalUnderWay(TaelError):
    """A channel is paying this without waiting for the payee, or it has ended; it cannot be called back.
    zh: 渠道正在付款且无须收款人确认，或该提现已结束，无法撤销。
    """

    status = 409


@dataclass(frozen=True, slots=True)
class Verdict:
    """What `checker` decides about a withdrawal; `payload_sha256`: refuse it when the content is another one."""

    book: int
    order_no: str
    checker: str
    note: str | None = None
    payload_sha256: str | None = None


class Decisions:
    """Decides withdrawals. One per process."""

    def __init__(self, db: Database, ids: Ids, ledger: Ledger, risk: Risk, now: Callable[[], datetime]) -> None:
        self.db = db
        self._ids, self._ledger, self._risk, self._now = ids, ledger, risk, now
        self._deciding: Batcher[NewDecision, Found] = Batcher(self._decide, max_wait_ms=MAX_WAIT_MS)

    async def approve(self, verdict: Verdict) -> Found:
        """Approve; the payout starts when nobody else is needed.

        Raises `OrderNotFound`, or what `approvals.decide` raises.
        """
        return await self._deciding.submit(_decision(verdict, approve=True))

    async def reject(self, verdict: Verdict) -> Found:
        """Reject; one rejection is enough. Raises `OrderNotFound`, or what `approvals.decide` raises."""
        return await self._deciding.submit(_decision(verdict, approve=False))

    async def cancel(self, *, book: int, order_no: str, person: str) -> Found:
        """Withdraw the request while nobody can have been paid, or call it back while the channel waits for the payee:
        then it goes on `paying` until the channel has said how it ended. Once more changes nothing.

        Raises `OrderNotFound` or `WithdrawalUnderWay`.
        """
        async with self.db.transaction() as tx:
            await _require(tx, book=book, order_no=order_no)
            await self._withdraw_approval(tx, book=book, order_no=order_no)
            (found,) = await _locked(tx, [(book, order_no)])
            ended = await self._cancel(tx, found, person)
            crash_point("approve.before_commit")
        crash_point("approve.committed")
        return ended

    async def expire(self, tx: Tx, ended: Sequence[Approval]) -> None:
        """End the withdrawals among the approvals that `approvals.expire_due` has ended in this transaction."""
        found = await _locked(tx, [(one.book, one.subject) for one in ended if one.kind == KIND])
        waiting = [one for one in found if one.order.state is OrderState.REVIEWING]
        await self._end(tx, [(one, "nobody decided in time") for one in waiting], topic="withdrawal.expired")

    async def close(self) -> None:
        """Finish what is under way."""
        await self._deciding.close()

    async def _decide(self, wanted: Sequence[NewDecision]) -> list[Found | TaelError]:
        """The transaction for a batch: one result per decision."""
        async with self.db.transaction() as tx:
            said = await _told(tx, wanted, await approvals.decide_all(tx, wanted, now=self._now()))
            results = await self._follow(tx, said)
            crash_point("approve.before_commit")
        crash_point("approve.committed")
        # Nothing is read after the commit: what is decided cannot be answered with "nothing was changed".
        return results

    async def _follow(self, tx: Tx, said: Sequence[Approval | TaelError]) -> list[Found | TaelError]:
        """Do what was decided; each decision is answered with what it led to. The ledger's lock is taken last."""
        decided = {place: one for place, one in enumerate(said) if isinstance(one, Approval)}
        about = await _about(tx, [(one.book, one.subject) for one in decided.values()])
        after = {place: replace(about[one.book, one.subject], approval=one) for place, one in decided.items()}
        approved = [place for place, one in decided.items() if one.state == "approved"]
        rejected = [place for place, one in decided.items() if one.state == "rejected"]
        started = await self._start_payout(tx, [after[place] for place in approved])
        reasons = [(after[place], _reason(decided[place])) for place in rejected]
        ended = await self._end(tx, reasons, topic="withdrawal.rejected")
        after |= zip((*approved, *rejected), (*started, *ended), strict=True)
        return [after[place] if isinstance(one, Approval) else one for place, one in enumerate(said)]

    async def _start_payout(self, tx: Tx, found: Sequence[Found]) -> list[Found]:
        if not found:
            return []
        now = self._now()
        moved = [replace(one, order=move_order(one.order, OrderState.APPROVED)) for one in found]
        await save(tx, [one.order for one in moved], [])
        events = [withdrawal_event("withdrawal.approved", one.order, one.attempts, one.details) for one in moved]
        await outbox.emit(tx, events, ids=self._ids, now=now)
        await tasks.enqueue(tx, [payout_task(one.order, now) for one in moved], ids=self._ids, now=now)
        return moved

    async def _withdraw_approval(self, tx: Tx, *, book: int, order_no: str) -> None:
        """End what waits for a decision, and hold off whoever is deciding; there may be nothing."""
        asked = await approvals.find(tx, book=book, kind=KIND, subject=order_no)
        if asked is not None:
            try:
                await approvals.cancel(tx, book=book, kind=KIND, subject=order_no, now=self._now())
            except ApprovalNotPending:
                return  # decided: the order says whether it is too late

    async def _cancel(self, tx: Tx, found: Found, person: str) -> Found:
        if found.order.state is OrderState.INVALID:
            return found
        if found.order.state in _CANCELLABLE and _waits_for_payee(found):
            return await self._call_back(tx, found, person)
        asked = any(one.state in OPEN_ATTEMPT or one.state is AttemptState.PAID for one in found.attempts)
        if found.order.state not in _CANCELLABLE or asked:
            raise WithdrawalUnderWay(state=found.order.state)
        (ended,) = await self._end(tx, [(found, f"cancelled by {person}")], topic="withdrawal.cancelled")
        return ended

    async def _call_back(self, tx: Tx, found: Found, person: str) -> Found:
        """Store the intent, once, and have it worked on now. Nothing is released: the payee may have confirmed already.

        The task is made anew, so that it is due now whatever became of it, and asks on the ladder's first rungs; a
        worker that is busy with the one before finds its lease gone.
        """
        order, withdrawal = found.order, found.details.withdrawal
        if withdrawal.called_back is not None:
            return found
        await store.call_back(tx, book=order.book, order_no=order.order_no, person=person)
        await tasks.cancel(tx, PAYOUT, [(order.book, order.order_no)])
        now = self._now()
        await tasks.enqueue(tx, [payout_task(order, now)], ids=self._ids, now=now)
        return replace(found, details=replace(found.details, withdrawal=replace(withdrawal, called_back=person)))

    async def _end(self, tx: Tx, found: Sequence[tuple[Found, str]], *, topic: str) -> list[Found]:
        """End withdrawals, each for its reason."""
        if not found:
            return []
        now = self._now()
        ended = [replace(one, order=move_order(one.order, OrderState.INVALID, reason=why)) for one, why in found]
        orders: list[Order] = [one.order for one in ended]
        await save(tx, orders, [])
        events = [withdrawal_event(topic, one.order, one.attempts, one.details) for one in ended]
        await outbox.emit(tx, events, ids=self._ids, now=now)
        await let_go(tx, orders, risk=self._risk)
        await unfreeze(tx, orders, ledger=self._ledger, now=now)
        return ended


def _waits_for_payee(found: Found) -> bool:
    """Whether a channel that was asked to pay waits for the payee's confirmation, as far as we know."""
    return any(one.state in OPEN_ATTEMPT and one.handoff is not None for one in found.attempts)


def _decision(verdict: Verdict, *, approve: bool) -> NewDecision:
    return NewDecision(
        verdict.book, KIND, verdict.order_no, verdict.checker, approve, verdict.note, verdict.payload_sha256
    )


def _reason(rejected: Approval) -> str:
    (by,) = (one for one in rejected.decisions if one.decision == "reject")
    return f"rejected by {by.checker}" + (f": {by.note}" if by.note else "")


async def _told(
    tx: Tx, wanted: Sequence[NewDecision], said: Sequence[Approval | TaelError]
) -> Sequence[Approval | TaelError]:
    """What is said, with `OrderNotFound` where there is not even a withdrawal."""
    missing = [
        (one.book, one.subject) for one, of in zip(wanted, said, strict=True) if isinstance(of, ApprovalNotFound)
    ]
    if not missing:
        return said
    known = {(order.book, order.order_no) for order in await find_orders(tx, missing) if order.kind == KIND}
    unheard_of = set(missing) - known
    return [
        OrderNotFound() if (one.book, one.subject) in unheard_of else of
        for one, of in zip(wanted, said, strict=True)
    ]  # fmt: skip


async def _require(tx: Tx, *, book: int, order_no: str) -> None:
    """Raise `OrderNotFound` when there is no such withdrawal."""
    order = await find_order(tx, book=book, order_no=order_no)
    if order is None or order.kind != KIND:
        raise OrderNotFound


async def _locked(tx: Tx, keys: Sequence[tuple[int, str]]) -> list[Found]:
    """Everything about these withdrawals as it is now, their orders locked."""
    return await all_about(tx, await lock_orders(tx, keys))


async def _about(tx: Tx, keys: Sequence[Key]) -> dict[Key, Found]:
    """Withdrawals by (book, order number), their orders locked; their approvals are the caller's."""
    if not keys:
        return {}
    locked, details = await lock_orders(tx, keys), await details_of(tx, keys)
    attempts = await attempts_of(tx, locked)
    return {
        (order.book, order.order_no): Found(
            order, attempts[order.order_no], details[order.book, order.order_no], approval=None
        )
        for order in locked
    }
