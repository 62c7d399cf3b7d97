"""Tael dies by SIGKILL at every step of a refund; the same step again ends in the same place, and once (F01-F05).

The channel is another party: it runs in this process and outlasts the one that dies.
"""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from shop import Shop, open_shop
from tael_sandbox import Fault

STEP = str(Path(__file__).with_name("step.py"))
TESTS = str(Path(__file__).parent.parent)
DEAD = -signal.SIGKILL


class Stage:
    """A shop whose refunds are made by processes of their own, a minute apart from each other."""

    def __init__(self, shop: Shop, dsn: str, home: Path) -> None:
        self.shop, self.dsn, self.home = shop, dsn, home
        self.complained = ""

    async def step(self, *words: str, crash_at: str = "") -> tuple[int, str]:
        """Run a step, long after the one before: what was claimed by a dead process is free again."""
        await self.shop.advance(90)
        path = os.pathsep.join([TESTS, os.environ.get("PYTHONPATH", "")])
        process = await asyncio.create_subprocess_exec(
            sys.executable, STEP, self.dsn, str(self.home), str(self.shop.system.settings.port),
            self.shop.clock.now().isoformat(), *words, env=os.environ | {"TAEL_CRASH_AT": crash_at, "PYTHONPATH": path},
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        said, complained = await process.communicate()
        self.complained = complained.decode()
        last = said.decode().rpartition("\n")[2]
        return process.returncode or 0, last

    async def finish(self) -> None:
        """Work until nothing is due."""
        for _ in range(5):
            if await self.shop.count("task", "queue = 'refund'"):
                assert (await self.step("work"))[0] == 0, self.complained

    async def check(self, amount: int) -> None:
        """The payer has `amount` back, by one refund, and everybody agrees."""
        assert [(one.refund_minor, one.state) for one in await self.shop.sim.refunds()] == [(amount, "SUCCESS")]
        assert await self.shop.count("payment_order", "kind = 'refund' and state = 'paid'") == 1
        assert await self.shop.count("payment_order", "kind = 'refund'") == 1
        assert await self.shop.count("event", "topic = 'refund.succeeded'") == 1
        assert await self.shop.count("task", "queue = 'refund'") == 0
        await self.shop.check_books()


@pytest.fixture
async def stage(dsn: str, tmp_path: Path) -> AsyncIterator[Stage]:
    async with open_shop(dsn, tmp_path) as shop:
        await shop.sim.fault(Fault(operation="notify", kind="drop", count=None))
        yield Stage(shop, dsn, tmp_path / "step")


async def paid(stage: Stage) -> tuple[str, str]:
    """A seller and a payment of 100.00; its notice is lost as all are, so recovery finds it."""
    seller = await stage.shop.account()
    order = (await stage.shop.payment(seller)).json()
    await stage.shop.sim.pay(order["attempts"][0]["attempt_no"])
    await stage.shop.advance(10)
    await stage.shop.recover()
    assert await stage.shop.available(seller) == 10_000
    return seller, order["order_no"]


# The point, refund orders and refunds at the channel after the death.
ASKING = [
    ("refund.before_commit", 0, 0),
    ("refund.committed", 1, 0),
    ("refund.channel_answered", 1, 1),
    ("refund.recorded_before_commit", 1, 1),
    ("refund.recorded", 1, 1),
]


@pytest.mark.slow
@pytest.mark.parametrize("repeats", [True, False], ids=["repeats", "leaves"])
@pytest.mark.parametrize(("point", "orders", "sent"), ASKING)
async def test_dead_while_asking(stage: Stage, point: str, orders: int, sent: int, repeats: bool) -> None:
    seller, payment = await paid(stage)
    assert await stage.step("ask", payment, "4000", crash_at=point) == (DEAD, "")
    assert await stage.shop.count("refund") == orders
    assert len(await stage.shop.sim.refunds()) == sent
    assert await stage.shop.available(seller) == 10_000 - 4_000 * orders
    if repeats:
        first, second = await stage.step("ask", payment, "4000"), await stage.step("ask", payment, "4000")
        assert first[0] == second[0] == 0, stage.complained
        assert json.loads(first[1])["refund_no"] == json.loads(second[1])["refund_no"]
    await stage.finish()
    if repeats or orders:
        assert await stage.shop.available(seller) == 6_000
        await stage.check(4_000)
    else:
        assert await stage.shop.count("refund") == 0
        await stage.shop.check_books()


WORKING = [
    ("refund.query_answered", "asked"),
    ("refund.recorded_before_commit", "asked"),
    ("refund.recorded", "asked"),
    ("refund.channel_answered", "never sent"),
    ("refund.recorded_before_commit", "never sent"),
    ("refund.recorded", "never sent"),
]


@pytest.mark.slow
@pytest.mark.parametrize(("point", "when"), WORKING)
async def test_dead_while_sending(stage: Stage, point: str, when: str) -> None:
    _, payment = await paid(stage)
    await stage.step("ask", payment, "4000", crash_at="refund.committed" if when == "never sent" else "")
    assert await stage.step("work", crash_at=point) == (DEAD, "")
    await stage.finish()
    await stage.check(4_000)


ITEMS = [
    ("item", "refund.before_commit", 0),
    ("item", "refund.committed", 1),
    ("item", "refund.channel_answered", 1),
    ("item", "refund.recorded", 1),
    ("work", "refund.before_commit", 0),
    ("work", "refund.committed", 1),
    ("work", "refund.channel_answered", 1),
    ("work", "refund.recorded_before_commit", 1),
]


@pytest.mark.slow
@pytest.mark.parametrize(("who", "point", "orders"), ITEMS)
async def test_dead_while_giving_back_what_came_twice(stage: Stage, who: str, point: str, orders: int) -> None:
    _, payment = await paid(stage)
    order = (await stage.shop.http.get(f"/v1/payments/{payment}")).json()
    await stage.shop.sim.heal()
    await stage.shop.sim.pay(order["attempts"][0]["attempt_no"], force=True)
    await stage.shop.sim.drain()
    await stage.shop.sim.fault(Fault(operation="notify", kind="drop", count=None))
    await stage.shop.deliver()
    (item,) = (await stage.shop.http.get("/v1/suspense_items")).json()["data"]
    words = ("item", item["id"]) if who == "item" else ("work",)
    assert await stage.step(*words, crash_at=point) == (DEAD, "")
    assert await stage.shop.count("refund") == orders
    assert await stage.shop.count("suspense_item", "state = 'refunding'") == orders
    assert (await stage.step(*words))[0] == 0, stage.complained
    await stage.finish()
    assert await stage.shop.count("suspense_item", "state = 'resolved'") == 1
    await stage.check(10_000)
