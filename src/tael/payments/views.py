"""What the outside sees of money in: the same view in answers, lists and events. Ids are strings in JSON."""

from collections.abc import Sequence
from datetime import datetime
from typing import Literal

from pydantic import BaseModel, Field

from tael.base.errors import JsonValue
from tael.base.money import Money
from tael.base.outbox import NewEvent
from tael.orders import Attempt, AttemptState, Order, OrderState
from tael.payments.kinds import kind_of
from tael.payments.suspense import SuspenseItem, SuspenseReason


class View(BaseModel, frozen=True):
    """Base of every answer."""


class QrCodeView(View, frozen=True):
    """Show `text` as a QR code; the payer scans it."""

    type: Literal["qr_code"]
    text: str
    expires_at: datetime


class ParametersView(View, frozen=True):
    """Pass `parameters` unchanged to the channel's page (`jsapi`) or SDK (`app`)."""

    type: Literal["jsapi", "app"]
    parameters: dict[str, str]
    expires_at: datetime


class RedirectView(View, frozen=True):
    """Open `url` in the payer's browser."""

    type: Literal["redirect"]
    url: str
    expires_at: datetime


class AttemptView(View, frozen=True):
    """One attempt to pay (流水). `attempt_no` is our number at the channel, `channel_ref` the channel's own."""

    attempt_no: str
    state: AttemptState
    channel: str
    merchant_account: str | None = Field(description="None: paid from a balance, through no channel.")
    method: str
    channel_ref: str | None
    handoff: QrCodeView | ParametersView | RedirectView | None
    error: str | None
    created_at: datetime


class OrderView(View, frozen=True):
    """An order of money in. `amount` is in minor units; `reason` says why an order is failed or invalid.

    `refunded_amount` has gone back to its source, `refund_pending_amount` is on its way there.
    """

    order_no: str
    id: str
    object: Literal["recharge", "payment"]
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
    refunded_amount: int
    refund_pending_amount: int
    attempts: list[AttemptView] = Field(description="Newest last; an order has at most one open attempt.")


class RechargeView(OrderView, frozen=True):
    """A recharge order. `amount` is in minor units; `reason` says why an order is failed or invalid."""

    object: Literal["recharge"] = "recharge"


class PaymentOrderView(OrderView, frozen=True):
    """A payment for goods. `account_id` receives it; `business_order_no` is the merchant's own number; `metadata` keeps
    what was sold as the merchant described it. Of a payment from a balance the attempt's channel is `balance`."""

    object: Literal["payment"] = "payment"


class RechargeList(View, frozen=True):
    """A page of recharges, newest first. Pass `next` as `starting_after` for the page after it."""

    data: list[RechargeView]
    has_more: bool
    next: str | None


class PaymentList(View, frozen=True):
    """A page of payments, newest first. Pass `next` as `starting_after` for the page after it."""

    data: list[PaymentOrderView]
    has_more: bool
    next: str | None


class SuspenseView(View, frozen=True):
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
    state: str = Field(description="proposed, refunding (`refund_no` is the refund), or resolved")
    refund_no: str | None
    created_at: datetime


class SuspenseList(View, frozen=True):
    """A page of suspense items, newest first."""

    data: list[SuspenseView]
    has_more: bool
    next: str | None


_VIEWS: dict[str, type[RechargeView | PaymentOrderView]] = {"recharge": RechargeView, "payment": PaymentOrderView}


def order_view(order: Order, attempts: Sequence[Attempt]) -> RechargeView | PaymentOrderView:
    """The view of an order of money in and its attempts, oldest attempt first."""
    return _VIEWS[order.kind](
        order_no=order.order_no, id=str(order.id), mode="live" if order.mode == "live" else "test", state=order.state,
        account_id=str(order.account), amount=order.amount, currency=order.currency, description=order.description,
        business_order_no=order.business_order_no, metadata=order.metadata, reason=order.reason,
        created_at=order.created_at, expires_at=order.expires_at, paid_at=order.paid_at,
        refunded_amount=order.refunded, refund_pending_amount=order.refund_pending,
        attempts=[_attempt_view(attempt) for attempt in attempts],
    )  # fmt: skip


def suspense_view(item: SuspenseItem) -> SuspenseView:
    """The view of a suspense item."""
    return SuspenseView(
        id=str(item.id), order_no=item.order_no, attempt_no=item.attempt_no,
        merchant_account=str(item.merchant_account), channel_ref=item.channel_ref, reason=item.reason,
        amount=item.amount, currency=item.currency, proposal=item.proposal, state=item.state,
        refund_no=item.refund_no, created_at=item.created_at,
    )  # fmt: skip


def order_event(
    what: str, order: Order, attempt: Attempt, *, suspended: Money | None = None, reason: str | None = None
) -> NewEvent:
    """The event that tells about an order's move (`paid`, `closed` ...); its sequence is the order's event count."""
    payload: dict[str, JsonValue] = order_view(order, [attempt]).model_dump(mode="json")
    if suspended is not None:
        payload |= {"suspended_amount": suspended.minor, "suspended_currency": suspended.currency, "reason": reason}
    return NewEvent(order.book, kind_of(order).topic(what), order.order_no, order.events, payload)


def _attempt_view(attempt: Attempt) -> AttemptView:
    return AttemptView.model_validate(
        {
            "attempt_no": attempt.attempt_no, "state": attempt.state, "channel": attempt.channel,
            "merchant_account": str(attempt.merchant_account) if attempt.merchant_account else None,
            "method": attempt.method, "channel_ref": attempt.channel_ref, "handoff": attempt.handoff,
            "error": attempt.error,
            "created_at": attempt.created_at,
        }
    )  # fmt: skip
