"""The gate in front of every route: a request id, bounded headers and bodies, a time limit for sending them.

    bytes -> PatientProtocol   a request's head must be complete soon and small; else the connection ends
          -> Gate              unambiguous, JSON, a body of bounded size in bounded time; else a problem document
          -> the application

Pure ASGI, so that it costs microseconds. What it refuses never reaches a route.
"""

import asyncio
import re
import secrets
import time
from collections.abc import MutableMapping
from typing import Any
from urllib.parse import parse_qsl

import structlog
from prometheus_client import Counter, Histogram
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from tael.base.errors import TaelError
from tael.base.http import InternalError, language_of, problem_response

MAX_BODY = 64 * 1024
MAX_BATCH = 512 * 1024
MAX_HEADERS = 32 * 1024
BODY_TIMEOUT_S = 15

_log = structlog.get_logger("tael.http")
_REQUESTS = Counter("tael_http_requests", "HTTP requests by route and status", ["method", "route", "status"])
_SECONDS = Histogram("tael_http_request_seconds", "Time to the complete answer", ["method", "route"])


class BodyTooLarge(TaelError):
    """The request body is too large: 64 KiB at most, 512 KiB for a batch.
    zh: 请求体过大：上限 64 KiB，批量接口上限 512 KiB。
    """

    status = 413


class HeadersTooLarge(TaelError):
    """The request's address and headers are larger than 32 KiB.
    zh: 请求地址与请求头超过 32 KiB。
    """

    status = 431


class RequestTimeout(TaelError):
    """The request's body did not arrive in time.
    zh: 请求体未能在规定时间内到达。
    """

    status = 408


class UnsupportedMediaType(TaelError):
    """Send the body as application/json in UTF-8, not compressed.
    zh: 请以 application/json（UTF-8，未压缩）发送请求体。
    """

    status = 415


class AmbiguousRequest(TaelError):
    """A query parameter appears twice, or the length of the body is stated in two ways.
    zh: 查询参数重复，或请求体长度声明有歧义。
    """

    status = 400


class Gate:
    """ASGI middleware; wrap the whole application in it. A body has `body_timeout_s` seconds to arrive.

    `batches` are the paths that take lists: their bodies may have MAX_BATCH bytes.
    """

    def __init__(
        self, app: ASGIApp, *, batches: frozenset[str] = frozenset(), body_timeout_s: float = BODY_TIMEOUT_S
    ) -> None:
        self._app, self._batches, self._body_timeout_s = app, batches, body_timeout_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or answer it with a problem document."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = scope["request_id"] = f"req_{secrets.token_hex(12)}"
        started, status, answered = time.perf_counter(), 500, False

        async def send_with_id(event: Message) -> None:
            nonlocal status, answered
            if event["type"] == "http.response.start":
                answered = True
                status = event["status"]
                event = {**event, "headers": [*event["headers"], *_SECURITY, (b"request-id", request_id.encode())]}
            await send(event)

        try:
            most = MAX_BATCH if scope["path"] in self._batches else MAX_BODY
            _check(scope, most)
            await self._app(scope, _Bounded(receive, most, self._body_timeout_s), send_with_id)
        except TaelError as refusal:
            await self._refuse(refusal, scope, receive, send_with_id)
        except Exception as problem:  # noqa: BLE001 (the last line of defence: answer 500 and log)
            _log.error("http.failed", request_id=request_id, path=scope["path"], exc_info=problem)
            if not answered:
                await self._refuse(InternalError(), scope, receive, send_with_id)
        finally:
            _observe(scope, status, time.perf_counter() - started)

    async def _refuse(self, refusal: TaelError, scope: Scope, receive: Receive, send: Send) -> None:
        language = language_of(_header(scope, b"accept-language").decode("latin-1"))
        response = problem_response(refusal, language=language, request_id=str(scope["request_id"]))
        await response(scope, receive, send)


