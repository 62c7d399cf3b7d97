"""Alipay's pages; what they look like is in the sandbox's ``cashier.py``.

GET  /alipay                              the latest trades
GET  /alipay/q/<link>                     a QR code, as a phone opens it
GET  /alipay/cashier?link=...             the page that page.pay and wap.pay lead to
POST /alipay/pay, /alipay/decline         what the buttons do; then back to the page

Once paid, a page payment offers the way back: the merchant's return_url with signed parameters.
"""

from urllib.parse import urlencode, urlsplit

from tael_sandbox.alipay import control, user
from tael_sandbox.alipay.signing import sign_notice
from tael_sandbox.alipay.state import Alipay
from tael_sandbox.alipay.trades import State, Trade
from tael_sandbox.alipay.words import WORDS
from tael_sandbox.alipay.yuan import yuan
from tael_sandbox.cashier import Bill, Cashier, pressed
from tael_sandbox.china_time import china_time
from tael_sandbox.control import NotPossible, Unknown
from tael_sandbox.web import Answer, Request

_PAGES = Cashier(home="/alipay", desk="/alipay/cashier", buttons="/alipay", key="link", words=WORDS)


async def serve(alipay: Alipay, request: Request) -> Answer:
    """Answer a browser."""
    match (request.method, request.path):
        case ("GET", "/alipay"):
            return _PAGES.latest(request, map(_bill, reversed(list(alipay.trades))))
        case ("GET", "/alipay/cashier"):
            return _show(alipay, request, request.asked.get("link", ""))
        case ("GET", path) if path.startswith("/alipay/q/"):
            return _show(alipay, request, path.rpartition("/")[2])
        case ("POST", "/alipay/pay" | "/alipay/decline"):
            return await _act(alipay, request)
        case _:
            return _PAGES.gone(request)


def _show(alipay: Alipay, request: Request, link: str) -> Answer:
    try:
        trade = control.find_trade(alipay, link)
    except Unknown:
        return _PAGES.gone(request)
    return _PAGES.show(request, _bill(trade, back=_back(alipay, trade)))


async def _act(alipay: Alipay, request: Request) -> Answer:
    """Press a button. A state that moved on meanwhile is simply shown."""
    said = pressed(request)
    try:
        trade = control.find_trade(alipay, said.get("link", ""))
    except Unknown:
        return _PAGES.gone(request)
    pays = request.path == "/alipay/pay"
    try:
        if pays:
            user.pay(alipay, trade)
        else:
            user.decline(trade)
    except NotPossible:
        pays = False
    await alipay.journal.settled()
    return _PAGES.back(trade.link, language=said.get("lang", "en"), declined=not pays)


def _bill(trade: Trade, *, back: str = "") -> Bill[State]:
    return Bill(
        name=trade.link,
        number=trade.out_trade_no,
        what=trade.terms.subject,
        merchant=trade.app_id,
        amount=f"¥ {yuan(trade.terms.total_minor)}",
        state=trade.state,
        until=china_time(trade.expires_ms),
        payable=trade.payable,
        back=back,
    )


def _back(alipay: Alipay, trade: Trade) -> str:
    """Where the buyer goes after a page payment; empty before it or when the merchant named no place."""
    url = trade.terms.return_url
    if not url or not trade.payments or urlsplit(url).scheme not in ("http", "https"):
        return ""
    merchant = alipay.merchants.owner(trade.app_id)
    said = {
        "app_id": trade.app_id,
        "auth_app_id": trade.app_id,
        "seller_id": merchant.about.seller_id,
        "out_trade_no": trade.out_trade_no,
        "trade_no": trade.trade_no,
        "total_amount": yuan(trade.payments[-1].total_minor),
        "method": f"alipay.trade.{trade.terms.kind}.pay.return",
        "charset": trade.terms.charset,
        "sign_type": "RSA2",
        "timestamp": china_time(alipay.clock.now_ms()),
        "version": "1.0",
    }
    sign = sign_notice(merchant.keys.signing.key, said, charset=trade.terms.charset)
    return f"{url}{'&' if '?' in url else '?'}{urlencode(said | {'sign': sign})}"
