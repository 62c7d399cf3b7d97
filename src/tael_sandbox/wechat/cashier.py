"""WeChat Pay's pages; what they look like is in the sandbox's ``cashier.py``.

GET  /                                         the latest orders
GET  /cashier?code_url=...                     one order, by its QR code (or ``prepay_id``)
GET  /cgi-bin/mmpayweb-bin/checkmweb?...       the same for an H5 link, within five minutes
POST /cashier/pay, /cashier/decline            what the buttons do; then back to the page
"""

from collections.abc import Mapping
from contextlib import suppress

from tael_sandbox.cashier import Bill, Cashier, pressed
from tael_sandbox.control import NotPossible, Unknown
from tael_sandbox.web import Answer, Request
from tael_sandbox.wechat import control, user
from tael_sandbox.wechat.orders import Order, State
from tael_sandbox.wechat.state import Wechat
from tael_sandbox.wechat.transaction import china_time
from tael_sandbox.wechat.views import Touch
from tael_sandbox.wechat.words import WORDS

H5_PATH = "/cgi-bin/mmpayweb-bin/checkmweb"
_H5_LIFE_MS = 300_000
_PAGES = Cashier(home="/", desk="/cashier", buttons="/cashier", key="prepay_id", words=WORDS)


async def serve(wechat: Wechat, request: Request) -> Answer:
    """Answer a browser."""
    match (request.method, request.path):
        case ("GET", "/"):
            return _PAGES.latest(request, map(_bill, reversed(list(wechat.orders))))
        case ("GET", "/cashier" | "/cgi-bin/mmpayweb-bin/checkmweb"):
            return _show(wechat, request)
        case ("POST", "/cashier/pay" | "/cashier/decline"):
            return await _act(wechat, request)
        case _:
            return _PAGES.gone(request)


def _show(wechat: Wechat, request: Request) -> Answer:
    try:
        order = _find(wechat, request.asked)
    except Unknown:
        return _PAGES.gone(request)
    too_old = wechat.clock.now_ms() - order.issued_ms >= _H5_LIFE_MS
    if request.path == H5_PATH and (request.asked.get("package") != order.link or too_old):
        return _PAGES.gone(request)
    return _PAGES.show(request, _bill(order))


async def _act(wechat: Wechat, request: Request) -> Answer:
    """Press a button. A state that moved on meanwhile is simply shown."""
    said = pressed(request)
    try:
        order = _find(wechat, said)
    except Unknown:
        return _PAGES.gone(request)
    pays = request.path == "/cashier/pay"
    with suppress(NotPossible):
        if pays:
            user.pay(wechat, order)
        else:
            user.decline(wechat, order)
    await wechat.journal.settled()
    return _PAGES.back(order.prepay_id, language=said.get("lang", "en"), declined=not pays)


def _find(wechat: Wechat, said: Mapping[str, str]) -> Order:
    touch = Touch(code_url=said.get("code_url", ""), prepay_id=said.get("prepay_id", ""))
    return control.find_order(wechat, touch)


def _bill(order: Order) -> Bill[State]:
    minor = order.terms.total_minor
    return Bill(
        name=order.prepay_id,
        number=order.out_trade_no,
        what=order.terms.description,
        merchant=order.mchid,
        amount=f"¥ {minor // 100:,}.{minor % 100:02d}",
        state=order.state,
        until=china_time(order.expires_ms),
        payable=order.open,
    )
