"""Decide what was proposed: four eyes (四眼), by person.

    pending -> approved    `needed` different people approve, none of them the maker
            -> rejected    the first rejection
            -> cancelled   withdrawn before it was decided
            -> expired     nobody decided in time; whoever asked undoes what waited

Nothing leaves the other states. What is executed is the stored payload, never what a request says; a checker who
sends the hash of what was shown is refused when that is not what is stored. The database holds the same rules.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from tael.approvals import store
from tael.approvals.asking import digest
from tael.approvals.store import Approval, Decision, NewDecision
from tael.base.db import Tx
from tael.base.errors import TaelError


class ApprovalNotFound(TaelError):
    """There is no such approval.
    zh: 复核申请不存在。
    """

    status = 404


class ApprovalNotPending(TaelError):
    """This was decided, withdrawn, or has expired.
    zh: 该申请已有结论、已撤回或已过期。
    """

    status = 409


class SelfApproval(TaelError):
    """Nobody decides what he proposed himself, with whatever key.
    zh: 不能复核本人提交的申请（更换密钥亦不可）。
    """

    status = 403


class AlreadyDecided(TaelError):
    """This person has decided about this already; another one is needed.
    zh: 您已作出复核，需由其他人复核。
    """

    status = 409


class PayloadChanged(TaelError):
    """What is stored is not what the checker was shown. Look at it again.
    zh: 申请内容与复核时所见不一致，请重新查看。
    """

    status = 409


async def decide(
    tx: Tx, *, book: int, kind: str, subject: str, checker: str, approve: bool, note: str | None,
    payload_sha256: str | None, now: datetime,
) -> Approval:  # fmt: skip
    """Write one person's decision; the answer is `approved` or `rejected` when it was the last one needed.

    Raises `ApprovalNotFound`, `SelfApproval`, `AlreadyDecided`, `ApprovalNotPending` or `PayloadChanged`.
    """
    (said,) = await decide_all(tx, [NewDecision(book, kind, subject, checker, approve, note, payload_sha256)], now=now)
    if isinstance(said, TaelError):
        raise said
    return said


async def decide_all(tx: Tx, new: Sequence[NewDecision], *, now: datetime) -> list[Approval | TaelError]:
    """Write a batch of decisions, one after the other; answers each with its approval as it is after this decision,
    or with what `decide` would raise: a refusal changes nothing for the others.
    """
    current = await store.lock_newest(tx, [_key(one) for one in new]) if new else {}
    said: list[Approval | TaelError] = []
    made: list[tuple[Approval, Decision]] = []
    for one in new:
        try:
            decided, decision = _decided(current.get(_key(one)), one, now=now)
        except TaelError as refusal:
            said.append(refusal)
        else:
            current[_key(one)] = decided
            made.append((decided, decision))
            said.append(decided)
    await store.insert_decisions(tx, made)
    await store.end(tx, [one for one, _ in made if one.state != "pending"])
    return said


async def cancel(tx: Tx, *, book: int, kind: str, subject: str, now: datetime) -> Approval:
    """Withdraw what was proposed; once more changes nothing. Raises `ApprovalNotFound` or `ApprovalNotPending`."""
    approval = (await store.lock_newest(tx, [(book, kind, subject)])).get((book, kind, subject))
    if approval is None:
        raise ApprovalNotFound
    if approval.state == "cancelled":
        return approval
    if approval.state != "pending":
        raise ApprovalNotPending(state=approval.state)
    cancelled = replace(approval, state="cancelled", decided_at=now)
    await store.end(tx, [cancelled])
    return cancelled


async def expire_due(tx: Tx, *, now: datetime, limit: int = 500) -> list[Approval]:
    """End what nobody decided in time, at most `limit`; the packages that asked then undo what waited (by kind)."""
    return await store.expire(tx, now=now, limit=limit)


def _key(new: NewDecision) -> store.Key:
    return new.book, new.kind, new.subject


def _decided(approval: Approval | None, new: NewDecision, *, now: datetime) -> tuple[Approval, Decision]:
    """The approval with one more decision, and that decision. Pure; raises what `decide` raises."""
    if approval is None:
        raise ApprovalNotFound
    if new.checker == approval.maker:
        raise SelfApproval
    if any(decision.checker == new.checker for decision in approval.decisions):
        raise AlreadyDecided(state=approval.state)
    if approval.state != "pending" or now >= approval.expires_at:
        raise ApprovalNotPending(state=approval.state if approval.state != "pending" else "expired")
    if new.payload_sha256 not in (None, approval.payload_sha256) or digest(approval.payload) != approval.payload_sha256:
        raise PayloadChanged(param="payload_sha256")
    decision = Decision(new.checker, "approve" if new.approve else "reject", new.note, now)
    together = sorted((*approval.decisions, decision), key=lambda one: (one.at, one.checker))
    decided = replace(approval, decisions=tuple(together))
    if new.approve and len(together) < approval.needed:
        return decided, decision
    return replace(decided, state="approved" if new.approve else "rejected", decided_at=now), decision
