"""Serve: one process, or a parent that keeps several alive on one shared socket.

SIGTERM and Ctrl-C finish the requests under way, then the background work, then the connections. A worker that dies
is started again; what it left behind is found by leases and keys.
"""

import asyncio
import os
import signal
import socket
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager

import structlog
import uvicorn
import uvloop

from tael.app import quieten_collector, running
from tael.base.gate import PatientProtocol
from tael.base.settings import Settings

_log = structlog.get_logger("tael.serve")


def serve(settings: Settings, dsn: str, *, workers: int) -> None:
    """Serve until told to stop. `settings.port` 0 takes a free port; the one in use is printed."""
    listener = _listen(settings)
    port = listener.getsockname()[1]
    settings = settings.model_copy(update={"port": port})
    sys.stdout.write(f"Tael {settings.mode} on http://{settings.host}:{port}\n")
    sys.stdout.flush()
    if workers == 1:
        uvloop.run(_serve(settings, dsn, listener))
    else:
        _supervise(settings, dsn, listener, workers)


async def _serve(settings: Settings, dsn: str, listener: socket.socket) -> None:
    async with running(settings, dsn=dsn) as system:
        quieten_collector()
        config = uvicorn.Config(
            system.app, log_config=None, access_log=False, lifespan="off", http=PatientProtocol, loop="none",
            timeout_keep_alive=30, proxy_headers=False, timeout_graceful_shutdown=20, server_header=False, backlog=2048,
        )  # fmt: skip
        await _Server(config).serve(sockets=[listener])


class _Server(uvicorn.Server):
    """A server whose end is ours: uvicorn's own raises the signal again and would kill us before we have finished."""

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        """SIGTERM and Ctrl-C ask the server to end, once."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.handle_exit, number, None)
        yield


def _listen(settings: Settings) -> socket.socket:
    # IPPROTO_TCP by name: asyncio switches Nagle off only on sockets that say they are TCP.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((settings.host, settings.port))
    listener.listen(2048)
    return listener


def _supervise(settings: Settings, dsn: str, listener: socket.socket, workers: int) -> None:
    """Fork workers that share the socket; pass signals on; replace what dies while nobody asked it to."""
    stopping = False

    def stop(number: int, frame: object) -> None:
        nonlocal stopping
        del frame
        stopping = True
        for pid in children:
            os.kill(pid, number)

    children = {_fork(settings, dsn, listener) for _ in range(workers)}
    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    while children:
        pid, status = os.wait()
        children.discard(pid)
        if not stopping:
            _log.error("worker.died", pid=pid, status=status)
            time.sleep(0.2)  # a worker that cannot start must not be forked in a tight loop
            children.add(_fork(settings, dsn, listener))


def _fork(settings: Settings, dsn: str, listener: socket.socket) -> int:
    pid = os.fork()
    if pid == 0:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        try:
            uvloop.run(_serve(settings, dsn, listener))
        finally:
            os._exit(0)
    return pid
