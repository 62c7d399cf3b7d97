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
from tael.channels.reading import Unreadable, read_message
from tael.channels.verdicts import unknown, unknown_by_status
from tael.channels.wechat.codes import rule_for
from tael.channels.wechat.keys import Keyring, keys_of
from tael.channels.wechat.signing import Flaw, examine

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
        return unknown(ErrorKind.BAD_SIGNATURE, flaw.value, response, raw)
    if response.status != expected:
        return unknown(ErrorKind.UNKNOWN, "unexpected_status", response, raw)
    try:
        return Result(Outcome.SUCCEEDED, read(response.body), None, raw)
    except Unreadable:
        return unknown(ErrorKind.UNKNOWN, "unreadable_reply", response, raw)


def by_unknown_key(result: Result[T]) -> bool:
    """Whether the reply was signed with a platform key that we do not hold (yet)."""
    return result.error is not None and result.error.code == Flaw.UNKNOWN_KEY.value


def _refused(operation: Operation, response: HttpResponse, flaw: Flaw | None, raw: RawExchange) -> Result[T]:
    """A refusal counts only when it is signed and from the application, not from something on the way."""
    if flaw not in (None, Flaw.UNSIGNED):
        return unknown(ErrorKind.BAD_SIGNATURE, flaw.value, response, raw)
    problem = _read_problem(response.body)
    if problem is None:
        return unknown_by_status(response, raw)
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
    problem.message = read_message(problem.message)
    return problem
