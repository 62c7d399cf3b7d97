"""What a person is told about payouts: raised when it is so, cleared when it is over; and a channel may forget."""

from dataclasses import replace

import pytest

from tael import alerts
from tael.payments.notices import PayoutTold

from .bank import view_of
from .conftest import BOOK, Company

LADDER = (10, 20, 30, 60, 120, 300, 600, 1800, 3600, 3600)
DAY_S = 86_400


async def told(company: Company) -> list[tuple[str, str]]:
    """The open alerts, newest first."""
    async with company.db.transaction() as tx:
        return [(one.kind, one.subject) for one in await alerts.page(tx, book=BOOK, limit=99, only_open=True)]


async def climb(company: Company, number: str, until: str) -> str:
    for pause in LADDER:
        if await company.state(number) == until:
            break
        await company.advance(pause)
        await company.pay()
    return await company.state(number)


async def routes(company: Company, state: str) -> None:
    async with company.db.transaction() as tx:
        await tx.execute("update route set state = $1", state)


async def asked(company: Company) -> tuple[str, str]:
    """A withdrawal that a person approved: its number and the customer's account."""
    account, payee = await company.open(), await company.bind()
    return await company.approved(account, payee), account


async def attempt(company: Company, number: str) -> str:
    return (await company.view(number))["attempts"][-1]["attempt_no"]


async def days(company: Company, count: int) -> None:
    for _ in range(count):
        await company.advance(DAY_S)
        await company.pay()


async def test_no_way_is_told_once_and_cleared_when_it_is_sent(company: Company) -> None:
    number, _ = await asked(company)
    await routes(company, "paused")
    await company.pay()
    assert await told(company) == [("payout_waits", number)]
    await climb(company, number, "paid")
    async with company.db.transaction() as tx:
        (alert,) = await alerts.page(tx, book=BOOK, limit=9)
    assert (alert.times, alert.data) == (1, {"reason": (await company.view(number))["reason"]})
    await routes(company, "active")
    assert await climb(company, number, "paid") == "paid"
    assert await told(company) == []


async def test_no_way_is_cleared_when_the_request_is_withdrawn(company: Company) -> None:
    number, _ = await asked(company)
    await routes(company, "paused")
    await company.pay()
    assert await company.act("wang", "cancel", number) == (200, "invalid")
    assert await told(company) == []


@pytest.mark.parametrize(("state", "kind", "finally_", "attempts"), [
    ("paid", None, "paid", 1), ("failed", "payee", "failed", 1), ("failed", "insufficient_channel_balance", "paid", 2),
])  # fmt: skip
async def test_unknown_is_told_after_three_days_and_cleared_when_it_is_known(
    company: Company, state: str, kind: str | None, finally_: str, attempts: int
) -> None:
    number, _ = await asked(company)
    company.bank.answers.append("lost reply")
    await company.pay()
    company.bank.replies.extend(["unknown"] * 99)
    await days(company, 2)
    assert await told(company) == []
    await days(company, 2)
    payout = await attempt(company, number)
    assert await told(company) == [("payout_unknown", payout)]
    company.bank.becomes(payout, state, kind=kind)
    company.bank.replies.clear()
    assert await climb(company, number, finally_) == finally_
    assert len((await company.view(number))["attempts"]) == attempts
    assert await told(company) == []


@pytest.mark.parametrize(("first", "then"), [("paid", "failed"), ("failed", "paid")])
async def test_a_contradiction_stays_until_a_person_has_looked(company: Company, first: str, then: str) -> None:
    number, _ = await asked(company)
    company.bank.answers.append("processing")
    await company.pay()
    payout = await attempt(company, number)
    company.bank.becomes(payout, first, kind=None if first == "paid" else "payee")
    assert await climb(company, number, first) == first
    assert await told(company) == []
    company.bank.becomes(payout, then, kind=None if then == "paid" else "payee")
    known = company.bank.find(payout)
    assert known is not None
    statement = PayoutTold(company.merchant(), view_of(company.merchant(), known), notice=1)
    assert await company.works.payouts.settle_notices([statement]) == ["contradicts"]
    assert await told(company) == [("payout_contradiction", payout)]
    company.bank.becomes(payout, "paid")  # which is what it has really done, both times


async def test_a_statement_about_another_amount_is_told(company: Company) -> None:
    number, _ = await asked(company)
    company.bank.answers.append("processing")
    await company.pay()
    payout = await attempt(company, number)
    known = company.bank.find(payout)
    assert known is not None
    known.amount, known.state = known.amount + 1, "paid"
    statement = PayoutTold(company.merchant(), view_of(company.merchant(), known), notice=1)
    assert await company.works.payouts.settle_notices([statement]) == ["contradicts"]
    assert await told(company) == [("payout_contradiction", payout)]
    assert await company.state(number) == "paying"


# What happened to the request, and how often the bank was asked to pay when it is asked again on that day.
MEMORY = [("lost request", 28, 2), ("lost request", 29, 1), ("not sent", 28, 2), ("not sent", 29, 1)]


@pytest.mark.parametrize(("answer", "day", "sent"), MEMORY, ids=str)
async def test_what_the_channel_may_have_forgotten_is_never_sent_again(
    company: Company, answer: str, day: int, sent: int
) -> None:
    """Paid and forgotten looks like never heard of. `not sent` leaves the attempt created: perhaps it was sent, and the
    process died before it could say so."""
    company.bank.spec = replace(company.bank.spec, remembers_s=29 * DAY_S)
    number, account = await asked(company)
    company.bank.answers.append(answer)
    await company.pay()
    assert [one["state"] for one in (await company.view(number))["attempts"]] == [
        {"lost request": "unknown", "not sent": "created"}[answer]
    ]
    await company.advance(day * DAY_S)
    await company.pay()
    assert [call for call, _ in company.bank.calls].count("payout") == sent
    assert company.bank.calls[-1][0] == ("payout" if sent == 2 else "query")
    if sent == 2:
        assert await company.state(number) == "paid"
    else:
        assert len(company.bank.all()) == 0
        assert await company.money(account) == (100_000, 1_000)
        assert await told(company) == [("payout_unknown", await attempt(company, number))]
        await days(company, 3)
        assert [call for call, _ in company.bank.calls].count("payout") == 1


async def test_what_was_paid_is_found_after_the_channel_may_have_forgotten(company: Company) -> None:
    company.bank.spec = replace(company.bank.spec, remembers_s=29 * DAY_S)
    number, account = await asked(company)
    company.bank.answers.append("lost reply")
    await company.pay()
    await company.advance(40 * DAY_S)
    await company.pay()
    assert (await company.state(number), await company.money(account)) == ("paid", (99_000, 0))
    assert [one.sent for one in company.bank.all()] == [1]
