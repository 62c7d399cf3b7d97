"""What the outside sees of payees and withdrawals: the same view in answers, lists and events. Ids are strings in JSON.

Of a payee only the masked form is shown, to anybody.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from tael.approvals import Approval
from tael.approvals.views import ApprovalView, approval_view
from tael.base.errors import JsonValue
from tael.base.outbox import NewEvent
from tael.orders import Attempt, AttemptState, Order, OrderState
from tael.withdrawals.lookup import Details
from tael.withdrawals.store import BoundPayee, PayeeKind, PayeeState

TOPICS = (
    "withdrawal.created", "withdrawal.approved", "withdrawal.rejected", "withdrawal.cancelled", "withdrawal.expired",
    "withdrawal.confirmation_needed", "withdrawal.paid", "withdrawal.failed", "withdrawal.returned",
    "withdrawal.contradiction",
)  # fmt: skip
"""Every event there is about a withdrawal."""


class View(BaseModel):
    """Base of every answer."""

    model_config = ConfigDict(frozen=True)


class PayeeView(View):
    """Whom a member can be paid as. `masked` is the number as it may be shown, `holder` the name likewise."""

    id: str
    object: Literal["payee"] = "payee"
    owner: str
    kind: PayeeKind
    app_id: str | None
    masked: str
    holder: str
    state: PayeeState
    created_at: datetime


class PayeeList(View):
    """A page of payees, newest first. Pass `next` as `starting_after` for the page after it."""

    data: list[PayeeView]
    has_more: bool
    next: str | None


class ConfirmationView(View):
    """The payee has to confirm in the channel's app: pass these to it."""

    type: Literal["confirmation"]
    mchid: str
    appid: str
    package: str


class PayoutAttemptView(View):
    """One try to pay out (流水). `attempt_no` is our number at the channel, `channel_ref` the channel's own."""

    attempt_no: str
    state: AttemptState
    channel: str
    merchant_account: str
    channel_ref: str | None
    handoff: ConfirmationView | None
    error: str | None
    created_at: datetime


class WithdrawalView(View):
    """A withdrawal. `amount` is in minor units and is frozen on the account until the withdrawal ends. `reason` says
    why it was refused, failed, or waits; `review` why risk control wants it looked at.
    """

    order_no: str
    id: str
    object: Literal["withdrawal"] = "withdrawal"
    mode: Literal["test", "live"]
    state: OrderState
    account_id: str
    owner: str
    payee: PayeeView
    amount: int
    currency: str
    description: str
    business_order_no: str | None
    metadata: dict[str, str]
    maker: str
    review: str | None
    called_back_by: str | None = Field(
        description="Who called it back while it waited for its payee at the channel; it ends as the channel then says"
    )
    reason: str | None
    created_at: datetime
    expires_at: datetime = Field(description="Until when it must be approved")
    paid_at: datetime | None
    attempts: list[PayoutAttemptView] = Field(description="Newest last; at most one is open.")


class WithdrawalWithApproval(WithdrawalView):
    """A withdrawal with who decided about it; null when nobody had to."""

    approval: ApprovalView | None


class WithdrawalList(View):
    """A page of withdrawals, newest first. Pass `next` as `starting_after` for the page after it."""

    data: list[WithdrawalWithApproval]
    has_more: bool
    next: str | None


def payee_view(payee: BoundPayee) -> PayeeView:
    """The view of a payee."""
    return PayeeView(
        id=str(payee.id), owner=str(payee.owner), kind=payee.kind, app_id=payee.space or None, masked=payee.masked,
        holder=payee.holder, state=payee.state, created_at=payee.created_at,
    )  # fmt: skip


def withdrawal_view(order: Order, attempts: Sequence[Attempt], details: Details) -> WithdrawalView:
    """The view of a withdrawal and its attempts, oldest attempt first."""
    return WithdrawalView.model_validate(_fields(order, attempts, details))


def with_approval(
    order: Order, attempts: Sequence[Attempt], details: Details, approval: Approval | None
) -> WithdrawalWithApproval:
    """The view of a withdrawal with its approval."""
    decided = None if approval is None else approval_view(approval)
    return WithdrawalWithApproval.model_validate(_fields(order, attempts, details) | {"approval": decided})


def withdrawal_event(topic: str, order: Order, attempts: Sequence[Attempt], details: Details) -> NewEvent:
    """The event that tells about an order's move; its sequence is the order's event count."""
    assert topic in TOPICS, topic
    payload: dict[str, JsonValue] = withdrawal_view(order, attempts, details).model_dump(mode="json")
    return NewEvent(order.book, topic, order.order_no, order.events, payload)


def _fields(order: Order, attempts: Sequence[Attempt], details: Details) -> dict[str, object]:
    withdrawal = details.withdrawal
    return {
        "order_no": order.order_no, "id": str(order.id), "mode": order.mode, "state": order.state,
        "account_id": str(order.account), "owner": str(withdrawal.owner), "payee": payee_view(details.payee),
        "amount": order.amount, "currency": order.currency, "description": order.description,
        "business_order_no": order.business_order_no, "metadata": order.metadata, "maker": withdrawal.maker,
        "review": withdrawal.review or None, "called_back_by": withdrawal.called_back, "reason": order.reason,
        "created_at": order.created_at, "expires_at": order.expires_at, "paid_at": order.paid_at,
        "attempts": [_attempt_view(attempt) for attempt in attempts],
    }  # fmt: skip


def _attempt_view(attempt: Attempt) -> PayoutAttemptView:
    return PayoutAttemptView.model_validate(
        {
            "attempt_no": attempt.attempt_no, "state": attempt.state, "channel": attempt.channel,
            "merchant_account": str(attempt.merchant_account), "channel_ref": attempt.channel_ref,
            "handoff": attempt.handoff, "error": attempt.error, "created_at": attempt.created_at,
        }
    )  # fmt: skip
