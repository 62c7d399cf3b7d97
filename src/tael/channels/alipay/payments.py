"""Opening, querying, closing and cancelling a payment at Alipay. Pure.

    native -> trade.precreate -> qr_code                 asks Alipay
    page, h5, app -> a signed address or order string    made here; Alipay learns of it when the payer opens it

Before the payer has scanned the code or opened the page there is no trade: a query answers "no such trade", which says
nothing about later, and there is nothing to close. What ends such a payment is its `time_expire`.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from urllib.parse import urlencode

import msgspec

from tael.channels.alipay.replies import Undecided, judge
from tael.channels.alipay.signing import GATEWAY, signed_parameters, signed_request
from tael.channels.alipay.spec import NUMBER, SPEC, takes_address, takes_notices
from tael.channels.alipay.trades import read_trade
from tael.channels.alipay.writing import china_time, plain, read_json, yuan
from tael.channels.contract import (
    AppParams,
    MerchantAccount,
    Method,
    Operation,
    Outcome,
    PaymentHandoff,
    PaymentNotPossible,
    PaymentRef,
    PaymentRequest,
    PaymentState,
    PaymentView,
    QrCode,
    Redirect,
    Result,
)
from tael.channels.evidence import evidence
from tael.channels.exchange import HttpRequest, HttpResponse
from tael.channels.reading import Unreadable
from tael.channels.verdicts import absence_is_an_answer

PRECREATE, QUERY = "alipay.trade.precreate", "alipay.trade.query"
CLOSE, CANCEL = "alipay.trade.close", "alipay.trade.cancel"
# method -> what is called, and the product that Alipay wants named
_LOCAL = {
    Method.PAGE: ("alipay.trade.page.pay", "FAST_INSTANT_TRADE_PAY"),
    Method.H5: ("alipay.trade.wap.pay", "QUICK_WAP_WAY"),
    Method.APP: ("alipay.trade.app.pay", "QUICK_MSECURITY_PAY"),
}
_LONGEST = timedelta(days=15)


class _Placed(msgspec.Struct):
    out_trade_no: str
    qr_code: str


class _Named(msgspec.Struct):
    out_trade_no: str = ""
    action: str = ""
    retry_flag: str = ""


_placed, _named = msgspec.json.Decoder(_Placed), msgspec.json.Decoder(_Named)


def check(account: MerchantAccount, request: PaymentRequest, *, now: datetime) -> None:
    """Refuse what Alipay would refuse. Raises `PaymentNotPossible` naming the field."""
    amount, back = request.amount, request.return_url
    wrong = {
        "merchant_account": account.state != "active" or not account.appid,
        "number": not NUMBER.fullmatch(request.number),
        "method": request.method not in SPEC.methods,
        "currency": amount.currency not in SPEC.currencies,
        "amount": not SPEC.min_minor <= amount.minor <= SPEC.max_minor,
        "description": not 1 <= len(request.description) <= 256 or not request.description.isprintable(),
        "attach": request.attach is not None and not 1 <= len(request.attach) <= 128,
        "notify_url": not takes_notices(account, request.notify_url),
        "return_url": back is not None and not takes_address(account, back),
        "expires_at": not now < request.expires_at <= now + _LONGEST,
    }
    for field, is_wrong in wrong.items():
        if is_wrong:
            raise PaymentNotPossible(f"Alipay does not take this {field}", param=field)


def asks_alipay(request: PaymentRequest) -> bool:
    """Whether opening this payment needs a call; otherwise the hand-off is made here."""
    return request.method not in _LOCAL


def build_create(account: MerchantAccount, request: PaymentRequest, *, now: datetime) -> HttpRequest:
    """The order for a QR code. The same request gives the same content: sending it again is the same payment."""
    check(account, request, now=now)
    content = _content(request, product="FACE_TO_FACE_PAYMENT")
    return signed_request(account, PRECREATE, content, now=now, notify_url=request.notify_url)


def parse_create(
    account: MerchantAccount, request: PaymentRequest, sent: HttpRequest, response: HttpResponse, *, now: datetime
) -> Result[PaymentHandoff]:
    """The QR code in the reply to `build_create`."""

    def read(node: bytes) -> PaymentHandoff:
        found = read_json(_placed, node)
        _about(request.number, found.out_trade_no)
        code = found.qr_code
        if not code.startswith(("https://", "http://")) or not takes_text(code):
            raise Unreadable("qr_code")
        return QrCode(code, _usable_until(request, now=now))

    return judge(account, Operation.CREATE, PRECREATE, sent, response, now=now, read=read)


def make_handoff(account: MerchantAccount, request: PaymentRequest, *, now: datetime) -> Result[PaymentHandoff]:
    """The signed address of Alipay's page, or the order string for its SDK in an app. Nothing is sent."""
    check(account, request, now=now)
    method, product = _LOCAL[request.method]
    back = request.return_url if request.method is not Method.APP else None
    signed = signed_parameters(
        account, method, _content(request, product=product), now=now, notify_url=request.notify_url, return_url=back
    )
    order, until = urlencode(signed), _usable_until(request, now=now)
    made = HttpRequest("GET", f"{GATEWAY}?{order}", (), b"")
    if request.method is Method.APP:
        handoff: PaymentHandoff = AppParams({"order_string": order}, until)
    else:
        handoff = Redirect(f"{account.base_url}{GATEWAY}?{order}", until)
    return Result(Outcome.SUCCEEDED, handoff, None, evidence(made, None, elapsed_ms=0))


