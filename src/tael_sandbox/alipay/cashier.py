"""The pages a buyer sees: the latest trades, one trade with a Pay and a Decline button, no JavaScript, two languages.

GET  /alipay                              the latest trades
GET  /alipay/q/<link>                     a QR code, as a phone opens it
GET  /alipay/cashier?link=...             the page that page.pay and wap.pay lead to
POST /alipay/pay, /alipay/decline         what the buttons do; then back to the page

Once paid, a page payment offers the way back: the merchant's return_url with signed parameters.
"""

from itertools import islice
from typing import Literal
from urllib.parse import parse_qs, urlencode, urlsplit

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

from tael_sandbox.alipay import control, user
from tael_sandbox.alipay.signing import sign_notice
from tael_sandbox.alipay.state import Alipay
from tael_sandbox.alipay.trades import Trade
from tael_sandbox.alipay.words import WORDS
from tael_sandbox.alipay.yuan import china_time, yuan
from tael_sandbox.control import NotPossible, Unknown
from tael_sandbox.web import HTML, Answer, Request

_MOST_LISTED = 100
_PAGES = Environment(
    loader=ChoiceLoader([PackageLoader("tael_sandbox.alipay", "pages"), PackageLoader("tael_sandbox", "pages")]),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
)


async def serve(alipay: Alipay, request: Request) -> Answer:
    """Answer a browser."""
    said = {name: values[-1] for name, values in parse_qs(request.query).items()}
    match (request.method, request.path):
        case ("GET", "/alipay"):
            latest = islice(reversed(list(alipay.trades)), _MOST_LISTED)
            return _page("trades.html", request, said, trades=[(one, yuan(one.terms.total_minor)) for one in latest])
        case ("GET", "/alipay/cashier"):
            return _show(alipay, request, said)
        case ("GET", path) if path.startswith("/alipay/q/"):
            return _show(alipay, request, said | {"link": path.rpartition("/")[2]})
        case ("POST", "/alipay/pay" | "/alipay/decline"):
            return await _act(alipay, request)
        case _:
            return _page("no_trade.html", request, said, status=404)


def _show(alipay: Alipay, request: Request, said: dict[str, str]) -> Answer:
    try:
        trade = control.find_trade(alipay, said.get("link", ""))
    except Unknown:
        return _page("no_trade.html", request, said, status=404)
    return _page(
        "trade.html",
        request,
        said,
        trade=trade,
        amount=yuan(trade.terms.total_minor),
        until=china_time(trade.expires_ms),
        refused=said.get("declined") == "1" and trade.payable,
        back=_back(alipay, trade),
    )


async def _act(alipay: Alipay, request: Request) -> Answer:
    """Press a button. A state that moved on meanwhile is simply shown."""
    try:
        said = {name: values[-1] for name, values in parse_qs(request.body.decode()).items()}
        trade = control.find_trade(alipay, said.get("link", ""))
    except (UnicodeDecodeError, Unknown):
        return _page("no_trade.html", request, {}, status=404)
    pays = request.path == "/alipay/pay"
    try:
        if pays:
            user.pay(alipay, trade)
        else:
            user.decline(trade)
    except NotPossible:
        pays = False
    await alipay.journal.settled()
    back = {"link": trade.link, "lang": said.get("lang", "en"), "declined": "0" if pays else "1"}
    return Answer(303, headers=(("Location", f"/alipay/cashier?{urlencode(back)}"),))


def _back(alipay: Alipay, trade: Trade) -> str:
    """Where the buyer goes after a page payment; empty before it or when the merchant named no place."""
    url = trade.terms.return_url
    if not url or not trade.payments or urlsplit(url).scheme not in ("http", "https"):
        return ""
    merchant = alipay.owner(trade.app_id)
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


def _page(name: str, request: Request, said: dict[str, str], *, status: int = 200, **shown: object) -> Answer:
    asked = said.get("lang") or request.headers.get("accept-language", "")
    language: Literal["en", "zh"] = "zh" if asked.lower().startswith("zh") else "en"
    other: Literal["en", "zh"] = "en" if language == "zh" else "zh"
    text = _PAGES.get_template(name).render(
        t=WORDS[language],
        lang=language,
        other=other,
        here_in_other=f"{request.path if request.method == 'GET' else '/alipay'}?{urlencode({**said, 'lang': other})}",
        **shown,
    )
    policy = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; form-action 'self'; frame-ancestors 'none'"
    return Answer(status, text.encode(), HTML, (("Content-Security-Policy", policy), ("Cache-Control", "no-store")))
