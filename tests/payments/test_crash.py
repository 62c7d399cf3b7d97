"""Tael dies by SIGKILL between the payment and the product; once more ends in the same place (F01-F05)."""

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest

from shop import Shop
from tael_sandbox import Fault

from .test_fulfilment import WITHIN_S, alerts, ordered, reminders, standing

STEP = str(Path(__file__).with_name("step.py"))
TESTS = str(Path(__file__).parent.parent)
DEAD = -signal.SIGKILL
LEASE_S = 60
pytestmark = pytest.mark.slow


class Stage:
    """A shop with one payment, whose steps run in processes of their own."""

    def __init__(self, shop: Shop, dsn: str, folder: Path, order: dict[str, object]) -> None:
        self.shop, self._dsn, self._folder = shop, dsn, folder
        self.order_no, self.attempt_no = str(order["order_no"]), str(order["attempts"][0]["attempt_no"])

    async def step(self, verb: str, *, after_s: int = 0, crash_at: str = "") -> int:
        """Run a step after so many seconds; what a dead process had claimed is free after a lease."""
        await self.shop.advance(after_s)
        process = await asyncio.create_subprocess_exec(
            sys.executable, STEP, self._dsn, str(self._folder), str(self.shop.system.settings.port),
            self.shop.clock.now().isoformat(), verb, self.order_no, stdout=asyncio.subprocess.PIPE,
            env=os.environ | {"TAEL_CRASH_AT": crash_at, "PYTHONPATH": TESTS}, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        said, _ = await process.communicate()
        assert process.returncode in {0, DEAD}, said.decode()
        return process.returncode or 0

    async def standing(self) -> tuple[str, int]:
        return await standing(self.shop, self.order_no)


@pytest.fixture
async def stage(shop: Shop, dsn: str, tmp_path: Path) -> Stage:
    stage = Stage(shop, dsn, tmp_path, await ordered(shop))
    await shop.sim.fault(Fault(operation="notify", kind="drop", count=99))  # nobody is there to take a notice
    await shop.sim.pay(stage.attempt_no)
    return stage


@pytest.mark.parametrize(("moment", "left"), [("before_commit", "unpaid"), ("committed", "expected")])
async def test_dead_between_the_payment_and_the_product(stage: Stage, moment: str, left: str) -> None:
    assert await stage.step("recover", after_s=10, crash_at=f"settle.{moment}") == DEAD
    assert await stage.standing() == (left, 0)
    for _ in range(2):
        assert await stage.step("recover", after_s=LEASE_S) == 0
    assert await stage.standing() == ("expected", 0)
    for wait_s in (WITHIN_S, 0):
        assert await stage.step("remind", after_s=wait_s) == 0
    assert await reminders(stage.shop) == [1]
    await stage.shop.check_books()


# The point, what is there after the death, and after the same step again.
REMINDING = [("fulfil.ask_before_commit", [], [1]), ("fulfil.asked", [1], [1])]


@pytest.mark.parametrize(("point", "after", "again"), REMINDING)
async def test_dead_while_reminding(stage: Stage, point: str, after: list[int], again: list[int]) -> None:
    await stage.step("recover", after_s=10)
    assert await stage.step("remind", after_s=WITHIN_S, crash_at=point) == DEAD
    assert await reminders(stage.shop) == after
    assert await stage.step("remind", after_s=LEASE_S - 1) == 0, "its lease is not over"
    assert await reminders(stage.shop) == after
    assert await stage.step("remind", after_s=1) == 0
    assert (await reminders(stage.shop))[: len(again)] == again
    for _ in range(3):
        assert await stage.step("remind", after_s=1800) == 0
    told = await reminders(stage.shop)
    assert told == list(range(1, len(told) + 1)), "no number twice"
    assert [kind for kind, *_ in await alerts(stage.shop)] == ["product_not_made"]


@pytest.mark.parametrize(("point", "after"), [("fulfil.before_commit", "expected"), ("fulfil.recorded", "fulfilled")])
async def test_dead_while_recording_the_product(stage: Stage, point: str, after: str) -> None:
    await stage.step("recover", after_s=10)
    assert await stage.step("fulfil", crash_at=point) == DEAD
    assert await stage.standing() == (after, 0)
    for _ in range(2):
        assert await stage.step("fulfil") == 0
    assert await stage.step("remind", after_s=WITHIN_S) == 0
    assert (await stage.standing(), await reminders(stage.shop)) == (("fulfilled", 0), [])
