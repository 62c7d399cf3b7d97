"""A transaction as a query shows it and as a notice carries it."""

from datetime import datetime

from msgspec import UNSET, Struct, UnsetType

from tael_sandbox.china_time import CHINA
from tael_sandbox.wechat.orders import PAID_STATES, Method, Order, Paid, State

_TRADE_TYPES: dict[Method, str] = {"native": "NATIVE", "jsapi": "JSAPI", "app": "APP", "h5": "MWEB"}
_STATE_WORDS: dict[State, str] = {
    "NOTPAY": "订单未支付",
    "USERPAYING": "用户支付中",
    "SUCCESS": "支付成功",
    "REFUND": "订单发生过退款",
    "CLOSED": "订单已关闭",
    "REVOKED": "订单已撤销",
    "PAYERROR": "支付失败(其他原因，如银行返回失败)",
}


class Payer(Struct, frozen=True):
    """Who paid, as this app knows the user."""

    openid: str


class Amount(Struct, frozen=True):
    """``total`` is the order's, ``payer_total`` what left the user's pocket; both in fen."""

    total: int
    currency: str
    payer_total: int | UnsetType = UNSET
    payer_currency: str | UnsetType = UNSET


class Promotion(Struct, frozen=True):
    """A coupon that paid a part of the order."""

    coupon_id: str
    name: str
    scope: str
    type: str
    amount: int
    currency: str


class Transaction(Struct, frozen=True):
    """One order in the words of the API."""

    appid: str
    mchid: str
    out_trade_no: str
    trade_type: str
    trade_state: str
    trade_state_desc: str
    attach: str
    amount: Amount
    promotion_detail: tuple[Promotion, ...] = ()
    transaction_id: str | UnsetType = UNSET
    bank_type: str | UnsetType = UNSET
    success_time: str | UnsetType = UNSET
    payer: Payer | UnsetType = UNSET


def show(order: Order, *, payment: Paid | None = None) -> Transaction:
    """The order's transaction; ``payment`` picks one of several, default the latest."""
    paid = payment or (order.payments[-1] if order.state in PAID_STATES else None)
    bare = Transaction(
        appid=order.terms.appid,
        mchid=order.mchid,
        out_trade_no=order.out_trade_no,
        trade_type=_TRADE_TYPES[order.terms.method],
        trade_state=order.state,
        trade_state_desc=_STATE_WORDS[order.state],
        attach=order.terms.attach,
        amount=Amount(order.terms.total_minor, order.terms.currency),
    )
    return bare if paid is None else _with_payment(bare, paid)


def china_time(at_ms: int) -> str:
    """RFC 3339 in China's time, whole seconds."""
    return datetime.fromtimestamp(at_ms // 1000, CHINA).isoformat()


def _with_payment(bare: Transaction, paid: Paid) -> Transaction:
    currency = bare.amount.currency
    return Transaction(
        appid=bare.appid,
        mchid=bare.mchid,
        out_trade_no=bare.out_trade_no,
        trade_type=bare.trade_type,
        trade_state=bare.trade_state,
        trade_state_desc=bare.trade_state_desc,
        attach=bare.attach,
        amount=Amount(paid.total_minor, currency, paid.payer_minor, currency),
        promotion_detail=_promotions(paid, currency),
        transaction_id=paid.transaction_id,
        bank_type="OTHERS",
        success_time=china_time(paid.at_ms),
        payer=Payer(paid.openid),
    )


def _promotions(paid: Paid, currency: str) -> tuple[Promotion, ...]:
    if paid.coupon_minor == 0:
        return ()
    coupon_id = paid.transaction_id[-12:]
    return (Promotion(coupon_id, "sandbox coupon", "GLOBAL", "NOCASH", paid.coupon_minor, currency),)
