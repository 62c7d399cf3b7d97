"""A business's callback receiver: checks signatures with the public `standardwebhooks` package, keeps a message once.

    request -> fault of its path, if one is set -> signature checked -> 204, kept by webhook-id unless it is there

Faults imitate receivers as they are met in the field. A path stands for one endpoint, so that a single receiver can
play a healthy business and a broken one side by side. It speaks HTTP/1.1 by hand, because the faults are answers that
no well-behaved server gives.
"""

import asyncio
import base64
import hmac
import ssl
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from types import TracebackType
from typing import Self

from standardwebhooks import Webhook, WebhookVerificationError

HUGE_BYTES = 1 << 30
_CHUNK = b"x" * 65536


class Fault(StrEnum):
    """What a path does instead of answering properly; `LOST` accepts the message and then drops the line."""

    ERROR = "500"
    REDIRECT = "301"
    GONE = "410"
    SLOW = "slow"
    HUGE = "huge"
    ENDLESS = "endless"
    DROP = "drop"
    LOST = "lost"


@dataclass(frozen=True, slots=True)
class Received:
    """One request. `genuine` says whether a known secret has signed it, `duplicate` whether its id was kept before."""

    path: str
    headers: Mapping[str, str]
    body: bytes
    genuine: bool
    duplicate: bool

    @property
    def message_id(self) -> str:
        """The webhook-id header."""
        return self.headers.get("webhook-id", "")


class Receiver:
    """Listens on a loopback port: `async with Receiver() as receiver: ... receiver.url("/shop")`.

    `secrets` maps a path to the `whsec_...` it was given, `faults` a path to its fault. `kept` holds the bodies of
    genuine messages by path and webhook-id; `received` every request in order.
    """

    def __init__(self, *, tls: ssl.SSLContext | None = None, check_time: bool = True) -> None:
        """`check_time=False` accepts old timestamps, for senders whose clock is stepped through days."""
        self.secrets: dict[str, str] = {}
        self.faults: dict[str, Fault] = {}
        self.received: list[Received] = []
        self.kept: defaultdict[str, dict[str, bytes]] = defaultdict(dict)
        self.hanging: defaultdict[str, int] = defaultdict(int)
        self.bytes_sent = 0
        self._tls, self._check_time = tls, check_time
        self._server: asyncio.Server | None = None
        self._arrived = asyncio.Event()
        self._lines: set[asyncio.StreamWriter] = set()

    async def __aenter__(self) -> Self:
        """Start listening."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self._tls)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop listening and drop all lines."""
        assert self._server is not None, "it was entered"
        self._server.close()
        for line in list(self._lines):
            line.transport.abort()
        await self._server.wait_closed()

    @property
    def port(self) -> int:
        """The port it listens on."""
        assert self._server is not None, "it was entered"
        port = self._server.sockets[0].getsockname()[1]
        assert isinstance(port, int)
        return port

    def url(self, path: str, *, host: str = "127.0.0.1") -> str:
        """The address of a path."""
        return f"{'https' if self._tls else 'http'}://{host}:{self.port}{path}"

    async def until(self, path: str, messages: int) -> None:
        """Wait until so many different messages were kept under `path`."""
        while len(self.kept[path]) < messages:
            self._arrived.clear()
            await self._arrived.wait()

    async def until_hanging(self, path: str, requests: int) -> None:
        """Wait until so many requests hang at `path` without an answer."""
        while self.hanging[path] < requests:
            self._arrived.clear()
            await self._arrived.wait()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._lines.add(writer)
        try:
            while await self._answer_one(reader, writer):
                continue
        except (OSError, asyncio.IncompleteReadError):
            return
        finally:
            self._lines.discard(writer)
            writer.close()

    async def _answer_one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Read and answer one request; False when the line is to be closed."""
        path, headers = _head(await reader.readuntil(b"\r\n\r\n"))
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        match self.faults.get(path):
            case None:
                return await _answer(writer, 204 if self._keep(path, headers, body) else 401)
            case Fault.ERROR | Fault.GONE as fault:
                self._note(path, headers, body)
                return await _answer(writer, int(fault.value))
            case Fault.REDIRECT:
                self._note(path, headers, body)
                return await _answer(writer, 301, f"location: {self.url('/elsewhere')}\r\n")
            case Fault.SLOW:
                self._note(path, headers, body)
                await self._hang(path, reader)
            case Fault.HUGE:
                self._keep(path, headers, body)
                await self._flood(writer)
            case Fault.ENDLESS:
                self._note(path, headers, body)
                writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\nx\r\n")
                await self._hang(path, reader)
            case Fault.DROP:
                self._note(path, headers, body)
            case Fault.LOST:
                self._keep(path, headers, body)
        return False

    async def _hang(self, path: str, reader: asyncio.StreamReader) -> None:
        self.hanging[path] += 1
        self._arrived.set()
        try:
            await reader.read()  # until the caller gives up
        finally:
            self.hanging[path] -= 1

    async def _flood(self, writer: asyncio.StreamWriter) -> None:
        writer.write(f"HTTP/1.1 200 OK\r\ncontent-length: {HUGE_BYTES}\r\n\r\n".encode())
        for _ in range(HUGE_BYTES // len(_CHUNK)):
            writer.write(_CHUNK)
            await writer.drain()
            self.bytes_sent += len(_CHUNK)

    def _keep(self, path: str, headers: Mapping[str, str], body: bytes) -> bool:
        received = self._note(path, headers, body)
        if received.genuine:
            self.kept[path].setdefault(received.message_id, body)
            self._arrived.set()
        return received.genuine

    def _note(self, path: str, headers: Mapping[str, str], body: bytes) -> Received:
        genuine = self._is_genuine(path, headers, body)
        received = Received(path, headers, body, genuine, headers.get("webhook-id", "") in self.kept[path])
        self.received.append(received)
        return received

    def _is_genuine(self, path: str, headers: Mapping[str, str], body: bytes) -> bool:
        if path not in self.secrets:
            return False
        judge = Webhook(self.secrets[path])
        if not self._check_time:
            return _signed(judge, headers, body)
        try:
            judge.verify(body, dict(headers))
        except WebhookVerificationError:
            return False
        return True


def _signed(judge: Webhook, headers: Mapping[str, str], body: bytes) -> bool:
    """What `verify` does, without its look at the clock."""
    at = datetime.fromtimestamp(int(headers["webhook-timestamp"]), tz=UTC)
    expected = base64.b64decode(judge.sign(headers["webhook-id"], at, body.decode()).removeprefix("v1,"))
    offered = [text.removeprefix("v1,") for text in headers["webhook-signature"].split(" ")]
    return any(hmac.compare_digest(base64.b64decode(signature), expected) for signature in offered)


def _head(raw: bytes) -> tuple[str, dict[str, str]]:
    """Path and headers (lower-case names) of a request."""
    first, *lines = raw.decode("latin-1").rstrip("\r\n").split("\r\n")
    named = (line.partition(":") for line in lines)
    return first.split(" ")[1], {name.lower(): value.strip() for name, _, value in named}


async def _answer(writer: asyncio.StreamWriter, status: int, more: str = "") -> bool:
    length = "" if status == 204 else "content-length: 0\r\n"
    writer.write(f"HTTP/1.1 {status} X\r\n{length}{more}\r\n".encode())
    await writer.drain()
    return True
