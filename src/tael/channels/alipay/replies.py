"""From a reply to a verdict: cut the node out, check its signature over the raw bytes, only then read it.

signed, code 10000, readable             -> SUCCEEDED with the value read from it
signed, code 40004, sub_code is final    -> DECLINED
anything else                            -> UNKNOWN; the error still says what Alipay claimed

HTTP is 200 whatever happened. The gateway's own failures (40001, 40002, 40005 ..) are not signed: they may explain an
UNKNOWN, they never decide anything.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

import msgspec

from tael.channels.alipay.codes import rule_for
from tael.channels.alipay.envelope import members, text
from tael.channels.alipay.keys import Keyring, keys_of
from tael.channels.alipay.signing import Flaw, flaw_of
from tael.channels.alipay.writing import read_json
from tael.channels.contract import ChannelError, ErrorKind, MerchantAccount, Operation, Outcome, Result, Retry
from tael.channels.evidence import evidence
from tael.channels.exchange import HttpRequest, HttpResponse, RawExchange
from tael.channels.reading import Unreadable, read_message
from tael.channels.verdicts import unknown, unknown_by_status

T = TypeVar("T")

_DONE, _REFUSED = "10000", "40004"
_GATEWAYS_OWN = re.compile(r"4000[12356]|20001")


class Undecided(Exception):
    """The reply is genuine and readable and still does not tell what was asked; says why, as a code."""


class _Said(msgspec.Struct):
    code: str
    msg: str = ""
    sub_code: str = ""
    sub_msg: str = ""


@dataclass(frozen=True, slots=True)
class _Node:
    """The node of a reply as it stands there, what it says at least, and what is wrong with its signature."""

    content: bytes
    said: _Said
    flaw: Flaw | None
    certificate: str | None


_said = msgspec.json.Decoder(_Said)


def judge(
    account: MerchantAccount,
    operation: Operation,
    method: str,
    request: HttpRequest,
    response: HttpResponse,
    *,
    now: datetime,
    read: Callable[[bytes], T],
) -> Result[T]:
    """Judge the reply to a call of `method`; `read` gets the verified node, may raise `Unreadable` or `Undecided`."""
    return judge_with(keys_of(account).keyring, operation, method, request, response, now=now, read=read)


def judge_with(
    keyring: Keyring,
    operation: Operation,
    method: str,
    request: HttpRequest,
    response: HttpResponse,
    *,
    now: datetime,
    read: Callable[[bytes], T],
) -> Result[T]:
    """`judge` with other keys than the account's."""
    raw = evidence(request, response, elapsed_ms=response.elapsed_ms)
    if response.status != 200:
        return unknown_by_status(response, raw)
    try:
        node = _open(response.body, method, keyring, now=now)
        if node.flaw is None and node.said.code == _DONE:
            return Result(Outcome.SUCCEEDED, read(node.content), None, raw)
    except Unreadable:
        return unknown(ErrorKind.UNKNOWN, "unreadable_reply", response, raw)
    except Undecided as problem:
        return unknown(ErrorKind.UNKNOWN, str(problem), response, raw)
    if node.flaw is Flaw.UNKNOWN_KEY:
        keyring.missed = node.certificate
    unsigned = node.flaw is Flaw.UNSIGNED and _GATEWAYS_OWN.fullmatch(node.said.code)
    if node.flaw is not None and not unsigned:
        return unknown(ErrorKind.BAD_SIGNATURE, node.flaw.value, response, raw)
    return _refused(operation, node, response, raw)


def by_unknown_key(result: Result[T]) -> bool:
    """Whether the reply was signed with a certificate that we do not hold (yet)."""
    return result.error is not None and result.error.code == Flaw.UNKNOWN_KEY.value


def _open(body: bytes, method: str, keyring: Keyring, *, now: datetime) -> _Node:
    """Cut the node out of a reply and check its signature. Raises `Unreadable`."""
    found = members(body)
    name = f"{method.replace('.', '_')}_response"
    content = found.get(name)
    if content is None:
        # "error_response" is the gateway's, about a call that it did not understand. Its signature would prove nothing
        # about what we asked.
        return _Node(b"", read_json(_said, found.get("error_response", b"")), Flaw.UNSIGNED, None)
    signature, sn = found.get("sign"), found.get("alipay_cert_sn")
    certificate = text(sn) if sn is not None else None
    if certificate is not None and not re.fullmatch(r"[0-9a-fA-F]{1,64}", certificate):
        raise Unreadable("certificate")
    said = read_json(_said, content)
    if signature is None:
        return _Node(content, said, Flaw.UNSIGNED, certificate)
    key = keyring.find(certificate, now=now)
    return _Node(content, said, flaw_of(content, text(signature), [key] if key else []), certificate)


def _refused(operation: Operation, node: _Node, response: HttpResponse, raw: RawExchange) -> Result[T]:
    """What a refusal means; final only if the business said it, signed."""
    said = node.said
    word = said.sub_code or said.code
    rule = rule_for(said.sub_code, said.code, operation)
    final = operation in rule.final and node.flaw is None and said.code == _REFUSED
    safe = final or rule.retry is Retry.SAME_REQUEST
    error = ChannelError(
        kind=rule.kind,
        code=word if re.fullmatch(r"[0-9A-Za-z_.\-]{1,64}", word) else "unreadable_code",
        message=read_message(said.sub_msg or said.msg),
        http=response.status,
        retry=rule.retry if safe else Retry.QUERY_FIRST,
        after_s=rule.after_s,
    )
    return Result(Outcome.DECLINED if final else Outcome.UNKNOWN, None, error, raw)
