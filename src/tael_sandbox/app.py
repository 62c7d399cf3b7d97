"""The ASGI application: every request goes to one of three desks, by its path.

/v3/...     the channel's API, as a merchant's server calls it
/_sim/...   the control interface; refused to web pages of other origins
the rest    the cashier, as a person's browser calls it
"""

from urllib.parse import urlsplit

from tael_sandbox import cashier, control
from tael_sandbox.web import Answer, Receive, Request, Scope, Send, TooLarge, as_json, read, write
from tael_sandbox.wechat import api
from tael_sandbox.world import LOOPBACK, World


class App:
    """One sandbox behind one port."""

    def __init__(self, world: World) -> None:
        """Serve this world."""
        self._world = world

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
        if request.path.startswith("/v3/"):
            return await api.serve(self._world, request)
        if _comes_from_elsewhere(request):
            return as_json({"error": "not from this page"}, status=403)
        if request.path.startswith(control.PREFIX):
            return await control.serve(self._world, request)
        return await cashier.serve(self._world, request)


def _comes_from_elsewhere(request: Request) -> bool:
    """Whether a web page of another site sent this through somebody's browser."""
    origin, host = request.headers.get("origin"), request.headers.get("host", "")
    if origin is not None and urlsplit(origin).netloc != host:
        return True
    return urlsplit(f"//{host}").hostname not in LOOPBACK
