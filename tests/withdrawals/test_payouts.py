"""Payouts with a bank that does not behave: whatever it says, nothing is paid twice and nothing is given up by time."""

from dataclasses import replace
from itertools import permutations

import pytest

from tael.base.errors import TaelError
from tael.base.money import Money
from tael.channels.contract import PayoutView
from tael.ledger import CLOSING_DEBIT, HOLD, RELEASE, AccountId, Posting, posting_id, require_posted, set_frozen
from tael.payments.notices import PayoutTold

from .bank import Paid, view_of
from .conftest import BOOK, Company

LADDER = (10, 20, 30, 60, 120, 300, 600, 1800, 3600, 3600)


async def climb(company: Company, number: str, *, until: str = "", rungs: int = len(LADDER)) -> str:
    """Let recovery work up its ladder; answers the order's state."""
    for pause in LADDER[:rungs]:
        if await company.state(number) == until:
            break
        await company.advance(pause)
        await company.pay()
    return await company.state(number)


async def tell(company: Company, *views: PayoutView, place: int = 0) -> list[str]:
    """Let notices arrive together; answers the verdicts or the names of the refusals."""
    told = [PayoutTold(company.merchant(place), view, notice=number) for number, view in enumerate(views, 1)]
    said = await company.works.payouts.settle_notices(told)
    return [type(one).__name__ if isinstance(one, TaelError) else str(one) for one in said]


async def the_payout(company: Company, number: str) -> Paid:
    """The last attempt as the bank knows it."""
    found = (await company.attempts(number))[-1]
    assert found is not None
    return found


# What the bank does with the first calls, what comes of it at once, and what in the end; how often the bank was asked.
ENDINGS = [
    (["paid"], "paid", "paid", ["payout"]),
    (["lost request"], "unknown", "paid", ["payout", "query", "payout"]),
    (["lost reply"], "unknown", "paid", ["payout", "query"]),
    (["not sent"], "paying", "paid", ["payout", "payout"]),
    (["not sent", "not sent", "lost reply"], "paying", "paid", ["payout", "payout", "payout", "query"]),
    (["lost request", "lost request", "paid"], "unknown", "paid", ["payout", "query", "payout", "query", "payout"]),
    (["declined payee"], "failed", "failed", ["payout"]),
    (["declined invalid"], "failed", "failed", ["payout"]),
    (["lost request", "declined payee"], "unknown", "failed", ["payout", "query", "payout"]),
    (["declined insufficient_channel_balance"], "paid", "paid", ["payout", "payout"]),
    (["declined quota_exceeded", "declined payee"], "failed", "failed", ["payout", "payout"]),
    (["declined auth", "lost reply"], "unknown", "paid", ["payout", "payout", "query"]),
]


@pytest.mark.parametrize(("answers", "at_once", "finally_", "calls"), ENDINGS, ids=str)
async def test_what_the_bank_answers(
    company: Company, answers: list[str], at_once: str, finally_: str, calls: list[str]
) -> None:
    account, payee = await company.open(), await company.bind()
    number = await company.approved(account, payee, 30_000)
    company.bank.answers.extend(answers)
    await company.pay()
    assert await company.state(number) == at_once
    assert await climb(company, number, until=finally_) == finally_
    assert [call for call, _ in company.bank.calls] == calls
    left = 70_000 if finally_ == "paid" else 100_000
    assert await company.money(account) == (left, 0)
    assert company.bank.paid_total() == 100_000 - left
    assert await company.events(number) == ["created", "approved", finally_]
    assert await company.count("task") == 0
    assert await company.count("channel_exchange") == len(calls)


async def test_another_account_gets_another_number(company: Company) -> None:
    account, payee = await company.open(), await company.bind()
    number = await company.approved(account, payee)
    company.bank.broke.add(company.accounts[0])
    await company.pay()
    attempts = (await company.view(number))["attempts"]
    assert [(one["state"], int(one["merchant_account"])) for one in attempts] == [
        ("failed", company.accounts[0]), ("paid", company.accounts[1])
    ]  # fmt: skip
    assert attempts[0]["attempt_no"] != attempts[1]["attempt_no"]
    other = await company.approved(account, payee)
    await company.pay()
    assert [int(one["merchant_account"]) for one in (await company.view(other))["attempts"]] == company.accounts[1:]


