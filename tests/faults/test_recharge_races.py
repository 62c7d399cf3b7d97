"""Several processes, one recharge: whoever comes first does it, whoever comes late finds it done (F32, F55, F56)."""

import asyncio
import contextlib
import random
import signal
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from flows.conftest import MASTER_KEY, Shop, open_shop
from tael.app import System, running
from tael.base.settings import Settings
from tael.base.tasks import Again, Dead, Done, claim
from tael.base.tasks import settle as settle_task
from tael.payments.settlement import RECOVERY
from tael_demo.faults.customers import Plan, customers
from tael_demo.faults.stage import FaultStage, fault_stage
from tael_demo.faults.verdict import examine, finish
from tael_sandbox import Fault
from tael_sandbox.remote import Refused

REPETITIONS = 20


@pytest.fixture
async def shop(dsn: str, tmp_path: Path) -> AsyncIterator[Shop]:
    async with open_shop(dsn, tmp_path) as opened:
        yield opened


@contextlib.asynccontextmanager
async def second_process(shop: Shop, dsn: str, tmp_path: Path) -> AsyncIterator[System]:
    """A second system on the same database, with caches, connections and a node number of its own."""
    port = shop.system.settings.port
    settings = Settings(home=tmp_path / "second", port=port, master_key=MASTER_KEY)
    async with running(settings, dsn=dsn, clock=shop.clock, work=False) as second:
        yield second


@pytest.mark.parametrize("payer_waits", [True, False], ids=["paid before", "paid at the same moment"])
async def test_notice_query_and_close_at_once(shop: Shop, dsn: str, tmp_path: Path, payer_waits: bool) -> None:
    account, chance = await shop.account(), random.Random(7)
    await shop.sim.fault(Fault(operation="notify", kind="drop", count=REPETITIONS if payer_waits else 1))
    async with second_process(shop, dsn, tmp_path) as second:
        for number in range(REPETITIONS):
            order = (await shop.recharge(account)).json()
            order_no, attempt_no = order["order_no"], order["attempts"][0]["attempt_no"]
            if payer_waits:
                await shop.sim.pay(attempt_no)
                await shop.sim.drain()
            moves = [
                _pay(shop, attempt_no) if not payer_waits else shop.sim.renotify(attempt_no),
                shop.system.parts.recovery.close(book=1, order_no=order_no),
                second.parts.recovery.close(book=1, order_no=order_no),
                second.recoverer.run_due(),
                shop.system.recoverer.run_due(),
            ]
            shop.clock.advance(10)
            await second.ids.renew(second.db)
            chance.shuffle(moves)
            await asyncio.gather(*moves)
            await shop.sim.drain()
            await shop.advance(30)
            await shop.recover()
            assert (await shop.order(order_no))["state"] in ({"paid"} if payer_waits else {"paid", "closed"}), number
    paid = sum(10_000 for one in await shop.sim.orders() if one.payments)
    assert await shop.available(account) == paid
    assert await shop.count("suspense_item") == 0
    assert await shop.count("task", "queue = 'recover'") == 0
    assert await shop.count("event") == REPETITIONS
    await shop.check_books()


async def _pay(shop: Shop, attempt_no: str) -> None:
    with contextlib.suppress(Refused):  # closed a moment ago
        await shop.sim.pay(attempt_no)


@pytest.mark.parametrize("late", [Done(), Again(datetime.now(UTC)), Dead("slept")], ids=["done", "again", "dead"])
async def test_who_slept_past_his_lease_changes_nothing(shop: Shop, late: Done | Again | Dead) -> None:
    order_no = (await shop.recharge(await shop.account())).json()["order_no"]
    await shop.advance(10)
    (sleeper,) = await claim(shop.db, RECOVERY, now=shop.clock.now(), lease_s=5, limit=1)
    assert await claim(shop.db, RECOVERY, now=shop.clock.now(), lease_s=5, limit=1) == [], "claimed once at a time"
    await shop.advance(5)
    (other,) = await claim(shop.db, RECOVERY, now=shop.clock.now(), lease_s=60, limit=1)

    assert await settle_task(shop.db, [(sleeper, late)], now=shop.clock.now()) == [False]
    assert await shop.count("task", f"lease = '{other.lease}' and dead_at is null") == 1
    assert await settle_task(shop.db, [(other, Done())], now=shop.clock.now()) == [True]
    assert (await shop.order(order_no))["state"] == "paying"


