"""HTTP/1.1 to one address over kept-alive connections, exact about what may have left this machine.

    acquire -> (idle connection | new connection: name, connect, TLS) -> write -> complete reply -> idle again

Everything before `write` fails as `NothingSent`; everything after it as `ReplyLost`, because the other side may have
acted. Nothing is ever sent a second time and no redirect is followed.

This is not a general client. It exists because the call to the channel is part of every payment: one request costs
0.02-0.06 ms here and 0.53 ms through httpx2 (0.36 ms through its connection pool alone), on the same machine.
"""

import asyncio
import re
import socket
import ssl
import time
from collections import deque
from dataclasses import dataclass
from functools import cache
from typing import Literal, TypeAlias, cast
from urllib.parse import urlsplit

import httptools

from tael.channels.exchange import HttpRequest, HttpResponse

CONNECT_S = 3
TOTAL_S = 12
REPLY_LIMIT = 1 << 20
CONNECTIONS = 128
# Shorter than the few seconds after which channels drop an idle connection: a request written to a connection that
# is just being dropped is lost without a trace.
IDLE_S = 4

Why: TypeAlias = Literal[
    "dns", "connect", "tls", "connect_timeout", "busy", "reset", "timeout", "half_reply", "too_large", "not_http"
]

_HOST = re.compile(r"[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63}){0,10}|[0-9a-f:.]{2,45}")


class WireError(Exception):
    """No complete reply; `why` says what happened."""

    def __init__(self, why: Why) -> None:
        super().__init__(why)
        self.why: Why = why


class NothingSent(WireError):
    """No byte of the request can have reached the other side."""


class ReplyLost(WireError):
    """The request may have been acted upon."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where to connect: parsed once from a base URL such as `https://api.example.com` (no path, no user)."""

    host: str
    port: int
    tls: bool
    authority: str


