"""Withdrawals whose bank, payees, people and notices do whatever they like: in the end every book agrees."""

import random

import pytest

from tael.channels.contract import ErrorKind
from tael.payments.notices import PayoutTold

from .bank import OPEN, view_of
from .conftest import ALICE, BOB, Company, nobody_approves

ANSWERS = [
    "paid", "paid", "processing", "waiting", "pending", "lost request", "lost reply", "not sent",
    *(f"declined {kind}" for kind in ("payee", "invalid", "insufficient_channel_balance", "quota_exceeded")),
]  # fmt: skip
HEARD = ["", "", "", "lost request", "lost reply", "declined", "cancelled", "not_found"]
ENDS = ["paid", "paid", "failed", "cancelled", "returned"]


@pytest.mark.parametrize("seed", range(6))
async def test_everything_at_random(company: Company, seed: int) -> None:
    dice = random.Random(seed)
    people = [(await company.open(owner, 50_000), await company.bind(owner)) for owner in (ALICE, BOB, 1003, 1004)]
    numbers: list[str] = []
    for _ in range(60):
        match dice.randrange(8):
            case 0 | 1:
                said = await company.ask(*dice.choice(people), dice.randrange(100, 20_000))
                numbers += [said.json()["order_no"]] if said.status_code == 201 else []
            case 2 | 3 if numbers:
                await company.act(dice.choice(["li", "zhao", "wang"]), "approve", dice.choice(numbers))
            case 4 if numbers:
                verb = dice.choice(["reject", "cancel"])
                await company.act("li" if verb == "reject" else "wang", verb, dice.choice(numbers))
            case 5:
                await _end_one(company, dice)
            case _:
                company.bank.answers.extend(dice.choices(ANSWERS, k=3))
                company.bank.replies.extend(dice.choices(["unknown", ""], k=2))
                await company.advance(dice.choice([1, 60, 3_600, 20_000]))
                await company.pay()
    await _finish(company)
    states = {await company.state(number) for number in numbers}
    assert states <= {"paid", "failed", "invalid", "reviewing", "returned"}
    await _nothing_is_lost(company, [account for account, _ in people])


@pytest.mark.parametrize("seed", range(6))
async def test_called_back_at_random(company: Company, seed: int) -> None:
    """Every payout waits for its payee; some are called back before, while and after they end, over a broken line."""
    dice = random.Random(seed)
    await nobody_approves(company)
    people = [(await company.open(owner, 10_000), await company.bind(owner)) for owner in range(2001, 2021)]
    company.bank.always = "waiting"
    called_back: dict[str, int] = {}
    for _ in range(100):
        match dice.randrange(5):
            case 0:
                await company.ask(*dice.choice(people), dice.randrange(100, 5_000))
            case 1:
                called_back |= await _call_one_back(company, dice)
            case 2:
                await _end_one(company, dice)
            case _:
                company.bank.heard.extend(dice.choices(HEARD, k=3))
                company.bank.replies.extend(dice.choices(["unknown", ""], k=2))
                await company.advance(dice.choice([1, 60, 3_600]))
                await company.pay()
    await _finish(company)
    assert await company.count("withdrawal", "called_back is not null") == len(called_back) > 2
    assert await company.count("payment_order", "state not in ('paid', 'failed', 'returned')") == 0
    assert {number: len(await company.attempts(number)) for number in called_back} == called_back, "nobody else paid"
    await _nothing_is_lost(company, [account for account, _ in people])


async def _nothing_is_lost(company: Company, accounts: list[str]) -> None:
    left = [(await company.money(account))[0] for account in accounts]
    assert sum(left) + company.bank.paid_total() == 200_000
    assert await company.of("payouts.payable") == await company.of("suspense.payouts") == 0


async def _end_one(company: Company, dice: random.Random) -> None:
    """The bank ends one of its payouts, and tells of it several times or not at all."""
    open_now = [one for one in company.bank.all() if one.state in OPEN]
    if not open_now:
        return
    one, end = dice.choice(open_now), dice.choice(ENDS)
    kind = dice.choice([*ErrorKind]) if end == "failed" else None
    company.bank.becomes(one.number, end, kind=kind)
    ended = company.bank.find(one.number)
    assert ended is not None
    account = company.merchant(company.accounts.index(one.account))
    views = [view_of(account, one), view_of(account, ended)] * dice.randrange(3)
    dice.shuffle(views)
    await company.works.payouts.settle_notices([PayoutTold(account, view, notice=1) for view in views])


async def _call_one_back(company: Company, dice: random.Random) -> dict[str, int]:
    """Somebody calls back what waited for its payee, who may have confirmed it by now; its number and its attempts."""
    async with company.db.transaction() as tx:
        rows = await tx.fetch("select order_no from payment_attempt where handoff is not null order by attempt_no")
    number = str(dice.choice(rows)["order_no"]) if rows else ""
    is_ours = rows and await company.act("wang", "cancel", number) in {(200, "paying"), (200, "unknown")}
    return {number: len(await company.attempts(number))} if is_ours else {}


async def _finish(company: Company) -> None:
    """Everybody becomes reasonable, and time passes."""
    company.bank.answers.clear()
    company.bank.replies.clear()
    company.bank.heard.clear()
    for _ in range(12):
        for one in company.bank.all():
            if one.state in OPEN:
                company.bank.becomes(one.number, "paid")
        await company.advance(3_600)
        await company.pay()
