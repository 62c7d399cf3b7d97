"""The gateway: who asks, is it genuine, do it, sign the answer; faults come before and after.

    request -> parameters -> app, certificates, signature (40002) -> fault before? -> operation -> journal
            -> fault after? -> signed answer

Parameters may come in the query, in a form, or split between both, in UTF-8 or GBK. The node of an answer is signed
as bytes of the caller's charset; failures of the gateway are not signed.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl

import msgspec

from tael_sandbox.alipay import balance, bills, certificates, close, place, refund, show, transfer, user
from tael_sandbox.alipay.call import Call, Numbers
from tael_sandbox.alipay.merchants import Merchant
from tael_sandbox.alipay.refusals import Refusal
from tael_sandbox.alipay.signing import CHARSETS, envelope, node, request_is_genuine, sign_reply
from tael_sandbox.alipay.state import BEFORE_COMMIT, Alipay
from tael_sandbox.china_time import read_china_time
from tael_sandbox.faults import Fault
from tael_sandbox.web import HTML, Answer, Request

_TRANSFERS = {"dealing": "DEALING", "wait_pay": "WAIT_PAY", "fail": "FAIL"}
_SPELT = {"app_id": "app-id", "sign": "signature"}
_OPERATIONS: dict[str, Callable[[Call], object]] = {
    "trade.precreate": place.precreate,
    "trade.page.pay": place.page,
    "trade.wap.pay": place.page,
    "trade.app.pay": place.page,
    "trade.pay": lambda call: place.pay(call, typing=False),
    "trade.query": show.query,
    "trade.close": close.close,
    "trade.cancel": close.cancel,
    "trade.refund": refund.refund,
    "trade.fastpay.refund.query": refund.query,
    "fund.trans.uni.transfer": transfer.transfer,
    "fund.trans.common.query": transfer.query,
    "fund.account.query": balance.query,
    "data.dataservice.bill.downloadurl.query": bills.query,
    "open.app.alipaycert.download": certificates.download,
}


@dataclass(frozen=True, slots=True)
class _Reply:
    """The node before it is signed, and the code of a refusal."""

    said: object
    signed: bool = True
    sub_code: str = ""


async def serve(alipay: Alipay, request: Request) -> Answer:
    """Answer one gateway call. Never raises for what a caller did."""
    said, charset = _parameters(request)
    method = said.get("method", "").removeprefix("alipay.")
    try:
        call = _authenticate(alipay, request, said, charset)
    except Refusal as refusal:
        alipay.heard("refused", said.get("app_id", ""), "", 200, code=refusal.sub_code)
        return Answer(200, _unsigned(refusal.said, method if method in _OPERATIONS else "", charset))
    numbers = _numbers(call)
    fault = alipay.faults.take(method, *numbers)
    if fault is not None and fault.kind in BEFORE_COMMIT:
        answer, code = await _break_before(call, fault), fault.code
    else:
        reply = _do(call, fault)
        await alipay.journal.settled()
        if fault is not None and fault.kind == "notify_inside_create":
            await _pay_inside(call, numbers[0])
        answer, code = await _after(call, reply, fault), reply.sub_code
    status = 0 if answer.dropped else answer.status
    alipay.heard(method, call.merchant.app_id, numbers[0], status, code=code, fault=fault)
    return answer


def _parameters(request: Request) -> tuple[dict[str, str], str]:
    """Every parameter of query and form, and the charset they are written in."""
    form = request.body.decode("latin-1") if request.method == "POST" else ""
    raw = dict(parse_qsl(request.query, encoding="latin-1")) | dict(parse_qsl(form, encoding="latin-1"))
    charset = CHARSETS.get(raw.get("charset", "utf-8").lower(), "utf-8")
    both = (request.query, form)
    return {name: value for text in both for name, value in parse_qsl(text, encoding=charset)}, charset


def _authenticate(alipay: Alipay, request: Request, said: Mapping[str, str], charset: str) -> Call:
    """The call of the merchant who signed it. Raises ``Refusal`` of the gateway."""
    if request.path != "/gateway.do" or request.method not in ("GET", "POST"):
        raise Refusal("isv.invalid-method", code="40002")
    for name, sub_code in (
        ("app_id", "app-id"),
        ("method", "method"),
        ("sign", "signature"),
        ("timestamp", "timestamp"),
    ):
        if not said.get(name):
            raise Refusal(f"isv.missing-{sub_code}", code="40001")
    merchant = alipay.merchants.get(said["app_id"])
    if merchant is None:
        raise Refusal("isv.invalid-app-id", code="40002")
    _check_common(said)
    _check_certificates(merchant, said)
    if not request_is_genuine(merchant.keys.app_public, said, charset=charset):
        raise Refusal("isv.invalid-signature", code="40002")
    return Call(
        alipay=alipay,
        merchant=merchant,
        method=said["method"].removeprefix("alipay."),
        charset=charset,
        content=said.get("biz_content", "{}"),
        notify_url=said.get("notify_url", ""),
        return_url=said.get("return_url", ""),
    )


def _check_common(said: Mapping[str, str]) -> None:
    right = {
        "method": said["method"].removeprefix("alipay.") in _OPERATIONS and said["method"].startswith("alipay."),
        "signature-type": said.get("sign_type") == "RSA2",
        "charset": said.get("charset", "utf-8").lower() in CHARSETS,
        "format": said.get("format", "JSON").lower() == "json",
        "version": said.get("version") == "1.0",
        "timestamp": read_china_time(said["timestamp"]) is not None,
    }
    for name, good in right.items():
        if not good:
            raise Refusal(f"isv.invalid-{name}", code="40002")


def _check_certificates(merchant: Merchant, said: Mapping[str, str]) -> None:
    """In certificate mode the app names its certificate and the root; in public-key mode nobody asks."""
    if merchant.about.mode == "public_key":
        return
    for name, right in (("app_cert_sn", merchant.keys.app_sn), ("alipay_root_cert_sn", merchant.keys.root_sn)):
        word = name.replace("_", "-")
        if not said.get(name):
            raise Refusal(f"isv.missing-{word}", code="40001")
        if said[name] != right:
            raise Refusal(f"isv.invalid-{word}", code="40002")


def _numbers(call: Call) -> tuple[str, ...]:
    """What the call is about; the first is the merchant's main number."""
    try:
        said = msgspec.json.decode(call.content.encode(), type=Numbers)
    except msgspec.DecodeError:
        return ("",)
    main = said.out_trade_no or said.out_biz_no
    if not main and (named := call.alipay.trades.named(said.trade_no)) is not None:
        main = named.out_trade_no
    return (main, said.trade_no, said.out_request_no, said.order_id)