async def test_every_account_is_broke_for_hours(company: Company) -> None:
    account, payee = await company.open(), await company.bind()
    number = await company.approved(account, payee)
    company.bank.broke |= set(company.accounts)
    await company.pay()
    assert await climb(company, number) == "paying"
    view = await company.view(number)
    assert "cooling" in str(view["reason"]) or "balance" in str(view["reason"])
    assert await company.money(account) == (100_000, 1_000)
    company.bank.broke.clear()
    assert await climb(company, number, until="paid") == "paid"
    assert (await company.view(number))["reason"] is None
    assert company.bank.paid_total() == 1_000


async def test_no_route_waits_and_says_why(company: Company) -> None:
    account, payee = await company.open(), await company.bind()
    number = await company.approved(account, payee)
    async with company.db.transaction() as tx:
        await tx.execute("update route set state = 'paused'")
    await company.pay()
    assert await climb(company, number) == "approved"
    assert "paused" in str((await company.view(number))["reason"])
    assert await company.money(account) == (100_000, 1_000)
    async with company.db.transaction() as tx:
        await tx.execute("update route set state = 'active'")
    assert await climb(company, number, until="paid") == "paid"


async def test_an_order_that_waits_for_a_route_can_be_cancelled(company: Company) -> None:
    account, payee = await company.open(), await company.bind()
    number = await company.approved(account, payee)
    company.bank.broke |= set(company.accounts)
    await company.pay()
    assert await company.state(number) == "paying"
    assert await company.act("wang", "cancel", number) == (200, "invalid")
    assert await company.money(account) == (100_000, 0)


async def test_unknown_for_days_stays_held(company: Company) -> None:
    account, payee = await company.open(), await company.bind()
    number = await company.approved(account, payee)
    company.bank.answers.append("lost reply")
    await company.pay()
    company.bank.replies.extend(["unknown"] * 200)
    for _ in range(5):
        await company.advance(86_400)
        await company.pay()
        assert await company.state(number) == "unknown"
        assert await company.money(account) == (100_000, 1_000)
        assert await company.act("wang", "cancel", number) == (409, "withdrawal_under_way")
    assert await company.count("task", "dead_at is null") == 1
    company.bank.replies.clear()
    assert await climb(company, number, until="paid") == "paid"
    assert [one.sent for one in company.bank.all()] == [1]


async def test_the_payee_has_to_confirm(company: Company) -> None:
    account, payee = await company.open(), await company.bind()
    number = await company.approved(account, payee)
    company.bank.answers.append("waiting")
    await company.pay()
    await climb(company, number, rungs=3)
    view = await company.view(number)
    assert view["state"] == "paying"
    assert view["attempts"][0]["handoff"] == {
        "type": "confirmation", "mchid": "M0", "appid": "", "package": "open sesame"
    }  # fmt: skip
    company.bank.becomes((await the_payout(company, number)).number, "cancelled")
    assert await climb(company, number, until="failed") == "failed"
    assert await company.money(account) == (100_000, 0)
    assert await company.events(number) == ["created", "approved", "confirmation_needed", "failed"]


async def test_a_verified_failure_releases_once(company: Company) -> None:
    account, payee = await company.open(), await company.bind()
    number = await company.approved(account, payee)
    company.bank.answers.append("processing")
    await company.pay()
    company.bank.becomes((await the_payout(company, number)).number, "failed", kind="payee")
    view = view_of(company.merchant(), await the_payout(company, number))
    assert await tell(company, view, view) == ["failed", "known"]
    assert await tell(company, view) == ["known"]
    assert await company.money(account) == (100_000, 0)
    assert (await company.view(number))["reason"] == "payee: PAYEE"


async def test_a_notice_of_an_account_level_failure_goes_on_elsewhere(company: Company) -> None:
    account, payee = await company.open(), await company.bind()
    number = await company.approved(account, payee)
    company.bank.answers.append("processing")
    await company.pay()
    company.bank.becomes((await the_payout(company, number)).number, "failed", kind="quota_exceeded")
    assert await tell(company, view_of(company.merchant(), await the_payout(company, number))) == ["next"]
    await company.pay()
    assert await company.state(number) == "paid"
    assert [one.state for one in company.bank.all()] == ["failed", "paid"]


@pytest.mark.parametrize("order", sorted(set(permutations(["processing", "paid", "paid"]))), ids=str)
async def test_notices_in_any_order_and_twice(company: Company, order: tuple[str, ...]) -> None:
    account, payee = await company.open(), await company.bind()
    number = await company.approved(account, payee)
    company.bank.answers.append("processing")
    await company.pay()
    payout = await the_payout(company, number)
    company.bank.becomes(payout.number, "paid")
    for state in order:
        payout.state = state
        await tell(company, view_of(company.merchant(), payout))
    assert await company.state(number) == "paid"
    assert await company.money(account) == (99_000, 0)
    assert await company.events(number) == ["created", "approved", "paid"]


