"""The stage: every process that the demo needs, started in order and ended in reverse.

    embedded PostgreSQL (or TAEL_DATABASE_URL) -> simulated channels -> `tael up` -> a business's receiver

Tael runs as a process of its own, so that it can be killed in the middle of a payment. Two people have keys: wang, who
asks, and li, who approves what wang has asked for.
"""

import asyncio
import contextlib
import fcntl
import os
import signal
import socket
import sys
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from pathlib import Path

import httpx2

from tael.app import master_key
from tael.base.clock import DatabaseClock
from tael.base.db import Database
from tael.base.embedded import embedded
from tael.base.ids import Ids
from tael.base.migrate import migrate
from tael.base.settings import Settings
from tael.console import access
from tael.guard import keys
from tael.ledger import BookId, open_book
from tael_demo.merchants import at_channel, banks_of, connect
from tael_sandbox import SandboxProcess
from tael_sandbox.receiver import Receiver

BOOK = 1
PORTS = range(8700, 8720)
MAKER, CHECKER = "wang", "li"
TOPICS = ("recharge.*", "payment.*", "refund.*", "withdrawal.*", "transfer.*")


class Server:
    """`tael up` as a child process."""

    def __init__(self, settings: Settings, dsn: str) -> None:
        self.url = f"http://{settings.host}:{settings.port}"
        self._environment = os.environ | {
            "TAEL_DATABASE_URL": dsn, "TAEL_HOME": str(settings.home.resolve()), "TAEL_PORT": str(settings.port),
            "TAEL_HOST": settings.host,
        }  # fmt: skip
        self._log = settings.home / "server.log"
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Start and wait until it answers /readyz. Raises RuntimeError with the end of its log."""
        with self._log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable, "-c", "from tael.cli import main; main()", "up", "--json", env=self._environment,
                stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        async with httpx2.AsyncClient(base_url=self.url, trust_env=False) as http:
            while True:
                with contextlib.suppress(httpx2.TransportError):
                    if (await http.get("/readyz")).status_code == 200:
                        return
                if self._process.returncode is not None:
                    raise RuntimeError(f"tael up ended:\n{self._log.read_text(errors='replace')[-2000:]}")
                await asyncio.sleep(0.02)

    @property
    def pid(self) -> int:
        """Process id of the running child."""
        assert self._process is not None
        return self._process.pid

    async def kill(self) -> int:
        """kill -9; answers the process id that is gone."""
        return await self._end(signal.SIGKILL)

    async def stop(self) -> None:
        """Ask it to finish and wait."""
        if self._process is not None and self._process.returncode is None:
            await self._end(signal.SIGTERM)

    async def _end(self, how: signal.Signals) -> int:
        assert self._process is not None
        self._process.send_signal(how)
        await self._process.wait()
        return self._process.pid


@dataclass(frozen=True, slots=True)
class Merchants:
    """The merchant accounts by name: our ids, and their names in the channels' own book."""

    ids: dict[str, int]
    at_channel: dict[str, str]


@dataclass(frozen=True, slots=True)
class Keys:
    """API keys of the one who asks and the one who approves; console keys of a visitor and of the one who approves."""

    maker: str
    checker: str
    visitor_link: str
    checker_link: str


@dataclass(frozen=True, slots=True)
class Stage:
    """Everything that runs. `http` carries the key of the company's maker, `checker` that of the second person."""

    server: Server
    sandbox: SandboxProcess
    receiver: Receiver
    http: httpx2.AsyncClient
    checker: httpx2.AsyncClient
    db: Database
    merchants: Merchants
    keys: Keys
    postgres: str

    @property
    def console_url(self) -> str:
        """The status page, for a visitor who may look."""
        return f"{self.server.url}/console?key={self.keys.visitor_link}"

    def to_decide(self, path: str) -> str:
        """A page of the console, for the person who may approve there."""
        return f"{self.server.url}/console/{path}?key={self.keys.checker_link}"


