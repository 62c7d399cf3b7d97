"""Calling back (撤销) what waits for its payee: nothing is given back before the channel says that it is cancelled."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tael import alerts
from tael.base.tasks import claim
from tael.payments.notices import PayoutTold
from tael.withdrawals.opening import PAYOUT

from .bank import Paid, view_of
from .conftest import BOOK, Company, works

LADDER = (10, 20, 30, 60, 120, 300, 600, 1800, 3600, 3600)
DAY_S = 86_400
UNDER_WAY = (409, "withdrawal_under_way")
CALLED_BACK = (200, "paying")


async def waiting(company: Company, *, answer: str = "waiting") -> tuple[str, str]:
    """An approved withdrawal that the bank was asked to pay: its number and the customer's account."""
    account, payee = await company.open(), await company.bind()
    number = await company.approved(account, payee)
    company.bank.answers.append(answer)
    await company.pay()
    return number, account


async def call_back(company: Company, number: str, *, who: str = "wang") -> tuple[int, str]:
    return await company.act(who, "cancel", number)


async def climb(company: Company, number: str, *, until: str = "", rungs: int = len(LADDER)) -> str:
    for pause in LADDER[:rungs]:
        if await company.state(number) == until:
            break
        await company.advance(pause)
        await company.pay()
    return await company.state(number)


async def the_payout(company: Company, number: str) -> Paid:
    (found,) = await company.attempts(number)
    assert found is not None
    return found


async def tell(company: Company, number: str, state: str) -> list[str]:
    """The bank ends a payout and says so."""
    payout = await the_payout(company, number)
    company.bank.becomes(payout.number, state)
    view = view_of(company.merchant(), await the_payout(company, number))
    return [str(one) for one in await company.works.payouts.settle_notices([PayoutTold(company.merchant(), view, 1)])]


def sent(company: Company) -> int:
    return [call for call, _ in company.bank.calls].count("payout")


async def ended(company: Company, number: str, account: str, state: str) -> None:
    """It has ended like this, and what the channel says and is asked afterwards changes nothing."""
    assert await company.state(number) == state
    assert await company.count("task") == 0
    assert await company.events(number) == ["created", "approved", "confirmation_needed", state]
    assert await company.money(account) == ((100_000, 0) if state == "failed" else (99_000, 0))
    assert company.bank.paid_total() == (0 if state == "failed" else 1_000)
    assert await company.count("route_hold", f"state = '{'released' if state == 'failed' else 'used'}'") == 1
    assert await call_back(company, number) == UNDER_WAY
    assert sent(company) == 1
    await company.check()


async def test_cancelled_by_the_channel(company: Company) -> None:
    number, account = await waiting(company)
    assert (await company.view(number))["called_back_by"] is None
    assert await call_back(company, number) == CALLED_BACK
    assert [call for call, _ in company.bank.calls] == ["payout"], "only the intent is stored"
    assert (await company.view(number))["called_back_by"] == "wang"
    assert await company.money(account) == (100_000, 1_000)
    assert await company.pay() == 1, "it is worked on at once"
    assert [call for call, _ in company.bank.calls] == ["payout", "cancel", "query"]
    assert await company.count("channel_exchange", "operation = 'cancel_payout' and outcome = 'succeeded'") == 1
    assert (await company.state(number), await company.money(account)) == ("paying", (100_000, 1_000))
    company.bank.becomes((await the_payout(company, number)).number, "cancelled")
    assert await climb(company, number, until="failed", rungs=1) == "failed"
    assert (await company.view(number))["reason"] == "cancelled"
    await ended(company, number, account, "failed")


async def test_a_notice_says_that_it_is_cancelled(company: Company) -> None:
    number, account = await waiting(company)
    await call_back(company, number)
    await company.pay()
    assert await tell(company, number, "cancelled") == ["failed"]
    assert await tell(company, number, "cancelled") == ["known"]
    await climb(company, number)
    await ended(company, number, account, "failed")


@pytest.mark.parametrize("heard", [False, True])
async def test_the_payee_was_first(company: Company, heard: bool) -> None:
    """Before the bank heard of the wish, or while it was cancelling."""
    number, account = await waiting(company)
    await call_back(company, number)
    if heard:
        await company.pay()
    company.bank.becomes((await the_payout(company, number)).number, "paid")
    assert await climb(company, number, until="paid") == "paid"
    assert (await company.view(number))["called_back_by"] == "wang"
    await ended(company, number, account, "paid")