def _do(call: Call, fault: Fault | None) -> _Reply:
    try:
        if fault is not None and fault.kind == "retry":
            raise Refusal("ACQ.SYSTEM_ERROR", code="20000", retry_flag="Y")
        if fault is not None and fault.kind == "user_paying":
            return _Reply(place.pay(call, typing=True))
        status = _TRANSFERS.get(fault.kind) if fault is not None else None
        if status == "DEALING" or status == "WAIT_PAY" or status == "FAIL":
            return _Reply(transfer.transfer(call, status=status))
        return _Reply(_OPERATIONS[call.method](call))
    except Refusal as refusal:
        return _Reply(refusal.said, refusal.signed, refusal.sub_code)


async def _break_before(call: Call, fault: Fault) -> Answer:
    await asyncio.sleep(fault.delay_ms / 1000)
    match fault.kind:
        case "drop_before_commit":
            return Answer(dropped=True)
        case "5xx_before_commit":
            return Answer(fault.status or 502, b"<html><body><h1>502 Bad Gateway</h1></body></html>", HTML)
        case "40005":
            refusal = Refusal(fault.code or "isv.app-call-limited", code="40005")
        case "gateway_error":
            refusal = Refusal(fault.code or "isv.invalid-signature", code=str(fault.status or 40002))
        case "20000_before_commit":
            refusal = _unknown(fault)
        case _:
            refusal = Refusal(fault.code or "ACQ.INVALID_PARAMETER", code=str(fault.status or 40004))
    return _answer(call, _Reply(refusal.said, refusal.signed, refusal.sub_code))


