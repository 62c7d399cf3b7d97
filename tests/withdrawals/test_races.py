"""Many at once: one balance, one approval, one payout."""

import asyncio
from datetime import timedelta
from pathlib import Path

from tael.base.tasks import Task, claim
from tael.payments.notices import PayoutTold
from tael.withdrawals.opening import PAYOUT

from .bank import view_of
from .conftest import ALICE, BOB, Company, nobody_approves, works


async def test_a_hundred_withdrawals_of_everything(company: Company) -> None:
    account, payee = await company.open(), await company.bind()
    said = await asyncio.gather(*(company.ask(account, payee, 100_000) for _ in range(100)))
    codes = [one.status_code if one.status_code == 201 else one.json()["code"] for one in said]
    assert codes.count(201) == 1
    assert set(codes) <= {201, "insufficient_balance", "risk_refused"}
    assert await company.money(account) == (100_000, 100_000)
    assert await company.count("payment_order") == 1


async def test_whoever_has_too_little_takes_nobody_along(company: Company) -> None:
    rich = await company.open(owner=BOB, amount=100_000)
    poor = await company.open(amount=500)
    to_bob, to_alice = await company.bind(BOB), await company.bind()
    said = await asyncio.gather(
        *(company.ask(poor, to_alice, 1_000) for _ in range(5)), *(company.ask(rich, to_bob, 1_000) for _ in range(3)),
        company.ask(poor, to_alice, 400),
    )  # fmt: skip
    assert [one.status_code for one in said] == [422] * 5 + [201] * 4
    assert await company.money(rich) == (100_000, 3_000)
    assert await company.money(poor) == (500, 400)


async def test_the_same_request_many_times_at_once(company: Company) -> None:
    account, payee = await company.open(), await company.bind()
    said = await asyncio.gather(
        *(company.ask(account, payee, key="once", description="rent") for _ in range(20))
    )  # fmt: skip
    assert {one.status_code for one in said} <= {201, 409}
    assert len({one.json()["order_no"] for one in said if one.status_code == 201}) == 1
    assert await company.money(account) == (100_000, 1_000)


async def test_approved_and_cancelled_at_once(company: Company) -> None:
    account, payee = await company.open(amount=1_000_000), await company.bind()
    for _ in range(8):
        number = await company.asked(account, payee)
        (approved, _), (cancelled, state) = await asyncio.gather(
            company.act("li", "approve", number), company.act("wang", "cancel", number)
        )
        assert (cancelled, state) == (200, "invalid"), "the payout has not begun, so cancelling wins in any turn"
        assert approved in {200, 409}
        assert await company.state(number) == "invalid"
    await company.pay()
    assert company.bank.all() == []
    assert await company.money(account) == (1_000_000, 0)


async def test_paid_and_cancelled_at_once(company: Company) -> None:
    account, payee = await company.open(amount=1_000_000), await company.bind()
    for _ in range(8):
        number = await company.approved(account, payee)
        _, (cancelled, _) = await asyncio.gather(company.pay(), company.act("wang", "cancel", number))
        state = await company.state(number)
        assert (cancelled, state) in {(200, "invalid"), (409, "paid")}
        if state == "paid":
            break
    assert company.bank.paid_total() == 1_000_000 - (await company.money(account))[0]


async def test_two_people_approve_at_once(company: Company) -> None:
    account, payee = await company.open(amount=20_000_000), await company.bind()
    async with company.db.transaction() as tx:
        await tx.execute(
            """insert into approval_tier (book, kind, currency, from_minor, needed)
               values (1, 'withdrawal', 'CNY', 0, 2)"""
        )
    number = await company.asked(account, payee)
    said = await asyncio.gather(*(company.act(who, "approve", number) for who in ("li", "zhao", "qian")))
    assert sorted(code for code, _ in said) == [200, 200, 409]
    assert await company.count("task") == 1
    await company.pay()
    assert len(company.bank.all()) == 1


async def test_decided_in_one_batch(company: Company) -> None:
    """Approved, rejected, refused and unheard of side by side: each is answered for itself, and the books agree."""
    numbers: list[str] = []
    for owner in (ALICE, BOB):
        account, payee = await company.open(owner=owner), await company.bind(owner)
        numbers += [await company.asked(account, payee) for _ in range(3)]
    turns = [
        ("li", "approve", numbers[0], (200, "approved"), ["created", "approved"]),
        ("li", "reject", numbers[1], (200, "invalid"), ["created", "rejected"]),
        ("wang", "approve", numbers[2], (403, "self_approval"), ["created"]),
        ("li", "approve", numbers[3], (200, "approved"), ["created", "approved"]),
        ("zhao", "reject", numbers[4], (200, "invalid"), ["created", "rejected"]),
        ("li", "approve", "WD0", (404, "order_not_found"), []),
        ("zhao", "approve", numbers[5], (200, "approved"), ["created", "approved"]),
    ]
    said = await asyncio.gather(*(company.act(who, verb, number, note=who) for who, verb, number, _, _ in turns))
    assert said == [answer for *_, answer, _ in turns]
    for _, _, number, _, topics in turns:
        assert await company.events(number) == topics
    assert [(await company.view(number))["reason"] for number in numbers] == [
        None, "rejected by li: li", None, None, "rejected by zhao: zhao", None,
    ]  # fmt: skip
    assert await company.count("task") == 3
    assert await company.money(account) == (100_000, 2_000), "of Bob's, one is given back"
    assert await company.pay() == 3
    assert await company.money(account) == (98_000, 0)


