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
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum

from tael.base import wire
from tael.base.wire import HttpRequest, HttpResponse, Wire, WireError
from tael.callbacks.destination import Address, Destination, Policy, UrlNotAllowed, literal
from tael.callbacks.names import Names

Resolve = Callable[[str], Awaitable[list[str]]]
MOST_RESPONSE_BYTES = 64 * 1024
_HASHED_BYTES = 1024
_CONNECT_S = 5
_IDLE_S = 2


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
        self._resolve = resolve or self._names
        self._wire = Wire(
            connect_s=_CONNECT_S, total_s=timeout_s, idle_s=_IDLE_S, reply_limit=MOST_RESPONSE_BYTES,
            reading="beginning", find=self._permitted, tls=tls,
        )  # fmt: skip

    async def check(self, url: str) -> None:
        """Raises `UrlNotAllowed` unless `url` may be called as its name stands now."""
        destination = self.policy.read(url)
        try:
            async with asyncio.timeout(_CONNECT_S):
                await self._permitted(_address(destination))
        except (OSError, TimeoutError) as problem:
            raise UrlNotAllowed("the name has no address", param="url") from problem

    async def post(self, url: str, *, headers: dict[str, str], body: bytes) -> Reply:
        """Send once. Whatever the receiver or the network does is an outcome, never an exception."""
        started = time.monotonic_ns()
        try:
            to = self.policy.read(url)
            request = HttpRequest("POST", to.target, (("Accept-Encoding", "identity"), *headers.items()), body)
            reply = _judge(await self._wire.exchange(request, _address(to)))
        except UrlNotAllowed:
            reply = Reply(Outcome.REFUSED)
        except WireError as problem:
            reply = Reply(_reason(problem.why))
        duration_ms = (time.monotonic_ns() - started) // 1_000_000
        return Reply(reply.outcome, reply.status, reply.sha256, duration_ms)

    async def close(self) -> None:
        """Close all connections."""
        self._wire.close()
        self._names.close()

    async def _permitted(self, to: wire.Address) -> list[str]:
        """The addresses to connect to. Raises `UrlNotAllowed` if any is not permitted, `OSError` if there is none."""
        spelled = literal(to.host)
        found = [spelled] if spelled else [_literal(text) for text in await self._resolve(to.host)]
        if not found:
            raise OSError(f"{to.host} has no address")
        for address in found:
            self.policy.check(address, port=to.port)
        return [str(address) for address in found]


def _address(to: Destination) -> wire.Address:
    return wire.Address(to.host, to.port, to.scheme == "https", to.authority)


def _judge(response: HttpResponse) -> Reply:
    status = response.status
    if 200 <= status < 300:
        outcome = Outcome.DELIVERED
    elif status == 410:
        outcome = Outcome.GONE
    else:
        outcome = Outcome.REDIRECT if 300 <= status < 400 else Outcome.STATUS
    return Reply(outcome, status, hashlib.sha256(response.body[:_HASHED_BYTES]).digest())


def _reason(why: wire.Why) -> Outcome:
    match why:
        case "dns":
            return Outcome.NAME
        case "connect":
            return Outcome.CONNECT
        case "tls":
            return Outcome.TLS
        case "busy" | "connect_timeout" | "timeout":
            return Outcome.TIMEOUT
        case "reset" | "half_reply" | "too_large" | "not_http":
            return Outcome.PROTOCOL


def _literal(text: str) -> Address:
    address = literal(text)
    if address is None:  # a scoped address such as fe80::1%eth0
        raise UrlNotAllowed("the address is not a public one", param="url")
    return address
