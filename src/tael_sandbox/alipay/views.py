"""What Alipay's controls say and hear, as types: the server encodes them, the Python client decodes them."""

from msgspec import Struct

from tael_sandbox.alipay.merchants import Limits, Mode
from tael_sandbox.alipay.trades import Kind, State
from tael_sandbox.alipay.transfers import Status


class AlipayMerchantView(Struct, frozen=True):
    """All that a merchant needs to call the sandbox, with the files that hold it. ``gateway`` is the whole address."""

    app_id: str
    seller_id: str
    mode: Mode
    gateway: str
    gateway_url: str
    fee_per_10000: int
    limits: Limits
    balance_minor: int
    private_key_pem: str
    private_key_path: str
    app_certificate_pem: str
    app_certificate_path: str
    app_cert_sn: str
    alipay_public_key_pem: str
    alipay_public_key_path: str
    alipay_certificate_pem: str
    alipay_certificate_path: str
    alipay_cert_sn: str
    alipay_root_pem: str
    alipay_root_path: str
    alipay_root_cert_sn: str


class TradeView(Struct, frozen=True):
    """One trade. Times are as Alipay writes them; amounts are fen."""

    app_id: str
    out_trade_no: str
    kind: Kind
    state: State
    subject: str
    total_minor: int
    notify_url: str
    return_url: str
    created_at: str
    expires_at: str
    link: str
    trade_no: str
    buyer_id: str
    payments: tuple["AlipayPaymentView", ...]
    refunds: tuple["AlipayRefundView", ...]


class AlipayPaymentView(Struct, frozen=True):
    """One payment of a trade."""

    notify_id: str
    paid_at: str
    total_minor: int
    fee_minor: int


class AlipayRefundView(Struct, frozen=True):
    """One refund of a trade."""

    out_request_no: str
    refunded_at: str
    amount_minor: int
    notify_id: str


class TransferView(Struct, frozen=True):
    """One transfer. ``reason``: the error code of a failed or returned one."""

    app_id: str
    out_biz_no: str
    order_id: str
    fund_order_id: str
    status: Status
    amount_minor: int
    identity: str
    identity_type: str
    name: str
    title: str
    sent_at: str
    moved_at: str
    reason: str


class NewAlipayMerchant(Struct, frozen=True, forbid_unknown_fields=True):
    """A merchant to create; what is left out is made up."""

    app_id: str = ""
    mode: Mode = "certificate"
    gateway_url: str = ""
    fee_per_10000: int = 60
    limits: Limits = Limits()
    balance_minor: int = 0


class ChangeAlipayMerchant(Struct, frozen=True, forbid_unknown_fields=True):
    """What is different from now on."""

    mode: Mode | None = None
    gateway_url: str | None = None
    limits: Limits | None = None


class TouchTrade(Struct, frozen=True, forbid_unknown_fields=True):
    """Name a trade by number, link (or QR code) or trade_no and say what the buyer does."""

    name: str
    app_id: str = ""
    amount_minor: int | None = None
    force: bool = False


class TouchTransfer(Struct, frozen=True, forbid_unknown_fields=True):
    """Name a transfer by number or order id and say how it goes on."""

    name: str
    app_id: str = ""
    reason: str = ""


class TopUp(Struct, frozen=True, forbid_unknown_fields=True):
    """Money from outside for a merchant (default: the first)."""

    amount_minor: int
    app_id: str = ""
