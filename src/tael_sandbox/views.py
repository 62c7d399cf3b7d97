"""What the control interface says and hears, as types: the server encodes them, the Python client decodes them."""

from typing import Literal

from msgspec import Struct

from tael_sandbox.book import Entry
from tael_sandbox.calls import Call, Delivery
from tael_sandbox.clock import Mode, Wire
from tael_sandbox.courier import Notice
from tael_sandbox.wechat.keys import Mode as KeyMode
from tael_sandbox.wechat.keys import Stage as CertificateStage
from tael_sandbox.wechat.orders import Method, State

RotationStage = Literal["add", "switch", "retire", "all"]


class CertificateView(Struct, frozen=True):
    """A platform certificate as the merchant may see it."""

    serial: str
    pem: str
    path: str
    stage: CertificateStage


class MerchantView(Struct, frozen=True):
    """All that a merchant needs to call the sandbox, with the files that hold it."""

    mchid: str
    appid: str
    appids: tuple[str, ...]
    mode: KeyMode
    notify_by_public_key: int
    fee_per_10000: int
    serial: str
    private_key_pem: str
    private_key_path: str
    certificate_pem: str
    certificate_path: str
    apiv3_key: str
    apiv3_key_path: str
    public_key_id: str
    public_key_pem: str
    public_key_path: str
    platform_certificates: tuple[CertificateView, ...]
    base_url: str


class OrderView(Struct, frozen=True):
    """One order. Times are RFC 3339 in China's time; amounts are fen."""

    mchid: str
    appid: str
    out_trade_no: str
    method: Method
    state: State
    description: str
    attach: str
    total_minor: int
    currency: str
    notify_url: str
    created_at: str
    expires_at: str
    prepay_id: str
    code_url: str
    payments: tuple["PaymentView", ...]


class PaymentView(Struct, frozen=True):
    """One payment of an order."""

    transaction_id: str
    notice_id: str
    paid_at: str
    total_minor: int
    payer_minor: int
    coupon_minor: int
    fee_minor: int
    openid: str


class BookView(Struct, frozen=True):
    """The channel's own book. ``balances`` add up to zero; ``paid`` counts payments and adds up their totals by
    merchant.
    """

    balances: dict[str, int]
    sum_minor: int
    paid: dict[str, "PaidView"]
    entries: tuple[Entry, ...]


class PaidView(Struct, frozen=True):
    """How many payments a merchant got and what they come to."""

    count: int
    total_minor: int


class RequestsView(Struct, frozen=True):
    """How often each operation was called since the start, and the latest calls."""

    counts: dict[str, int]
    calls: tuple[Call, ...]


class DeliveriesView(Struct, frozen=True):
    """Every try of the past and every notice that waits."""

    tried: tuple[Delivery, ...]
    pending: tuple[Notice, ...]


class ClockView(Struct, frozen=True):
    """Sandbox time (Unix milliseconds), how it moves, and what signatures follow."""

    mode: Mode
    wire: Wire
    now_ms: int


class SetClock(Struct, frozen=True, forbid_unknown_fields=True):
    """``advance_s`` alone moves on; otherwise ``mode`` and ``wire`` are set.

    ``now_ms``: where manual time stands (default: now), or a moment that real time jumps ahead to (default: none).
    """

    mode: Mode | None = None
    now_ms: int | None = None
    wire: Wire | None = None
    advance_s: int = 0


class NewMerchant(Struct, frozen=True, forbid_unknown_fields=True):
    """A merchant to create; what is left out is made up."""

    mchid: str = ""
    appids: tuple[str, ...] = ()
    mode: KeyMode = "public_key"
    notify_by_public_key: int = 1000
    fee_per_10000: int = 60


class ChangeMerchant(Struct, frozen=True, forbid_unknown_fields=True):
    """How the platform's keys are used from now on."""

    mode: KeyMode | None = None
    notify_by_public_key: int | None = None


class Rotate(Struct, frozen=True, forbid_unknown_fields=True):
    """Change the platform certificate: ``add`` a new one, ``switch`` signing to it, ``retire`` the old, or ``all``."""

    mchid: str = ""
    stage: RotationStage = "all"


class Touch(Struct, frozen=True, forbid_unknown_fields=True):
    """Name an order by any of its names (number, code_url, prepay id, transaction id) and say what the user does."""

    out_trade_no: str = ""
    code_url: str = ""
    prepay_id: str = ""
    transaction_id: str = ""
    mchid: str = ""
    amount_minor: int | None = None
    coupon_minor: int = 0
    force: bool = False
    state: State = "NOTPAY"
