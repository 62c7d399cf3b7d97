"""HTTP/1.1 to one address over kept-alive connections, exact about what may have left this machine.

    exchange -> (idle connection | find, connect, TLS) -> write -> reply -> idle again, or dropped

Everything before `write` fails as `NothingSent`; everything after it as `ReplyLost`, because the other side may have
acted. Nothing is ever sent a second time, no redirect is followed and no proxy is used.

This is not a general client. It exists because the call to the channel is part of every payment, and a callback
follows every payment: one request costs 0.02-0.06 ms here and 0.53 ms through httpx2 (0.36 ms through its connection
pool alone), on the same machine.
"""

import asyncio
import re
import socket
import ssl
import time
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal, TypeAlias, cast
from urllib.parse import urlsplit
from weakref import WeakValueDictionary

import httptools

CONNECT_S = 3
TOTAL_S = 12
REPLY_LIMIT = 1 << 20
CONNECTIONS = 128
MOST_IDLE = 128
# Shorter than the few seconds after which servers drop an idle connection: a request written to a connection that
# is just being dropped is lost without a trace.
IDLE_S = 4

Why: TypeAlias = Literal[
    "dns", "connect", "tls", "connect_timeout", "busy", "reset", "timeout", "half_reply", "too_large", "not_http"
]
Reading: TypeAlias = Literal["whole", "beginning"]

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
class HttpRequest:
    """A complete request: `target` is path and query exactly as they go on the wire, percent-encoded."""

    method: Literal["GET", "POST"]
    target: str
    headers: tuple[tuple[str, str], ...]
    body: bytes


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """A reply; `headers` have lower-case names and keep duplicates."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes
    elapsed_ms: int = 0


@dataclass(frozen=True, slots=True)
class Address:
    """Whom to talk to. `host` is a name or an address; TLS is checked against it wherever it leads. `authority` is
    the Host header."""

    host: str
    port: int
    tls: bool
    authority: str


Find: TypeAlias = Callable[[Address], Awaitable[Sequence[str]]]


@cache
def address(base_url: str) -> Address:
    """The address in a base URL such as `https://api.example.com`; raises ValueError unless it is exactly scheme, host
    and maybe port."""
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

    def __init__(
        self,
        *,
        connect_s: float = CONNECT_S,
        total_s: float = TOTAL_S,
        idle_s: float = IDLE_S,
        reply_limit: int = REPLY_LIMIT,
        reading: Reading = "whole",
        find: Find | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """`total_s` is for one exchange, `connect_s` for one attempt to connect within it.

        `find` answers the IP addresses to connect to, in order; it is asked when a connection is opened, never for
        one that is used again, and what it raises other than `OSError` reaches the caller, with nothing sent. `tls`
        replaces the usual trust store.

        A reply may have `reply_limit` bytes. Who reads it `whole` gets a reply that is complete and announced its
        length, or `ReplyLost`. Who wants its `beginning` gets at most that much of the body, and the connection is
        dropped where the limit is reached; such a reply may also end with the connection.
        """
        self._connect_s, self._total_s = connect_s, total_s
        self._reply_limit = reply_limit
        self._reading: Reading = reading
        self._find, self._tls = find, tls
        self._idle = _Idle(idle_s)
        # Weak, so that an address nobody talks to any more takes no room.
        self._slots: WeakValueDictionary[Address, asyncio.Semaphore] = WeakValueDictionary()

    async def exchange(self, request: HttpRequest, to: Address) -> HttpResponse:
        """Send once and wait for the reply. Raises `NothingSent` or `ReplyLost`."""
        message, started, sent = _encode(request, to), time.monotonic_ns(), False
        slots = self._slots.get(to) or self._slots.setdefault(to, asyncio.Semaphore(CONNECTIONS))
        try:
            async with asyncio.timeout(self._total_s), slots:
                connection = self._idle.take(to) or await self._open(to)
                sent = True
                try:
                    status, headers, body = await connection.ask(message)
                finally:
                    self._idle.put(connection, to)
        except TimeoutError as problem:
            raise (ReplyLost("timeout") if sent else NothingSent("busy")) from problem
        return HttpResponse(status, headers, body, (time.monotonic_ns() - started) // 1_000_000)

    def close(self) -> None:
        """Drop all idle connections; one that is in use is dropped soon after its reply."""
        self._idle.close()

    async def _open(self, to: Address) -> "_Connection":
        """A new connection to the first of the addresses that answers."""
        hosts: Sequence[str] = (to.host,)
        if self._find is not None:
            try:
                hosts = await self._find(to)
            except OSError as problem:
                raise NothingSent("dns") from problem
        for host in hosts[:-1]:
            try:
                return await self._connect(to, host)
            except NothingSent:
                continue
        return await self._connect(to, hosts[-1])

    async def _connect(self, to: Address, host: str) -> "_Connection":
        trust = (self._tls or _trust()) if to.tls else None
        try:
            async with asyncio.timeout(self._connect_s):
                _, connection = await asyncio.get_running_loop().create_connection(
                    lambda: _Connection(self._reply_limit, self._reading), host, to.port, ssl=trust,
                    server_hostname=to.host if to.tls else None,
                )  # fmt: skip
        except TimeoutError as problem:
            raise NothingSent("connect_timeout") from problem
        except ssl.SSLError as problem:
            raise NothingSent("tls") from problem
        except OSError as problem:
            raise NothingSent("dns" if isinstance(problem, socket.gaierror) else "connect") from problem
        return connection


class _Idle:
    """Connections that wait for their next request: the youngest is used first, the oldest is dropped first."""

    def __init__(self, idle_s: float) -> None:
        self._idle_ns = int(idle_s * 1_000_000_000)
        self._by_age: OrderedDict[_Connection, Address] = OrderedDict()
        self._by_address: dict[Address, deque[_Connection]] = {}
        self._sweep: asyncio.TimerHandle | None = None

    def take(self, to: Address) -> "_Connection | None":
        there = self._by_address.get(to)
        oldest = time.monotonic_ns() - self._idle_ns
        while there:
            connection = there.pop()
            del self._by_age[connection]
            if not there:
                del self._by_address[to]
            if connection.reusable() and connection.idle_since >= oldest:
                return connection
            connection.drop()
        return None

    def put(self, connection: "_Connection", to: Address) -> None:
        """Keep a connection, or drop it when its last exchange left it in doubt."""
        if not connection.reusable():
            connection.drop()
            return
        self._by_age[connection] = to
        self._by_address.setdefault(to, deque()).append(connection)
        if len(self._by_age) > MOST_IDLE:
            self._drop_oldest()
        if self._sweep is None:
            self._sweep = asyncio.get_running_loop().call_later(self._idle_ns / 1_000_000_000, self._drop_old)

    def close(self) -> None:
        if self._sweep is not None:
            self._sweep.cancel()
            self._sweep = None
        while self._by_age:
            self._drop_oldest()

    def _drop_old(self) -> None:
        """Also closes connections to addresses that are never asked for again."""
        self._sweep, now = None, time.monotonic_ns()
        while self._by_age:
            left = next(iter(self._by_age)).idle_since + self._idle_ns - now
            if left > 0:
                self._sweep = asyncio.get_running_loop().call_later(left / 1_000_000_000, self._drop_old)
                return
            self._drop_oldest()

    def _drop_oldest(self) -> None:
        connection, to = self._by_age.popitem(last=False)
        there = self._by_address[to]
        assert there.popleft() is connection, "both keep the order in which connections came"
        if not there:
            del self._by_address[to]
        connection.drop()


class _Connection(asyncio.Protocol):
    """One connection; answers one request at a time. The parser calls the `on_` methods."""

    def __init__(self, reply_limit: int, reading: Reading) -> None:
        self.idle_since = 0
        self._reply_limit = reply_limit
        self._reading: Reading = reading
        self._transport: asyncio.Transport | None = None
        self._reply: asyncio.Future[tuple[int, tuple[tuple[str, str], ...], bytes]] | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._status: int | None = None  # of a reply whose head is complete
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
        if self._reply is None or self._reply.done():
            self.drop()  # nobody asked: the two sides no longer agree where a reply begins
            return
        room = self._reply_limit - self._received
        self._received += len(data)
        try:
            self._parser.feed_data(data[:room])
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self._fail("not_http")
        if len(data) > room:
            self._cut()

    def connection_lost(self, exc: Exception | None) -> None:
        if exc is None and self._reading == "beginning" and self._status is not None and self._has_no_length():
            self._finish()
        self._fail("half_reply" if self._received else "reset")

    def on_message_begin(self) -> None:
        if self._reply is None or self._reply.done():
            self._sound = False  # more than the one reply that was asked for

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers.append((name.decode("latin-1").lower(), value.decode("latin-1")))

    def on_headers_complete(self) -> None:
        self._status = self._parser.get_status_code()

    def on_body(self, body: bytes) -> None:
        self._body.append(body)

    def on_message_complete(self) -> None:
        assert self._status is not None
        if self._status < 200:  # an interim reply; the real one follows
            self._status, self._headers, self._body = None, [], []
        elif self._reply is not None and not self._reply.done():
            self._sound = self._parser.should_keep_alive()
            self.idle_since = time.monotonic_ns()
            self._finish()

    def _cut(self) -> None:
        """The limit is reached, and nothing after it will be read."""
        self._sound = False
        if self._reading == "beginning" and self._status is not None:
            self._finish()
        self._fail("too_large")

    def _has_no_length(self) -> bool:
        return not any(name in ("content-length", "transfer-encoding") for name, _ in self._headers)

    def _finish(self) -> None:
        if self._reply is not None and not self._reply.done() and self._status is not None:
            self._reply.set_result((self._status, tuple(self._headers), b"".join(self._body)))
        self._status, self._headers, self._body = None, [], []

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
