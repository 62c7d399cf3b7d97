"""The cheapest way to POST a notice: kept-alive HTTP/1.1 connections, parsed by httptools.

A notifier that wants a thousand calls a second cannot spend half a millisecond of Python on each. Only plain HTTP
is spoken, because the sandbox delivers to this machine (and hosts it was told about) and to nobody else. Nothing is
sent twice: a kept connection that dies before any answer gives ``NotDelivered`` like any other failure, and the
notify ladder decides.
"""

import asyncio
from collections import defaultdict
from dataclasses import dataclass
from typing import cast
from urllib.parse import urlsplit

import httptools

_MOST_ANSWER_BYTES = 64 * 1024
_MOST_IDLE_S = 2


class NotDelivered(Exception):
    """No answer was received; the text says why."""


@dataclass(frozen=True, slots=True)
class Heard:
    """The receiver's answer."""

    status: int
    body: bytes


class Poster:
    """A pool of connections, by origin."""

    def __init__(self) -> None:
        """Start with no connection open."""
        self._idle: defaultdict[tuple[str, int], list[_Line]] = defaultdict(list)

    async def post(self, url: str, *, headers: dict[str, str], body: bytes, timeout_s: float) -> Heard:
        """POST ``body`` and return the answer. Redirects are not followed. Raises ``NotDelivered``."""
        parts = urlsplit(url)
        origin = (parts.hostname or "", parts.port or 80)
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        head = [f"POST {target} HTTP/1.1", f"host: {parts.netloc}", f"content-length: {len(body)}"]
        head += [f"{name}: {value}" for name, value in headers.items()]
        message = "\r\n".join(head).encode() + b"\r\n\r\n" + body
        try:
            async with asyncio.timeout(timeout_s):
                line = await self._line(origin)
                heard = await line.ask(message)
        except TimeoutError as error:
            raise NotDelivered(f"no answer within {timeout_s:g} s") from error
        except OSError as error:
            raise NotDelivered(f"{type(error).__name__}: {error}") from error
        if line.reusable:
            self._idle[origin].append(line)
        return heard

    async def close(self) -> None:
        """Close every kept connection."""
        for lines in self._idle.values():
            for line in lines:
                line.hang_up()
        self._idle.clear()

    async def _line(self, origin: tuple[str, int]) -> "_Line":
        waiting = self._idle[origin]
        while waiting:
            line = waiting.pop()
            if line.fresh():
                return line
            line.hang_up()
        _, line = await asyncio.get_running_loop().create_connection(_Line, *origin)
        return line


class _Line(asyncio.Protocol):
    """One connection, one question at a time."""

    def __init__(self) -> None:
        self.reusable = False
        self._transport: asyncio.Transport | None = None
        self._answer: asyncio.Future[Heard] | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._body = bytearray()
        self._idle_since_s = 0.0

    def fresh(self) -> bool:
        """Whether the other end can be expected to still listen: servers close idle lines after a few seconds."""
        return self.reusable and asyncio.get_running_loop().time() - self._idle_since_s < _MOST_IDLE_S

    async def ask(self, message: bytes) -> Heard:
        """Send one request and wait for its answer. A cancelled or failed question closes the line."""
        assert self._transport is not None, "a line is asked after it was connected"
        self.reusable = False
        self._body.clear()
        self._parser = httptools.HttpResponseParser(self)
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(message)
        try:
            return await self._answer
        except BaseException:
            self.hang_up()
            raise

    def hang_up(self) -> None:
        """Close the connection at once."""
        self.reusable = False
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._fail(NotDelivered(f"not HTTP: {error}"))

    def on_body(self, body: bytes) -> None:
        self._body += body[: _MOST_ANSWER_BYTES - len(self._body)]

    def on_message_complete(self) -> None:
        if self._answer is not None and not self._answer.done():
            self.reusable = self._parser.should_keep_alive()
            self._idle_since_s = asyncio.get_running_loop().time()
            self._answer.set_result(Heard(self._parser.get_status_code(), bytes(self._body)))
        if not self.reusable:
            self.hang_up()

    def connection_lost(self, exc: Exception | None) -> None:
        self.reusable = False
        self._fail(NotDelivered("the line was closed before the answer was complete"))

    def _fail(self, error: NotDelivered) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(error)
