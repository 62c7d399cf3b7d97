"""From a reply to a verdict: signature first, over the raw bytes; then status; then content.

signed 2xx as documented           -> SUCCEEDED with the value read from it
signed refusal, listed as final    -> DECLINED
anything else                      -> UNKNOWN; the error still says what the channel claimed
"""

import re
from collections.abc import Callable
from datetime import datetime
from typing import TypeVar

import msgspec

from tael.channels.contract import ChannelError, ErrorKind, MerchantAccount, Operation, Outcome, Result, Retry
from tael.channels.evidence import evidence
from tael.channels.exchange import HttpRequest, HttpResponse, RawExchange
from tael.channels.wechat.codes import rule_for
from tael.channels.wechat.keys import Keyring, keys_of
from tael.channels.wechat.signing import Flaw, examine
from tael.channels.wechat.transactions import Unreadable

T = TypeVar("T")


class _Problem(msgspec.Struct):
    code: str = ""
    message: str = ""


_problems = msgspec.json.Decoder(_Problem)


def judge(
    account: MerchantAccount,
    operation: Operation,
    request: HttpRequest,
    response: HttpResponse,
    *,
    expected: int,
    now: datetime,
    read: Callable[[bytes], T],
) -> Result[T]:
    """Judge one reply. `expected` is the documented status of success; `read` may raise `Unreadable`."""
    keyring = keys_of(account).keyring
    return judge_with(keyring, operation, request, response, expected=expected, now=now, read=read)


def judge_with(
    keyring: Keyring,
    operation: Operation,
    request: HttpRequest,
    response: HttpResponse,
    *,
    expected: int,
    now: datetime,
    read: Callable[[bytes], T],
) -> Result[T]:
    """`judge` with other keys than the account's."""
    raw = evidence(request, response, elapsed_ms=response.elapsed_ms)
    flaw = examine(response.headers, response.body, keyring, now=now)
    if not 200 <= response.status < 300:
        return _refused(operation, response, flaw, raw)
    if flaw is not None:
        return _unknown(ErrorKind.BAD_SIGNATURE, flaw.value, response, raw)
    if response.status != expected:
        return _unknown(ErrorKind.UNKNOWN, "unexpected_status", response, raw)
    try:
        return Result(Outcome.SUCCEEDED, read(response.body), None, raw)
    except Unreadable:
        return _unknown(ErrorKind.UNKNOWN, "unreadable_reply", response, raw)


def absence_is_an_answer(answer: Result[T], absent: T) -> Result[T]:
    """To a question, "there is no such thing" is an answer: it succeeds with `absent` and keeps the error."""
    if answer.outcome is not Outcome.DECLINED or answer.error is None or answer.error.kind is not ErrorKind.NOT_FOUND:
        return answer
    return Result(Outcome.SUCCEEDED, absent, answer.error, answer.raw)


def by_unknown_key(result: Result[T]) -> bool:
    """Whether the reply was signed with a platform key that we do not hold (yet)."""
    return result.error is not None and result.error.code == Flaw.UNKNOWN_KEY.value


def _refused(operation: Operation, response: HttpResponse, flaw: Flaw | None, raw: RawExchange) -> Result[T]:
    """A refusal counts only when it is signed and from the application, not from something on the way."""
    if flaw not in (None, Flaw.UNSIGNED):
        return _unknown(ErrorKind.BAD_SIGNATURE, flaw.value, response, raw)
    problem = _read_problem(response.body)
    if problem is None:
        kind = ErrorKind.UNAVAILABLE if response.status >= 500 else ErrorKind.UNKNOWN
        return _unknown(kind, f"http_{response.status}", response, raw)
    rule = rule_for(problem.code, operation)
    final = operation in rule.final and flaw is None and response.status < 500
    safe = final or rule.retry is Retry.SAME_REQUEST
    error = ChannelError(
        kind=rule.kind, code=problem.code, message=problem.message, http=response.status,
        retry=rule.retry if safe else Retry.QUERY_FIRST, after_s=rule.after_s,
    )  # fmt: skip
    return Result(Outcome.DECLINED if final else Outcome.UNKNOWN, None, error, raw)


def _read_problem(body: bytes) -> _Problem | None:
    try:
        problem = _problems.decode(body)
    except (ValueError, RecursionError):
        return None
    if not re.fullmatch(r"[0-9A-Za-z_.]{1,64}", problem.code):
        return None
    problem.message = "".join(char for char in problem.message if char.isprintable())[:256]
    return problem


def _unknown(kind: ErrorKind, code: str, response: HttpResponse, raw: RawExchange) -> Result[T]:
    error = ChannelError(kind=kind, code=code, message="", http=response.status, retry=Retry.QUERY_FIRST)
    return Result(Outcome.UNKNOWN, None, error, raw)
