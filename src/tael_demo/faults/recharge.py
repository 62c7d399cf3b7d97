"""`tael faults recharge`: customers recharge while everything dies at random; afterwards three books are compared.

    round   sixty customers -> a server dies and comes back with a random crash point armed -> it dies there
                            -> the other server, or PostgreSQL with all its backends, is killed as well
            -> what is open is finished -> our books, the channel's journal and the customers' diary are compared

Two Tael processes share the work on one embedded PostgreSQL. The channel loses notices, repeats them and drops replies
meanwhile. The same seed chooses the same kills and customers; the moments at which they meet are the machine's.
"""

import asyncio
import random
import signal
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import cyclopts

from tael.base.embedded import Server, embedded
from tael_demo.faults.customers import Customers, Plan, customers
from tael_demo.faults.rounds import Round, command
from tael_demo.faults.stage import FaultStage, fault_stage, kill_postgres
from tael_demo.faults.verdict import examine, finish
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


@app.default
def recharge(*, rounds: int = 20, seed: int | None = None, json: bool = False) -> NoReturn:
    """Play ROUNDS rounds; exit code 1 when something was lost, doubled or cannot be explained."""
    command(lambda folder, dice: play(folder, rounds=rounds, seed=dice), rounds=rounds, seed=seed, as_json=json)


async def play(folder: Path, *, rounds: int, seed: int) -> AsyncGenerator[Round]:
    """Play rounds in `folder`, which every user may pass through; yields each when it is judged."""
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

    async def round(self, number: int) -> Round:
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

    async def _judge(self, number: int, how: str) -> Round:
        findings = await examine(self.people)
        async with self.stage.db.transaction() as tx:
            orders = await tx.fetchval("select count(*) from payment_order")
        assert isinstance(orders, int)
        paid = sum(len(order.payments) for order in await self.stage.sandbox.orders())
        kills, acknowledged = self.stage.deaths + self.postgres_kills, len(self.people.diary.told)
        return Round(number, kills, how, acknowledged, {"paid": paid, "orders": orders}, findings)


if __name__ == "__main__":
    app()
