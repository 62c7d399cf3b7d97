"""Money in: a payment that a channel is asked to take, what the payer opens, and what the channel says about it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import TypeAlias

from tael.base.errors import TaelError
from tael.base.money import Money
from tael.channels.contract.words import Method


class PaymentState(StrEnum):
    """A payment as the channel sees it. Final: paid, refunded (= paid, something went back), closed, failed.

    `not_found` is final only after the payment's expiry and a grace: an earlier create may still be on its way.
    """

    PAID = "paid"
    UNPAID = "unpaid"
    PAYING = "paying"
    CLOSED = "closed"
    FAILED = "failed"
    NOT_FOUND = "not_found"
    REFUNDED = "refunded"


@dataclass(frozen=True, slots=True)
class PaymentRequest:
    """A payment to open at the channel. `number` is the attempt's number, unique for ever at the merchant account.

    `payer_id` is the payer at the channel (openid), needed for JSAPI; `payer_ip` is needed for H5. `return_url` is
    where the payer's browser goes after paying; that it came back proves nothing.
    """

    number: str
    amount: Money
    description: str
    method: Method
    notify_url: str
    expires_at: datetime
    payer_id: str | None = None
    payer_ip: str | None = None
    attach: str | None = None
    return_url: str | None = None


@dataclass(frozen=True, slots=True)
class PaymentRef:
    """Which payment is meant. `channel_ref`, the channel's own number, exists only once the payment was made."""

    number: str
    channel_ref: str | None = None


@dataclass(frozen=True, slots=True)
class QrCode:
    """Text to show as a QR code; the payer scans it with the channel's app until `expires_at`."""

    text: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class JsapiParams:
    """Signed parameters that a page inside the channel's app passes on unchanged. Names are the channel's."""

    parameters: Mapping[str, str]
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class AppParams:
    """Signed parameters that the seller's own app passes to the channel's SDK. Names are the channel's."""

    parameters: Mapping[str, str]
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Redirect:
    """A page of the channel that the payer's browser opens until `expires_at`."""

    url: str
    expires_at: datetime


PaymentHandoff: TypeAlias = QrCode | JsapiParams | AppParams | Redirect


@dataclass(frozen=True, slots=True)
class PaymentView:
    """What the channel says about a payment. Every field but `number` and `state` may be missing before it is paid;
    of a paid or refunded payment `channel_ref`, `amount`, `mchid`, `appid` and `paid_at` are always there.

    The view is proof of *what the channel said*, not that it is ours: compare number, amount, mchid and appid.
    """

    number: str
    state: PaymentState
    channel_ref: str | None = None
    amount: Money | None = None
    mchid: str | None = None
    appid: str | None = None
    paid_at: datetime | None = None
    payer: str | None = None


class PaymentNotPossible(TaelError):
    """The channel cannot take this payment as it stands.
    zh: 该渠道无法受理此笔支付。
    """

    status = 422
