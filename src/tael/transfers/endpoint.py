"""`POST /v1/transfers` and `POST /v1/transfer_batches` as a plain ASGI handler, in front of the framework.

A request that is right in every respect is answered here, for a third of what the framework takes. Whatever is not
goes on to the framework's route of the same address, unread and undone, which says what is wrong with it.
"""

from pydantic import ValidationError
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tael.base.errors import TaelError
from tael.base.http import strict_json
from tael.guard import Answer, KeyRing, idempotency_key
from tael.transfers.bodies import MANY, ONE, NewBatch, NewTransfer, batch_command, transfer_command
from tael.transfers.transfer import StartBatch, StartTransfer, Transfers


class TransferEndpoint:
    """ASGI: answers requests that move money, passes everything else on to `app`."""

    def __init__(self, app: ASGIApp, key_ring: KeyRing, transfers: Transfers) -> None:
        self._app, self._key_ring, self._transfers = app, key_ring, transfers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a POST to one of the two addresses."""
        if scope["type"] != "http" or scope["method"] != "POST" or scope["path"] not in _ROUTES:
            await self._app(scope, receive, send)
            return
        raw = await _body(receive)
        command = None if raw is None else await self._command(scope, raw)
        if command is None:
            await self._app(scope, _again(raw, receive), send)
            return
        scope["route"] = _ROUTES[scope["path"]]
        if isinstance(command, StartTransfer):
            answer = await self._transfers.start(command)
        else:
            answer = await self._transfers.start_batch(command)
        await _send(answer, send)

    async def _command(self, scope: Scope, raw: bytes) -> StartTransfer | StartBatch | None:
        """What is asked for; None when something is wrong with it."""
        if scope["query_string"]:
            return None
        given = [value for name, value in scope["headers"] if name == b"authorization"]
        try:
            caller = await self._key_ring.authenticate(given[0].decode("latin-1") if len(given) == 1 else "")
            caller.require("transfers:write")
            key, fields = idempotency_key(Request(scope)), strict_json(raw)
            if scope["path"] == ONE:
                return transfer_command(NewTransfer.model_validate(fields), book=caller.book, key=key, raw=raw)
            return batch_command(NewBatch.model_validate(fields), book=caller.book, key=key, raw=raw)
        except (TaelError, ValidationError):
            return None


class _Route:
    """The route's name in metrics."""

    def __init__(self, path: str) -> None:
        self.path = path


_ROUTES = {path: _Route(path) for path in (ONE, MANY)}


async def _body(receive: Receive) -> bytes | None:
    """The whole body, whose size and time the gate bounds; None when the caller has gone away."""
    parts: list[bytes] = []
    while True:
        event = await receive()
        if event["type"] != "http.request":
            return None
        parts.append(event.get("body", b""))
        if not event.get("more_body", False):
            return b"".join(parts)


def _again(raw: bytes | None, receive: Receive) -> Receive:
    """Receives a body that was read before once more."""
    first: list[Message] = [
        {"type": "http.disconnect"} if raw is None else {"type": "http.request", "body": raw, "more_body": False}
    ]

    async def receive_again() -> Message:
        return first.pop() if first else await receive()

    return receive_again


async def _send(answer: Answer, send: Send) -> None:
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(answer.body)).encode())]
    if answer.replayed:
        headers.append((b"idempotent-replayed", b"true"))
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body})
