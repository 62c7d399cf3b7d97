"""The two calls of a member's server: who asks, is the seal good, do it, seal the answer; faults before and after.

request -> envelope -> member (0001) -> seal (0004) -> fault before? -> pay | query -> journal -> fault after?
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from msgspec.structs import replace

from tael_sandbox.bill99 import pay
from tael_sandbox.bill99.markup import Inside, Node, NotReadable, write
from tael_sandbox.bill99.merchants import Merchant
from tael_sandbox.bill99.pay import Refusal
from tael_sandbox.bill99.sealing import Broken, Seal, put, take
from tael_sandbox.bill99.state import BEFORE_COMMIT, Bill99
from tael_sandbox.faults import Fault
from tael_sandbox.web import HTML, Answer, Request

XML = "text/xml; charset=UTF-8"
_HTML = b"<html><body><h1>502 Bad Gateway</h1></body></html>"


@dataclass(frozen=True, slots=True)
class _Call:
    """What one path does and what the elements of its envelope are called."""

    operation: str
    request: str
    head: str
    request_body: str
    response: str
    response_body: str
    do: Callable[[Bill99, Merchant, bytes], bytes]


_CALLS = {
    "/fo-pay/pay2bank/pay": _Call(
        "pay", "pay2bankRequest", "pay2bankHead", "requestBody", "pay2bankResponse", "responseBody", pay.pay
    ),
    "/fo-pay-query/pay2bank/query": _Call(
        "query", "pay2bankSearchRequest", "pay2bankSearchHead", "searchRequestBody",
        "pay2bankSearchResponse", "searchResponseBody", pay.query,
    ),
}  # fmt: skip


async def serve(bill99: Bill99, request: Request) -> Answer:
    """Answer one call. Never raises for what a caller did."""
    call = _CALLS.get(request.path)
    if call is None or request.method != "POST":
        return Answer(404 if call is None else 405, _HTML, HTML)
    member_code = ""
    try:
        envelope = Node.read(request.body, call.request)
        member_code = envelope.part(call.head).text("memberCode")
        merchant, text = _opened(bill99, envelope, call, member_code)
        number = _number(text)
    except (Refusal, NotReadable) as problem:
        refusal = problem if isinstance(problem, Refusal) else Refusal("0002")
        bill99.heard("refused", member_code, "", 200, code=refusal.code)
        return _refused(call, member_code, refusal)
    fault = bill99.faults.take(call.operation, number)
    code = ""
    if fault is not None and fault.kind in BEFORE_COMMIT:
        await asyncio.sleep(fault.delay_ms / 1000)
        answer, code = _before(call, member_code, fault), fault.code
    else:
        try:
            said: bytes | Refusal = call.do(bill99, merchant, text)
        except (Refusal, NotReadable) as problem:
            said = problem if isinstance(problem, Refusal) else Refusal("0002")
            code = said.code
        await bill99.journal.settled()
        answer = await _after(bill99, call, merchant, said, fault)
    status = 0 if answer.dropped else answer.status
    bill99.heard(f"bill99.{call.operation}", member_code, number, status, code=code, fault=fault)
    return answer


def _opened(bill99: Bill99, envelope: Node, call: _Call, member_code: str) -> tuple[Merchant, bytes]:
    """The member who sealed the request, and the text. Raises ``Refusal``, ``NotReadable``."""
    if envelope.part(call.head).text("version") != "1.0":
        raise Refusal("0002")
    merchant = bill99.merchants.get(member_code)
    if merchant is None:
        raise Refusal("0001")
    parts = envelope.part(call.request_body).part("sealDataType")
    seal = Seal(parts.text("signedData"), parts.text("encryptedData"), parts.text("digitalEnvelope"))
    try:
        return merchant, take(seal, sender=merchant.member_key.public_key(), reader=merchant.bill99_key)
    except Broken as error:
        raise Refusal("0004") from error


def _number(text: bytes) -> str:
    """The order that the text is about, whichever call it is."""
    for root in ("pay2bankOrder", "pay2bankSearchRequestParam"):
        try:
            return Node.read(text, root).text("orderId", "")
        except NotReadable:
            continue
    return ""


def _before(call: _Call, member_code: str, fault: Fault) -> Answer:
    match fault.kind:
        case "drop_before_commit":
            return Answer(dropped=True)
        case "5xx_before_commit":
            return Answer(fault.status or 502, _HTML, HTML)
        case _:
            return _refused(call, member_code, Refusal(fault.code or "9999"))


async def _after(bill99: Bill99, call: _Call, merchant: Merchant, said: bytes | Refusal, fault: Fault | None) -> Answer:
    """Seal the reply, unless a fault spoils it."""
    if fault is None:
        return _answer(bill99, call, merchant, said)
    await asyncio.sleep(fault.delay_ms / 1000)
    match fault.kind:
        case "commit_then_drop_reply":
            return Answer(dropped=True)
        case "5xx_after_commit":
            return Answer(fault.status or 500, _HTML, HTML)
        case "html_body":
            return Answer(fault.status or 200, _HTML, HTML)
        case "empty_body":
            return Answer(fault.status or 200)
        case "garbage_body":
            return Answer(200, b'<?xml version="1.0"?><pay2bankResponse><responseBody><errorCo', XML)
        case "error_after_commit":
            return _refused(call, merchant.member_code, Refusal(fault.code or "9999"))
        case "truncated_body":
            whole = _answer(bill99, call, merchant, said)
            return Answer(200, whole.body, XML, cut_after=len(whole.body) // 2)
        case "doctype":
            body = _answer(bill99, call, merchant, said).body
            return Answer(200, body.replace(b"?>", b'?><!DOCTYPE x [<!ENTITY e "0000">]>', 1), XML)
        case _:
            return Answer(200, _spoilt(bill99, call, merchant, said, fault), XML)


def _spoilt(bill99: Bill99, call: _Call, merchant: Merchant, said: bytes | Refusal, fault: Fault) -> bytes:
    """The right content under a wrong seal, or the other way round."""
    if isinstance(said, Refusal):
        return _refused(call, merchant.member_code, said).body
    member_code, text = merchant.member_code, said
    if fault.kind == "other_order":
        name = fault.other_out_trade_no or "ANOTHERORDER"
        text = said.replace(f"<orderId>{_any_number(said)}<".encode(), f"<orderId>{name}<".encode())
    elif fault.kind == "other_member":
        member_code = "1" + member_code
    seal = _seal(bill99, merchant, text)
    match fault.kind:
        case "bad_signature":
            seal = replace(seal, signed=_seal(bill99, merchant, text + b" ").signed)
        case "bad_seal":
            seal = replace(seal, envelope=_seal(bill99, merchant, text).envelope)
        case "unsigned":
            seal = replace(seal, signed="")
        case "unsealed":
            seal = Seal("", "", "")
        case _:
            pass
    return _envelope(call, member_code, "0000", "", seal)


def _any_number(text: bytes) -> str:
    start = text.index(b"<orderId>") + len(b"<orderId>")
    return text[start : text.index(b"<", start)].decode()


def _answer(bill99: Bill99, call: _Call, merchant: Merchant, said: bytes | Refusal) -> Answer:
    if isinstance(said, Refusal):
        return _refused(call, merchant.member_code, said)
    return Answer(200, _envelope(call, merchant.member_code, "0000", "", _seal(bill99, merchant, said)), XML)


def _refused(call: _Call, member_code: str, refusal: Refusal) -> Answer:
    return Answer(200, _envelope(call, member_code, refusal.code, refusal.message, Seal("", "", "")), XML)


def _seal(bill99: Bill99, merchant: Merchant, text: bytes) -> Seal:
    data_key = bill99.ids.nonce(16).encode()
    return put(text, data_key=data_key, sender=merchant.bill99_key, reader=merchant.member_key.public_key())


def _envelope(call: _Call, member_code: str, code: str, message: str, seal: Seal) -> bytes:
    parts: list[tuple[str, Inside]] = [
        ("originalData", ""), ("signedData", seal.signed), ("encryptedData", seal.encrypted),
        ("digitalEnvelope", seal.envelope),
    ]  # fmt: skip
    head: list[tuple[str, Inside]] = [("version", "1.0"), ("memberCode", member_code)]
    body: list[tuple[str, Inside]] = [("errorCode", code), ("errorMsg", message), ("sealDataType", parts)]
    return write(call.response, [(call.head, head), (call.response_body, body)])
