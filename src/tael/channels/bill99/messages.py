"""The two envelopes around a sealed message: one for a payout, one for a question. Pure.

    <pay2bankRequest>                                       <pay2bankResponse>
      <pay2bankHead> version, memberCode                      <pay2bankHead> version, memberCode
      <requestBody>                                           <responseBody> errorCode, errorMsg
        <sealDataType> signedData, encryptedData, ...           <sealDataType> ...

A question is the same with the names of `QUERY`. A reply is believed in this order: status 200, readable, meant for us,
no error code, seal and signature good, content readable. What fails on the way is UNKNOWN, whatever the reply says.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from tael.channels.bill99 import documents
from tael.channels.bill99.codes import rule_for
from tael.channels.bill99.documents import Element
from tael.channels.bill99.keys import keys_of
from tael.channels.bill99.sealing import BadSeal, Sealed, seal, unseal
from tael.channels.contract import ChannelError, ErrorKind, MerchantAccount, Operation, Outcome, Result
from tael.channels.evidence import evidence
from tael.channels.exchange import HttpRequest, HttpResponse, RawExchange
from tael.channels.reading import Unreadable, read_message
from tael.channels.verdicts import unknown, unknown_by_status

T = TypeVar("T")
VERSION = "1.0"
ACCEPTED = "0000"
_HEADERS = (("Accept", "text/xml"), ("User-Agent", "tael"), ("Content-Type", "text/xml; charset=utf-8"))


@dataclass(frozen=True, slots=True)
class Envelope:
    """Where a kind of message goes and what its elements are called."""

    operation: Operation
    target: str
    request: str
    head: str
    request_body: str
    response: str
    response_body: str


PAY = Envelope(
    Operation.PAYOUT, "/fo-pay/pay2bank/pay",
    "pay2bankRequest", "pay2bankHead", "requestBody", "pay2bankResponse", "responseBody",
)  # fmt: skip
QUERY = Envelope(
    Operation.QUERY_PAYOUT, "/fo-pay-query/pay2bank/query",
    "pay2bankSearchRequest", "pay2bankSearchHead", "searchRequestBody",
    "pay2bankSearchResponse", "searchResponseBody",
)  # fmt: skip


def build(account: MerchantAccount, envelope: Envelope, plaintext: bytes, *, data_key: bytes) -> HttpRequest:
    """`plaintext` sealed for 99bill, in its envelope."""
    keys = keys_of(account)
    sealed = seal(plaintext, data_key=data_key, signer=keys.member, receiver=keys.bill99)
    parts = [
        ("originalData", ""), ("signedData", sealed.signed_data),
        ("encryptedData", sealed.encrypted_data), ("digitalEnvelope", sealed.digital_envelope),
    ]  # fmt: skip
    head = [("version", VERSION), ("memberCode", account.mchid)]
    body = documents.write(
        envelope.request, [(envelope.head, head), (envelope.request_body, [("sealDataType", parts)])]
    )
    return HttpRequest("POST", envelope.target, _HEADERS, body)


def judge(
    account: MerchantAccount,
    envelope: Envelope,
    sent: HttpRequest,
    response: HttpResponse,
    *,
    read: Callable[[bytes], T],
) -> Result[T]:
    """Judge one reply. `read` gets the plaintext that 99bill signed for us and may raise `Unreadable`."""
    raw = evidence(sent, response, elapsed_ms=response.elapsed_ms)
    if response.status != 200:
        return unknown_by_status(response, raw)
    try:
        reply = documents.read(response.body, envelope.response)
        member, body = reply.child(envelope.head).said("memberCode"), reply.child(envelope.response_body)
        code, message = body.child("errorCode").text, body.said("errorMsg")
        if member != account.mchid:
            return unknown(ErrorKind.UNKNOWN, "another_member", response, raw)
        if code != ACCEPTED:
            return _refused(envelope.operation, code, message, response, raw)
        return Result(Outcome.SUCCEEDED, read(_opened(account, body)), None, raw)
    except Unreadable:
        return unknown(ErrorKind.UNKNOWN, "unreadable_reply", response, raw)
    except BadSeal:
        return unknown(ErrorKind.BAD_SIGNATURE, "bad_seal", response, raw)


def _opened(account: MerchantAccount, body: Element) -> bytes:
    keys, parts = keys_of(account), body.child("sealDataType")
    sealed = Sealed(
        signed_data=parts.child("signedData").text,
        encrypted_data=parts.child("encryptedData").text,
        digital_envelope=parts.child("digitalEnvelope").text,
    )
    return unseal(sealed, receiver=keys.member, signer=keys.bill99)


def _refused(operation: Operation, code: str, message: str, response: HttpResponse, raw: RawExchange) -> Result[T]:
    """Never final: nobody has signed this."""
    if not re.fullmatch(r"[0-9A-Za-z_.]{1,64}", code):
        return unknown(ErrorKind.UNKNOWN, "unreadable_reply", response, raw)
    rule = rule_for(code, operation)
    error = ChannelError(
        kind=rule.kind, code=code, message=read_message(message), http=response.status, retry=rule.retry
    )
    return Result(Outcome.UNKNOWN, None, error, raw)
