"""`POST /v1/notices/{channel}/{account}` as a plain ASGI handler, in front of the framework: it is half of all traffic.

It reads raw bytes and raw headers, because signatures cover exactly these; everything else is `Notices.receive`.
"""

from starlette.types import ASGIApp, Receive, Scope, Send

from tael.payments.notices import Notices

PATH = "/v1/notices/"


class NoticeEndpoint:
    """ASGI: answers notices, passes everything else on to `app`."""

    def __init__(self, app: ASGIApp, notices: Notices) -> None:
        self._app, self._notices = app, notices

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a POST below /v1/notices/."""
        if scope["type"] != "http" or scope["method"] != "POST" or not scope["path"].startswith(PATH):
            await self._app(scope, receive, send)
            return
        scope["route"] = self
        channel, _, account = scope["path"].removeprefix(PATH).partition("/")
        headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]]
        reply = await self._notices.receive(
            channel=channel, account_id=_number(account), headers=headers, raw=await _body(receive)
        )
        answer = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in reply.headers]
        answer.append((b"content-length", str(len(reply.body)).encode()))
        await send({"type": "http.response.start", "status": reply.status, "headers": answer})
        await send({"type": "http.response.body", "body": reply.body})

    path = PATH + "{channel}/{account}"
    """The route's name in metrics."""


async def _body(receive: Receive) -> bytes:
    """The whole body; its size and time are bounded by the gate."""
    body = b""
    while True:
        event = await receive()
        body += event.get("body", b"")
        if not event.get("more_body", False):
            return body


def _number(text: str) -> int:
    """An account id; 0, which no account has, for anything else."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 19 else 0
