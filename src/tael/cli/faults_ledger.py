"""`tael faults ledger`: kill -9 under load, again and again, and see whether an acknowledged posting was ever lost.

    two posters -> load -> SIGKILL (all of PostgreSQL, or a poster) -> start again -> compare with the witness

The witness is this process: it appends every acknowledgement to its own file and syncs it before it counts. After
every kill each acknowledged posting must be in the log once, with its amount; no business action twice; and `verify`
must find every chain unbroken.
"""

import asyncio
import os
import random
import signal
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TextIO
from uuid import UUID

from cyclopts import App
from rich.console import Console
from rich.table import Table

from tael.base.db import Database
from tael.base.embedded import Server, embedded, restart
from tael.base.migrate import migrate
from tael.cli.faults_poster import BANK, BOOK, WALLETS
from tael.cli.printing import print_json
from tael.ledger.accounts import NewAccount, open_accounts, open_book
from tael.ledger.records import DEBITS_WITHIN_CREDITS, AccountId
from tael.ledger.statement import find
from tael.ledger.verify import verify

app = App(name="faults", help="Break things on purpose and check that no money was lost.")

POSTERS = 2


@dataclass(frozen=True, slots=True)
class Round:
    """What one kill did. `acknowledged` counts since the beginning; `lost`, `doubled` and `broken` must be 0."""

    number: int
    killed: str
    acknowledged: int
    written: int
    lost: int
    doubled: int
    broken: int

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong and the round did have load."""
        return self.lost == self.doubled == self.broken == 0 < self.acknowledged


@app.command
async def ledger(*, rounds: int = 20, seed: int | None = None, json: bool = False) -> None:
    """Kill PostgreSQL and the posters in turn, ROUNDS times; exit code 1 when an acknowledged posting was lost."""
    chosen = seed if seed is not None else random.SystemRandom().randrange(10**6)
    Console(stderr=True).print(f"seed {chosen}")
    done = [one async for one in run(rounds=rounds, seed=chosen)]
    if json:
        print_json({"seed": chosen, "rounds": [asdict(one) for one in done]})
    else:
        _show(done)
    if len(done) < rounds or not all(one.ok for one in done):
        sys.exit(1)


async def run(*, rounds: int, seed: int) -> AsyncGenerator[Round]:
    """Play `rounds` kills on a server of our own; yields what each did."""
    chance = random.Random(seed)  # noqa: S311 (a repeatable run, not a secret)
    with _ground() as (server, witness):
        await _prepare(server)
        stand = _Stand(server, witness, seed)
        async with stand.running():
            for number in range(1, rounds + 1):
                await stand.load(500 + chance.randrange(1_000))
                killed = await (stand.kill_postgres() if number % 2 else stand.kill_poster())
                await stand.load(200)
                yield await stand.judge(number, killed)


@contextmanager
def _ground() -> Generator[tuple[Server, TextIO]]:
    """A server of our own and the witness's file, in a folder that is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="tael-faults-") as name:
        folder = Path(name)
        folder.chmod(0o711)
        with embedded(folder / "home") as server, (folder / "witness").open("a+") as witness:
            yield server, witness


async def _prepare(server: Server) -> None:
    now = datetime.now(UTC)
    async with await Database.connect(server.dsn) as db:
        await migrate(db)
        async with db.transaction() as tx:
            await open_book(tx, BOOK, name="faults", now=now)
            bank = NewAccount(book=BOOK, id=BANK, subject="1002", currency="CNY", normal="debit")
            limits = DEBITS_WITHIN_CREDITS
            wallets = [
                NewAccount(book=BOOK, id=AccountId(2 + number), subject="2001", currency="CNY", limits=limits)
                for number in range(WALLETS)
            ]
            await open_accounts(tx, [bank, *wallets], now=now)


@dataclass(slots=True)
class _Poster:
    process: asyncio.subprocess.Process
    reader: asyncio.Task[None]


