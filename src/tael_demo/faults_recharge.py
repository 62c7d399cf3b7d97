"""`tael faults recharge`: customers recharge while everything dies at random; afterwards three books are compared.

    round   sixty customers -> a server dies and comes back with a random crash point armed -> it dies there
                            -> the other server, or PostgreSQL with all its backends, is killed as well
            -> what is open is finished -> our books, the channel's journal and the customers' diary are compared

Two Tael processes share the work on one embedded PostgreSQL. The channel loses notices, repeats them and drops replies
meanwhile. The same seed chooses the same kills and customers; the moments at which they meet are the machine's.
"""

import asyncio
import logging
import random
import signal
import sys
import tempfile
from collections.abc import AsyncGenerator, Generator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import cyclopts
import msgspec
from rich.console import Console
from rich.table import Table

from tael.base.embedded import Server, embedded
from tael_demo.faults_customers import Customers, Plan, customers
from tael_demo.faults_stage import FaultStage, fault_stage, kill_postgres
from tael_demo.faults_verdict import Findings, examine, finish
from tael_sandbox import Fault

POINTS = (
    "recharge.before_commit", "recharge.committed", "handover.channel_answered", "handover.before_commit",
    "handover.committed", "notice.kept", "settle.before_commit", "settle.committed", "notice.before_acknowledgement",
    "recover.query_answered", "recover.worked", "recover.close_answered", "recover.ended", "outbox.before_commit",
    "outbox.published",
)  # fmt: skip
"""Every crash point of the recharge path."""
CUSTOMERS, AT_ONCE = 60, 16
_TROUBLES = (
    Fault(operation="notify", kind="drop", count=10),
    Fault(operation="notify", kind="duplicate", count=5, times=4),
    Fault(operation="create", kind="commit_then_drop_reply", count=4),
    Fault(operation="create", kind="drop_before_commit", count=4),
    Fault(operation="create", kind="notify_inside_create", count=2),
    Fault(operation="query", kind="5xx_after_commit", count=4),
    Fault(operation="close", kind="commit_then_drop_reply", count=4),
)

app = cyclopts.App(name="faults-recharge", help="Kill Tael and PostgreSQL while customers recharge.")


@dataclass(frozen=True, slots=True)
class Round:
    """What a round did. Counts of kills, acknowledgements, payments at the channel and orders are since the start."""

    number: int
    kills: int
    how: str
    acknowledged: int
    paid: int
    orders: int
    lost: int
    doubled: int
    unexplained: int

    @property
    def ok(self) -> bool:
        """Nothing is wrong, and there was something to go wrong."""
        return self.lost == self.doubled == self.unexplained == 0 < min(self.acknowledged, self.kills)


@app.default
def recharge(*, rounds: int = 20, seed: int | None = None, json: bool = False) -> None:
    """Play ROUNDS rounds; exit code 1 when something was lost, doubled or cannot be explained."""
    chosen = seed if seed is not None else random.SystemRandom().randrange(10**6)
    logging.getLogger("asyncpg").setLevel(logging.CRITICAL)  # that PostgreSQL is away now and then is the purpose
    out = Console(stderr=True)
    out.print(f"seed {chosen}")
    done = asyncio.run(_collect(rounds, chosen, out))
    if json:
        sys.stdout.write(msgspec.json.encode({"seed": chosen, "rounds": [asdict(one) for one in done]}).decode() + "\n")
    else:
        _show(done)
    sys.exit(0 if len(done) == rounds and all(one.ok for one in done) else 1)


async def play(folder: Path, *, rounds: int, seed: int) -> AsyncGenerator[tuple[Round, Findings]]:
    """Play rounds in `folder`, which every user may pass through; yields each with what was found."""
    with embedded(folder / "database") as server:
        async with (
            fault_stage(folder, server.dsn, servers=2) as stage,
            customers(stage, folder, seed=seed) as people,
        ):
            await stage.start()
            await stage.subscribe()
            run = _Run(stage, server, people, random.Random(seed), await stage.customer(1))  # noqa: S311 (no secret)
            for number in range(1, rounds + 1):
                yield await run.round(number)


