"""Runs the application on a loopback socket inside the caller's event loop, with the line in reach of the faults.

uvicorn reads HTTP; its protocol class is extended by one thing: the request's scope also carries the transport, so
that a fault can close the connection where a real network would.
"""

import asyncio
import contextlib
import socket
from collections.abc import AsyncGenerator, Generator
from pathlib import Path

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from tael_sandbox.web import LINE_KEY

_GRACE_S = 2


class _Protocol(HttpToolsProtocol):
    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope["extensions"] = {LINE_KEY: {"transport": self.transport}}


class _Server(uvicorn.Server):
    """A server that leaves the signals of the process to whoever embeds it, and says when it has started."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = asyncio.Event()
        self.over = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.ready.set()

    async def main_loop(self) -> None:
        """Sleep until the end: a poll ten times a second is only good for signals and dates, which we do without."""
        await self.on_tick(0)
        await self.over.wait()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Let calls that run finish, then go: without the fixed waits that make a hundred short tests slow."""
        for server in self.servers:
            server.close()
        for connection in list(self.server_state.connections):
            connection.shutdown()
        if self.server_state.tasks:
            await asyncio.wait(self.server_state.tasks, timeout=_GRACE_S)

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield


def listen(port: int) -> socket.socket:
    """A loopback socket; port 0 picks a free one. Raises OSError when it is taken."""
    # The protocol is named because asyncio turns Nagle's delay (40 ms a reply) off only where it is.
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind(("127.0.0.1", port))
    sock.listen(512)
    sock.setblocking(False)
    return sock


@contextlib.asynccontextmanager
async def serving(
    app: object, sock: socket.socket, *, certificate: Path | None = None, key: Path | None = None
) -> AsyncGenerator[None]:
    """Serve ``app`` on ``sock`` while the block runs; with a certificate and a key, over TLS."""
    config = uvicorn.Config(
        app,  # pyright: ignore[reportArgumentType]
        http=_Protocol,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=False,
        ssl_certfile=certificate,
        ssl_keyfile=key,
    )
    server = _Server(config)
    task = asyncio.create_task(server.serve(sockets=[sock]))
    try:
        await server.ready.wait()
        yield
    finally:
        server.over.set()
        await task