async def test_called_back_twice(company: Company) -> None:
    number, account = await waiting(company)
    assert await call_back(company, number) == CALLED_BACK
    await company.pay()
    before = await company.count("task", "due_at > created_at")
    assert await call_back(company, number, who="li") == CALLED_BACK
    assert await company.count("task", "due_at > created_at") == before == 1, "once more changes nothing"
    assert (await company.view(number))["called_back_by"] == "wang"
    assert (await tell(company, number, "cancelled")) == ["failed"]
    await ended(company, number, account, "failed")


async def test_two_people_at_once(company: Company) -> None:
    number, account = await waiting(company)
    said = await asyncio.gather(*(call_back(company, number, who=who) for who in ("wang", "li", "zhao", "qian")))
    assert said == [CALLED_BACK] * 4
    assert await company.count("task") == 1
    assert (await tell(company, number, "cancelled")) == ["failed"]
    await ended(company, number, account, "failed")


async def _both(*doing: Callable[[], Awaitable[object]]) -> list[object]:
    return list(await asyncio.gather(*(one() for one in doing)))


@pytest.mark.parametrize("turn", [1, -1], ids=["called back first", "confirmed first"])
@pytest.mark.parametrize("end", ["paid", "cancelled"])
async def test_at_the_same_moment_as_the_end(company: Company, turn: int, end: str) -> None:
    number, account = await waiting(company)
    doing = [lambda: call_back(company, number), lambda: tell(company, number, end)]
    said = await _both(*doing[::turn])
    state = {"paid": "paid", "cancelled": "failed"}[end]
    assert said[::turn][0] in (CALLED_BACK, UNDER_WAY)
    assert said[::turn][1] == [state]
    await climb(company, number)
    await ended(company, number, account, state)


async def test_while_a_worker_is_asking(company: Company, tmp_path: Path) -> None:
    """Two processes work on it, one of which has begun before: its lease is gone, and nothing happens twice."""
    number, account = await waiting(company)
    other = await works(company.db, company.clock, company.bank, tmp_path)
    await company.advance(LADDER[0])
    (task,) = await claim(company.db, PAYOUT, now=company.clock.now(), lease_s=60, limit=9)
    said = await _both(lambda: other.payouts.work(task), lambda: call_back(company, number), company.pay)
    assert said[1] == CALLED_BACK
    await company.pay()
    assert (await the_payout(company, number)).state == "cancelling"
    company.bank.becomes((await the_payout(company, number)).number, "cancelled")
    await _both(lambda: other.payouts.work(task), lambda: climb(company, number, until="failed"))
    await ended(company, number, account, "failed")
    await other.platform.ids.release(company.db)


# What the bank answers to the first wish, whether it has heard it, and what came of it in the end.
ANSWERS = [
    ("lost request", "waiting", "cancelled", "failed"), ("lost reply", "cancelling", "cancelled", "failed"),
    ("declined", "waiting", "paid", "paid"), ("lost request", "waiting", "paid", "paid"),
    ("cancelled", "waiting", "paid", "paid"), ("failed", "waiting", "paid", "paid"),
    ("paid", "waiting", "cancelled", "failed"), ("not_found", "waiting", "cancelled", "failed"),
]  # fmt: skip


@pytest.mark.parametrize(("answer", "at_bank", "end", "state"), ANSWERS, ids=str)
async def test_the_answer_to_the_wish_decides_nothing(
    company: Company, answer: str, at_bank: str, end: str, state: str
) -> None:
    number, account = await waiting(company)
    await call_back(company, number)
    company.bank.heard.append(answer)
    company.bank.replies.append("unknown")
    await company.pay()
    assert (await the_payout(company, number)).state == at_bank
    assert (await company.state(number), await company.money(account)) == ("paying", (100_000, 1_000))
    assert await company.count("channel_exchange", "operation = 'cancel_payout'") == 1
    assert await climb(company, number, rungs=2) == "paying"
    assert (await the_payout(company, number)).state == "cancelling", "every rung wishes it back again"
    company.bank.becomes((await the_payout(company, number)).number, end)
    assert await climb(company, number, until=state) == state
    await ended(company, number, account, state)


