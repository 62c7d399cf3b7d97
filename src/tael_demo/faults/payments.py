"""`tael faults payments`: money in, about, back and out, while everything dies at random; then the books are compared.

    round   customers at three channels -> two servers die and come back, each with the next crash points armed
                                        -> now and then PostgreSQL with all its backends is killed as well
            -> users confirm or refuse, banks pay, fail and send back -> what is open is finished
            -> our books, the channels' own books and the customers' diary are compared

Every crash point of these paths has its turn before one comes again. The channels lose notices, repeat and reorder
them, drop replies and answer nonsense meanwhile. The same seed chooses the same kills, customers and troubles; the
moments at which they meet are the machine's.
"""

import asyncio
import random
import signal
import time
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

import cyclopts

from tael.base.embedded import Server, embedded
from tael_demo.faults import payments_world as world
from tael_demo.faults.payments_crowd import MOODS, Crowd, Plan, crowd
from tael_demo.faults.payments_stage import TOPICS, hurry, open_channels
from tael_demo.faults.payments_verdict import UNFINISHED, examine
from tael_demo.faults.rounds import Round, command
from tael_demo.faults.stage import FaultStage, fault_stage, kill_postgres
from tael_sandbox.remote import Refused

POINTS = (
    "recharge.before_commit", "recharge.committed", "handover.channel_answered", "handover.before_commit",
    "handover.committed", "notice.kept", "settle.before_commit", "settle.committed", "notice.before_acknowledgement",
    "recover.query_answered", "recover.worked", "recover.close_answered", "recover.ended", "outbox.before_commit",
    "outbox.published", "withdraw.before_commit", "withdraw.committed", "approve.before_commit", "approve.committed",
    "payout.intent_before_commit", "payout.intent_committed", "payout.channel_answered",
    "payout.recorded_before_commit", "payout.recorded", "refund.before_commit", "refund.committed",
    "refund.channel_answered", "refund.query_answered", "refund.recorded_before_commit", "refund.recorded",
    "transfer.before_commit", "transfer.committed",
)  # fmt: skip
"""Every crash point of money in, about, back and out."""
CUSTOMERS, AT_ONCE, POINTS_A_ROUND = 40, 16, 3
PATIENCE_S = 60

app = cyclopts.App(name="faults-payments", help="Kill Tael and PostgreSQL while customers pay, refund and withdraw.")


@app.default
def payments(*, rounds: int = 20, seed: int | None = None, json: bool = False) -> NoReturn:
    """Play ROUNDS rounds; exit code 1 when something was lost, doubled or cannot be explained."""
    command(lambda folder, dice: play(folder, rounds=rounds, seed=dice), rounds=rounds, seed=seed, as_json=json)


async def play(folder: Path, *, rounds: int, seed: int, customers: int = CUSTOMERS) -> AsyncGenerator[Round]:
    """Play rounds in `folder`, which every user may pass through; yields each when it is judged, up to the first that
    is wrong: what comes after it would only repeat it."""
    with embedded(folder / "database") as server:
        async with fault_stage(folder, server.dsn, servers=2) as stage:
            channels = await open_channels(stage)
            async with crowd(stage, channels, folder, seed=seed) as people:
                await stage.start()
                await stage.subscribe(*TOPICS)
                people.shop = await people.account(1)
                run = Run(stage, server, people, random.Random(seed), customers)  # noqa: S311 (no secret)
                for number in range(1, rounds + 1):
                    done = await run.round(number)
                    yield done
                    if not done.ok:
                        return