LIES = [
    ({"amount": Money(999, "CNY")}, ["contradicts"]),
    ({"amount": Money(1_000, "USD")}, ["contradicts"]),
    ({"amount": None}, ["contradicts"]),
    ({"mchid": "somebody else"}, ["NotOurPayment"]),
    ({"appid": "wxother"}, ["NotOurPayment"]),
    ({"number": "WD" + "0" * 30}, ["UnknownAttempt"]),
]


@pytest.mark.parametrize(("changes", "verdict"), LIES, ids=str)
async def test_a_notice_about_something_else_changes_nothing(
    company: Company, changes: dict[str, object], verdict: list[str]
) -> None:
    account, payee = await company.open(), await company.bind()
    number = await company.approved(account, payee)
    company.bank.answers.append("processing")
    await company.pay()
    told = view_of(company.merchant(), replace_state(await the_payout(company, number), "paid"), **changes)
    assert await tell(company, told) == verdict
    assert await company.state(number) == "paying"
    assert await company.money(account) == (100_000, 1_000)
    assert await tell(company, view_of(company.merchant(1), await the_payout(company, number)), place=1) == [
        "NotOurPayment"
    ]


def replace_state(paid: Paid, state: str) -> Paid:
    return Paid(paid.number, paid.account, paid.card, paid.amount, paid.remark, state, paid.ref)


async def test_paid_after_a_final_no_is_booked_once_and_moves_no_balance(company: Company) -> None:
    account, payee = await company.open(), await company.bind()
    number = await company.approved(account, payee)
    company.bank.answers.append("processing")
    await company.pay()
    payout = await the_payout(company, number)
    company.bank.becomes(payout.number, "failed", kind="payee")
    await climb(company, number, until="failed")
    company.bank.becomes(payout.number, "paid")
    view = view_of(company.merchant(), await the_payout(company, number))
    assert await tell(company, view) == ["contradicts"]
    assert await tell(company, view, replace(view, state=view.state)) == ["known", "known"]
    assert await company.state(number) == "failed"
    assert await company.money(account) == (100_000, 0)
    assert (await company.of("suspense.payouts"), await company.of("channel.receivable")) == (1_000, 99_000)
    assert await company.events(number) == ["created", "approved", "failed", "contradiction"]
    company.bank.becomes(payout.number, "returned")
    assert await tell(company, view_of(company.merchant(), await the_payout(company, number))) == ["returned"]
    assert (await company.of("suspense.payouts"), await company.of("channel.receivable")) == (0, 100_000)
    assert await company.state(number) == "failed"


async def test_paid_after_a_no_is_not_paid_again_elsewhere(company: Company) -> None:
    account, payee = await company.open(), await company.bind()
    number = await company.approved(account, payee)
    company.bank.answers.append("processing")
    await company.pay()
    payout = await the_payout(company, number)
    said_no = view_of(company.merchant(), Paid(**{**as_dict(payout), "state": "failed", "kind": "quota_exceeded"}))
    assert await tell(company, said_no) == ["next"]
    company.bank.becomes(payout.number, "paid")
    assert await tell(company, view_of(company.merchant(), await the_payout(company, number))) == ["contradicts"]
    await company.pay()
    await climb(company, number, rungs=4)
    assert len(company.bank.all()) == 1, "nobody else was asked"
    assert await company.state(number) == "paying"
    assert await company.money(account) == (100_000, 1_000)
    assert await company.count("task", "dead_at is not null") == 1, "a person has to look"


def as_dict(paid: Paid) -> dict[str, object]:
    return {name: getattr(paid, name) for name in paid.__struct_fields__}


async def test_a_failure_after_success_changes_nothing(company: Company) -> None:
    account, payee = await company.open(), await company.bind()
    number = await company.approved(account, payee)
    await company.pay()
    told = view_of(company.merchant(), replace_state(await the_payout(company, number), "failed"))
    assert await tell(company, told) == ["contradicts"]
    assert await company.state(number) == "paid"
    assert await company.money(account) == (99_000, 0)


