"""Verdicts on replies that are the same whatever the channel. Pure.

a status that is no answer, or a reply that cannot be believed or read  -> UNKNOWN: query first
"there is no such thing", verified, to a question                        -> SUCCEEDED: it is an answer
"""

import re
from typing import TypeVar

from tael.channels.contract import ChannelError, ErrorKind, Outcome, Result, Retry
from tael.channels.exchange import HttpResponse, RawExchange

T = TypeVar("T")


def unknown(kind: ErrorKind, code: str, response: HttpResponse, raw: RawExchange) -> Result[T]:
    """We cannot tell what became of it; `code` is our word for why."""
    error = ChannelError(kind=kind, code=code, message="", http=response.status, retry=Retry.QUERY_FIRST)
    return Result(Outcome.UNKNOWN, None, error, raw)


def unknown_by_status(response: HttpResponse, raw: RawExchange) -> Result[T]:
    """Only the status says anything: the channel is out of order, or something on the way has answered."""
    kind = ErrorKind.UNAVAILABLE if response.status >= 500 else ErrorKind.UNKNOWN
    return unknown(kind, f"http_{response.status}", response, raw)


def absence_is_an_answer(answer: Result[T], absent: T) -> Result[T]:
    """To a question, "there is no such thing" is an answer: it succeeds with `absent` and keeps the error."""
    if answer.outcome is not Outcome.DECLINED or answer.error is None or answer.error.kind is not ErrorKind.NOT_FOUND:
        return answer
    return Result(Outcome.SUCCEEDED, absent, answer.error, answer.raw)


def payout_ended(word: str, *, kind: ErrorKind, retry: Retry) -> ChannelError:
    """Why a payout failed or came back, in the channel's `word`, which means `kind` and `retry`."""
    code = word if re.fullmatch(r"[0-9A-Za-z_.]{1,64}", word) else "unreadable_reason"
    return ChannelError(kind=kind, code=code, message="", http=None, retry=retry)