class Run:
    """One run: everything it needs, and its dice. `died` counts the crash points that processes died at."""

    def __init__(
        self, stage: FaultStage, server: Server, people: Crowd, dice: random.Random, customers: int = CUSTOMERS
    ) -> None:
        self._stage, self._server, self._people, self._dice, self._customers = stage, server, people, dice, customers
        self._points: list[str] = []
        self._postgres_kills = 0

    async def round(self, number: int) -> Round:
        """Load, kills, healing, verdict."""
        await world.arm(self._stage, self._dice)
        plans = [self._plan(number, one) for one in range(self._customers)]
        slots, crashed = asyncio.Semaphore(AT_ONCE), self._crashed()
        load = asyncio.gather(*(self._customer(plan, slots) for plan in plans))
        turning = asyncio.create_task(self._turn())
        how = await self._kill(load)
        try:
            await load
            await self._stage.sandbox.heal()
            await world.send_back(self._stage, self._dice)
            await finish(self._people, self._dice)
        finally:
            turning.cancel()
            await asyncio.wait([turning])
        died = self._crashed() - crashed
        return await self._judge(number, f"{how}; died at {', '.join(sorted(died.elements())) or 'none'}")

    async def _customer(self, plan: Plan, slots: asyncio.Semaphore) -> None:
        async with slots:
            await self._people.journey(plan)

    async def _turn(self) -> None:
        """Users and banks do their part, and time passes for what waits for it."""
        while True:
            await world.tick(self._stage, self._dice)
            await hurry(self._stage)
            await asyncio.sleep(0.5)

    async def _kill(self, load: asyncio.Future[list[None]]) -> str:
        """Kill both servers in turn, each time with the next crash point armed for its next life."""
        kills: list[str] = []
        for turn in range(2 * POINTS_A_ROUND):
            await asyncio.sleep(0.5 + self._dice.random())
            if load.done():
                break
            number = turn % len(self._stage.servers)
            self._stage.next_crash[number] = f"{self._next_point()}:{self._dice.randint(1, 3)}"
            self._stage.servers[number].send(signal.SIGKILL)
            kills.append(f"server {number}")
            if turn == POINTS_A_ROUND and self._dice.randrange(2):
                await kill_postgres(self._server)
                self._postgres_kills += 1
                kills.append("postgres")
        return f"killed {', '.join(f'{name} x{count}' for name, count in sorted(Counter(kills).items()))}"

    def _next_point(self) -> str:
        if not self._points:
            self._points = self._dice.sample(POINTS, len(POINTS))
        return self._points.pop()

    def _crashed(self) -> Counter[str]:
        return Counter(point for server in self._stage.servers for point in server.crashed)

    def _plan(self, number: int, one: int) -> Plan:
        dice = self._dice
        return Plan(
            number=f"{number}-{one}", owner=number * 1_000 + one + 1, buys=dice.randrange(3) == 0,
            channel=dice.choice(("wechat", "alipay")), payee=dice.choice(("bank_card", "wechat_user", "alipay_user")),
            mood=dice.choice(MOODS), amount=dice.randint(1_000, 50_000),
            verdict=dice.choice(("approve", "approve", "approve", "approve", "reject", "cancel", "race")),
            repeats=dice.randrange(8) > 0,
        )  # fmt: skip

    async def _judge(self, number: int, how: str) -> Round:
        findings, told = await examine(self._people), await world.read(self._stage)
        done = {"paid": _count(told.paid), "refunded": _count(told.refunded), "paid_out": _count(told.paid_out)}
        kills, acknowledged = self._stage.deaths + self._postgres_kills, len(self._people.diary.told)
        return Round(number, kills, how, acknowledged, done, findings)


async def finish(people: Crowd, dice: random.Random) -> None:
    """Let everything end: what nobody pays is closed, what nobody decides is decided. What does not end is found by the
    verdict."""
    until = time.monotonic() + PATIENCE_S
    while time.monotonic() < until:
        await world.tick(people.stage, dice)
        await hurry(people.stage)
        told = await world.read(people.stage)
        async with people.stage.db.transaction() as tx:
            unpaid, waiting = await tx.fetch(_UNPAID), await tx.fetch(_WAITING)
        for row in unpaid:
            if not told.paid[str(row["attempt_no"])]:
                if row["channel"] == "alipay":  # a code that nobody has opened is only over when its time is
                    with suppress(Refused):
                        await people.stage.sandbox.alipay.scan(str(row["attempt_no"]))
                await people.close(f"/v1/{row['kind']}s/{row['order_no']}")
        for row in waiting:
            await people.decide(str(row["order_no"]), dice.choice(("approve", "reject")))
        unheard = await _tell_again(people, told)
        await people.stage.sandbox.drain()
        if returned := await _returned(people, told):
            await hurry(people.stage, within_s=2 * 86_400)
        async with people.stage.db.transaction() as tx:
            left = await tx.fetch(UNFINISHED)
        if not (left or unheard or returned):
            return
        await asyncio.sleep(0.3)


async def _tell_again(people: Crowd, told: world.Told) -> bool:
    """The channels repeat their notices of payments that nobody here has a reason to ask about: second ones, late ones.

    Whether there are any. An open attempt is left alone: recovery has to find out what became of it by itself.
    """
    async with people.stage.db.transaction() as tx:
        rows = await tx.fetch(_ENDED)
    unheard = [row for row in rows if len(told.paid[str(row["attempt_no"])]) > row["booked"]]
    for row in unheard:
        again = people.stage.sandbox.alipay if row["channel"] == "alipay" else people.stage.sandbox
        with suppress(Refused):
            await again.renotify(str(row["attempt_no"]))
    return bool(unheard)


async def _returned(people: Crowd, told: world.Told) -> bool:
    """Whether a bank has sent something back that we have not booked yet."""
    async with people.stage.db.transaction() as tx:
        rows = await tx.fetch("select attempt_no from payment_attempt where state in ('returned', 'failed')")
    return not told.returned.keys() <= {str(row["attempt_no"]) for row in rows}


def _count(amounts: world.Amounts) -> int:
    return sum(map(len, amounts.values()))


_UNPAID = """select o.kind, o.order_no, a.attempt_no, a.channel
             from payment_order o join payment_attempt a using (book, order_no)
             where o.kind in ('recharge', 'payment') and o.state in ('created', 'paying', 'unknown')
                   and a.state in ('created', 'paying', 'unknown')"""
_ENDED = """select a.attempt_no, a.channel, count(p.pos) as booked
            from payment_attempt a join payment_order o using (book, order_no)
                 left join posting p on p.book = a.book and p.order_no = a.order_no and p.code in (101, 102, 103)
            where o.kind in ('recharge', 'payment') and a.state in ('paid', 'closed', 'failed') group by 1, 2"""
_WAITING = "select order_no from payment_order where kind = 'withdrawal' and state = 'reviewing'"

if __name__ == "__main__":
    app()
