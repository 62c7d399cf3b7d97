"""What WeChat Pay's controls say and hear, as types: the server encodes them, the Python client decodes them."""

from typing import Literal

from msgspec import Struct

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