async def test_a_payout_comes_back_days_later(company: Company) -> None:
    company.bank.spec = replace(company.bank.spec, late_return_s=7 * 86_400)
    account, payee = await company.open(), await company.bind()
    number = await company.approved(account, payee)
    await company.pay()
    assert await company.state(number) == "paid"
    for _ in range(3):
        await company.advance(86_400)
        await company.pay()
    assert [call for call, _ in company.bank.calls] == ["payout", "query", "query", "query"]
    company.bank.becomes((await the_payout(company, number)).number, "returned")
    await company.advance(86_400)
    await company.pay()
    assert await company.state(number) == "returned"
    assert await company.money(account) == (100_000, 0)
    assert (await company.of("channel.receivable"), await company.of("payouts.payable")) == (100_000, 0)
    assert await company.events(number) == ["created", "approved", "paid", "returned"]
    assert await company.count("task") == 0
    back = view_of(company.merchant(), await the_payout(company, number))
    assert await tell(company, back, replace_view(back)) == ["known", "known"]


def replace_view(view: PayoutView) -> PayoutView:
    return replace(view, reason=None)


async def test_a_payout_that_does_not_come_back_is_forgotten(company: Company) -> None:
    company.bank.spec = replace(company.bank.spec, late_return_s=2 * 86_400)
    account, payee = await company.open(), await company.bind()
    await company.approved(account, payee)
    await company.pay()
    for _ in range(4):
        await company.advance(86_400)
        await company.pay()
    assert await company.count("task") == 0
    assert [call for call, _ in company.bank.calls] == ["payout", "query"]


async def test_what_was_approved_is_what_is_paid(company: Company) -> None:
    account, payee = await company.open(), await company.bind()
    number = await company.approved(account, payee, 1_000)
    async with company.db.transaction() as tx:  # somebody with access to the database edits the order
        await tx.execute("update payment_order set description = 'something else' where order_no = $1", number)
    await company.pay()
    assert company.bank.all() == []
    assert (await company.view(number))["reason"] == "this is not what was approved"
    assert await company.count("task", "dead_at is not null") == 1


async def test_a_frozen_account_gives_nothing_and_what_was_held_is_still_paid(company: Company) -> None:
    account, payee = await company.open(), await company.bind()
    number = await company.approved(account, payee)
    async with company.db.transaction() as tx:
        await set_frozen(tx, BOOK, AccountId(int(account)), frozen=True)
    refused = await company.ask(account, payee)
    assert (refused.status_code, refused.json()["code"]) == (409, "account_unusable")
    await company.pay()
    assert (await company.state(number), await company.money(account)) == ("paid", (99_000, 0))


async def test_what_comes_back_to_a_closed_account_goes_to_suspense(company: Company) -> None:
    account, payee = await company.open(), await company.bind()
    number = await company.approved(account, payee)
    await company.pay()
    async with company.db.transaction() as tx:
        closing = Posting(
            book=BOOK, id=posting_id("test", "close"), debit=AccountId(int(account)),
            credit=await company.works.platform.chart.payable(tx, BOOK, "CNY", now=company.clock.now()), amount=0,
            currency="CNY", code=1, flags=HOLD | CLOSING_DEBIT,
        )  # fmt: skip
        require_posted(await company.works.platform.ledger.post(tx, [closing], now=company.clock.now()))
    company.bank.becomes((await the_payout(company, number)).number, "returned")
    back = view_of(company.merchant(), await the_payout(company, number))
    assert await tell(company, back, back) == ["returned", "known"]
    assert await company.state(number) == "returned"
    assert await company.money(account) == (99_000, 0)
    assert await company.of("suspense.receipts") == 1_000
    assert await company.count("suspense_item", "reason = 'account_closed'") == 1
    async with company.db.transaction() as tx:
        release = Posting(
            book=BOOK, id=posting_id("test", "open"), flags=RELEASE, reference=posting_id("test", "close")
        )
        require_posted(await company.works.platform.ledger.post(tx, [release], now=company.clock.now()))


async def test_settings_that_are_broken_after_the_intent_give_nothing_up(company: Company) -> None:
    account, payee = await company.open(), await company.bind()
    number = await company.approved(account, payee)
    company.bank.misconfigured = True
    await company.pay()
    assert await climb(company, number) == "paying"
    assert await company.count("task", "dead_at is null") == 1
    assert await company.money(account) == (100_000, 1_000)
    company.bank.misconfigured = False
    assert await climb(company, number, until="paid") == "paid"
    assert len((await company.view(number))["attempts"]) == 1