@contextlib.asynccontextmanager
async def serving(tmp_path: Path, dsn: str, *, servers: int = 1, workers: int = 1) -> AsyncIterator[FaultStage]:
    async with fault_stage(tmp_path, dsn, servers=servers, workers=workers) as stage:
        await stage.start()
        await stage.subscribe()
        yield stage


async def test_a_hundred_duplicate_notices_over_two_worker_processes(dsn: str, tmp_path: Path) -> None:
    async with serving(tmp_path, dsn, workers=2) as stage, customers(stage, tmp_path) as people:
        told = await people.ask(Plan("the-key", await stage.customer(1), 500))
        assert told is not None
        number = told.order.attempts[0].attempt_no
        await stage.sandbox.fault(Fault(operation="notify", kind="duplicate", times=100))
        await stage.sandbox.pay(number)
        await stage.sandbox.drain()
        await finish(people)
        deliveries = (await stage.sandbox.deliveries()).tried
        assert [one.accepted for one in deliveries] == [True] * 100
        assert (await examine(people)).all == []


async def test_two_processes_share_recovery_without_asking_twice(dsn: str, tmp_path: Path) -> None:
    async with serving(tmp_path, dsn, servers=2) as stage, customers(stage, tmp_path) as people:
        await stage.sandbox.fault(Fault(operation="notify", kind="drop", count=None))
        account = await stage.customer(1)
        told = await asyncio.gather(*(people.ask(Plan(f"key-{n}", account, 100 + n)) for n in range(12)))
        await asyncio.sleep(2.5)  # two rungs, while nobody pays
        await asyncio.gather(*(people.pay(one.order.order_no) for one in told if one is not None))
        await finish(people)
        assert (await examine(people)).all == []
        async with stage.db.transaction() as tx:
            pauses = await tx.fetch(
                """select at - lag(at) over (partition by attempt_no order by at) as pause from channel_exchange
                   where operation = 'query'"""
            )
        apart = [row["pause"].total_seconds() for row in pauses if row["pause"] is not None]
        assert len(apart) >= 12
        assert min(apart) > 0.7, "the ladder's shortest pause is a second"


async def test_one_of_two_processes_is_killed_under_load(dsn: str, tmp_path: Path) -> None:
    async with serving(tmp_path, dsn, servers=2) as stage, customers(stage, tmp_path) as people:
        account = await stage.customer(1)
        plans = [Plan(f"key-{n}", account, 100 + n, pays=bool(n % 5), repeats=bool(n % 7)) for n in range(60)]
        load = [asyncio.create_task(people.journey(plan)) for plan in plans]
        while len(people.diary.told) < 10:
            await asyncio.sleep(0.01)
        stage.servers[1].send(signal.SIGKILL)
        await asyncio.gather(*load)
        await finish(people)
        assert (await examine(people)).all == []
        assert stage.deaths == 1


async def test_a_process_that_slept_through_its_lease_finds_the_order_settled(dsn: str, tmp_path: Path) -> None:
    async with fault_stage(tmp_path, dsn, servers=2) as stage, customers(stage, tmp_path) as people:
        sleeper, other = stage.servers
        await sleeper.start()
        await stage.subscribe()
        account = await stage.customer(1)

        del people.clients[1]  # everybody talks to the sleeper
        told = await people.ask(Plan("the-key", account, 700))
        assert told is not None
        await stage.sandbox.fault(Fault(operation="notify", kind="drop", count=None))
        await stage.sandbox.fault(Fault(operation="query", kind="delay_ms", delay_ms=400))
        await stage.sandbox.pay(told.order.attempts[0].attempt_no)
        while not (await stage.sandbox.requests()).counts.get("query"):
            await asyncio.sleep(0.01)
        sleeper.send(signal.SIGSTOP)  # the channel's answer is on its way to it
        await stage.end_leases()
        await other.start()
        while (await _states(stage)) != ["paid"]:
            await asyncio.sleep(0.05)
        assert (await _tasks(stage)) == 0
        sleeper.send(signal.SIGCONT)
        while '"operation": "query"' not in sleeper.log():
            await asyncio.sleep(0.05)
        await finish(people)
        assert '"found": "paid"' in other.log()
        assert '"found": "paid"' not in sleeper.log(), "it came too late to settle"
        assert (await examine(people)).all == []


async def _states(stage: FaultStage) -> list[str]:
    async with stage.db.transaction() as tx:
        return [row["state"] for row in await tx.fetch("select state from payment_order")]


async def _tasks(stage: FaultStage) -> int:
    async with stage.db.transaction() as tx:
        return await tx.fetchval("select count(*) from task where queue = 'recover'")
