"""Tael dies by SIGKILL at every step of a withdrawal; the same step again ends in the same place, and once (F01-F05).

The bank is another party: it lives in files and outlasts the process.
"""

import asyncio
import json
import os
import signal
import sys
from pathlib import Path

import pytest

from tael.base.db import Database

from .conftest import ALICE, Company, check_books, open_company

STEP = str(Path(__file__).with_name("step.py"))
TESTS = str(Path(__file__).parent.parent)


class Stage:
    """A company whose steps run in processes of their own, a minute apart from each other."""

    def __init__(self, company: Company, dsn: str) -> None:
        self.company, self.dsn, self.clock = company, dsn, 0

    async def step(self, *words: str, crash_at: str = "") -> tuple[int, str]:
        """Run a step, long after the one before: what was claimed by a dead process is free again."""
        self.clock += 7_200
        process = await asyncio.create_subprocess_exec(
            sys.executable, STEP, self.dsn, str(self.company.bank.folder), str(self.clock), *words,
            env=os.environ | {"TAEL_CRASH_AT": crash_at, "PYTHONPATH": TESTS}, stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        said, complained = await process.communicate()
        assert process.returncode in {0, 1, -signal.SIGKILL}, complained.decode()
        self.complained = complained.decode()
        return process.returncode or 0, said.decode()

    async def finish(self) -> None:
        """Work until nothing is due."""
        for _ in range(4):
            assert (await self.step("pay"))[0] == 0, self.complained

    async def state(self, number: str) -> str:
        return await self.company.state(number)


@pytest.fixture
async def stage(db: Database, dsn: str, tmp_path: Path) -> Stage:
    async with open_company(db, tmp_path) as company:
        stage = Stage(company, dsn)
        stage.account, stage.payee = await company.open(), await company.bind()
        yield stage
        await check_books(db, company.bank)


DEAD = -signal.SIGKILL
pytestmark = pytest.mark.slow


@pytest.mark.parametrize(("point", "orders"), [("withdraw.before_commit", 0), ("withdraw.committed", 1)])
async def test_dead_while_asking(stage: Stage, point: str, orders: int) -> None:
    words = ("ask", stage.account, stage.payee)
    assert (await stage.step(*words, crash_at=point))[0] == DEAD
    company = stage.company
    assert await company.count("payment_order") == orders
    assert await company.money(stage.account) == (100_000, 1_000 * orders)
    (_, first), (_, again) = await stage.step(*words), await stage.step(*words)
    assert json.loads(first) == json.loads(again)
    assert await company.count("payment_order") == await company.count("approval") == 1
    assert await company.money(stage.account) == (100_000, 1_000)


@pytest.mark.parametrize("verb", ["approve", "reject"])
@pytest.mark.parametrize(("point", "then"), [("approve.before_commit", 0), ("approve.committed", 1)])
async def test_dead_while_deciding(stage: Stage, verb: str, point: str, then: int) -> None:
    number = await stage.company.asked(stage.account, stage.payee)
    assert (await stage.step(verb, number, crash_at=point))[0] == DEAD
    decided = {"approve": "approved", "reject": "invalid"}[verb]
    assert await stage.state(number) == ("reviewing", decided)[then]
    code, _ = await stage.step(verb, number)
    assert code == then, stage.complained
    assert ("AlreadyDecided" in stage.complained) == bool(then)
    assert await stage.state(number) == decided
    await stage.finish()
    assert await stage.state(number) == {"approve": "paid", "reject": "invalid"}[verb]
    assert len(stage.company.bank.all()) == (verb == "approve")


# The point, the bank's first answer, which attempt and order state is left behind, whether the bank has paid by then.
PAYING = [
    ("payout.intent_before_commit", "paid", "approved", 0),
    ("payout.intent_committed", "paid", "paying", 0),
    ("payout.channel_answered", "paid", "paying", 1),
    ("payout.channel_answered", "lost request", "paying", 0),
    ("payout.channel_answered", "lost reply", "paying", 1),
    ("payout.channel_answered", "not sent", "paying", 0),
    ("payout.recorded_before_commit", "paid", "paying", 1),
    ("payout.recorded_before_commit", "lost reply", "paying", 1),
    ("payout.recorded", "paid", "paid", 1),
    ("payout.recorded", "lost reply", "unknown", 1),
    ("payout.recorded", "lost request", "unknown", 0),
    ("payout.recorded", "processing", "paying", 0),
]


@pytest.mark.parametrize(("point", "answer", "left", "paid"), PAYING, ids=str)
async def test_dead_while_paying(stage: Stage, point: str, answer: str, left: str, paid: int) -> None:
    company = stage.company
    number = await company.approved(stage.account, stage.payee)
    assert (await stage.step("pay", answer, crash_at=point))[0] == DEAD
    assert await stage.state(number) == left
    assert company.bank.paid_total() == 1_000 * paid
    for one in company.bank.all():
        company.bank.becomes(one.number, "paid")
    await stage.finish()
    assert await stage.state(number) == "paid"
    assert await company.money(stage.account) == (99_000, 0)
    assert company.bank.paid_total() == 1_000
    assert len((await company.view(number))["attempts"]) == 1, "one number, whatever happened"
    assert await company.events(number) == ["created", "approved", "paid"]


# Dead while a refusal is written: one account is broke, and the other pays; or the payee is refused for good.
REFUSING = [
    ("payout.recorded_before_commit", "declined insufficient_channel_balance", "paying", "paid", 2),
    ("payout.recorded", "declined insufficient_channel_balance", "paying", "paid", 2),
    ("payout.intent_before_commit:2", "declined insufficient_channel_balance", "paying", "paid", 2),
    ("payout.intent_committed:2", "declined insufficient_channel_balance", "paying", "paid", 2),
    ("payout.recorded", "declined payee", "failed", "failed", 1),
]


@pytest.mark.parametrize(("point", "answer", "left", "finally_", "attempts"), REFUSING, ids=str)
async def test_dead_while_refused(
    stage: Stage, point: str, answer: str, left: str, finally_: str, attempts: int
) -> None:  # fmt: skip
    company = stage.company
    number = await company.approved(stage.account, stage.payee)
    assert (await stage.step("pay", answer, crash_at=point))[0] == DEAD
    assert await stage.state(number) == left
    await stage.finish()
    assert await stage.state(number) == finally_
    assert len((await company.view(number))["attempts"]) == attempts
    assert company.bank.paid_total() == 1_000 * (finally_ == "paid")
    assert await company.money(stage.account) == (100_000 - company.bank.paid_total(), 0)


# The step and the point, whether the intent is stored and whether the bank has heard of it when the process dies.
CALLING_BACK = [
    ("cancel", "approve.before_commit", False, False),
    ("cancel", "approve.committed", True, False),
    ("pay", "payout.intent_committed", True, False),
    ("pay", "payout.channel_answered", True, True),
    ("pay", "payout.recorded_before_commit", True, True),
    ("pay", "payout.recorded", True, True),
    ("pay", "payout.channel_answered:2", True, True),
    ("pay", "payout.recorded:2", True, True),
]


@pytest.mark.parametrize("end", ["cancelled", "paid"])
@pytest.mark.parametrize(("verb", "point", "stored", "heard"), CALLING_BACK, ids=str)
async def test_dead_while_calling_back(
    stage: Stage, verb: str, point: str, stored: bool, heard: bool, end: str
) -> None:  # fmt: skip
    company = stage.company
    number = await company.approved(stage.account, stage.payee)
    assert (await stage.step("pay", "waiting"))[0] == 0
    if verb == "pay":
        assert (await stage.step("cancel", number))[0] == 0
    assert (await stage.step(*{"cancel": ("cancel", number), "pay": ("pay",)}[verb], crash_at=point))[0] == DEAD
    assert ((await company.view(number))["called_back_by"] == "wang") == stored
    assert [one.state for one in company.bank.all()] == ["cancelling" if heard else "waiting"]
    assert (await stage.state(number), await company.money(stage.account)) == ("paying", (100_000, 1_000))
    for _ in range(2):
        assert (await stage.step("cancel", number))[0] == 0, stage.complained
    assert (await stage.step("pay"))[0] == 0
    (payout,) = company.bank.all()
    assert (payout.state, payout.sent) == ("cancelling", 1)
    company.bank.becomes(payout.number, end)
    await stage.finish()
    state = {"cancelled": "failed", "paid": "paid"}[end]
    assert await stage.state(number) == state
    assert await company.money(stage.account) == ((100_000, 0) if end == "cancelled" else (99_000, 0))
    assert [one.sent for one in company.bank.all()] == [1]
    assert await company.events(number) == ["created", "approved", "confirmation_needed", state]


async def test_dead_again_and_again(stage: Stage) -> None:
    company = stage.company
    number = await company.approved(stage.account, stage.payee)
    for point in ("intent_committed", "channel_answered", "recorded_before_commit", "channel_answered", "recorded"):
        code, _ = await stage.step("pay", crash_at=f"payout.{point}")
        assert code in {0, DEAD}
    await stage.finish()
    assert await stage.state(number) == "paid"
    assert [one.state for one in company.bank.all()] == ["paid"]
    assert int((await company.view(number))["owner"]) == ALICE
