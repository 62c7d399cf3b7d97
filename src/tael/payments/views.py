"""What the outside sees of a recharge: the same view in answers, lists and events. Ids are strings in JSON."""

from collections.abc import Sequence
from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from tael.base.errors import JsonValue
from tael.base.money import Money
from tael.base.outbox import NewEvent
from tael.orders import Attempt, AttemptState, Order, OrderState
from tael.payments.suspense import SuspenseItem, SuspenseReason


class View(BaseModel):
    """Base of every answer."""

    model_config = ConfigDict(frozen=True)


class QrCodeView(View):
    """Show `text` as a QR code; the payer scans it."""

    type: Literal["qr_code"]
    text: str
    expires_at: datetime


class ParametersView(View):
    """Pass `parameters` unchanged to the channel's page (`jsapi`) or SDK (`app`)."""

    type: Literal["jsapi", "app"]
    parameters: dict[str, str]
    expires_at: datetime


class RedirectView(View):
    """Open `url` in the payer's browser."""

    type: Literal["redirect"]
    url: str
    expires_at: datetime


class AttemptView(View):
    """One attempt to pay (流水). `attempt_no` is our number at the channel, `channel_ref` the channel's own."""

    attempt_no: str
    state: AttemptState
    channel: str
    merchant_account: str
    method: str
    channel_ref: str | None
    handoff: QrCodeView | ParametersView | RedirectView | None
    error: str | None
    created_at: datetime


class RechargeView(View):
    """A recharge order. `amount` is in minor units; `reason` says why an order is failed or invalid."""

    order_no: str
    id: str
    object: Literal["recharge"] = "recharge"
    mode: Literal["test", "live"]
    state: OrderState
    account_id: str
    amount: int
    currency: str
    description: str
    business_order_no: str | None
    metadata: dict[str, str]
    reason: str | None
    created_at: datetime
    expires_at: datetime
    paid_at: datetime | None
    attempts: list[AttemptView] = Field(description="Newest last; an order has at most one open attempt.")


class RechargeList(View):
    """A page of recharges, newest first. Pass `next` as `starting_after` for the page after it."""

    data: list[RechargeView]
    has_more: bool
    next: str | None


class SuspenseView(View):
    """Money in suspense (暂收): it arrived, and its order cannot take it. `proposal` is what to do with it."""

    id: str
    object: Literal["suspense_item"] = "suspense_item"
    order_no: str
    attempt_no: str
    merchant_account: str
    channel_ref: str
    reason: SuspenseReason
    amount: int
    currency: str
    proposal: str
    state: str
    created_at: datetime


class SuspenseList(View):
    """A page of suspense items, newest first."""

    data: list[SuspenseView]
    has_more: bool
    next: str | None


def recharge_view(order: Order, attempts: Sequence[Attempt]) -> RechargeView:
    """The view of a recharge and its attempts, oldest attempt first."""
    return RechargeView(
        order_no=order.order_no, id=str(order.id), mode="live" if order.mode == "live" else "test", state=order.state,
        account_id=str(order.account), amount=order.amount, currency=order.currency, description=order.description,
        business_order_no=order.business_order_no, metadata=order.metadata, reason=order.reason,
        created_at=order.created_at, expires_at=order.expires_at, paid_at=order.paid_at,
        attempts=[_attempt_view(attempt) for attempt in attempts],
    )  # fmt: skip


def suspense_view(item: SuspenseItem) -> SuspenseView:
    """The view of a suspense item."""
    return SuspenseView(
        id=str(item.id), order_no=item.order_no, attempt_no=item.attempt_no,
        merchant_account=str(item.merchant_account), channel_ref=item.channel_ref, reason=item.reason,
        amount=item.amount, currency=item.currency, proposal=item.proposal, state=item.state,
        created_at=item.created_at,
    )  # fmt: skip


def order_event(
    topic: str, order: Order, attempt: Attempt, *, suspended: Money | None = None, reason: str | None = None
) -> NewEvent:
    """The event that tells about an order's move; its sequence is the order's event count."""
    payload: dict[str, JsonValue] = recharge_view(order, [attempt]).model_dump(mode="json")
    if suspended is not None:
        payload |= {"suspended_amount": suspended.minor, "suspended_currency": suspended.currency, "reason": reason}
    return NewEvent(order.book, topic, order.order_no, order.events, payload)


def _attempt_view(attempt: Attempt) -> AttemptView:
    return AttemptView.model_validate(
        {
            "attempt_no": attempt.attempt_no, "state": attempt.state, "channel": attempt.channel,
            "merchant_account": str(attempt.merchant_account), "method": attempt.method,
            "channel_ref": attempt.channel_ref, "handoff": attempt.handoff, "error": attempt.error,
            "created_at": attempt.created_at,
        }
    )  # fmt: skip
