"""The ASGI application: every request goes to a desk, by its path.

a channel's API paths   as a merchant's server calls them
/_sim/...               the control interface; refused to web pages of other origins
the rest                the cashiers, as a person's browser calls them
"""

from collections.abc import Sequence
from urllib.parse import urlsplit

from tael_sandbox import control
from tael_sandbox.web import Answer, Receive, Request, Scope, Send, TooLarge, as_json, read, write
from tael_sandbox.world import LOOPBACK, Channel, State, World


class App:
    """One sandbox behind one port."""

    def __init__(self, world: World, channels: Sequence[Channel[State]]) -> None:
        """Serve this world; pages that no channel claims are the first one's."""
        self._world = world
        self._apis = tuple((path, channel) for channel in channels for path in channel.api_paths)
        self._pages = tuple((path, channel) for channel in channels for path in channel.page_paths)
        self._first = channels[0]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        try:
            request = await read(scope, receive)
        except TooLarge:
            await write(as_json({"code": "PARAM_ERROR", "message": "请求体过大"}, status=413), scope, receive, send)
            return
        await write(await self._answer(request), scope, receive, send)

    async def _answer(self, request: Request) -> Answer:
        for path, channel in self._apis:
            if request.path.startswith(path):
                return await channel.serve(request)
        if _comes_from_elsewhere(request):
            return as_json({"error": "not from this page"}, status=403)
        if request.path.startswith(control.PREFIX):
            return await control.serve(self._world, request)
        for path, channel in self._pages:
            if request.path.startswith(path):
                return await channel.show(request)
        return await self._first.show(request)


def _comes_from_elsewhere(request: Request) -> bool:
    """Whether a web page of another site sent this through somebody's browser."""
    origin, host = request.headers.get("origin"), request.headers.get("host", "")
    if origin is not None and urlsplit(origin).netloc != host:
        return True
    return urlsplit(f"//{host}").hostname not in LOOPBACK
