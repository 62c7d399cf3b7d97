"""Whole withdrawals with a bank that behaves: asked, approved, paid; rejected, cancelled, expired."""

import pytest

from .conftest import ALICE, BOB, Company, nobody_approves


async def test_asked_approved_paid(company: Company) -> None:
    account, payee = await company.open(), await company.bind()
    number = await company.asked(account, payee, 30_000)
    assert await company.money(account) == (100_000, 30_000)
    assert await company.act("wang", "approve", number) == (403, "self_approval")
    assert await company.act("wang again", "approve", number) == (403, "self_approval")
    assert (await company.pay(), company.bank.all()) == (0, [])
    assert await company.act("li", "approve", number) == (200, "approved")
    assert await company.pay() == 1
    assert await company.state(number) == "paid"
    assert await company.money(account) == (70_000, 0)
    assert (company.bank.paid_total(), await company.of("payouts.payable")) == (30_000, 0)
    assert await company.of("channel.receivable") == 70_000
    assert await company.events(number) == ["created", "approved", "paid"]
    assert (await company.pay(), await company.count("task")) == (0, 0)


async def test_paid_without_approval_where_the_book_needs_none(company: Company) -> None:
    await nobody_approves(company)
    account, payee = await company.open(), await company.bind()
    number = await company.asked(account, payee)
    assert await company.pay() == 1
    assert await company.state(number) == "paid"
    assert await company.events(number) == ["created", "approved", "paid"]


@pytest.mark.parametrize(
    ("who", "verb", "topic", "reason"),
    [("li", "reject", "rejected", "rejected by li: wrong card"), ("wang", "cancel", "cancelled", "cancelled by wang")],
)
async def test_refused_gives_the_money_back(company: Company, who: str, verb: str, topic: str, reason: str) -> None:
    account, payee = await company.open(), await company.bind()
    number = await company.asked(account, payee)
    body = {"note": "wrong card"} if verb == "reject" else {}
    assert await company.act(who, verb, number, **body) == (200, "invalid")
    assert await company.money(account) == (100_000, 0)
    assert (await company.view(number))["reason"] == reason
    assert await company.events(number) == ["created", topic]
    again = await company.act(who, verb, number, **body)
    assert again == ((409, "already_decided") if verb == "reject" else (200, "invalid"))
    assert (await company.act("zhao", "approve", number))[0] == 409
    assert await company.pay() == 0


async def test_nobody_decides_in_time(company: Company) -> None:
    account, payee = await company.open(), await company.bind()
    number = await company.asked(account, payee)
    await company.advance(8 * 86_400)
    assert await company.state(number) == "invalid"
    assert await company.money(account) == (100_000, 0)
    assert await company.events(number) == ["created", "expired"]
    assert await company.act("li", "approve", number) == (409, "approval_not_pending")


async def test_large_amounts_need_two(company: Company) -> None:
    await nobody_approves(company)
    account, payee = await company.open(amount=10_000_000), await company.bind()
    number = await company.asked(account, payee, 600_000)
    view = await company.view(number)
    assert (view["state"], view["review"] is not None) == ("reviewing", True), "the first payee of a large amount"
    assert await company.act("li", "approve", number) == (200, "approved")
    await company.pay()
    assert await company.state(number) == "paid"


async def test_cancelled_after_approval_before_any_channel_was_asked(company: Company) -> None:
    account, payee = await company.open(), await company.bind()
    number = await company.approved(account, payee)
    assert await company.act("wang", "cancel", number) == (200, "invalid")
    assert await company.money(account) == (100_000, 0)
    assert await company.pay() == 0
    assert company.bank.all() == []


async def test_paid_is_not_cancelled(company: Company) -> None:
    account, payee = await company.open(), await company.bind()
    number = await company.approved(account, payee)
    await company.pay()
    assert await company.act("wang", "cancel", number) == (409, "withdrawal_under_way")


REFUSED = [
    ({"amount": 100_001}, 422, "insufficient_balance"),
    ({"amount": 99}, 422, "payout_not_possible"),
    ({"currency": "USD"}, 422, "not_withdrawable"),
    ({"payee_id": "123"}, 404, "payee_not_found"),
    ({"account_id": "123"}, 404, "account_not_found"),
    ({"amount": 0}, 422, "invalid_amount"),
    ({"description": ""}, 422, "invalid_field"),
]


