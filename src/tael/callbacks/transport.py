"""One POST to a business, over the network as it is: slow, hostile, and not to be trusted with our addresses.

    name -> all its addresses -> every one permitted -> connection pinned to an address that was checked -> reply

The check happens where the connection is opened, so a name that changes its mind between check and use gains
nothing; TLS and the Host header still carry the name. Redirects are not followed, proxies of the environment are not
used, and of the answer only the status and a hash of its first kilobyte are kept.
"""

import asyncio
import hashlib
import ssl
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import cast

import httpcore2

from tael.callbacks.destination import Address, Destination, Policy, UrlNotAllowed, literal
from tael.callbacks.names import Names

Resolve = Callable[[str], Awaitable[list[str]]]
MOST_RESPONSE_BYTES = 64 * 1024
_HASHED_BYTES = 1024
_CONNECT_S = 5


class Outcome(StrEnum):
    """What became of one attempt; everything but `delivered` is a failure."""

    DELIVERED = "delivered"
    REDIRECT = "redirect"
    GONE = "gone"
    STATUS = "status"
    TIMEOUT = "timeout"
    NAME = "name_unknown"
    REFUSED = "url_not_allowed"
    CONNECT = "connect"
    TLS = "tls"
    PROTOCOL = "protocol"
    NOT_SENT = "endpoint_not_enabled"
    INTERNAL = "internal"


@dataclass(frozen=True, slots=True)
class Reply:
    """The receiver's answer, or why there was none. `sha256` covers the first kilobyte of the body."""

    outcome: Outcome
    status: int | None = None
    sha256: bytes | None = None
    duration_ms: int = 0


class Transport:
    """Sends callbacks under one policy; used from one event loop."""

    def __init__(
        self,
        policy: Policy,
        *,
        resolve: Resolve | None = None,
        tls: ssl.SSLContext | None = None,
        timeout_s: float = 15,
    ) -> None:
        """`resolve` answers all addresses of a name or raises `OSError`; `tls` replaces the usual trust store."""
        self.policy = policy
        self._names = Names()
        self._gate = _Gate(policy, resolve or self._names)
        self._timeout_s = timeout_s
        self._pool = httpcore2.AsyncConnectionPool(
            ssl_context=tls or ssl.create_default_context(), max_connections=None, max_keepalive_connections=64,
            keepalive_expiry=2, network_backend=self._gate,
        )  # fmt: skip

    async def check(self, url: str) -> None:
        """Raises `UrlNotAllowed` unless `url` may be called as its name stands now."""
        destination = self.policy.read(url)
        try:
            async with asyncio.timeout(_CONNECT_S):
                await self._gate.addresses(destination.host, destination.port)
        except (OSError, TimeoutError) as problem:
            raise UrlNotAllowed("the name has no address", param="url") from problem

    async def post(self, url: str, *, headers: dict[str, str], body: bytes) -> Reply:
        """Send once. Whatever the receiver or the network does is an outcome, never an exception."""
        started = time.monotonic_ns()
        try:
            async with asyncio.timeout(self._timeout_s):
                reply = await self._send(self.policy.read(url), headers, body)
        except (TimeoutError, httpcore2.TimeoutException):
            reply = Reply(Outcome.TIMEOUT)
        except UrlNotAllowed:
            reply = Reply(Outcome.REFUSED)
        except (httpcore2.NetworkError, OSError) as problem:
            reply = Reply(_reason(problem))
        except httpcore2.ProtocolError:
            reply = Reply(Outcome.PROTOCOL)
        duration_ms = (time.monotonic_ns() - started) // 1_000_000
        return Reply(reply.outcome, reply.status, reply.sha256, duration_ms)

    async def close(self) -> None:
        """Close all connections."""
        await self._pool.aclose()
        self._names.close()

    async def _send(self, to: Destination, headers: dict[str, str], body: bytes) -> Reply:
        url = httpcore2.URL(scheme=to.scheme, host=to.host, port=to.port, target=to.target)
        plain = {"host": to.authority, "content-length": str(len(body)), "accept-encoding": "identity"}
        async with self._pool.stream("POST", url, headers={**plain, **headers}, content=body) as response:
            sha256 = await _read(response)
            return Reply(_judge(response.status), response.status, sha256)


class _Gate(httpcore2.AsyncNetworkBackend):
    """Opens connections to addresses that the policy permits, and to no others."""

    def __init__(self, policy: Policy, resolve: Resolve) -> None:
        self._policy, self._resolve = policy, resolve
        # The package gives this class no type, because it is optional there.
        self._network = cast(httpcore2.AsyncNetworkBackend, httpcore2.AnyIOBackend())

    async def addresses(self, host: str, port: int) -> list[Address]:
        """The addresses of a host. Raises `UrlNotAllowed` if any is not permitted, `OSError` if there is none."""
        spelled = literal(host)
        found = [spelled] if spelled else [_address(text) for text in await self._resolve(host)]
        if not found:
            raise OSError(f"{host} has no address")
        for address in found:
            self._policy.check(address, port=port)
        return found

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        """Connect to the first address that answers."""
        try:
            addresses = await self.addresses(host, port)
        except OSError as problem:
            raise _NameUnknown(host) from problem
        for address in addresses[:-1]:
            try:
                return await self._network.connect_tcp(str(address), port, _CONNECT_S)
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout):
                continue
        return await self._network.connect_tcp(str(addresses[-1]), port, _CONNECT_S)

    async def sleep(self, seconds: float) -> None:
        """Part of the pool's interface; it sleeps between retries, of which there are none."""
        await asyncio.sleep(seconds)


class _NameUnknown(httpcore2.NetworkError):
    """The name has no address."""


async def _read(response: httpcore2.Response) -> bytes:
    """The hash of the first kilobyte. Reading stops at 64 kB; leaving the stream early closes the connection."""
    head, seen = b"", 0
    async for chunk in response.aiter_stream():
        head += chunk[: _HASHED_BYTES - len(head)]
        seen += len(chunk)
        if seen >= MOST_RESPONSE_BYTES:
            break
    return hashlib.sha256(head).digest()


def _judge(status: int) -> Outcome:
    if 200 <= status < 300:
        return Outcome.DELIVERED
    if status == 410:
        return Outcome.GONE
    return Outcome.REDIRECT if 300 <= status < 400 else Outcome.STATUS


def _reason(problem: Exception) -> Outcome:
    if isinstance(problem, _NameUnknown):
        return Outcome.NAME
    cause: BaseException | None = problem
    while cause is not None:
        # Wanting to read is how TLS waits for bytes; it stands behind every broken line and says nothing.
        if isinstance(cause, ssl.SSLError) and not isinstance(cause, ssl.SSLWantReadError):
            return Outcome.TLS
        cause = cause.__cause__ or cause.__context__
    return Outcome.CONNECT if isinstance(problem, httpcore2.ConnectError) else Outcome.PROTOCOL


def _address(text: str) -> Address:
    address = literal(text)
    if address is None:  # a scoped address such as fe80::1%eth0
        raise UrlNotAllowed("the address is not a public one", param="url")
    return address
