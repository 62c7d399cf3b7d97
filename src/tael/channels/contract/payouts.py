"""Money out: a payout that a channel is asked to make, whom it can pay, and what the channel says about it."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import TypeAlias

from tael.base.errors import TaelError
from tael.base.money import Money
from tael.channels.contract.words import ChannelError


class PayoutState(StrEnum):
    """A payout as the channel sees it. Final: paid (save for a late return), failed, cancelled, returned.

    Only failed, cancelled and returned say that the money is ours again. `waiting_for_payee`: the payee has to confirm.
    `not_found` means pending: the only thing to do is to ask for the identical payout again.
    """

    PROCESSING = "processing"
    WAITING_FOR_PAYEE = "waiting_for_payee"
    CANCELLING = "cancelling"
    PAID = "paid"
    FAILED = "failed"
    CANCELLED = "cancelled"
    RETURNED = "returned"
    NOT_FOUND = "not_found"


@dataclass(frozen=True, slots=True)
class WechatUser:
    """A user of WeChat, by the id that our app knows; `name` is checked by the channel where it is given."""

    openid: str
    name: str | None = None


@dataclass(frozen=True, slots=True)
class AlipayUser:
    """A user of Alipay, by user id or login name; a login name needs the `name` of its holder."""

    identity: str
    identity_type: str
    name: str | None = None


@dataclass(frozen=True, slots=True)
class BankCard:
    """A bank account. `number` is complete here; it is sealed wherever it is stored and masked wherever it is shown."""

    number: str
    holder: str
    bank: str
    mobile: str | None = None


Payee: TypeAlias = WechatUser | AlipayUser | BankCard
PAYEE_KINDS = {"wechat_user": WechatUser, "alipay_user": AlipayUser, "bank_card": BankCard}
"""The kinds of payee by the name they are stored under and that `ConnectorSpec.payees` uses."""


@dataclass(frozen=True, slots=True)
class PayoutRequest:
    """A payout to make at the channel. `number` is the attempt's number, unique for ever at the merchant account.

    The same number must always come with the same content.
    """

    number: str
    payee: Payee
    amount: Money
    remark: str
    notify_url: str


@dataclass(frozen=True, slots=True)
class PayoutRef:
    """Which payout is meant. `asked_at`: when it was first asked for; some channels search by time."""

    number: str
    channel_ref: str | None = None
    asked_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class PayoutView:
    """What the channel says about a payout. Of a paid one `amount` and `channel_ref` are always there.

    `confirmation` is what the payee's app needs to confirm, while the state is `waiting_for_payee`. `reason` says why
    a failed, cancelled or returned one ended so; its kind tells whether another merchant account may try.
    """

    number: str
    state: PayoutState
    channel_ref: str | None = None
    amount: Money | None = None
    mchid: str | None = None
    appid: str | None = None
    paid_at: datetime | None = None
    confirmation: str | None = None
    reason: ChannelError | None = None


class PayoutNotPossible(TaelError):
    """The channel cannot make this payout as it stands.
    zh: 该渠道无法受理此笔出款。
    """

    status = 422