async def test_what_the_channel_does_not_know_is_not_sent_again(company: Company) -> None:
    number, account = await waiting(company)
    await call_back(company, number)
    payout = await the_payout(company, number)
    (company.bank.folder / payout.number).unlink()
    for _ in range(4):
        await climb(company, number)
        await company.advance(DAY_S)
        await company.pay()
    assert (await company.state(number), await company.money(account)) == ("paying", (100_000, 1_000))
    assert sent(company) == 1
    async with company.db.transaction() as tx:
        told = [(one.kind, one.subject) for one in await alerts.page(tx, book=BOOK, limit=9, only_open=True)]
    assert told == [("payout_unknown", payout.number)], "a person is told"
    company.bank.write(payout)
    assert (await tell(company, number, "cancelled")) == ["failed"]
    await ended(company, number, account, "failed")


@pytest.mark.parametrize("by_notice", [False, True])
async def test_no_other_merchant_account_pays_what_is_called_back(company: Company, by_notice: bool) -> None:
    """A refusal that is the merchant account's own would send it through the next one."""
    number, account = await waiting(company)
    await call_back(company, number)
    payout = await the_payout(company, number)
    company.bank.becomes(payout.number, "failed", kind="insufficient_channel_balance")
    if by_notice:
        view = view_of(company.merchant(), await the_payout(company, number))
        await company.works.payouts.settle_notices([PayoutTold(company.merchant(), view, 1)])
    await company.pay()
    assert (await company.view(number))["reason"] == "insufficient_channel_balance: INSUFFICIENT_CHANNEL_BALANCE"
    await ended(company, number, account, "failed")


async def test_left_open_without_an_attempt_it_is_a_persons(company: Company) -> None:
    """A process that knows of no calling back may have recorded the refusal; then nobody pays, and a person ends it."""
    number, account = await waiting(company)
    company.bank.becomes((await the_payout(company, number)).number, "failed", kind="insufficient_channel_balance")
    async with company.db.transaction() as tx:
        await tx.execute("update route set state = 'paused'")
    await climb(company, number, rungs=2)
    async with company.db.transaction() as tx:
        await tx.execute("update route set state = 'active'")
        await tx.execute("update withdrawal set called_back = 'wang'")
    await company.advance(DAY_S)
    await company.pay()
    assert sent(company) == 1
    assert await company.count("task", "dead_at is not null") == 1
    assert "called back" in str((await company.view(number))["reason"])
    assert await call_back(company, number) == (200, "invalid")
    assert await company.money(account) == (100_000, 0)


@pytest.mark.parametrize("answer", ["processing", "pending", "lost reply", "lost request", "not sent"])
async def test_a_channel_that_does_not_wait(company: Company, answer: str) -> None:
    number, account = await waiting(company, answer=answer)
    assert await call_back(company, number) == UNDER_WAY
    view = await company.view(number)
    assert (view["called_back_by"], view["attempts"][0]["handoff"]) == (None, None)
    await climb(company, number, rungs=3)
    assert "cancel" not in [call for call, _ in company.bank.calls]
    assert await company.money(account) in {(100_000, 1_000), (99_000, 0)}


async def test_paid_already(company: Company) -> None:
    number, account = await waiting(company)
    assert await tell(company, number, "paid") == ["paid"]
    assert await call_back(company, number) == UNDER_WAY
    assert (await company.view(number))["called_back_by"] is None
    await ended(company, number, account, "paid")


async def test_paid_and_called_back_it_may_still_come_back(company: Company) -> None:
    """What is paid is only asked about: a wish to cancel it would be about a payout that is over."""
    company.bank.spec = replace(company.bank.spec, late_return_s=7 * DAY_S)
    number, account = await waiting(company)
    await call_back(company, number)
    assert await tell(company, number, "paid") == ["paid"]
    await company.advance(DAY_S)
    await company.pay()
    assert [call for call, _ in company.bank.calls] == ["payout", "query"]
    company.bank.becomes((await the_payout(company, number)).number, "returned")
    await company.advance(DAY_S)
    await company.pay()
    assert (await company.state(number), await company.money(account)) == ("returned", (100_000, 0))
