"""The thin layer between ASGI and the channels: a request as it was on the wire, an answer, and the power to cut
the line.

Signatures cover the target exactly as it was sent, so nothing is decoded here. ``Answer.cut_after`` and
``Answer.dropped`` let a fault close the socket in the middle of a body or before the first byte, which no
well-behaved framework would do.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import cast
from urllib.parse import parse_qs

import msgspec

Message = dict[str, object]
Scope = dict[str, object]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

JSON = "application/json; charset=utf-8"
HTML = "text/html; charset=utf-8"
LINE_KEY = "tael_sandbox.line"
_MOST_BODY_BYTES = 1 << 20


class TooLarge(Exception):
    """The request body is larger than the sandbox reads."""


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request. ``target`` is path and query as sent; header names are lower case, the last of a repeated
    name wins.
    """

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def target(self) -> str:
        """Path and query as on the wire."""
        return f"{self.path}?{self.query}" if self.query else self.path

    @property
    def asked(self) -> dict[str, str]:
        """The parameters of the query; the last of a repeated one."""
        return {name: values[-1] for name, values in parse_qs(self.query).items()}


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes back. ``dropped``: close the line instead. ``cut_after``: close it after that many bytes of the
    body.
    """

    status: int = 200
    body: bytes = b""
    content_type: str = JSON
    headers: tuple[tuple[str, str], ...] = field(default=())
    dropped: bool = False
    cut_after: int | None = None


def as_json(value: object, *, status: int = 200) -> Answer:
    """An answer with ``value`` (plain data or msgspec structs) as JSON."""
    return Answer(status, msgspec.json.encode(value))


async def read(scope: Scope, receive: Receive) -> Request:
    """Collect one request. Raises ``TooLarge`` beyond 1 MiB of body."""
    body = b""
    more = True
    while more:
        message = await receive()
        body += cast(bytes, message.get("body", b""))
        more = bool(message.get("more_body", False))
        if len(body) > _MOST_BODY_BYTES:
            raise TooLarge
    headers = cast("list[tuple[bytes, bytes]]", scope["headers"])
    return Request(
        method=cast(str, scope["method"]),
        path=cast(bytes, scope["raw_path"]).decode("latin-1"),
        query=cast(bytes, scope["query_string"]).decode("latin-1"),
        headers={name.decode("latin-1"): value.decode("latin-1") for name, value in headers},
        body=body,
    )


async def write(answer: Answer, scope: Scope, receive: Receive, send: Send) -> None:
    """Send an answer, or as much of it as its fault allows."""
    if answer.dropped:
        await _hang_up(scope, receive)
        return
    headers = [(name.encode(), value.encode()) for name, value in answer.headers]
    if answer.body:
        headers.append((b"content-type", answer.content_type.encode()))
    if answer.status != 204:
        headers.append((b"content-length", str(len(answer.body)).encode()))
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    if answer.cut_after is None:
        await send({"type": "http.response.body", "body": answer.body})
        return
    await send({"type": "http.response.body", "body": answer.body[: answer.cut_after], "more_body": True})
    await _hang_up(scope, receive)


async def _hang_up(scope: Scope, receive: Receive) -> None:
    """Close the socket; bytes already written still go out. Returns when the server has noticed."""
    extensions = cast("dict[str, dict[str, object]]", scope["extensions"])
    cast(asyncio.Transport, extensions[LINE_KEY]["transport"]).close()
    while (await receive())["type"] != "http.disconnect":
        continue