async def _pay_inside(call: Call, number: str) -> None:
    """The buyer is faster than our reply: pay now and let the first notice be tried before the reply is written."""
    trade = call.alipay.trade(call.merchant.app_id, number)
    if trade is not None and trade.payable:
        user.pay(call.alipay, trade)
    await call.alipay.courier.drain()


async def _after(call: Call, reply: _Reply, fault: Fault | None) -> Answer:
    """Sign the reply, unless a fault spoils it."""
    if isinstance(reply.said, str):
        return Answer(302, headers=(("Location", call.alipay.base_url + reply.said),))
    if fault is None:
        return _answer(call, reply)
    await asyncio.sleep(fault.delay_ms / 1000)
    whole = _answer(call, reply)
    match fault.kind:
        case "commit_then_drop_reply":
            return Answer(dropped=True)
        case "5xx_after_commit":
            return Answer(fault.status or 500, b"<html><body><h1>500</h1></body></html>", HTML)
        case "html_body":
            return Answer(fault.status or 200, b"<html><body><h1>502 Bad Gateway</h1></body></html>", HTML)
        case "empty_body":
            return Answer(fault.status or 200)
        case "garbage_body":
            return Answer(200, b'{"alipay_trade_response":{"code":10000,"sig')
        case "truncated_body":
            return Answer(200, whole.body, cut_after=len(whole.body) // 2)
        case "20000_after_commit":
            refusal = _unknown(fault)
            return _answer(call, _Reply(refusal.said, refusal.signed, refusal.sub_code))
        case _:
            return Answer(200, _spoilt(call, reply, fault.kind))


def _unknown(fault: Fault) -> Refusal:
    """``code`` names the sub_code; ``ACQ.SYSTEM_ERROR`` and the like are unknown outcomes with code 40004."""
    sub_code = fault.code or "aop.unknow-error"
    return Refusal(sub_code, code="40004" if "SYSTEM_ERROR" in sub_code else "20000")


def _answer(call: Call, reply: _Reply) -> Answer:
    if not reply.signed:
        return Answer(200, _unsigned(reply.said, call.method, call.charset))
    said = node(reply.said, charset=call.charset)
    return _signed(call, said, sign=sign_reply(call.merchant.keys.signing.key, said))


def _spoilt(call: Call, reply: _Reply, kind: str) -> bytes:
    """The right content in a wrong envelope, or the other way round."""
    said, key = node(reply.said, charset=call.charset), call.merchant.keys.signing.key
    match kind:
        case "bad_signature":
            return _signed(call, said, sign=sign_reply(key, said + b" ")).body
        case "unsigned":
            return _unsigned(reply.said, call.method, call.charset)
        case "unknown_cert_sn":
            name = _node_name(call.method)
            return envelope(name, said, sign=sign_reply(key, said), certificate_sn="0" * 32)
        case "forged_copy":
            name = _node_name(call.method)
            forged = said.replace(b'"10000"', b'"10000","forged":"Y"', 1)
            genuine = envelope(name, said, sign=sign_reply(key, said))
            return b'%s,"%s":%s}' % (genuine[:-1], name.encode(), forged)
        case _:
            return _signed(call, said, sign=sign_reply(key, said)).body


def _signed(call: Call, said: bytes, *, sign: str) -> Answer:
    by_certificate = call.merchant.about.mode == "certificate"
    sn = call.merchant.keys.signing.sn if by_certificate else ""
    return Answer(200, envelope(_node_name(call.method), said, sign=sign, certificate_sn=sn))


def _unsigned(said: object, method: str, charset: str) -> bytes:
    return envelope(_node_name(method) if method else "error_response", node(said, charset=charset), sign=None)


def _node_name(method: str) -> str:
    return f"alipay_{method.replace('.', '_')}_response"
