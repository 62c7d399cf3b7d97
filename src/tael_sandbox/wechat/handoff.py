"""The last check before a user sees the cashier: what the merchant's front end hands to the WeChat client.

JSAPI   appId, timeStamp, nonceStr, prepay_id=...     a line each; paySign, signType RSA
APP     appid, timestamp, noncestr, prepayid          a line each; sign, package Sign=WXPay
"""

from msgspec import Struct

from tael_sandbox.control import NotPossible
from tael_sandbox.wechat.orders import Order
from tael_sandbox.wechat.signing import is_signed
from tael_sandbox.wechat.state import Wechat

_LIFE_MS = 7_200_000


class JsapiParams(Struct, frozen=True, kw_only=True):
    """What ``WeixinJSBridge`` is called with."""

    appId: str
    timeStamp: str
    nonceStr: str
    package: str
    signType: str
    paySign: str


class AppParams(Struct, frozen=True, kw_only=True):
    """What the app SDK is called with."""

    appid: str
    partnerid: str
    prepayid: str
    package: str
    noncestr: str
    timestamp: str
    sign: str


class ClientRefuses(NotPossible):
    """The client does not open the cashier; the text says why."""


def open_jsapi(wechat: Wechat, said: JsapiParams) -> Order:
    """Check as the WeChat client does and return the order it would show. Raises ``ClientRefuses``."""
    prepay_id = said.package.removeprefix("prepay_id=")
    if said.signType != "RSA" or prepay_id == said.package:
        raise ClientRefuses("signType or package is wrong")
    order = _order(wechat, prepay_id, appid=said.appId, method="jsapi")
    message = f"{said.appId}\n{said.timeStamp}\n{said.nonceStr}\n{said.package}\n"
    _check_signature(wechat, order, message, said.paySign)
    return order


def open_app(wechat: Wechat, said: AppParams) -> Order:
    """Check as the WeChat client does and return the order it would show. Raises ``ClientRefuses``."""
    order = _order(wechat, said.prepayid, appid=said.appid, method="app")
    if said.package != "Sign=WXPay" or said.partnerid != order.mchid:
        raise ClientRefuses("package or partnerid is wrong")
    message = f"{said.appid}\n{said.timestamp}\n{said.noncestr}\n{said.prepayid}\n"
    _check_signature(wechat, order, message, said.sign)
    return order


def _order(wechat: Wechat, prepay_id: str, *, appid: str, method: str) -> Order:
    named = wechat.orders.named(prepay_id)
    if named is None or named.prepay_id != prepay_id or named.terms.method != method or named.terms.appid != appid:
        raise ClientRefuses("no such prepay_id for this app")
    order = wechat.order(named.mchid, named.out_trade_no)
    assert order is not None, "it was found a line above"
    if not order.open or wechat.clock.now_ms() - order.issued_ms >= _LIFE_MS:
        raise ClientRefuses("the order cannot be paid any more")
    return order


def _check_signature(wechat: Wechat, order: Order, message: str, signature: str) -> None:
    merchant = wechat.merchants.owner(order.mchid)
    if not is_signed(merchant.keys.merchant_public, message.encode(), signature):
        raise ClientRefuses("the signature is wrong")