@dataclass(slots=True)
class _Stand:
    """The posters, the server and the witness's notes."""

    server: Server
    witness: TextIO
    seed: int
    posters: list[_Poster] = field(default_factory=list[_Poster])
    acknowledged: dict[UUID, int] = field(default_factory=dict[UUID, int])
    started: int = 0
    goal: int = 0
    reached: asyncio.Event = field(default_factory=asyncio.Event)

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        try:
            for _ in range(POSTERS):
                await self.start_poster()
            yield
        finally:
            for poster in self.posters:
                await _end(poster)

    async def start_poster(self) -> None:
        self.started += 1
        command = (sys.executable, "-m", "tael.cli.faults_poster", self.server.dsn)
        process = await asyncio.create_subprocess_exec(
            *command, f"p{self.started}", str(self.seed + self.started), stdout=asyncio.subprocess.PIPE
        )
        self.posters.append(_Poster(process, asyncio.create_task(self.take_notes(process))))

    async def take_notes(self, process: asyncio.subprocess.Process) -> None:
        """Write acknowledgements down, durably, before they count."""
        assert process.stdout is not None
        rest = b""
        while chunk := await process.stdout.read(65_536):
            *lines, rest = (rest + chunk).split(b"\n")
            self.witness.write("".join(f"{line.decode()}\n" for line in lines))
            self.witness.flush()
            await asyncio.to_thread(os.fsync, self.witness.fileno())
            for line in lines:
                identity, amount = line.split()
                self.acknowledged[UUID(identity.decode())] = int(amount)
            if len(self.acknowledged) >= self.goal:
                self.reached.set()

    async def load(self, postings: int) -> None:
        """Wait until so many more postings are acknowledged."""
        self.goal, self.reached = len(self.acknowledged) + postings, asyncio.Event()
        async with asyncio.timeout(60):
            await self.reached.wait()

    async def kill_postgres(self) -> str:
        """SIGKILL the postmaster and every backend at once, then start the server again."""
        pids = [self.server.pid, *_children(self.server.pid)]
        for pid in pids:
            _kill(pid)
        # PostgreSQL takes the remains of a process that nobody has reaped yet for a running server.
        await asyncio.to_thread(_await_end, pids)
        await asyncio.to_thread(restart, self.server)
        return "postgres"

    async def kill_poster(self) -> str:
        """SIGKILL a poster and start another in its place."""
        poster = self.posters.pop(0)
        await _end(poster)
        await self.start_poster()
        return "poster"

    async def judge(self, number: int, killed: str) -> Round:
        """Compare the log with the witness while the load goes on."""
        noted = dict(self.acknowledged)
        async with await Database.connect(self.server.dsn, min_size=1, max_size=2) as db:
            async with db.transaction() as tx:
                found = await find(tx, BOOK, list(noted))
            async with db.report() as tx:
                doubled = await tx.fetchval(
                    """select count(*) from (select order_no from posting where book = $1 and kind in (0, 1)
                       group by order_no having count(*) > 1) twice""",
                    BOOK,
                )
            report = await verify(db, BOOK)
        lost = sum(1 for identity, amount in noted.items() if identity not in found or found[identity].amount != amount)
        assert isinstance(doubled, int)
        return Round(number, killed, len(noted), report.postings, lost, doubled, sum(report.counts.values()))


async def _end(poster: _Poster) -> None:
    """Kill a poster; what it had reported until then still counts."""
    poster.process.kill()
    await poster.process.wait()
    await poster.reader


def _children(parent: int) -> list[int]:
    found: list[int] = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                after_name = (folder / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue  # it has ended meanwhile
            if int(after_name[1]) == parent:
                found.append(int(folder.name))
    return found


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def _await_end(pids: list[int]) -> None:
    end = time.monotonic() + 60
    while any((Path("/proc") / str(pid)).exists() for pid in pids):
        assert time.monotonic() < end, "killed processes are not reaped"
        time.sleep(0.01)


def _show(rounds: list[Round]) -> None:
    table = Table("round", "killed", "acknowledged", "in the log", "lost", "doubled", "broken")
    for one in rounds:
        table.add_row(*(str(value) for value in asdict(one).values()), style="" if one.ok else "red")
    Console().print(table)