async def test_approved_and_rejected_at_once(company: Company) -> None:
    account, payee = await company.open(), await company.bind()
    number = await company.asked(account, payee)
    said = await asyncio.gather(company.act("li", "approve", number), company.act("zhao", "reject", number))
    assert sorted(code for code, _ in said) == [200, 409]
    await company.pay()
    assert await company.state(number) in {"paid", "invalid"}


async def test_two_processes_pay_the_same_order(company: Company, tmp_path: Path) -> None:
    await nobody_approves(company)
    account, payee = await company.open(), await company.bind()
    other = await works(company.db, company.clock, company.bank, tmp_path)
    for answer in ("paid", "lost reply", "processing"):
        number = await company.asked(account, payee)
        company.bank.answers.append(answer)
        (task,) = await claim(company.db, PAYOUT, now=company.clock.now(), lease_s=60, limit=9)
        await asyncio.gather(*(parts.payouts.work(task) for parts in (company.works, other) for _ in range(3)))
        await _finish(company, task)
        assert await company.state(number) == "paid"
        assert len((await company.view(number))["attempts"]) == 1
    assert company.bank.paid_total() == 3_000
    await other.platform.ids.release(company.db)


async def _finish(company: Company, task: Task) -> None:
    for paid in company.bank.all():
        if paid.state == "processing":
            company.bank.becomes(paid.number, "paid")
    for _ in range(3):
        await company.works.payouts.work(task)


async def test_notices_and_queries_at_once(company: Company) -> None:
    await nobody_approves(company)
    account, payee = await company.open(), await company.bind()
    company.bank.always = "processing"
    number = await company.asked(account, payee)
    (task,) = await claim(company.db, PAYOUT, now=company.clock.now(), lease_s=60, limit=9)
    await company.works.payouts.work(task)
    (payout,) = company.bank.all()
    company.bank.becomes(payout.number, "paid")
    told = [PayoutTold(company.merchant(), view_of(company.merchant(), company.bank.all()[0]), n) for n in range(5)]
    await asyncio.gather(
        *(company.works.payouts.settle_notices([one]) for one in told),
        *(company.works.payouts.work(task) for _ in range(5)),
    )
    assert await company.state(number) == "paid"
    assert await company.money(account) == (99_000, 0)
    assert await company.events(number) == ["created", "approved", "paid"]


async def test_many_members_are_paid_in_batches(company: Company) -> None:
    await nobody_approves(company)
    owners = range(2001, 2041)
    accounts = [await company.open(owner=owner, amount=3_000) for owner in owners]
    payees = [await company.bind(owner, number=f"62220202{owner}") for owner in owners]
    pairs = list(zip(accounts, payees, strict=True)) * 3
    said = await asyncio.gather(*(company.ask(account, payee) for account, payee in pairs))
    assert [one.status_code for one in said] == [201] * len(pairs)
    assert await company.pay() == len(pairs)
    assert company.bank.paid_total() == 1_000 * len(pairs)
    assert [await company.money(account) for account in accounts] == [(0, 0)] * len(accounts)


async def test_a_limit_of_the_day_is_never_exceeded(company: Company) -> None:
    await nobody_approves(company)
    async with company.db.transaction() as tx:
        await tx.execute("update route set daily_limit = 5500")
    owners = range(2001, 2021)
    accounts = [await company.open(owner=owner, amount=3_000) for owner in owners]
    payees = [await company.bind(owner, number=f"62220202{owner}") for owner in owners]
    await asyncio.gather(*(company.ask(*pair) for pair in zip(accounts, payees, strict=True)))
    await company.pay()
    assert company.bank.paid_total() == 10_000, "five through each account"
    assert await company.count("payment_order", "state = 'approved' and reason like 'none_fits%'") == 10
    company.clock.advance(int(timedelta(days=1).total_seconds()))
    await company.works.platform.ids.renew(company.db)
    await company.pay()
    assert company.bank.paid_total() == 20_000
