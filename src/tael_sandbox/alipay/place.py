"""Agreeing on a payment: ``trade.precreate`` (a QR code), ``trade.page.pay`` and ``trade.wap.pay`` (a cashier page),
``trade.app.pay`` (an order string that the buyer's phone brings; here it opens the cashier page too), ``trade.pay``
(the buyer's bar code).

The same number with the same amount and subject is the same trade again, with a new link once the old one is two
hours old; with others it is refused. No trade exists before somebody opened the link. A bar code is paid at once up to
1,000.00 yuan; above that the buyer has to type a password: 10003, WAIT_BUYER_PAY.
"""

import re
from urllib.parse import urlencode, urlsplit

from msgspec import Struct

from tael_sandbox.alipay import user
from tael_sandbox.alipay.call import NUMBER, Call, Yuan, amount
from tael_sandbox.alipay.refusals import Refusal
from tael_sandbox.alipay.show import TradeSaid, paid
from tael_sandbox.alipay.trades import Kind, Placed, Relinked, Terms, Trade
from tael_sandbox.china_time import read_china_time
from tael_sandbox.world import LOOPBACK

_LINK_LIFE_MS = 7_200_000
_MINUTE_MS = 60_000
_UNITS_MS = {"m": _MINUTE_MS, "h": 60 * _MINUTE_MS, "d": 1_440 * _MINUTE_MS}
_USUAL_LIFE_MS = 15 * _UNITS_MS["d"]
_LIFE = re.compile(r"([1-9]\d{0,4})([mhdc])")
_AUTH_CODE = re.compile(r"(2[5-9]|30)\d{14,22}|fp[0-9a-zA-Z]{33}")
_FREE_MINOR = 1_000_00
_PAGES: dict[str, Kind] = {"trade.page.pay": "page", "trade.wap.pay": "wap", "trade.app.pay": "app"}
_PRODUCTS: dict[Kind, frozenset[str]] = {
    "precreate": frozenset({"", "FACE_TO_FACE_PAYMENT", "QR_CODE_OFFLINE"}),
    "page": frozenset({"FAST_INSTANT_TRADE_PAY"}),
    "wap": frozenset({"QUICK_WAP_WAY", "QUICK_WAP_PAY"}),
    "app": frozenset({"", "QUICK_MSECURITY_PAY"}),
    "bar_code": frozenset({"", "FACE_TO_FACE_PAYMENT"}),
}


class Body(Struct, frozen=True):
    """What a payment request may say; fields that are not listed are ignored."""

    out_trade_no: str
    total_amount: Yuan
    subject: str
    product_code: str = ""
    body: str = ""
    passback_params: str = ""
    timeout_express: str = ""
    qr_code_timeout_express: str = ""
    time_expire: str = ""
    scene: str = ""
    auth_code: str = ""


class QrCode(Struct, frozen=True):
    """The node of a placed QR code payment."""

    code: str
    msg: str
    out_trade_no: str
    qr_code: str


def precreate(call: Call) -> QrCode:
    """Place a payment by QR code. Raises ``Refusal``."""
    trade = _place(call, call.read(Body), "precreate")
    return QrCode("10000", "Success", trade.out_trade_no, f"{call.alipay.base_url}/alipay/q/{trade.link}")


def page(call: Call) -> str:
    """Place a payment in a browser and return the address of its cashier page. Raises ``Refusal``."""
    trade = _place(call, call.read(Body), _PAGES[call.method])
    return f"/alipay/cashier?{urlencode({'link': trade.link})}"


def pay(call: Call, *, typing: bool) -> TradeSaid:
    """Take the money of the buyer who showed a bar code; ``typing``: a password is asked for whatever the amount.
    Raises ``Refusal``.
    """
    body = call.read(Body)
    if body.scene not in ("bar_code", "wave_code", "security_code"):
        raise Refusal("ACQ.INVALID_PARAMETER")
    used = call.alipay.trades.auth_codes.get(body.auth_code)
    here = (call.merchant.app_id, body.out_trade_no)
    if not _AUTH_CODE.fullmatch(body.auth_code) or used not in (None, here):
        raise Refusal("ACQ.PAYMENT_AUTH_CODE_INVALID")
    trade = _place(call, body, "bar_code")
    if trade.state == "LINK":
        trade = user.scan(call.alipay, trade)
        if not typing and trade.terms.total_minor <= _FREE_MINOR:
            trade = user.pay(call.alipay, trade)
    if trade.state == "WAIT_BUYER_PAY":
        return TradeSaid("10003", "order success pay inprocess", trade.out_trade_no, trade.trade_no)
    return paid(trade)


