"""What the outside sees of approvals and tiers. Ids are strings in JSON, amounts minor units."""

from datetime import datetime
from typing import Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field

from tael.approvals.store import Approval, ApprovalState, Verdict
from tael.approvals.tiers import MOST, Change, Tiers
from tael.base.http import Body
from tael.base.money import MAX_MINOR

AnyJson: TypeAlias = object
"""Whatever the package that asked has put there."""


class View(BaseModel):
    """Base of every answer."""

    model_config = ConfigDict(frozen=True)


class DecisionView(View):
    """What one person decided."""

    checker: str
    decision: Verdict
    note: str | None
    at: datetime


class ApprovalView(View):
    """Something that waits, or waited, for `needed` people other than its `maker`. `payload` is what is executed;
    send its `payload_sha256` with a decision to be sure that this is what was looked at.
    """

    id: str
    object: Literal["approval"] = "approval"
    kind: str
    subject: str
    state: ApprovalState
    payload: AnyJson
    payload_sha256: str
    amount: int
    currency: str
    maker: str
    needed: int
    decisions: list[DecisionView]
    created_at: datetime
    expires_at: datetime
    decided_at: datetime | None


class ApprovalList(View):
    """A page of approvals, newest first. Pass `next` as `starting_after` for the page after it."""

    data: list[ApprovalView]
    has_more: bool
    next: str | None


class TierFields(Body):
    """From `from_amount` minor units on, `needed` people must approve."""

    from_amount: int = Field(ge=0, le=MAX_MINOR)
    needed: int = Field(ge=0, le=MOST)


class TierChangeView(View):
    """What a person set the tiers to."""

    tiers: list[TierFields]
    person: str
    at: datetime


class TiersView(View):
    """The tiers in force. `shipped`: the book has set none. `changes`: the last ones, the newest first."""

    object: Literal["approval_tiers"] = "approval_tiers"
    kind: str
    currency: str
    shipped: bool
    tiers: list[TierFields]
    changes: list[TierChangeView]


class NewTiers(Body):
    """Replace the tiers of a kind and currency: from amount 0 upwards, more money never needing fewer people."""

    kind: str = Field(pattern="^[a-z][a-z_]{1,31}$")
    currency: str = Field(pattern="^[A-Z]{3}$")
    tiers: list[TierFields] = Field(min_length=1, max_length=10)


class Verdicts(Body):
    """A decision. `payload_sha256`: refuse it when the stored content is not the one that was shown."""

    note: str | None = Field(default=None, min_length=1, max_length=500)
    payload_sha256: str | None = Field(default=None, pattern="^[0-9a-f]{64}$")


class TierVerdict(Verdicts):
    """A decision about a change of tiers."""

    kind: str = Field(pattern="^[a-z][a-z_]{1,31}$")
    currency: str = Field(pattern="^[A-Z]{3}$")


def approval_view(approval: Approval) -> ApprovalView:
    """The view of an approval."""
    return ApprovalView(
        id=str(approval.id), kind=approval.kind, subject=approval.subject, state=approval.state,
        payload=approval.payload, payload_sha256=approval.payload_sha256, amount=approval.amount,
        currency=approval.currency, maker=approval.maker, needed=approval.needed,
        decisions=decision_views(approval), created_at=approval.created_at, expires_at=approval.expires_at,
        decided_at=approval.decided_at,
    )  # fmt: skip


def decision_views(approval: Approval) -> list[DecisionView]:
    """What was decided about an approval, the oldest first."""
    return [
        DecisionView(checker=one.checker, decision=one.decision, note=one.note, at=one.at) for one in approval.decisions
    ]


def tiers_view(tiers: Tiers, changes: list[Change]) -> TiersView:
    """The view of tiers and of their last changes."""
    return TiersView(
        kind=tiers.kind, currency=tiers.currency, shipped=tiers.is_shipped,
        tiers=[TierFields(from_amount=one.from_minor, needed=one.needed) for one in tiers.tiers],
        changes=[
            TierChangeView(
                tiers=[TierFields(from_amount=one.from_minor, needed=one.needed) for one in change.tiers],
                person=change.person, at=change.at,
            )
            for change in changes
        ],
    )  # fmt: skip
