"""What the platform and a payment channel say to each other, whatever the channel.

    PaymentRequest -> create_payment -> PaymentHandoff (what the payer's device opens)
    PaymentRef     -> query_payment  -> PaymentView    (what the channel says about the payment now)
    PaymentRef     -> close_payment  -> PaymentView    (closed; or refused because it is paid)
    raw notice     -> verify_notification -> VerifiedEvent, or `BadNotification`

Every call ends in a `Result`, never in an exception of the network. `Result.outcome` is the fate of *the operation
that was asked*; whether the payer has paid is in `value.state`. The words of finality are exact:

    SUCCEEDED  a verified reply says it is done, or answers the question
    PENDING    a verified reply says it is still running
    DECLINED   a verified reply says no for this number, for good; only this may free what was reserved
    UNKNOWN    we cannot tell: time-out, 5xx, bad signature, garbage, unlisted code. Query; never conclude
    NOT_SENT   no byte of the request can have reached the channel; sending the same again is safe
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Generic, Literal, Protocol, TypeAlias, TypeVar

from tael.base.errors import TaelError
from tael.base.money import Money
from tael.channels.exchange import HttpReply, RawExchange

Mode: TypeAlias = Literal["test", "live"]
AccountState: TypeAlias = Literal["active", "paused"]
T = TypeVar("T")


class Outcome(StrEnum):
    """The fate of an operation; see the opening of this module."""

    SUCCEEDED = "succeeded"
    PENDING = "pending"
    DECLINED = "declined"
    UNKNOWN = "unknown"
    NOT_SENT = "not_sent"


class Operation(StrEnum):
    """What can be asked of a channel; limits and metrics are kept per operation."""

    CREATE = "create"
    QUERY = "query"
    CLOSE = "close"
    KEYS = "keys"


class Method(StrEnum):
    """How the payer pays: QR code on a screen, inside the channel's app, in a phone's browser, in the seller's app."""

    NATIVE = "native"
    JSAPI = "jsapi"
    H5 = "h5"
    APP = "app"


class ErrorKind(StrEnum):
    """Why an operation did not succeed, in words that are the same for every channel."""

    INVALID = "invalid"
    DECLINED = "declined"
    DUPLICATE = "duplicate"
    RATE_LIMITED = "rate_limited"
    INSUFFICIENT_CHANNEL_BALANCE = "insufficient_channel_balance"
    AUTH = "auth"
    NOT_FOUND = "not_found"
    UNAVAILABLE = "unavailable"
    UNKNOWN = "unknown"
    BAD_SIGNATURE = "bad_signature"


class Retry(StrEnum):
    """The only next step that cannot pay twice."""

    SAME_REQUEST = "same_request"
    NEW_NUMBER = "new_number"
    QUERY_FIRST = "query_first"
    NEVER = "never"


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


class ChannelKeys:
    """Loaded keys of one merchant account. Each connector has its own subclass and reads nobody else's."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class MerchantAccount:
    """An account at a channel, ready for use: where it is, who we are there, and its loaded keys.

    `config` holds the connector's own settings (never secrets). `base_url` has no trailing slash. `qps` overrides
    the channel's default calls per second for this account. A `paused` account opens no payment, but payments that
    exist are still queried, closed and notified.
    """

    book: int
    id: int
    name: str
    channel: str
    mode: Mode
    state: AccountState
    mchid: str
    appid: str
    base_url: str
    config: Mapping[str, str]
    qps: Mapping[Operation, int]
    keys: ChannelKeys


@dataclass(frozen=True, slots=True)
class PaymentRequest:
    """A payment to open at the channel. `number` is the attempt's number, unique for ever at the merchant account.

    `payer_id` is the payer at the channel (openid), needed for JSAPI; `payer_ip` is needed for H5.
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


@dataclass(frozen=True, slots=True)
class VerifiedEvent:
    """A notice whose signature, age and encryption were checked. `payment` must still be compared with the order.

    `id` is one per event at the channel, not per payment; `sha256` is that of the raw body.
    """

    id: str
    kind: str
    occurred_at: datetime
    payment: PaymentView
    sha256: str


@dataclass(frozen=True, slots=True)
class ChannelError:
    """Why it did not succeed. `code` is the channel's word, or ours in lower case when the channel said nothing."""

    kind: ErrorKind
    code: str
    message: str
    http: int | None
    retry: Retry
    after_s: int | None = None


