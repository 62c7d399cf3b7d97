"""Opening, querying and closing a payment at WeChat Pay: pure, a request in words of the contract becomes HTTP and
a reply becomes a `Result`.

    native -> code_url   (QR code)            jsapi -> prepay_id -> signed parameters for the page inside WeChat
    h5     -> h5_url     (redirect)           app   -> prepay_id -> signed parameters for the WeChat SDK
"""

import re
from datetime import datetime, timedelta
from typing import TypeAlias

import msgspec

from tael.base.clock import ACCOUNTING_ZONE
from tael.channels.contract import (
    AppParams,
    JsapiParams,
    MerchantAccount,
    Method,
    Operation,
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
from tael.channels.exchange import HttpRequest, HttpResponse
from tael.channels.reading import Unreadable, read_as
from tael.channels.verdicts import absence_is_an_answer
from tael.channels.wechat.keys import keys_of
from tael.channels.wechat.replies import judge
from tael.channels.wechat.signing import encoded, lines, seconds, sign, signed_request
from tael.channels.wechat.spec import PAYMENT_NUMBER, SPEC, takes_notices
from tael.channels.wechat.transactions import read_transaction

Json: TypeAlias = "str | int | dict[str, Json]"

_LONGEST = timedelta(days=90)
_VISIBLE = re.compile(r"[!-~]{1,128}")


class _Handoff(msgspec.Struct):
    code_url: str = ""
    prepay_id: str = ""
    h5_url: str = ""


_handoffs = msgspec.json.Decoder(_Handoff)


def check(account: MerchantAccount, request: PaymentRequest, *, now: datetime) -> None:
    """Refuse what WeChat would refuse. Raises `PaymentNotPossible` naming the field."""
    amount = request.amount
    wrong = {
        "merchant_account": account.state != "active" or not account.appid,
        "number": not PAYMENT_NUMBER.fullmatch(request.number),
        "method": request.method not in SPEC.methods,
        "currency": amount.currency not in SPEC.currencies,
        "amount": not SPEC.min_minor <= amount.minor <= SPEC.max_minor,
        "description": not 1 <= len(request.description) <= 127 or not request.description.isprintable(),
        "attach": request.attach is not None and not 1 <= len(request.attach) <= 128,
        "notify_url": not takes_notices(account, request.notify_url),
        "expires_at": not now < request.expires_at <= now + _LONGEST,
        "payer_id": request.method is Method.JSAPI and not _VISIBLE.fullmatch(request.payer_id or ""),
        "payer_ip": request.method is Method.H5 and not re.fullmatch(r"[0-9a-fA-F.:]{2,45}", request.payer_ip or ""),
    }
    for field, is_wrong in wrong.items():
        if is_wrong:
            raise PaymentNotPossible(f"WeChat Pay does not take this {field}", param=field)


def build_create(account: MerchantAccount, request: PaymentRequest, *, now: datetime, nonce: str) -> HttpRequest:
    """The order. The same request gives the same body, so sending it again is answered with the same hand-off."""
    check(account, request, now=now)
    body: dict[str, Json] = {
        "appid": account.appid,
        "mchid": account.mchid,
        "description": request.description,
        "out_trade_no": request.number,
        "time_expire": request.expires_at.astimezone(ACCOUNTING_ZONE).isoformat(timespec="seconds"),
        "notify_url": request.notify_url,
        "amount": {"total": request.amount.minor, "currency": request.amount.currency},
    }
    if request.attach is not None:
        body["attach"] = request.attach
    if request.payer_id is not None and request.method is Method.JSAPI:
        body["payer"] = {"openid": request.payer_id}
    if request.payer_ip is not None:
        scene: dict[str, Json] = {"payer_client_ip": request.payer_ip}
        if request.method is Method.H5:
            scene["h5_info"] = {"type": "Wap"}
        body["scene_info"] = scene
    target = f"/v3/pay/transactions/{request.method.value}"
    return signed_request(account, "POST", target, msgspec.json.encode(body), now=now, nonce=nonce)


def parse_create(
    account: MerchantAccount,
    request: PaymentRequest,
    sent: HttpRequest,
    response: HttpResponse,
    *,
    now: datetime,
    nonce: str,
) -> Result[PaymentHandoff]:
    """The hand-off in the reply to `build_create`. `nonce` goes into the hand-off's own signature."""

    def read(body: bytes) -> PaymentHandoff:
        return _read_handoff(account, request, body, now, nonce)

    return judge(account, Operation.CREATE, sent, response, expected=200, now=now, read=read)


def build_query(account: MerchantAccount, ref: PaymentRef, *, now: datetime, nonce: str) -> HttpRequest:
    """The question for a payment's state: by the channel's number when we know it, else by ours."""
    by = f"id/{encoded(ref.channel_ref)}" if ref.channel_ref else f"out-trade-no/{encoded(ref.number)}"
    target = f"/v3/pay/transactions/{by}?mchid={encoded(account.mchid)}"
    return signed_request(account, "GET", target, b"", now=now, nonce=nonce)


def parse_query(
    account: MerchantAccount, ref: PaymentRef, sent: HttpRequest, response: HttpResponse, *, now: datetime
) -> Result[PaymentView]:
    """The state in the reply to `build_query`. "No such order" is an answer; every other error is UNKNOWN."""

    def read(body: bytes) -> PaymentView:
        view = read_transaction(body)
        if view.number != ref.number:
            raise Unreadable("an answer about another payment")
        return view

    answer = judge(account, Operation.QUERY, sent, response, expected=200, now=now, read=read)
    return absence_is_an_answer(answer, PaymentView(number=ref.number, state=PaymentState.NOT_FOUND))


def build_close(account: MerchantAccount, ref: PaymentRef, *, now: datetime, nonce: str) -> HttpRequest:
    """The order to close; safe to repeat."""
    target = f"/v3/pay/transactions/out-trade-no/{encoded(ref.number)}/close"
    body = msgspec.json.encode({"mchid": account.mchid})
    return signed_request(account, "POST", target, body, now=now, nonce=nonce)


def parse_close(
    account: MerchantAccount, ref: PaymentRef, sent: HttpRequest, response: HttpResponse, *, now: datetime
) -> Result[PaymentView]:
    """What closing led to: 204, signed over an empty body, is the only yes. DECLINED means it is paid: query."""

    def read(body: bytes) -> PaymentView:
        if body:
            raise Unreadable("a body in an empty reply")
        return PaymentView(number=ref.number, state=PaymentState.CLOSED)

    answer = judge(account, Operation.CLOSE, sent, response, expected=204, now=now, read=read)
    return absence_is_an_answer(answer, PaymentView(number=ref.number, state=PaymentState.NOT_FOUND))


def _read_handoff(
    account: MerchantAccount, request: PaymentRequest, body: bytes, now: datetime, nonce: str
) -> PaymentHandoff:
    found = read_as(_handoffs, body, "hand-off")
    until = min(request.expires_at, now + timedelta(seconds=SPEC.handoff_s[request.method]))
    match request.method:
        case Method.NATIVE:
            return QrCode(_text(found.code_url, r"weixin://[!-~]{1,500}"), until)
        case Method.H5:
            return Redirect(_text(found.h5_url, r"https?://[!-~]{1,1000}"), until)
        case Method.JSAPI:
            return JsapiParams(sign_jsapi(account, _text(found.prepay_id), now=now, nonce=nonce), until)
        case Method.APP:
            return AppParams(sign_app(account, _text(found.prepay_id), now=now, nonce=nonce), until)
        case Method.PAGE:
            raise AssertionError("check refuses it")


def sign_jsapi(account: MerchantAccount, prepay_id: str, *, now: datetime, nonce: str) -> dict[str, str]:
    """The parameters of `WeixinJSBridge.invoke('getBrandWCPayRequest')` and `wx.requestPayment`."""
    stamp, package = str(seconds(now)), f"prepay_id={prepay_id}"
    signature = sign(keys_of(account).private_key, lines(account.appid, stamp, nonce, package))
    return {
        "appId": account.appid,
        "timeStamp": stamp,
        "nonceStr": nonce,
        "package": package,
        "signType": "RSA",
        "paySign": signature,
    }


def sign_app(account: MerchantAccount, prepay_id: str, *, now: datetime, nonce: str) -> dict[str, str]:
    """The fields of the WeChat SDK's `PayReq`."""
    stamp = str(seconds(now))
    return {
        "appid": account.appid,
        "partnerid": account.mchid,
        "prepayid": prepay_id,
        "package": "Sign=WXPay",
        "noncestr": nonce,
        "timestamp": stamp,
        "sign": sign(keys_of(account).private_key, lines(account.appid, stamp, nonce, prepay_id)),
    }


def _text(text: str, form: str = r"[!-~]{1,128}") -> str:
    if not re.fullmatch(form, text):
        raise Unreadable("hand-off")
    return text
