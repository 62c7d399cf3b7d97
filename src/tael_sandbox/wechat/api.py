"""The HTTP face of WeChat Pay v3: who asks, is it genuine, do it, sign the answer; faults come before and after.

    request -> route -> signature (401) -> fault before? -> operation -> journal -> fault after? -> signed answer

Answers to a genuine caller are signed, refusals too; answers to an unknown or unproven caller, 429 and 5xx are not. In
public-key mode the caller's ``Wechatpay-Serial`` decides which key signs.
"""

import asyncio
import re
from dataclasses import dataclass, replace
from typing import Literal, cast
from urllib.parse import unquote

import msgspec
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from msgspec import Struct

from tael_sandbox.faults import BEFORE_COMMIT, Fault
from tael_sandbox.web import HTML, Answer, Request
from tael_sandbox.wechat import certificates, close, create, query, refund_calls, transfer_calls, user
from tael_sandbox.wechat.merchants import Merchant
from tael_sandbox.wechat.orders import Method
from tael_sandbox.wechat.refusals import Refusal
from tael_sandbox.wechat.signing import SCHEME, read_authorization, request_is_genuine, sign_reply
from tael_sandbox.wechat.state import Wechat

_WINDOW_S = 300
_STALE_S = 3600
_NUMBER = r"(?P<name>[^/]+)"
_REFUNDS, _BILLS = "/v3/refund/domestic/refunds", "/v3/fund-app/mch-transfer/transfer-bills"
_ROUTES: tuple[tuple[str, str, str, re.Pattern[str]], ...] = (
    ("create", "create", "POST", re.compile(r"/v3/pay/transactions/(?P<name>native|jsapi|app|h5)")),
    ("query", "by_number", "GET", re.compile(rf"/v3/pay/transactions/out-trade-no/{_NUMBER}")),
    ("query", "by_transaction", "GET", re.compile(rf"/v3/pay/transactions/id/{_NUMBER}")),
    ("close", "close", "POST", re.compile(rf"/v3/pay/transactions/out-trade-no/{_NUMBER}/close")),
    ("refund", "refund", "POST", re.compile(rf"{_REFUNDS}(?P<name>)")),
    ("query_refund", "query_refund", "GET", re.compile(rf"{_REFUNDS}/{_NUMBER}")),
    ("transfer", "transfer", "POST", re.compile(rf"{_BILLS}(?P<name>)")),
    ("query_transfer", "transfer_by_number", "GET", re.compile(rf"{_BILLS}/out-bill-no/{_NUMBER}")),
    ("query_transfer", "transfer_by_bill", "GET", re.compile(rf"{_BILLS}/transfer-bill-no/{_NUMBER}")),
    ("cancel_transfer", "cancel_transfer", "POST", re.compile(rf"{_BILLS}/out-bill-no/{_NUMBER}/cancel")),
    ("certificates", "certificates", "GET", re.compile(r"/v3/certificates(?P<name>)")),
)
Job = Literal[
    "create", "by_number", "by_transaction", "close", "refund", "query_refund", "transfer", "transfer_by_number",
    "transfer_by_bill", "cancel_transfer", "certificates",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Route:
    operation: str
    job: Job
    name: str


class _JustNumber(Struct, frozen=True):
    out_trade_no: str = ""
    out_refund_no: str = ""
    out_bill_no: str = ""

    @property
    def own(self) -> str:
        """The number of what is asked for, not of what it refers to."""
        return self.out_bill_no or self.out_refund_no or self.out_trade_no


async def serve(wechat: Wechat, request: Request) -> Answer:
    """Answer one API call. Never raises for what a caller did."""
    try:
        route = _route(request)
        merchant = _authenticate(wechat, request)
    except Refusal as refusal:
        wechat.heard("refused", "", "", refusal.status, code=refusal.code)
        return _finish(wechat, Answer(refusal.status, refusal.body))
    number = _number(wechat, merchant, route, request)
    fault = wechat.faults.take(route.operation, number)
    if fault is not None and fault.kind in BEFORE_COMMIT:
        answer, code = await _break_before(fault), fault.code
    else:
        answer, code = _do(wechat, merchant, route, request)
        await wechat.journal.settled()
        if fault is not None and fault.kind == "notify_inside_create":
            await _pay_inside(wechat, merchant, number)
        answer = await _sign(wechat, merchant, request, answer, fault)
    status = 0 if answer.dropped else answer.status
    wechat.heard(route.operation, merchant.mchid, number, status, code=code, fault=fault)
    return _finish(wechat, answer)


def _route(request: Request) -> _Route:
    for operation, job, method, pattern in _ROUTES:
        found = pattern.fullmatch(request.path)
        if found is not None and request.method == method:
            return _Route(operation, cast(Job, job), unquote(found["name"]))
    raise Refusal("RESOURCE_NOT_EXISTS")


def _authenticate(wechat: Wechat, request: Request) -> Merchant:
    """The merchant who signed this request. Raises ``Refusal``."""
    accepts = request.headers.get("accept", "")
    if not request.headers.get("user-agent") or ("application/json" not in accepts and "*/*" not in accepts):
        raise Refusal("PARAM_ERROR", message="Http头缺少Accept或User-Agent")
    said = read_authorization(request.headers.get("authorization", ""))
    merchant = wechat.merchants.get(said.mchid)
    if merchant is None or said.serial != merchant.keys.merchant_serial:
        raise Refusal("SIGN_ERROR", message="商户证书序列号有误")
    if not said.timestamp.isascii() or not said.timestamp.isdigit() or len(said.timestamp) > 12:
        raise Refusal("SIGN_ERROR", message="Http头Authorization时间戳错误")
    if abs(wechat.clock.wire_s() - int(said.timestamp)) >= _WINDOW_S:
        raise Refusal("SIGN_ERROR", message="Http头Authorization时间戳与发送时间相差超过5分钟")
    key = merchant.keys.merchant_public
    if not request_is_genuine(key, said, method=request.method, target=request.target, body=request.body):
        raise Refusal("SIGN_ERROR")
    return merchant


def _number(wechat: Wechat, merchant: Merchant, route: _Route, request: Request) -> str:
    """The merchant's number (of an order, refund or transfer) that this call is about, for the record and for faults
    meant for one of them.
    """
    if route.job in ("create", "refund", "transfer"):
        try:
            return msgspec.json.decode(request.body, type=_JustNumber).own
        except (msgspec.DecodeError, UnicodeDecodeError):
            return ""
    if route.job == "by_transaction":
        order = wechat.orders.paid_as(route.name)
        return "" if order is None else order.out_trade_no
    if route.job == "transfer_by_bill":
        return wechat.transfers.number_of(merchant.mchid, route.name)
    return route.name


def _do(wechat: Wechat, merchant: Merchant, route: _Route, request: Request) -> tuple[Answer, str]:
    """Run the operation; the second value is the refusal's code, or empty."""
    try:
        return _operate(wechat, merchant, route, request), ""
    except Refusal as refusal:
        return Answer(refusal.status, refusal.body), refusal.code


def _operate(wechat: Wechat, merchant: Merchant, route: _Route, request: Request) -> Answer:
    match route.job:
        case "create":
            said: object = create.create(wechat, merchant, method=cast(Method, route.name), raw=request.body)
        case "by_number":
            said = query.by_number(wechat, merchant, out_trade_no=route.name, query=request.query)
        case "by_transaction":
            said = query.by_transaction(wechat, merchant, transaction_id=route.name, query=request.query)
        case "close":
            close.close(wechat, merchant, out_trade_no=route.name, raw=request.body)
            return Answer(204)
        case "refund":
            said = refund_calls.ask(wechat, merchant, raw=request.body)
        case "query_refund":
            said = refund_calls.query(wechat, merchant, out_refund_no=route.name)
        case "transfer":
            serial = request.headers.get("wechatpay-serial", "")
            said = transfer_calls.ask(wechat, merchant, raw=request.body, serial=serial)
        case "transfer_by_number":
            said = transfer_calls.by_number(wechat, merchant, out_bill_no=route.name)
        case "transfer_by_bill":
            said = transfer_calls.by_bill(wechat, merchant, transfer_bill_no=route.name)
        case "cancel_transfer":
            said = transfer_calls.cancel(wechat, merchant, out_bill_no=route.name)
        case "certificates":
            said = certificates.certificates(wechat, merchant)
    return Answer(200, msgspec.json.encode(said))


async def _break_before(fault: Fault) -> Answer:
    await asyncio.sleep(fault.delay_ms / 1000)
    if fault.kind == "drop_before_commit":
        return Answer(dropped=True)
    usual = "FREQUENCY_LIMITED" if fault.kind == "429" else "SYSTEM_ERROR"
    refusal = Refusal(fault.code or usual, status=fault.status)
    return Answer(refusal.status, refusal.body)


async def _pay_inside(wechat: Wechat, merchant: Merchant, number: str) -> None:
    """The user is faster than our reply: pay now and let the first notice be tried before the reply is written."""
    order = wechat.order(merchant.mchid, number)
    if order is not None and order.open:
        user.pay(wechat, order)
        await wechat.courier.drain()


async def _sign(wechat: Wechat, merchant: Merchant, request: Request, answer: Answer, fault: Fault | None) -> Answer:
    """Sign the answer, unless a fault spoils it."""
    if fault is None:
        return _signed(wechat, merchant, request, answer)
    await asyncio.sleep(fault.delay_ms / 1000)
    match fault.kind:
        case "commit_then_drop_reply":
            return Answer(dropped=True)
        case "5xx_after_commit":
            refusal = Refusal(fault.code or "SYSTEM_ERROR", status=fault.status or 500)
            return Answer(refusal.status, refusal.body)
        case "html_body":
            return Answer(fault.status or 502, b"<html><body><h1>502 Bad Gateway</h1></body></html>", HTML)
        case "empty_body":
            return Answer(fault.status or 200)
        case "garbage_body":
            return _signed(wechat, merchant, request, replace(answer, body=b'{"code_url": 17, "trade_state'))
        case "truncated_body":
            whole = _signed(wechat, merchant, request, answer)
            return replace(whole, cut_after=len(whole.body) // 2)
        case "bad_signature":
            other = _signed(wechat, merchant, request, replace(answer, body=answer.body + b" "))
            return replace(other, body=answer.body)
        case "stale_timestamp":
            return _signed(wechat, merchant, request, answer, seconds_ago=_STALE_S)
        case "unsigned":
            return answer
        case _:
            return _signed(wechat, merchant, request, answer)


def _signed(wechat: Wechat, merchant: Merchant, request: Request, answer: Answer, *, seconds_ago: int = 0) -> Answer:
    key_id, key = _reply_key(merchant, request.headers.get("wechatpay-serial", ""))
    seconds, nonce = wechat.clock.wire_s() - seconds_ago, wechat.ids.nonce()
    headers = (
        ("Wechatpay-Timestamp", str(seconds)),
        ("Wechatpay-Nonce", nonce),
        ("Wechatpay-Serial", key_id),
        ("Wechatpay-Signature", sign_reply(key, seconds=seconds, nonce=nonce, body=answer.body)),
        ("Wechatpay-Signature-Type", SCHEME),
    )
    return replace(answer, headers=headers)


def _reply_key(merchant: Merchant, asked: str) -> tuple[str, RSAPrivateKey]:
    """The caller's wish counts while both kinds of key are in use; certificates sign with the current one."""
    keys = merchant.keys
    if merchant.about.mode == "public_key" or (merchant.about.mode == "both" and asked == keys.public_key_id):
        return keys.public_key_id, keys.public_key
    return keys.signing.serial, keys.signing.key


def _finish(wechat: Wechat, answer: Answer) -> Answer:
    return replace(answer, headers=(*answer.headers, ("Request-ID", wechat.ids.nonce())))
