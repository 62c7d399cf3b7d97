"""The words that the platform and every channel share: fates, errors, merchant accounts, results, abilities."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, Literal, TypeAlias, TypeVar

from tael.base.errors import TaelError
from tael.channels.exchange import RawExchange

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
    CANCEL = "cancel"
    REFUND = "refund"
    QUERY_REFUND = "query_refund"
    PAYOUT = "payout"
    QUERY_PAYOUT = "query_payout"
    CANCEL_PAYOUT = "cancel_payout"
    BILL = "bill"
    KEYS = "keys"


class Method(StrEnum):
    """How the payer pays: QR code on a screen, inside the channel's app, in a phone's browser, in the seller's app, on
    a page of the channel in a computer's browser."""

    NATIVE = "native"
    JSAPI = "jsapi"
    H5 = "h5"
    APP = "app"
    PAGE = "page"


class ErrorKind(StrEnum):
    """Why an operation did not succeed, in words that are the same for every channel.

    `account_level` kinds speak about our merchant account, not about the operation: another account may do it.
    """

    INVALID = "invalid"
    DECLINED = "declined"
    PAYEE = "payee"
    QUOTA_EXCEEDED = "quota_exceeded"
    DUPLICATE = "duplicate"
    RATE_LIMITED = "rate_limited"
    INSUFFICIENT_CHANNEL_BALANCE = "insufficient_channel_balance"
    AUTH = "auth"
    NOT_FOUND = "not_found"
    UNAVAILABLE = "unavailable"
    UNKNOWN = "unknown"
    BAD_SIGNATURE = "bad_signature"

    @property
    def account_level(self) -> bool:
        """Whether the reason is our merchant account's, so that a final no may be followed by another account."""
        return self in {ErrorKind.INSUFFICIENT_CHANNEL_BALANCE, ErrorKind.QUOTA_EXCEEDED, ErrorKind.AUTH}


class Retry(StrEnum):
    """The only next step that cannot pay twice."""

    SAME_REQUEST = "same_request"
    NEW_NUMBER = "new_number"
    QUERY_FIRST = "query_first"
    NEVER = "never"


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

    `methods` are ways to take a payment, `payees` kinds of payee that can be paid (`Payee` classes); both may be empty.
    `numbers` is the form of our number per operation; `qps` the default calls per second of one merchant account;
    `notify_total_s` the time over which the channel repeats a notice (recovery must look longer than that);
    `handoff_s` how long a hand-off stays usable per method; `base_urls` the only addresses of live accounts.
    `secrets` must be configured for every merchant account, `secrets_optional` may be. `late_return_s`: how long after
    success a payout may still come back. `refund_gap_s`: how far apart refunds of one payment must be asked for,
    `refunds_most`: how many there may be (0: any number). `remembers_s`: how long after it was asked for the channel
    knows a payout by its number (0: for ever); "not found" after that proves nothing, so nothing is sent again.
    """

    name: str
    methods: frozenset[Method]
    payees: frozenset[str]
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
    late_return_s: int = 0
    remembers_s: int = 0
    refund_gap_s: int = 0
    refunds_most: int = 0


class BadCredentials(TaelError):
    """A key or secret of the merchant account is missing, unreadable or too weak.
    zh: 商户号的密钥缺失、无法读取或强度不足。
    """

    status = 500
