"""Money back to its source: a refund that a channel is asked for, and what the channel says about it."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from tael.base.money import Money


class RefundState(StrEnum):
    """A refund as the channel sees it. Final: refunded, closed (the money stays with us).

    `abnormal`: the money left the payer's reach and is back at the merchant account; a person has to decide.
    `not_found` means pending: the only thing to do is to ask for the identical refund again.
    """

    PROCESSING = "processing"
    REFUNDED = "refunded"
    CLOSED = "closed"
    ABNORMAL = "abnormal"
    NOT_FOUND = "not_found"


@dataclass(frozen=True, slots=True)
class RefundRequest:
    """A refund to make at the channel. `number` is our refund number, unique for ever at the merchant account.

    `payment_number` and `payment_ref` name the payment (ours, the channel's), `total` is what was paid.
    """

    number: str
    payment_number: str
    payment_ref: str | None
    amount: Money
    total: Money
    reason: str
    notify_url: str


@dataclass(frozen=True, slots=True)
class RefundRef:
    """Which refund is meant: its number and that of its payment, and the amount that was asked for."""

    number: str
    payment_number: str
    amount: Money


@dataclass(frozen=True, slots=True)
class RefundView:
    """What the channel says about a refund. `amount` is that of this refund alone, never the sum of several.

    Compare number, payment number, amount and mchid before believing that it is ours. Of a refunded one `amount` is
    always there; `channel_ref` is the channel's own refund number, where it has one.
    """

    number: str
    state: RefundState
    payment_number: str | None = None
    channel_ref: str | None = None
    amount: Money | None = None
    mchid: str | None = None
    refunded_at: datetime | None = None