@pytest.mark.parametrize(("changes", "status", "code"), REFUSED, ids=str)
async def test_refused_and_nothing_stored(
    company: Company, changes: dict[str, object], status: int, code: str
) -> None:  # fmt: skip
    account, payee = await company.open(), await company.bind()
    answer = await company.ask(account, payee, key="once", **changes)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    for table in ("payment_order", "withdrawal", "approval", "task", "event", "idempotency", "refused_posting"):
        assert await company.count(table) == 0, table
    assert await company.money(account) == (100_000, 0)
    assert (await company.ask(account, payee, key="once")).status_code == 201, "the key is free again"


async def test_somebody_elses_payee_or_account(company: Company) -> None:
    account, payee = await company.open(), await company.bind(BOB)
    refused = await company.ask(account, payee)
    assert (refused.status_code, refused.json()["code"]) == (422, "payee_not_owners")
    mine = await company.bind(ALICE)
    number = await company.asked(account, mine)
    assert (await company.stranger.get(f"/v1/withdrawals/{number}")).status_code == 404
    assert (await company.stranger.post(f"/v1/withdrawals/{number}/approve", json={})).status_code == 404
    assert (await company.stranger.post(f"/v1/withdrawals/{number}/cancel")).status_code == 404
    assert (await company.stranger.get(f"/v1/payees/{mine}")).status_code == 404
    assert (await company.stranger.delete(f"/v1/payees/{mine}")).status_code == 404


async def test_money_that_can_only_be_spent(company: Company) -> None:
    account, payee = await company.open(purpose="spend_only"), await company.bind()
    refused = await company.ask(account, payee)
    assert (refused.status_code, refused.json()["code"]) == (422, "not_withdrawable")


async def test_the_same_request_again(company: Company) -> None:
    account, payee = await company.open(), await company.bind()
    first = await company.ask(account, payee, key="once", description="rent")
    again = await company.ask(account, payee, key="once", description="rent")
    assert again.headers["Idempotent-Replayed"] == "true"
    assert (again.status_code, again.content) == (201, first.content)
    other = await company.ask(account, payee, 2_000, key="once", description="rent")
    assert other.json()["code"] == "idempotency_key_reused"
    assert await company.money(account) == (100_000, 1_000)


async def test_one_order_per_business_order_number(company: Company) -> None:
    account, payee = await company.open(), await company.bind()
    await company.asked(account, payee, business_order_no="W-1")
    twice = await company.ask(account, payee, business_order_no="W-1")
    assert twice.json()["code"] == "duplicate_order"
    assert await company.money(account) == (100_000, 1_000)


async def test_what_risk_control_refuses(company: Company) -> None:
    account, payee = await company.open(amount=10_000_000), await company.bind()
    for _ in range(3):
        await company.asked(account, payee)
    refused = await company.ask(account, payee)
    assert (refused.status_code, refused.json()["code"]) == (422, "risk_refused")
    assert await company.count("payment_order") == 3
    assert await company.count("risk_verdict", "outcome = 'refuse'") == 1, "the verdict stays"
    assert await company.money(account) == (10_000_000, 3_000)


async def test_what_did_not_happen_counts_towards_no_limit(company: Company) -> None:
    account, payee = await company.open(), await company.bind()
    for _ in range(5):
        number = await company.asked(account, payee)
        assert await company.act("li", "reject", number) == (200, "invalid")
    assert (await company.ask(account, payee)).status_code == 201


async def test_the_list(company: Company) -> None:
    account, payee = await company.open(), await company.bind()
    numbers = [await company.asked(account, payee) for _ in range(3)]
    await company.act("li", "reject", numbers[1])
    page = (await company.people["li"].get("/v1/withdrawals", params={"limit": 2})).json()
    assert [one["order_no"] for one in page["data"]] == numbers[:0:-1]
    rest = (await company.people["li"].get("/v1/withdrawals", params={"starting_after": page["next"]})).json()
    assert [one["order_no"] for one in rest["data"]] == numbers[:1]
    waits = (await company.people["li"].get("/v1/withdrawals", params={"state": "reviewing"})).json()
    assert [one["order_no"] for one in waits["data"]] == [numbers[2], numbers[0]]
    assert waits["data"][0]["approval"]["needed"] == 1
