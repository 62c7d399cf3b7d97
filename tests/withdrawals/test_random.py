"""Withdrawals whose bank, payees, people and notices do whatever they like: in the end every book agrees."""

import random

import pytest

from tael.channels.contract import ErrorKind
from tael.payments.notices import PayoutTold

from .bank import view_of
from .conftest import ALICE, BOB, Company

ANSWERS = [
    "paid", "paid", "processing", "waiting", "pending", "lost request", "lost reply", "not sent",
    *(f"declined {kind}" for kind in ("payee", "invalid", "insufficient_channel_balance", "quota_exceeded")),
]  # fmt: skip
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
    left = sum([(await company.money(account))[0] for account, _ in people])
    assert left + company.bank.paid_total() == 200_000
    assert await company.of("payouts.payable") == await company.of("suspense.payouts") == 0


async def _end_one(company: Company, dice: random.Random) -> None:
    """The bank ends one of its payouts, and tells of it several times or not at all."""
    open_now = [one for one in company.bank.all() if one.state in {"processing", "waiting"}]
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


async def _finish(company: Company) -> None:
    """Everybody becomes reasonable, and time passes."""
    company.bank.answers.clear()
    company.bank.replies.clear()
    for _ in range(12):
        for one in company.bank.all():
            if one.state in {"processing", "waiting"}:
                company.bank.becomes(one.number, "paid")
        await company.advance(3_600)
        await company.pay()
