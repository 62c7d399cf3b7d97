"""What WeChat Pay's controls say and hear, as types: the server encodes them, the Python client decodes them."""

from typing import Literal

from msgspec import Struct

from tael_sandbox.wechat.keys import Mode as KeyMode
from tael_sandbox.wechat.keys import Stage as CertificateStage
from tael_sandbox.wechat.merchants import Quota
from tael_sandbox.wechat.orders import Method, State
from tael_sandbox.wechat.refunds import RefundState
from tael_sandbox.wechat.transfers import TransferState

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


class RefundView(Struct, frozen=True):
    """One refund. Times are RFC 3339 in China's time, empty before they come; amounts are fen."""

    mchid: str
    out_refund_no: str
    refund_id: str
    out_trade_no: str
    transaction_id: str
    state: RefundState
    refund_minor: int
    payer_minor: int
    coupon_minor: int
    fee_minor: int
    reason: str
    notify_url: str
    notice_id: str
    asked_at: str
    ended_at: str


class TransferView(Struct, frozen=True):
    """One transfer; the user's name is in clear text."""

    mchid: str
    appid: str
    out_bill_no: str
    transfer_bill_no: str
    state: TransferState
    reason: str
    openid: str
    user_name: str
    amount_minor: int
    remark: str
    transfer_scene_id: str
    package_info: str
    notify_url: str
    notice_id: str
    asked_at: str
    changed_at: str


class BalanceView(Struct, frozen=True):
    """What a merchant has with the platform, in fen."""

    mchid: str
    balance_minor: int


class NewMerchant(Struct, frozen=True, forbid_unknown_fields=True):
    """A merchant to create; what is left out is made up."""

    mchid: str = ""
    appids: tuple[str, ...] = ()
    mode: KeyMode = "public_key"
    notify_by_public_key: int = 1000
    fee_per_10000: int = 60
    balance_minor: int = 100_000_000
    settles_after_s: int = 5


class ChangeMerchant(Struct, frozen=True, forbid_unknown_fields=True):
    """How the platform's keys are used from now on, how long refunds and cancellations take (0: until somebody says
    so), and the limits on transfers.
    """

    mode: KeyMode | None = None
    notify_by_public_key: int | None = None
    settles_after_s: int | None = None
    quota: Quota | None = None


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


class TouchRefund(Struct, frozen=True, forbid_unknown_fields=True):
    """Name a refund by the merchant's number (and the merchant, if several use it)."""

    out_refund_no: str
    mchid: str = ""


class TouchTransfer(Struct, frozen=True, forbid_unknown_fields=True):
    """Name a transfer likewise, and say what it becomes and why it fails."""

    out_bill_no: str
    mchid: str = ""
    state: TransferState = "PROCESSING"
    reason: str = "OTHER_FAIL_REASON_TYPE"


class Fund(Struct, frozen=True, forbid_unknown_fields=True):
    """Bring money in, or (negative) take it out; the first merchant when none is named."""

    amount_minor: int
    mchid: str = ""


class NameUser(Struct, frozen=True, forbid_unknown_fields=True):
    """The real name behind an openid."""

    openid: str
    name: str
