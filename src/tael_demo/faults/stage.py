"""The stage of a fault run: the channel, a business's receiver, and Tael processes that may die at any moment.

    starting -> serving -> dead (a crash point, a kill) -> starting again, while somebody keeps watch
                        -> stopped (SIGTERM)

The channel is a process of its own with a synced journal, so what it remembers is evidence from outside. Nobody waits
for leases: when a process has died, what it had claimed is given free at once, as if its leases had run out.
"""

import asyncio
import contextlib
import os
import signal
import socket
import sys
import time
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import httpx2
import msgspec

from tael.base.clock import DatabaseClock
from tael.base.db import Database, DatabaseUnavailable, OutcomeUnknown
from tael.base.embedded import Server, restart
from tael.base.ids import Ids
from tael.base.migrate import migrate
from tael.channels import registry
from tael.channels.accounts import AccountRow, MerchantAccounts
from tael.channels.contract import Operation
from tael.channels.transport import Transport
from tael.guard import keys
from tael.ledger import BookId, open_book
from tael_sandbox import SandboxProcess
from tael_sandbox.receiver import Receiver

BOOK = BookId(1)
RECEIVER_PATH = "/shop"
_PAUSE_S = 0.02
MASTER_KEY = "fault-run-key-" + "0123456789abcdef" * 2
_SETTINGS = {
    "TAEL_RECOVERY_LADDER_S": "[1, 1, 2]",
    "TAEL_SUBMISSION_GUARD_S": "0",
    "TAEL_DATABASE_POOL": "12",
    "TAEL_MASTER_KEY": MASTER_KEY,
}
_TRANSFERS = {
    "transfer_scene_id": "1000",
    "transfer_scene_report_infos": '[{"info_type": "活动名称", "info_content": "提现"}]',
}
_END_LEASES = (
    "update idempotency set locked_until = clock_timestamp() where status is null",
    "update task set due_at = clock_timestamp() where lease is not null and dead_at is null",
    """update callback_delivery set due_at = clock_timestamp()
       where status = 'waiting' and (lease is not null or attempts > 0)""",
)


class Named(msgspec.Struct):
    """What answers have in common: the id of the thing, and the secret where there is one."""

    id: str
    secret: str = ""


class DidNotStart(Exception):
    """`tael up` ended before it was ready; the message is the end of its log."""


class TaelProcess:
    """`tael up` on a fixed port, started and killed as often as wanted.

    `deaths` counts the times it was killed; `crashed` names the crash points that it died at by itself.
    """

    def __init__(self, home: Path, environment: Mapping[str, str], *, workers: int = 1) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.deaths = 0
        self.crashed: list[str] = []
        self._armed = ""
        self._log, self._words = home / f"tael-{self.port}.log", ("up", "--json", "--workers", str(workers))
        self._environment = {**environment, "TAEL_PORT": str(self.port)}
        self._process: asyncio.subprocess.Process | None = None

    @property
    def pid(self) -> int:
        """Process id of the present life."""
        assert self._process is not None, "it was started"
        return self._process.pid

    async def start(self, *, crash_at: str = "") -> bool:
        """Start and wait for /readyz; `crash_at` arms a crash point. False when it ended, but not by SIGKILL."""
        self._armed = crash_at
        environment = {**self._environment, "TAEL_CRASH_AT": crash_at}
        with self._log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable, "-c", "from tael.cli import main; main()", *self._words, env=environment,
                stdout=log, stderr=log,
            )  # fmt: skip
        async with httpx2.AsyncClient(base_url=self.url, trust_env=False, timeout=5) as http:
            while self._process.returncode is None:
                with contextlib.suppress(httpx2.TransportError):
                    if (await http.get("/readyz")).status_code == 200:
                        return True
                await asyncio.sleep(_PAUSE_S)
        return self._process.returncode == -signal.SIGKILL

    async def died(self) -> int:
        """Wait for the end of the present life; answers the exit code, negative for a signal."""
        assert self._process is not None, "it was started"
        code = await self._process.wait()
        self.deaths += code == -signal.SIGKILL
        if code == -signal.SIGKILL and self._armed:
            self.crashed.append(self._armed.partition(":")[0])
        return code

    def send(self, number: signal.Signals) -> None:
        """Send a signal to a process that still lives."""
        assert self._process is not None, "it was started"
        if self._process.returncode is None:
            if number is signal.SIGKILL:
                self._armed = ""
            self._process.send_signal(number)

    async def end(self, number: signal.Signals) -> int:
        """Send a signal and wait for the end; answers the exit code."""
        assert self._process is not None, "it was started"
        self.send(number)
        return await self._process.wait()

    def log(self) -> str:
        """What all its lives have logged."""
        return self._log.read_text(errors="replace")


