"""Change the tiers: the rules about how many must approve are themselves changed by two people in live mode.

test mode   set at once
live mode   proposed -> approved by another person: set | rejected
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

import msgspec

from tael.approvals import tiers as tiers_in_force
from tael.approvals.asking import ask
from tael.approvals.deciding import decide
from tael.approvals.store import Approval, NewApproval
from tael.approvals.tiers import Tier, Tiers, set_tiers
from tael.base.db import Tx
from tael.base.errors import JsonValue
from tael.base.ids import Ids

KIND = "approval_tiers"
_OPEN_DAYS = 7


@dataclass(frozen=True, slots=True)
class TierChange:
    """The tiers that `person` wants a kind and currency to have."""

    book: int
    kind: str
    currency: str
    tiers: Sequence[Tier]
    mode: Literal["test", "live"]
    person: str


async def change_tiers(tx: Tx, change: TierChange, *, ids: Ids, now: datetime) -> Tiers | Approval:
    """The new tiers; in live mode, what waits for another person. Raises like `set_tiers`, and `ApprovalPending`."""
    tiers_in_force.check(change.currency, change.tiers, mode=change.mode)
    if change.mode == "test":
        return await set_tiers(
            tx, book=change.book, kind=change.kind, currency=change.currency, tiers=change.tiers, mode="test",
            person=change.person, ids=ids, now=now,
        )  # fmt: skip
    wanted: list[JsonValue] = [{"from_minor": tier.from_minor, "needed": tier.needed} for tier in change.tiers]
    new = NewApproval(
        change.book, KIND, _subject(change.kind, change.currency),
        {"kind": change.kind, "currency": change.currency, "tiers": wanted}, 0, change.currency, change.person,
        now + timedelta(days=_OPEN_DAYS),
    )  # fmt: skip
    (approval,) = await ask(tx, [new], ids=ids, now=now, least=1)
    return approval


async def decide_tiers(
    tx: Tx, *, book: int, kind: str, currency: str, checker: str, approve: bool, note: str | None,
    payload_sha256: str | None, ids: Ids, now: datetime,
) -> Approval:  # fmt: skip
    """Decide a change that waits; the last approval puts the stored tiers into force. Raises like `decide`."""
    approval = await decide(
        tx, book=book, kind=KIND, subject=_subject(kind, currency), checker=checker, approve=approve, note=note,
        payload_sha256=payload_sha256, now=now,
    )  # fmt: skip
    if approval.state == "approved":
        stored = msgspec.convert(approval.payload, _Stored)
        await set_tiers(
            tx, book=book, kind=stored.kind, currency=stored.currency, tiers=stored.tiers, mode="live",
            person=approval.maker, ids=ids, now=now,
        )  # fmt: skip
    return approval


class _Stored(msgspec.Struct):
    kind: str
    currency: str
    tiers: list[Tier]


def _subject(kind: str, currency: str) -> str:
    return f"{kind}/{currency}"