class PatientProtocol(HttpToolsProtocol):
    """uvicorn's HTTP with an end to its patience: `uvicorn.Config(http=PatientProtocol)`.

    A request's line and headers must arrive within `head_timeout_s` seconds of the connection, or of their first
    byte, and be smaller than `head_limit`; nobody else bounds what is not yet a request. The gate answers what is
    too large but still fits here.
    """

    head_timeout_s: float = 10
    head_limit: int = 4 * MAX_HEADERS

    _head_bytes = 0
    _head_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """A connection: the clock runs before the first byte."""
        super().connection_made(transport)
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone."""
        self._head_complete()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Bytes: counted for as long as they belong to a head."""
        self._head_bytes += len(data)
        super().data_received(data)
        if self._head_timer is not None and self._head_bytes > self.head_limit:
            self._give_up(b"431 Request Header Fields Too Large")

    def on_message_begin(self) -> None:
        """The first byte of a request."""
        super().on_message_begin()
        if self._head_timer is None:
            self._head_bytes = 0
            self._await_head()

    def on_headers_complete(self) -> None:
        """The head is complete; the gate watches over the body."""
        self._head_complete()
        super().on_headers_complete()

    def _await_head(self) -> None:
        self._head_timer = self.loop.call_later(self.head_timeout_s, self._give_up, b"408 Request Timeout")

    def _head_complete(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _give_up(self, status: bytes) -> None:
        self._head_complete()
        self.transport.write(b"HTTP/1.1 " + status + b"\r\nconnection: close\r\ncontent-length: 0\r\n\r\n")
        self.transport.close()


class _Bounded:
    """Receives a body of at most `most` bytes within a number of seconds."""

    def __init__(self, receive: Receive, most: int, timeout_s: float) -> None:
        self._receive, self._most, self._seen, self._complete = receive, most, 0, False
        self._until = time.monotonic() + timeout_s

    async def __call__(self) -> Message:
        if self._complete:
            return await self._receive()
        try:
            async with asyncio.timeout(max(0, self._until - time.monotonic())):
                event = await self._receive()
        except TimeoutError:
            raise RequestTimeout from None
        self._seen += len(event.get("body", b""))
        if self._seen > self._most:
            raise BodyTooLarge
        self._complete = not event.get("more_body", False)
        return event


_PLAIN_JSON = re.compile(rb'application/json\s*(;\s*charset="?utf-8"?\s*)?', re.IGNORECASE)
_SECURITY = [(b"x-content-type-options", b"nosniff"), (b"referrer-policy", b"no-referrer")]


def _check(scope: Scope, most: int) -> None:
    headers = scope["headers"]
    if len(scope["raw_path"]) + len(scope["query_string"]) + sum(len(k) + len(v) for k, v in headers) > MAX_HEADERS:
        raise HeadersTooLarge
    names = [name for name, _ in headers]
    length = _header(scope, b"content-length")
    if names.count(b"content-length") > 1 or (length and b"transfer-encoding" in names):
        raise AmbiguousRequest
    if length.isdigit() and int(length) > most:
        raise BodyTooLarge
    parameters = [name for name, _ in parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)]
    if len(parameters) != len(set(parameters)):
        raise AmbiguousRequest
    has_body = length not in (b"", b"0") or b"transfer-encoding" in names
    wants_json = scope["path"].startswith("/v1/") and not scope["path"].startswith("/v1/notices/")
    is_json = _PLAIN_JSON.fullmatch(_header(scope, b"content-type")) and b"content-encoding" not in names
    if has_body and wants_json and not is_json:
        raise UnsupportedMediaType


def _header(scope: Scope, name: bytes) -> bytes:
    return next((value for key, value in scope["headers"] if key == name), b"")


def _observe(scope: MutableMapping[str, Any], status: int, seconds: float) -> None:
    route = getattr(scope.get("route"), "path", "unmatched")
    _REQUESTS.labels(scope["method"], route, str(status)).inc()
    _SECONDS.labels(scope["method"], route).observe(seconds)
