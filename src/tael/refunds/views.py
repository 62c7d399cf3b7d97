"""What the outside sees of a refund: the same view in answers, lists and events. Ids are strings in JSON."""

from datetime import datetime
from typing import Literal

from pydantic import Field

from tael.base.errors import JsonValue
from tael.base.outbox import NewEvent
from tael.guard import Answer
from tael.orders import OPEN_ATTEMPT, Attempt, Order, OrderState
from tael.payments.views import View
from tael.refunds.store import Refund, Source

TOPICS = ("refund.succeeded", "refund.failed", "refund.needs_attention", "refund.contradiction")
"""The events told about refunds. The third asks for a person: the channel could not reach the payer. So does the last:
the channel gave money back after it had said that it would not."""


class RefundOrderView(View, frozen=True):
    """A refund. It goes back to where the payment came from and nowhere else.

    `state`: created (not sent yet), paying (at the channel), paid (it has gone back), failed (a final no; the money is
    free again), unknown (the channel was asked and we cannot tell). `reason` is the merchant's, `note` says why it is
    as it is.
    """

    refund_no: str
    id: str
    object: Literal["refund"] = "refund"
    mode: Literal["test", "live"]
    state: OrderState
    payment_no: str
    business_refund_no: str | None = Field(description="None: money out of suspense, which goes back by itself.")
    amount: int
    currency: str
    reason: str
    source: Source
    channel: str
    merchant_account: str | None
    suspense_item: str | None
    attempt_no: str = Field(description="Our number of the refund at the channel")
    channel_ref: str | None
    note: str | None
    created_at: datetime
    send_at: datetime = Field(description="The channel is asked then: some want refunds of one payment to be apart")
    refunded_at: datetime | None


class RefundList(View, frozen=True):
    """A page of refunds, newest first. Pass `next` as `starting_after` for the page after it."""

    data: list[RefundOrderView]
    has_more: bool
    next: str | None


def refund_view(order: Order, attempt: Attempt, refund: Refund) -> RefundOrderView:
    """The view of a refund."""
    return RefundOrderView(
        refund_no=order.order_no, id=str(order.id), mode="live" if order.mode == "live" else "test",
        state=order.state, payment_no=refund.payment_no, business_refund_no=order.business_order_no,
        amount=order.amount, currency=order.currency, reason=order.description, source=refund.source,
        channel=attempt.channel, merchant_account=str(attempt.merchant_account) if attempt.merchant_account else None,
        suspense_item=None if refund.suspense_item is None else str(refund.suspense_item),
        attempt_no=attempt.attempt_no, channel_ref=attempt.channel_ref,
        note=order.reason or (attempt.error if attempt.state in OPEN_ATTEMPT else None),
        created_at=order.created_at, send_at=refund.send_at, refunded_at=order.paid_at,
    )  # fmt: skip


def refund_event(topic: str, order: Order, attempt: Attempt, refund: Refund) -> NewEvent:
    """The event that tells about a refund's move; its sequence is the order's event count."""
    assert topic in TOPICS, topic
    payload: dict[str, JsonValue] = refund_view(order, attempt, refund).model_dump(mode="json")
    return NewEvent(order.book, topic, order.order_no, order.events, payload)


def answer(order: Order, attempt: Attempt, refund: Refund) -> Answer:
    """The answer that shows a refund as it is: 201, or 202 while the channel has not been asked or nobody can say."""
    status = 202 if order.state in {OrderState.CREATED, OrderState.UNKNOWN} else 201
    return Answer(status, refund_view(order, attempt, refund).model_dump_json().encode())