@dataclass(slots=True)
class FaultStage:
    """Everything that runs. `db` is the examiner's own connection; `api_key` belongs to the company in `BOOK`."""

    servers: list[TaelProcess]
    sandbox: SandboxProcess
    receiver: Receiver
    db: Database
    api_key: str
    next_crash: dict[int, str] = field(default_factory=dict[int, str])
    _watches: list[asyncio.Task[None]] = field(default_factory=list[asyncio.Task[None]])

    @property
    def deaths(self) -> int:
        """How often a server was killed, by itself or by us."""
        return sum(server.deaths for server in self.servers)

    def client(self, server: int = 0) -> httpx2.AsyncClient:
        """A client of one server with the company's key."""
        headers = {"Authorization": f"Bearer {self.api_key}"}
        return httpx2.AsyncClient(base_url=self.servers[server].url, headers=headers, timeout=30, trust_env=False)

    async def start(self, *, crash_at: str = "") -> None:
        """Start all servers, the first with a crash point, and keep watch: who dies by SIGKILL comes back unarmed."""
        for number, server in enumerate(self.servers):
            if not await server.start(crash_at="" if number else crash_at):
                raise DidNotStart(server.log()[-2000:])
        self._watches += [asyncio.create_task(self._watch(number)) for number in range(len(self.servers))]

    async def subscribe(self, *topics: str) -> None:
        """Register the receiver for events: those of recharges, or of these topics."""
        async with self.client() as http:
            body = {"url": self.receiver.url(RECEIVER_PATH), "topics": topics or ("recharge.*",)}
            made = await http.post("/v1/webhook_endpoints", json=body)
        self.receiver.secrets[RECEIVER_PATH] = msgspec.json.decode(made.content, type=Named).secret

    async def customer(self, owner: int) -> str:
        """The id of a new customer's account."""
        async with self.client() as http:
            made = await http.post("/v1/accounts", json={"owner": str(owner), "currency": "CNY"})
        return msgspec.json.decode(made.content, type=Named).id

    async def end_leases(self) -> None:
        """Let every lease run out now: keys being answered, claimed tasks, claimed deliveries."""
        while True:
            try:
                async with self.db.transaction() as tx:
                    for statement in _END_LEASES:
                        await tx.execute(statement)
            except (DatabaseUnavailable, OutcomeUnknown):  # it was killed too, and is coming back
                await asyncio.sleep(_PAUSE_S)
            else:
                return

    async def stop(self) -> None:
        """End the watch, then all servers."""
        for watch in self._watches:
            watch.cancel()
        await asyncio.wait(self._watches) if self._watches else None
        for server in self.servers:
            server.send(signal.SIGCONT)
            await server.end(signal.SIGTERM)

    async def _watch(self, number: int) -> None:
        server = self.servers[number]
        while await server.died() == -signal.SIGKILL:
            crash_at = self.next_crash.pop(number, "")
            await self.end_leases()
            while not await server.start(crash_at=crash_at):
                await self.end_leases()  # which waits for PostgreSQL: it was killed as well


@contextlib.asynccontextmanager
async def fault_stage(
    folder: Path, dsn: str, *, servers: int = 1, workers: int = 1, settings: Mapping[str, str] | None = None
) -> AsyncGenerator[FaultStage]:
    """Set a stage in `folder`, which exists, on the database `dsn`; the servers are not started yet.

    All servers name the first as the address for notices. `settings` are further TAEL_ variables.
    """
    own = {name: value for name, value in os.environ.items() if not name.startswith("TAEL_")}
    environment = {**own, **_SETTINGS, "TAEL_DATABASE_URL": dsn, "TAEL_HOME": str(folder), **(settings or {})}
    async with (
        SandboxProcess.start(folder / "sandbox", seed="faults") as sandbox,
        Receiver() as receiver,
        await Database.connect(dsn, min_size=1, max_size=4) as db,
    ):
        await migrate(db)
        first = TaelProcess(folder, environment, workers=workers)
        environment["TAEL_PUBLIC_URL"] = first.url
        running = [TaelProcess(folder, environment, workers=workers) for _ in range(servers - 1)]
        stage = FaultStage([first, *running], sandbox, receiver, db, await _company(db, sandbox))
        try:
            yield stage
        finally:
            await stage.stop()


async def _company(db: Database, sandbox: SandboxProcess) -> str:
    """The company's book, its merchant account at the simulator, and an API key, which is answered."""
    clock, merchant = await DatabaseClock.synchronised(db), sandbox.merchant
    ids = await Ids.lease(db, clock.now)
    row = AccountRow(
        book=BOOK, id=ids.next(), name="sandbox", channel="wechat", mode="test", state="active",
        mchid=merchant.mchid, appid=merchant.appid, base_url=sandbox.base_url,
        config={"serial_no": merchant.serial, "public_key_id": merchant.public_key_id, **_TRANSFERS},
        secret_refs={
            "merchant_key": f"file:{merchant.private_key_path}", "apiv3_key": f"file:{merchant.apiv3_key_path}",
            "public_key": f"file:{merchant.public_key_path}",
        },
        qps=dict.fromkeys(Operation, 1000), changed_at=clock.now(),
    )  # fmt: skip
    async with db.transaction() as tx:
        await open_book(tx, BOOK, name="Fault run", now=clock.now())
        await MerchantAccounts(registry.connectors(Transport())).add(tx, row)
        key = await keys.issue(tx, book=BOOK, mode="test", name="faults", pepper=MASTER_KEY.encode(), now=clock.now())
    await ids.release(db)
    return key


def free_port() -> int:
    """A loopback port that nobody uses at the moment."""
    with contextlib.closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


async def kill_postgres(server: Server) -> None:
    """SIGKILL the postmaster and every backend at once, then start the server again."""
    await asyncio.to_thread(_kill_postgres, server)


def _kill_postgres(server: Server) -> None:
    pids = [server.pid, *map(int, Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text().split())]
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    # PostgreSQL takes the remains of a process that nobody has reaped yet for a running server.
    while any(Path(f"/proc/{pid}").exists() for pid in pids):
        time.sleep(0.01)
    restart(server)
