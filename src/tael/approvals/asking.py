"""Ask for approval, in the transaction that commits what has to be approved.

ask -> pending    as many people as the tiers say must approve
    -> approved   the book's tiers need nobody for this amount
    -> the one that waits already, when the same was asked before; ApprovalPending when something else was
"""

import hashlib
from collections.abc import Sequence
from datetime import datetime

import msgspec

from tael.approvals import store
from tael.approvals.store import Approval, NewApproval
from tael.approvals.tiers import tiers_of
from tael.base.db import Tx
from tael.base.errors import JsonValue, TaelError
from tael.base.ids import Ids


class ApprovalPending(TaelError):
    """Another proposal about the same subject waits for approval.
    zh: 同一对象已有待复核的申请。
    """

    status = 409


async def ask(tx: Tx, new: Sequence[NewApproval], *, ids: Ids, now: datetime, least: int = 0) -> list[Approval]:
    """Ask for a batch of approvals; answers one each, in order. `least` people must approve whatever the tiers say.

    Raises `ApprovalPending`.
    """
    if not new:
        return []
    tiers = await tiers_of(tx, [(one.book, one.kind, one.currency) for one in new])
    asked = [
        _approval(one, needed=max(least, tier.needed(one.amount)), id=ids.next(), now=now)
        for one, tier in zip(new, tiers, strict=True)
    ]
    await store.insert(tx, [one for one in asked if one.state == "pending"])
    waiting = await store.pending(tx, [_key(one) for one in asked])
    await store.insert(tx, [one for one in asked if _key(one) not in waiting])
    return [_same(one, waiting[_key(one)]) if _key(one) in waiting else one for one in asked]


def digest(payload: JsonValue) -> str:
    """SHA-256 of a payload in hexadecimal: of its JSON with sorted keys, so storing it changes nothing."""
    return hashlib.sha256(msgspec.json.encode(payload, order="sorted")).hexdigest()


def _approval(new: NewApproval, *, needed: int, id: int, now: datetime) -> Approval:
    return Approval(
        new.book, id, new.kind, new.subject, new.payload, digest(new.payload), new.amount, new.currency, new.maker,
        needed, "pending" if needed else "approved", new.expires_at, now, None if needed else now,
    )  # fmt: skip


def _key(approval: Approval) -> tuple[int, str, str]:
    return approval.book, approval.kind, approval.subject


def _same(asked: Approval, waits: Approval) -> Approval:
    """What waits, when it is what was asked for."""
    one, other = (
        (each.payload_sha256, each.amount, each.currency, each.maker) for each in (asked, waits)
    )  # fmt: skip
    if one != other:
        raise ApprovalPending(subject=waits.subject)
    return waits
