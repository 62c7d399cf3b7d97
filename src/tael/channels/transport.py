"""The only way out to a channel: allowed address -> pace -> send once -> read the reply -> measure and log.

A connector hands over a built request and a function that reads the reply; a network failure becomes a `Result` here,
so no connector can mistake "we do not know" for "no". Nothing is ever sent twice.
"""

import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

import structlog
from prometheus_client import Histogram

from tael.base.errors import TaelError
from tael.base.wire import NothingSent, Wire, WireError, address
from tael.channels.contract import (
    ChannelError,
    ConnectorSpec,
    ErrorKind,
    MerchantAccount,
    Mode,
    Operation,
    Outcome,
    Result,
    Retry,
)
from tael.channels.evidence import evidence
from tael.channels.exchange import HttpRequest, HttpResponse
from tael.channels.pace import LocalPace, Pace, Refusal

T = TypeVar("T")

CALL_SECONDS = Histogram(
    "tael_channel_call_seconds",
    "Time of one call to a payment channel, by how it ended",
    ["channel", "operation", "outcome"],
    buckets=[ms / 1000 for ms in (2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 12000)],
)
_log = structlog.get_logger("tael.channels")


class AddressNotAllowed(TaelError):
    """A live merchant account calls only the channel's own addresses; another address needs a test account.
    zh: 生产商户号只能访问渠道官方地址，其他地址仅限测试商户号。
    """

    status = 422


class Transport:
    """The outgoing calls of one process (one event loop). Close it with `close`."""

    def __init__(self, wire: Wire | None = None, pace: Pace | None = None) -> None:
        """`pace`: who may call when; by default the limits are kept for this process alone."""
        self._wire, self._pace = wire or Wire(), pace or LocalPace()

    async def call(
        self,
        account: MerchantAccount,
        spec: ConnectorSpec,
        operation: Operation,
        request: HttpRequest,
        read: Callable[[HttpResponse], Awaitable[Result[T]]],
    ) -> Result[T]:
        """Send `request` once to the account's address and let `read` judge the reply."""
        check_address(account.base_url, mode=account.mode, spec=spec)
        rate = account.qps.get(operation) or spec.qps[operation]
        refusal = await self._pace.enter(account, operation, rate)
        if refusal is not None:
            kind = ErrorKind.RATE_LIMITED if refusal is Refusal.THROTTLED else ErrorKind.UNAVAILABLE
            result: Result[T] = _failed(request, Outcome.NOT_SENT, kind, refusal.value, elapsed_ms=0)
        else:
            started = time.monotonic_ns()
            try:
                response = await self._wire.exchange(request, address(account.base_url))
            except WireError as problem:
                sent = not isinstance(problem, NothingSent)
                outcome = Outcome.UNKNOWN if sent else Outcome.NOT_SENT
                result = _failed(
                    request, outcome, ErrorKind.UNAVAILABLE, problem.why,
                    elapsed_ms=(time.monotonic_ns() - started) // 1_000_000,
                )  # fmt: skip
            else:
                result = await read(response)
            kind = result.error.kind if result.error else None
            await self._pace.report(account, operation, rate, kind=kind, status=result.raw.status)
        _report(account, operation, result)
        return result

    def close(self) -> None:
        """Drop all connections."""
        self._wire.close()


def check_address(base_url: str, *, mode: Mode, spec: ConnectorSpec) -> None:
    """Raise `AddressNotAllowed` unless an account of this mode may call `base_url`."""
    try:
        address(base_url)
    except ValueError as problem:
        raise AddressNotAllowed(str(problem), param="base_url") from problem
    if mode == "live" and base_url not in spec.base_urls:
        raise AddressNotAllowed(param="base_url")


def _failed(request: HttpRequest, outcome: Outcome, kind: ErrorKind, code: str, *, elapsed_ms: int) -> Result[T]:
    retry = Retry.SAME_REQUEST if outcome is Outcome.NOT_SENT else Retry.QUERY_FIRST
    error = ChannelError(kind=kind, code=code, message="", http=None, retry=retry)
    return Result(outcome, None, error, evidence(request, None, elapsed_ms=elapsed_ms))


def _report(account: MerchantAccount, operation: Operation, result: Result[T]) -> None:
    CALL_SECONDS.labels(account.channel, operation, result.outcome).observe(result.raw.elapsed_ms / 1000)
    _log.info(
        "channel_call",
        channel=account.channel,
        book=account.book,
        merchant_account=account.id,
        operation=operation.value,
        outcome=result.outcome.value,
        code=result.error.code if result.error else None,
        status=result.raw.status,
        elapsed_ms=result.raw.elapsed_ms,
        request_id=result.raw.request_id,
    )
