"""What the outside sees of an adjustment: the same view in answers, lists and events. Ids are strings in JSON."""

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from tael.adjustments.legs import leg_id, legs_in
from tael.adjustments.store import Adjustment, AdjustmentState
from tael.approvals import Approval
from tael.approvals.views import DecisionView, decision_views
from tael.base.outbox import NewEvent

TOPICS = (
    "adjustment.proposed", "adjustment.posted", "adjustment.rejected", "adjustment.cancelled", "adjustment.expired",
)  # fmt: skip
"""The events told about adjustments; every one begins with the first and has one of the others as its last."""


class View(BaseModel):
    """Base of every answer."""

    model_config = ConfigDict(frozen=True)


class LegView(View):
    """`amount` from `debit` to `credit`; `entry` is the posting's id, `reverses_entry` that of the one taken back."""

    debit: str
    credit: str
    amount: int
    entry: str
    reverses_entry: str | None


class AdjustmentView(View):
    """A manual adjustment (调账). `amount` is the sum of the legs in minor units, which decides how many of other
    people (`needed`) must approve. Send `payload_sha256` with a decision: it covers legs, reason and references.
    """

    adjustment_no: str
    id: str
    object: Literal["adjustment"] = "adjustment"
    state: AdjustmentState
    reason: str
    evidence: str | None
    order_no: str | None = Field(description="The order it is about")
    reverses: str | None = Field(description="The adjustment it takes back")
    amount: int
    currency: str
    legs: list[LegView]
    maker: str
    needed: int
    decisions: list[DecisionView]
    payload_sha256: str
    created_at: datetime
    expires_at: datetime
    ended_at: datetime | None
    ended_by: str | None


class AdjustmentList(View):
    """A page of adjustments, newest first. Pass `next` as `starting_after` for the page after it."""

    data: list[AdjustmentView]
    has_more: bool
    next: str | None


def adjustment_view(adjustment: Adjustment, approval: Approval) -> AdjustmentView:
    """The view of an adjustment and its approval."""
    return AdjustmentView(
        adjustment_no=adjustment.adjustment_no, id=str(adjustment.id), state=adjustment.state,
        reason=adjustment.reason, evidence=adjustment.evidence, order_no=adjustment.linked_order,
        reverses=adjustment.reverses, amount=adjustment.amount, currency=adjustment.currency,
        legs=_legs(adjustment, approval), maker=adjustment.maker, needed=approval.needed,
        decisions=decision_views(approval), payload_sha256=approval.payload_sha256,
        created_at=adjustment.created_at, expires_at=adjustment.expires_at, ended_at=adjustment.ended_at,
        ended_by=adjustment.ended_by,
    )  # fmt: skip


def adjustment_event(topic: str, adjustment: Adjustment, approval: Approval) -> NewEvent:
    """The event that tells about an adjustment's move; its sequence is the adjustment's event count."""
    assert topic in TOPICS, topic
    payload = adjustment_view(adjustment, approval).model_dump(mode="json")
    return NewEvent(adjustment.book, topic, adjustment.adjustment_no, adjustment.events, payload)


def _legs(adjustment: Adjustment, approval: Approval) -> list[LegView]:
    return [
        LegView(
            debit=str(leg.debit), credit=str(leg.credit), amount=leg.amount,
            entry=str(leg_id(adjustment.adjustment_no, place, created_at=adjustment.created_at)),
            reverses_entry=None if leg.reference is None else str(leg.reference),
        )
        for place, leg in enumerate(legs_in(approval.payload))
    ]  # fmt: skip