@dataclass(frozen=True, slots=True)
class Result(Generic[T]):
    """The end of one operation. `value` is there exactly when SUCCEEDED, `error` whenever there is something to say.

    An error can accompany success: a query that is answered "no such order" succeeds with state `not_found`.
    """

    outcome: Outcome
    value: T | None
    error: ChannelError | None
    raw: RawExchange


@dataclass(frozen=True, slots=True)
class ConnectorSpec:
    """What a channel can do and what it asks of us.

    `numbers` is the form of our number per operation; `qps` the default calls per second of one merchant account;
    `notify_total_s` the time over which the channel repeats a notice (recovery must look longer than that);
    `handoff_s` how long a hand-off stays usable per method; `base_urls` the only addresses of live accounts.
    `secrets` must be configured for every merchant account, `secrets_optional` may be.
    """

    name: str
    methods: frozenset[Method]
    currencies: frozenset[str]
    numbers: Mapping[Operation, re.Pattern[str]]
    min_minor: int
    max_minor: int
    qps: Mapping[Operation, int]
    notify_total_s: int
    handoff_s: Mapping[Method, int]
    base_urls: tuple[str, ...]
    secrets: frozenset[str]
    secrets_optional: frozenset[str]


class BadNotification(TaelError):
    """The notice is not signed by the channel for this merchant account, or is too old.
    zh: 通知签名无效、已过期，或不属于该商户号。
    """

    status = 401


class SignatureProbe(BadNotification):
    """The channel tests whether wrong signatures are refused; they are. Counted apart from attacks.
    zh: 渠道的签名探测流量，已按要求拒绝。
    """

    status = 401


class UnknownSigningKey(BadNotification):
    """The notice names a signing key that we do not hold; the channel repeats it after the keys are renewed.
    zh: 通知使用了未知的平台证书或公钥，更新密钥后由渠道重发。
    """

    status = 401


class MalformedNotification(BadNotification):
    """The notice cannot be read.
    zh: 通知格式错误。
    """

    status = 400


class PaymentNotPossible(TaelError):
    """The channel cannot take this payment as it stands.
    zh: 该渠道无法受理此笔支付。
    """

    status = 422


class BadCredentials(TaelError):
    """A key or secret of the merchant account is missing, unreadable or too weak.
    zh: 商户号的密钥缺失、无法读取或强度不足。
    """

    status = 500


class Connector(Protocol):
    """One payment channel. Only the `async` methods touch the network; none touches the database.

    Everything that is signed or compared with a clock takes `now`. No method sends anything twice.
    """

    @property
    def spec(self) -> ConnectorSpec:
        """What this channel can do."""
        ...

    def load_keys(self, secrets: Mapping[str, bytes], config: Mapping[str, str]) -> ChannelKeys:
        """Parse the secrets of a merchant account once, to be kept. Raises `BadCredentials`."""
        ...

    def check_payment(self, account: MerchantAccount, request: PaymentRequest, *, now: datetime) -> None:
        """Refuse before anything is stored what the channel would refuse. Raises `PaymentNotPossible`."""
        ...

    async def create_payment(
        self, account: MerchantAccount, request: PaymentRequest, *, now: datetime
    ) -> Result[PaymentHandoff]:
        """Open the payment; the same request again gives the same hand-off. Raises `PaymentNotPossible`."""
        ...

    async def query_payment(self, account: MerchantAccount, ref: PaymentRef, *, now: datetime) -> Result[PaymentView]:
        """Ask for the payment's present state."""
        ...

    async def close_payment(self, account: MerchantAccount, ref: PaymentRef, *, now: datetime) -> Result[PaymentView]:
        """Make the payment impossible. SUCCEEDED with `closed` or `not_found`; anything else: query."""
        ...

    async def keep_keys(self, account: MerchantAccount, *, now: datetime) -> None:
        """Renew the channel's public keys if that is due; cheap otherwise. Call at start and then periodically."""
        ...

    def verify_notification(
        self, account: MerchantAccount, headers: Sequence[tuple[str, str]], raw: bytes, *, now: datetime
    ) -> VerifiedEvent:
        """Check and open a notice; pure, causes no outgoing call. `raw` is the body as received.

        Raises `BadNotification` (401), its subclasses `SignatureProbe`, `UnknownSigningKey`, or
        `MalformedNotification` (400), and nothing else, whatever the bytes are.
        """
        ...

    def acknowledge(self) -> HttpReply:
        """The answer that ends the channel's repetitions. Give it only after the event is committed."""
        ...

    def refuse(self, problem: TaelError) -> HttpReply:
        """The answer that makes the channel repeat the notice; says the class of the problem, never its details."""
        ...