def build_query(account: MerchantAccount, ref: PaymentRef, *, now: datetime) -> HttpRequest:
    """The question for a payment's state."""
    return signed_request(account, QUERY, _named_by(ref), now=now)


def parse_query(
    account: MerchantAccount, ref: PaymentRef, sent: HttpRequest, response: HttpResponse, *, now: datetime
) -> Result[PaymentView]:
    """The state in the reply to `build_query`. "No such trade" is an answer, final only after expiry and a grace."""

    def read(node: bytes) -> PaymentView:
        view = read_trade(node, account)
        _about(ref.number, view.number)
        return view

    answer = judge(account, Operation.QUERY, QUERY, sent, response, now=now, read=read)
    return absence_is_an_answer(answer, PaymentView(number=ref.number, state=PaymentState.NOT_FOUND))


def build_close(account: MerchantAccount, ref: PaymentRef, *, now: datetime) -> HttpRequest:
    """The unpaid trade to close; safe to repeat, and refused once it is paid."""
    return signed_request(account, CLOSE, _named_by(ref), now=now)


def parse_close(
    account: MerchantAccount, ref: PaymentRef, sent: HttpRequest, response: HttpResponse, *, now: datetime
) -> Result[PaymentView]:
    """What closing led to. DECLINED means that it is paid, or was closed before: query.

    `not_found` closes nothing: the payer may still scan the code until it expires.
    """

    def read(node: bytes) -> PaymentView:
        _about(ref.number, read_json(_named, node).out_trade_no)
        return PaymentView(number=ref.number, state=PaymentState.CLOSED)

    answer = judge(account, Operation.CLOSE, CLOSE, sent, response, now=now, read=read)
    return absence_is_an_answer(answer, PaymentView(number=ref.number, state=PaymentState.NOT_FOUND))


def build_cancel(account: MerchantAccount, ref: PaymentRef, *, now: datetime) -> HttpRequest:
    """The trade to undo, whatever it is: an unpaid one is closed, a paid one is refunded in full."""
    return signed_request(account, CANCEL, _named_by(ref), now=now)


def parse_cancel(
    account: MerchantAccount, ref: PaymentRef, sent: HttpRequest, response: HttpResponse, *, now: datetime
) -> Result[PaymentView]:
    """What was done: `closed`, or `refunded` (a bare view: Alipay does not say how much). UNKNOWN when it says that
    nothing was done, or wants to be asked again.
    """

    def read(node: bytes) -> PaymentView:
        found = read_json(_named, node)
        _about(ref.number, found.out_trade_no)
        if found.retry_flag == "Y":
            raise Undecided("retry_cancel")
        match found.action:
            case "close":
                return PaymentView(number=ref.number, state=PaymentState.CLOSED)
            case "refund":
                return PaymentView(number=ref.number, state=PaymentState.REFUNDED)
            case _:
                raise Undecided("nothing_cancelled")

    return judge(account, Operation.CANCEL, CANCEL, sent, response, now=now, read=read)


def takes_text(value: str) -> bool:
    """Whether it can be shown as a code: visible ASCII of a bounded length."""
    return 1 <= len(value) <= 1000 and all("!" <= char <= "~" for char in value)


def _content(request: PaymentRequest, *, product: str) -> Mapping[str, object]:
    """What is to be paid; passback_params comes back in the notice, and is percent-encoded by Alipay's own rule."""
    attach = {"passback_params": urlencode({"": request.attach})[1:]} if request.attach is not None else {}
    return {
        "out_trade_no": request.number,
        "total_amount": yuan(request.amount),
        "subject": plain(request.description),
        "product_code": product,
        "time_expire": china_time(request.expires_at),
        **attach,
    }


def _named_by(ref: PaymentRef) -> Mapping[str, object]:
    return {"trade_no": ref.channel_ref} if ref.channel_ref else {"out_trade_no": ref.number}


def _about(number: str, said: str) -> None:
    if said != number:
        raise Unreadable("an answer about another payment")


def _usable_until(request: PaymentRequest, *, now: datetime) -> datetime:
    return min(request.expires_at, now + timedelta(seconds=SPEC.handoff_s[request.method]))
