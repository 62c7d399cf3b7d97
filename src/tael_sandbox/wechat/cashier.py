"""The page a person sees instead of a phone: the order, a Pay and a Decline button, no JavaScript, Chinese and English.

GET  /                                         the latest orders
GET  /cashier?code_url=...                     one order, by its QR code (or ``prepay_id``)
GET  /cgi-bin/mmpayweb-bin/checkmweb?...       the same for an H5 link, within five minutes
POST /cashier/pay, /cashier/decline            what the buttons do; then back to the page
"""

from itertools import islice
from urllib.parse import parse_qs, urlencode

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from msgspec import DecodeError

from tael_sandbox.control import NotPossible, Unknown
from tael_sandbox.web import HTML, Answer, Request
from tael_sandbox.wechat import control, user
from tael_sandbox.wechat.orders import Order
from tael_sandbox.wechat.state import Wechat
from tael_sandbox.wechat.views import Touch
from tael_sandbox.wechat.words import WORDS, Language, Words

H5_PATH = "/cgi-bin/mmpayweb-bin/checkmweb"
_H5_LIFE_MS = 300_000
_MOST_LISTED = 100
_PAGES = Environment(
    loader=ChoiceLoader([PackageLoader("tael_sandbox.wechat", "pages"), PackageLoader("tael_sandbox", "pages")]),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
)


async def serve(wechat: Wechat, request: Request) -> Answer:
    """Answer a browser."""
    said = {name: values[-1] for name, values in parse_qs(request.query).items()}
    match (request.method, request.path):
        case ("GET", "/"):
            return _list(wechat, request, said)
        case ("GET", "/cashier" | "/cgi-bin/mmpayweb-bin/checkmweb"):
            return _show(wechat, request, said)
        case ("POST", "/cashier/pay" | "/cashier/decline"):
            return await _act(wechat, request)
        case _:
            return _page("gone.html", request, said, status=404)


def _list(wechat: Wechat, request: Request, said: dict[str, str]) -> Answer:
    latest = islice(reversed(list(wechat.orders)), _MOST_LISTED)
    orders = [(control.view_order(order), _yuan(order.terms.total_minor)) for order in latest]
    return _page("orders.html", request, said, orders=orders)


def _show(wechat: Wechat, request: Request, said: dict[str, str]) -> Answer:
    try:
        order = control.find_order(wechat, _touch(said))
    except Unknown:
        return _page("gone.html", request, said, status=404)
    too_old = wechat.clock.now_ms() - order.issued_ms >= _H5_LIFE_MS
    if request.path == H5_PATH and (said.get("package") != order.link or too_old):
        return _page("gone.html", request, said, status=404)
    return _page(
        "cashier.html",
        request,
        said,
        order=control.view_order(order),
        amount=_yuan(order.terms.total_minor),
        payable=order.open,
        refused=said.get("declined") == "1" and order.open,
    )


async def _act(wechat: Wechat, request: Request) -> Answer:
    """Press a button. A state that moved on meanwhile is simply shown."""
    try:
        said = {name: values[-1] for name, values in parse_qs(request.body.decode()).items()}
        order = control.find_order(wechat, _touch(said))
    except (UnicodeDecodeError, DecodeError, Unknown):
        return _page("gone.html", request, {}, status=404)
    pays = request.path == "/cashier/pay"
    _press(wechat, order, pays=pays)
    await wechat.journal.settled()
    back = {"prepay_id": order.prepay_id, "lang": said.get("lang", "en"), "declined": "0" if pays else "1"}
    return Answer(303, headers=(("Location", f"/cashier?{urlencode(back)}"),))


def _press(wechat: Wechat, order: Order, *, pays: bool) -> None:
    try:
        if pays:
            user.pay(wechat, order)
        else:
            user.decline(wechat, order)
    except NotPossible:
        return


def _touch(said: dict[str, str]) -> Touch:
    return Touch(code_url=said.get("code_url", ""), prepay_id=said.get("prepay_id", ""))


def _yuan(minor: int) -> str:
    return f"¥ {minor // 100:,}.{minor % 100:02d}"


def _page(name: str, request: Request, said: dict[str, str], *, status: int = 200, **shown: object) -> Answer:
    language = _language(request, said)
    other: Language = "en" if language == "zh" else "zh"
    words: Words = WORDS[language]
    text = _PAGES.get_template(name).render(
        t=words,
        lang=language,
        other=other,
        here_in_other=f"{request.path if request.method == 'GET' else '/'}?{urlencode({**said, 'lang': other})}",
        **shown,
    )
    policy = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; form-action 'self'; frame-ancestors 'none'"
    return Answer(status, text.encode(), HTML, (("Content-Security-Policy", policy), ("Cache-Control", "no-store")))


def _language(request: Request, said: dict[str, str]) -> Language:
    asked = said.get("lang") or request.headers.get("accept-language", "")
    return "zh" if asked.lower().startswith("zh") else "en"
