"""Decide an adjustment; the last approval books it in the same transaction.

    proposed -> posted     as many people approved as the amount needs: all legs are booked together
             -> rejected   one rejection
             -> cancelled  withdrawn by whoever may propose
             -> expired    nobody decided in time

The ledger has the last word: when an account lacks the funds or is closed by then, the whole decision is rolled back,
the answer says why, and the adjustment stays proposed. A posted adjustment is never edited; another one corrects it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from tael import approvals
from tael.adjustments import store
from tael.adjustments.legs import postings
from tael.adjustments.lookup import KIND, get
from tael.adjustments.store import Adjustment, AdjustmentState
from tael.adjustments.views import adjustment_event
from tael.approvals import Approval
from tael.base import outbox
from tael.base.db import Tx
from tael.base.ids import Ids
from tael.ledger import Ledger, require_posted


@dataclass(frozen=True, slots=True)
class Verdict:
    """What `checker` decides about an adjustment; `payload_sha256`: refuse it when the content is another one."""

    book: int
    adjustment_no: str
    checker: str
    note: str | None = None
    payload_sha256: str | None = None


async def approve(
    tx: Tx, verdict: Verdict, *, ledger: Ledger, ids: Ids, now: datetime
) -> tuple[Adjustment, Approval]:  # fmt: skip
    """Approve; books the legs when nobody else is needed, as the transaction's last write.

    Raises `AdjustmentNotFound`, what `approvals.decide` raises, or what the ledger refuses (`InsufficientBalance`).
    """
    adjustment, approval = await _decide(tx, verdict, approve=True, now=now)
    if approval.state != "approved":
        return adjustment, approval
    posted = await _end(tx, adjustment, approval, AdjustmentState.POSTED, by=verdict.checker, ids=ids, now=now)
    legs = postings(
        approval.payload, book=posted.book, adjustment_no=posted.adjustment_no, created_at=posted.created_at
    )
    require_posted(await ledger.post(tx, legs, now=now))
    return posted, approval


async def reject(tx: Tx, verdict: Verdict, *, ids: Ids, now: datetime) -> tuple[Adjustment, Approval]:
    """Reject. Raises `AdjustmentNotFound` or what `approvals.decide` raises."""
    adjustment, approval = await _decide(tx, verdict, approve=False, now=now)
    ended = await _end(tx, adjustment, approval, AdjustmentState.REJECTED, by=verdict.checker, ids=ids, now=now)
    return ended, approval


async def cancel(
    tx: Tx, *, book: int, adjustment_no: str, person: str, ids: Ids, now: datetime
) -> tuple[Adjustment, Approval]:
    """Withdraw a proposal; once more changes nothing. Raises `AdjustmentNotFound` or `ApprovalNotPending`."""
    await get(tx, book=book, adjustment_no=adjustment_no)
    approval = await approvals.cancel(tx, book=book, kind=KIND, subject=adjustment_no, now=now)
    adjustment, _ = await get(tx, book=book, adjustment_no=adjustment_no)  # after the lock: as it is now
    if adjustment.state is AdjustmentState.CANCELLED:
        return adjustment, approval
    return await _end(tx, adjustment, approval, AdjustmentState.CANCELLED, by=person, ids=ids, now=now), approval


async def expire(tx: Tx, ended: Sequence[Approval], *, ids: Ids, now: datetime) -> None:
    """End the adjustments among the approvals that `approvals.expire_due` has ended in this transaction."""
    mine = {(one.book, one.subject): one for one in ended if one.kind == KIND}
    expired: list[Adjustment] = []
    for book in {book for book, _ in mine}:
        numbers = [number for of, number in mine if of == book]
        found = await store.by_number(tx, book=book, numbers=numbers)
        expired += [_ended(one, AdjustmentState.EXPIRED, by=None, now=now) for one in found.values()]
    await store.end(tx, expired)
    events = [adjustment_event("adjustment.expired", one, mine[one.book, one.adjustment_no]) for one in expired]
    await outbox.emit(tx, events, ids=ids, now=now)


async def _decide(tx: Tx, verdict: Verdict, *, approve: bool, now: datetime) -> tuple[Adjustment, Approval]:
    """The adjustment and its approval after the decision; the approval's lock guards both."""
    adjustment, _ = await get(tx, book=verdict.book, adjustment_no=verdict.adjustment_no)
    approval = await approvals.decide(
        tx, book=verdict.book, kind=KIND, subject=verdict.adjustment_no, checker=verdict.checker, approve=approve,
        note=verdict.note, payload_sha256=verdict.payload_sha256, now=now,
    )  # fmt: skip
    return adjustment, approval


async def _end(
    tx: Tx, adjustment: Adjustment, approval: Approval, state: AdjustmentState, *, by: str, ids: Ids, now: datetime
) -> Adjustment:
    ended = _ended(adjustment, state, by=by, now=now)
    await store.end(tx, [ended])
    await outbox.emit(tx, [adjustment_event(f"adjustment.{state}", ended, approval)], ids=ids, now=now)
    return ended


def _ended(adjustment: Adjustment, state: AdjustmentState, *, by: str | None, now: datetime) -> Adjustment:
    return replace(adjustment, state=state, events=adjustment.events + 1, ended_at=now, ended_by=by)