@dataclass(slots=True)
class _Run:
    """One run: everything it needs, and its dice."""

    stage: FaultStage
    server: Server
    people: Customers
    dice: random.Random
    account: str
    postgres_kills: int = 0

    async def round(self, number: int) -> tuple[Round, Findings]:
        point = f"{self.dice.choice(POINTS)}:{self.dice.randint(1, 4)}"
        also = self.dice.choice(("the other server", "postgres"))
        for trouble in self.dice.sample(_TROUBLES, 3):
            await self.stage.sandbox.fault(trouble)
        slots = asyncio.Semaphore(AT_ONCE)
        load = [asyncio.create_task(self._customer(plan, slots)) for plan in self._plans(number)]
        await self._told(CUSTOMERS // 6)
        self.stage.next_crash[0] = point
        self.stage.servers[0].send(signal.SIGKILL)
        await self._told(CUSTOMERS // 4)
        if also == "postgres":
            await kill_postgres(self.server)
            self.postgres_kills += 1
        else:
            self.stage.servers[1].send(signal.SIGKILL)
        await asyncio.gather(*load)
        await self.stage.sandbox.heal()
        await finish(self.people)
        return await self._judge(number, f"server, {point}, {also}")

    def _plans(self, number: int) -> list[Plan]:
        """Most customers pay and insist; some close their order, some give up at the first broken line."""
        return [
            Plan(
                f"round-{number}-{one}", self.account, self.dice.randint(1, 100_000), pays=self.dice.randrange(6) > 0,
                repeats=self.dice.randrange(5) > 0,
            )
            for one in range(CUSTOMERS)
        ]  # fmt: skip

    async def _customer(self, plan: Plan, slots: asyncio.Semaphore) -> None:
        async with slots:
            await self.people.journey(plan)

    async def _told(self, more: int) -> None:
        """Wait until so many more customers have their 2xx."""
        await self.people.diary.until(len(self.people.diary.told) + more)

    async def _judge(self, number: int, how: str) -> tuple[Round, Findings]:
        findings = await examine(self.people)
        async with self.stage.db.transaction() as tx:
            orders = await tx.fetchval("select count(*) from payment_order")
        assert isinstance(orders, int)
        done = Round(
            number, self.stage.deaths + self.postgres_kills, how, len(self.people.diary.told),
            sum(len(order.payments) for order in await self.stage.sandbox.orders()), orders,
            len(findings.lost), len(findings.doubled), len(findings.unexplained),
        )  # fmt: skip
        return done, findings


@contextmanager
def _folder() -> Generator[Path]:
    with tempfile.TemporaryDirectory(prefix="tael-faults-") as name:
        Path(name).chmod(0o711)
        yield Path(name)


async def _collect(rounds: int, seed: int, out: Console) -> list[Round]:
    done: list[Round] = []
    with _folder() as folder:
        async for one, findings in play(folder, rounds=rounds, seed=seed):
            done.append(one)
            out.print(f"round {one.number}: {one.how}: {'ok' if one.ok else 'WRONG'}", highlight=False)
            for line in findings.all:
                out.print(f"  {line}", style="red", markup=False, highlight=False)
    return done


def _show(rounds: list[Round]) -> None:
    table = Table("round", "kills", "acknowledged", "paid", "orders", "lost", "doubled", "unexplained")
    for one in rounds:
        shown = [str(value) for name, value in asdict(one).items() if name != "how"]
        table.add_row(*shown, style="" if one.ok else "red")
    Console().print(table)
    if rounds:
        last, lost, doubled = rounds[-1], sum(one.lost for one in rounds), sum(one.doubled for one in rounds)
        Console().print(
            f"kills={last.kills} acknowledged={last.acknowledged} lost={lost} doubled={doubled} "
            f"unexplained={sum(one.unexplained for one in rounds)}",
            highlight=False,
        )


if __name__ == "__main__":
    app()