@cache
def address(base_url: str) -> Address:
    """The address in a base URL; raises ValueError unless it is exactly scheme, host and maybe port."""
    parts = urlsplit(base_url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username is not None:
        raise ValueError("not a plain base URL")
    if base_url != f"{parts.scheme}://{parts.netloc}":
        raise ValueError("a base URL is only scheme, host and port")
    if not _HOST.fullmatch(parts.hostname):
        raise ValueError("not a host name")
    tls = parts.scheme == "https"
    return Address(parts.hostname, parts.port or (443 if tls else 80), tls, parts.netloc)


class Wire:
    """The connections of one event loop to all addresses. Close it with `close`."""

    def __init__(self, *, connect_s: int = CONNECT_S, total_s: int = TOTAL_S) -> None:
        self._connect_s = connect_s
        self._total_s = total_s
        self._lines: dict[Address, _Lines] = {}

    async def exchange(self, request: HttpRequest, to: Address) -> HttpResponse:
        """Send once and wait for the whole reply. Raises `NothingSent` or `ReplyLost`."""
        lines = self._lines.get(to) or self._lines.setdefault(to, _Lines(to, self._connect_s))
        message, started, sent = _encode(request, to), time.monotonic_ns(), False
        try:
            async with asyncio.timeout(self._total_s):
                connection = await lines.acquire()
                sent = True
                try:
                    status, headers, body = await connection.ask(message)
                finally:
                    lines.give_back(connection)
        except TimeoutError as problem:
            raise (ReplyLost("timeout") if sent else NothingSent("busy")) from problem
        return HttpResponse(status, headers, body, (time.monotonic_ns() - started) // 1_000_000)

    def close(self) -> None:
        """Drop all connections."""
        for lines in self._lines.values():
            lines.close()


class _Lines:
    """The connections to one address: at most `CONNECTIONS`, the most recently used one first."""

    def __init__(self, to: Address, connect_s: int) -> None:
        self._to = to
        self._connect_s = connect_s
        self._idle: deque[_Connection] = deque()
        self._slots = asyncio.Semaphore(CONNECTIONS)

    async def acquire(self) -> "_Connection":
        await self._slots.acquire()
        try:
            return self._reuse() or await self._open()
        except BaseException:
            self._slots.release()
            raise

    def give_back(self, connection: "_Connection") -> None:
        self._slots.release()
        if connection.reusable():
            self._idle.append(connection)
        else:
            connection.drop()

    def close(self) -> None:
        while self._idle:
            self._idle.pop().drop()

    def _reuse(self) -> "_Connection | None":
        oldest = time.monotonic_ns() - IDLE_S * 1_000_000_000
        while self._idle and self._idle[0].idle_since < oldest:
            self._idle.popleft().drop()
        while self._idle:
            connection = self._idle.pop()
            if connection.reusable():
                return connection
            connection.drop()
        return None

    async def _open(self) -> "_Connection":
        to = self._to
        try:
            async with asyncio.timeout(self._connect_s):
                _, connection = await asyncio.get_running_loop().create_connection(
                    _Connection, to.host, to.port, ssl=_trust() if to.tls else None
                )
        except TimeoutError as problem:
            raise NothingSent("connect_timeout") from problem
        except ssl.SSLError as problem:
            raise NothingSent("tls") from problem
        except OSError as problem:
            raise NothingSent("dns" if isinstance(problem, socket.gaierror) else "connect") from problem
        return connection


class _Connection(asyncio.Protocol):
    """One connection; answers one request at a time. The parser calls the `on_` methods."""

    def __init__(self) -> None:
        self.idle_since = 0
        self._transport: asyncio.Transport | None = None
        self._reply: asyncio.Future[tuple[int, tuple[tuple[str, str], ...], bytes]] | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._headers: list[tuple[str, str]] = []
        self._body: list[bytes] = []
        self._received = 0
        self._sound = True

    def ask(self, message: bytes) -> "asyncio.Future[tuple[int, tuple[tuple[str, str], ...], bytes]]":
        assert self._transport is not None
        if self._transport.is_closing():
            raise NothingSent("reset")
        self._reply = asyncio.get_running_loop().create_future()
        self._received = 0
        self._sound = False  # until the reply is complete nobody else may use this connection
        self._transport.write(message)
        return self._reply

    def reusable(self) -> bool:
        return self._sound and self._transport is not None and not self._transport.is_closing()

    def drop(self) -> None:
        self._sound = False
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports behave like asyncio's without inheriting from them, so this cannot be asserted.
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._received += len(data)
        if self._reply is None or self._reply.done():
            self.drop()  # nobody asked: the two sides no longer agree where a reply begins
        elif self._received > REPLY_LIMIT:
            self._fail("too_large")
        else:
            try:
                self._parser.feed_data(data)
            except httptools.HttpParserError:
                self._fail("not_http")

    def connection_lost(self, exc: Exception | None) -> None:
        self._fail("half_reply" if self._received else "reset")

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers.append((name.decode("latin-1").lower(), value.decode("latin-1")))

    def on_body(self, body: bytes) -> None:
        self._body.append(body)

    def on_message_complete(self) -> None:
        status = self._parser.get_status_code()
        headers, body = tuple(self._headers), b"".join(self._body)
        self._headers, self._body = [], []
        if status < 200:  # an interim reply; the real one follows
            return
        if self._reply is None or self._reply.done():
            self._sound = False
            return
        self._sound = self._parser.should_keep_alive()
        self.idle_since = time.monotonic_ns()
        self._reply.set_result((status, headers, body))

    def _fail(self, why: Why) -> None:
        self.drop()
        if self._reply is not None and not self._reply.done():
            self._reply.set_exception(ReplyLost(why))


@cache
def _trust() -> ssl.SSLContext:
    """Loaded once, because reading the system's certificates takes tens of milliseconds."""
    return ssl.create_default_context()


def _encode(request: HttpRequest, to: Address) -> bytes:
    assert request.target.startswith("/")
    lines = [f"{request.method} {request.target} HTTP/1.1", f"Host: {to.authority}"]
    lines += [f"{name}: {value}" for name, value in request.headers]
    if request.method == "POST":
        lines.append(f"Content-Length: {len(request.body)}")
    head = "\r\n".join(lines)
    assert head.isascii()
    assert head.count("\n") == len(lines) - 1, "a header value must not begin a new line"
    return head.encode() + b"\r\n\r\n" + request.body