@contextlib.asynccontextmanager
async def alone(home: Path) -> AsyncGenerator[None]:
    """Hold `home` for one demo at a time. Raises RuntimeError when another one runs there."""
    with (home / "demo.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RuntimeError(f"a demo is running in {home} already; end it, or give another --home") from None
        yield


@contextlib.asynccontextmanager
async def stage(home: Path) -> AsyncGenerator[Stage]:
    """Start everything in `home`, which exists; end everything with the block."""
    settings = Settings(home=home, port=_free_port())
    async with contextlib.AsyncExitStack() as stack:
        sandbox_port = _kept_port(home / "sandbox.port")
        starting = asyncio.create_task(_entered(stack, SandboxProcess.start(home / "sandbox", port=sandbox_port)))
        try:
            dsn = settings.database_url or (await asyncio.to_thread(stack.enter_context, embedded(home))).dsn
        finally:
            sandbox = await starting
        db = await stack.enter_async_context(await Database.connect(dsn, min_size=1, max_size=4))
        await migrate(db)
        (home / "sandbox.port").write_text(str(sandbox.port))
        keys_of_people, merchants = await _company(settings, db, sandbox)
        server = Server(settings, dsn)
        stack.push_async_callback(server.stop)
        receiver = await stack.enter_async_context(Receiver())
        await server.start()
        http, checker = [
            await stack.enter_async_context(
                httpx2.AsyncClient(
                    base_url=server.url, headers={"Authorization": f"Bearer {key}"}, timeout=60, trust_env=False
                )
            )
            for key in (keys_of_people.maker, keys_of_people.checker)
        ]
        await _subscribe(http, receiver)
        yield Stage(server, sandbox, receiver, http, checker, db, merchants, keys_of_people, await _version(db))


async def _entered(
    stack: contextlib.AsyncExitStack, manager: contextlib.AbstractAsyncContextManager[SandboxProcess]
) -> SandboxProcess:
    return await stack.enter_async_context(manager)


async def _company(settings: Settings, db: Database, sandbox: SandboxProcess) -> tuple[Keys, Merchants]:
    """The company's book, keys of this run for its two people, and its merchant accounts at the simulator."""
    clock = await DatabaseClock.synchronised(db)
    ids, secret, banks = await Ids.lease(db, clock.now), master_key(settings), await banks_of(sandbox)
    now = clock.now()
    async with db.transaction() as tx:
        await open_book(tx, BookId(BOOK), name="Demo company", now=now)
        accounts = await connect(tx, sandbox, banks, book=BOOK, ids=ids, now=now)
        approves = [scope for scope in keys.SCOPES if scope.endswith((":approve", ":read"))]
        maker = await keys.issue(tx, book=BOOK, mode="test", name="demo", pepper=secret, now=now, person=MAKER)
        checker = await keys.issue(
            tx, book=BOOK, mode="test", kind="rk", name="demo", scopes=approves, pepper=secret,
            now=now, person=CHECKER,
        )  # fmt: skip
    await ids.release(db)
    links = (access.make_key(secret, now=now), access.make_key(secret, now=now, person=CHECKER))
    return Keys(maker, checker, *links), Merchants(accounts, at_channel(sandbox, banks))


async def _subscribe(http: httpx2.AsyncClient, receiver: Receiver) -> None:
    """Register this run's receiver in the place of those of earlier runs."""
    for endpoint in (await http.get("/v1/webhook_endpoints")).json()["data"]:
        await http.delete(f"/v1/webhook_endpoints/{endpoint['id']}")
    made = await http.post("/v1/webhook_endpoints", json={"url": receiver.url("/shop"), "topics": list(TOPICS)})
    made.raise_for_status()
    receiver.secrets["/shop"] = made.json()["secret"]


async def _version(db: Database) -> str:
    async with db.transaction() as tx:
        return str(await tx.fetchval("show server_version"))


def _free_port() -> int:
    for port in PORTS:
        with contextlib.closing(socket.socket()) as probe, contextlib.suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
            return port
    return 0


def _kept_port(file: Path) -> int:
    """The port of the last run when it is free, so that links stay good; else any."""
    try:
        port = int(file.read_text())
        with contextlib.closing(socket.socket()) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
    except (OSError, ValueError):
        return 0
    return port