def _place(call: Call, body: Body, kind: Kind) -> Trade:
    terms, alipay = _terms(call, body, kind), call.alipay
    now_ms = alipay.clock.now_ms()
    expires_ms = now_ms + _life_ms(body, now_ms=now_ms)
    app_id, number = call.merchant.app_id, body.out_trade_no
    trade = alipay.trade(app_id, number)
    if trade is None:
        link = alipay.ids.letters(17, "alipay link", app_id, number, 1)
        alipay.record(Placed(app_id, number, terms, now_ms, expires_ms, link))
    else:
        _check_again(trade, terms)
        if trade.state == "LINK" and now_ms - trade.linked_ms >= _LINK_LIFE_MS:
            link = alipay.ids.letters(17, "alipay link", app_id, number, trade.links + 1)
            alipay.record(Relinked(app_id, number, now_ms, link))
    placed = alipay.trades.get(app_id, number)
    assert placed is not None, "it was just placed or found"
    return placed


def _terms(call: Call, body: Body, kind: Kind) -> Terms:
    total_minor = amount(body.total_amount, refuse="ACQ.TOTAL_FEE_EXCEED")
    fits = NUMBER.fullmatch(body.out_trade_no) and 0 < len(body.subject) <= 256
    if not fits or body.product_code not in _PRODUCTS[kind]:
        raise Refusal("ACQ.INVALID_PARAMETER")
    for url in (call.notify_url, call.return_url):
        _check_url(call, url)
    return Terms(
        kind=kind,
        subject=body.subject,
        total_minor=total_minor,
        charset=call.charset,
        notify_url=call.notify_url,
        return_url=call.return_url,
        body=body.body,
        passback=body.passback_params,
        auth_code=body.auth_code if kind == "bar_code" else "",
    )


def _check_url(call: Call, url: str) -> None:
    """https, or plain http to this machine or a host the sandbox was told about."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        raise Refusal("ACQ.INVALID_PARAMETER", message="notify_url无效") from None
    plain = parts.scheme == "http" and (host in LOOPBACK or host in call.alipay.notify_hosts)
    if url and (len(url) > 256 or not host or not (plain or parts.scheme == "https")):
        raise Refusal("ACQ.INVALID_PARAMETER", message="notify_url无效")


def _life_ms(body: Body, *, now_ms: int) -> int:
    """Fifteen days unless asked otherwise, never under a minute: an absolute time, or a number of minutes ..."""
    if body.time_expire:
        at_ms = read_china_time(body.time_expire)
        if at_ms is None or at_ms <= now_ms:
            raise Refusal("ACQ.INVALID_PARAMETER", message="time_expire无效")
        return min(max(at_ms - now_ms, _MINUTE_MS), _USUAL_LIFE_MS)
    asked = body.timeout_express or body.qr_code_timeout_express
    if not asked:
        return _USUAL_LIFE_MS
    found = _LIFE.fullmatch(asked)
    if found is None:
        raise Refusal("ACQ.INVALID_PARAMETER", message="timeout_express无效")
    return min(int(found[1]) * _UNITS_MS.get(found[2], _UNITS_MS["d"]), _USUAL_LIFE_MS)


def _check_again(trade: Trade, terms: Terms) -> None:
    """A known number: the agreement must be the same, and payable unless it is the same bar code again."""
    again = (terms.subject, terms.total_minor, terms.kind, terms.auth_code)
    if (trade.terms.subject, trade.terms.total_minor, trade.terms.kind, trade.terms.auth_code) != again:
        raise Refusal("ACQ.CONTEXT_INCONSISTENT")
    if trade.state in ("TRADE_CLOSED", "DEAD"):
        raise Refusal("ACQ.TRADE_HAS_CLOSE")
    if trade.state in ("TRADE_SUCCESS", "TRADE_FINISHED"):
        raise Refusal("ACQ.TRADE_HAS_SUCCESS")
