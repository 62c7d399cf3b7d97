"""Payments for goods: through a channel as recharges are, from a balance in one commit, and through another channel."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from flows.conftest import Shop, open_shop
from tael.channels import registry
from tael.channels.accounts import list_accounts
from tael.channels.wechat import WechatPay
from tael_sandbox import Fault

SECOND = "second"


@pytest.fixture
async def shop(dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Shop]:
    """A shop with two channels: the second is WeChat Pay under another name, with a merchant account of its own."""
    monkeypatch.setitem(registry.CONNECTORS, SECOND, WechatPay)  # pyright: ignore[reportArgumentType]
    async with open_shop(dsn, tmp_path) as opened:
        platform = opened.system.platform
        async with opened.db.transaction() as tx:
            (row,) = await list_accounts(tx)
            await platform.accounts.add(tx, replace(row, id=platform.ids.next(), name="second", channel=SECOND))
        await platform.accounts.refresh(opened.db)
        yield opened


async def rich(shop: Shop, owner: int, amount: int = 10_000) -> str:
    """An account that has been recharged."""
    account = await shop.account(owner)
    order = (await shop.recharge(account, amount)).json()
    await shop.sim.pay(order["attempts"][0]["attempt_no"])
    await shop.sim.drain()
    return account


async def topics(shop: Shop) -> list[str]:
    async with shop.db.transaction() as tx:
        return [row["topic"] for row in await tx.fetch("select topic from event order by id")]


async def state(shop: Shop, order_no: str) -> str:
    return (await shop.http.get(f"/v1/payments/{order_no}")).json()["state"]


async def test_goods_are_paid_by_qr_code(shop: Shop) -> None:
    seller = await shop.account(7)
    goods = {"1": "tea, 2 x 40.00", "discount": "-5.00"}
    answer = await shop.payment(seller, 7_500, business_order_no="S-77", metadata=goods)
    assert answer.status_code == 201, answer.text
    order = answer.json()
    assert (order["object"], order["order_no"][:2], order["state"], order["metadata"]) == (
        "payment", "PM", "paying", goods,
    )  # fmt: skip
    picture = await shop.http.get(f"/v1/payments/{order['order_no']}/qr.svg")
    assert picture.headers["content-type"] == "image/svg+xml"
    await shop.sim.pay(order["attempts"][0]["attempt_no"])
    await shop.sim.drain()
    (found,) = (await shop.http.get("/v1/payments", params={"business_order_no": "S-77"})).json()["data"]
    assert (found["order_no"], found["state"], found["refunded_amount"]) == (order["order_no"], "paid", 0)
    assert await shop.available(seller) == 7_500
    assert await shop.count("posting", "code = 103") == 1
    assert await topics(shop) == ["payment.paid"]
    await shop.check_books()


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"business_order_no": None}, 422, "invalid_field"),
        ({"business_order_no": "S/1"}, 422, "invalid_field"),
        ({"method": None}, 422, "missing_field"),
        ({"payer_account_id": "7"}, 422, "invalid_field"),
        ({"channel": "balance"}, 422, "missing_field"),
        ({"channel": "balance", "payer_account_id": "7"}, 422, "invalid_field"),
        ({"channel": "nowhere"}, 422, "no_merchant_account"),
        ({"expires_in_s": 59}, 422, "invalid_field"),
        ({"return_url": "javascript:alert(1)"}, 422, "invalid_field"),
        ({"amount": 0}, 422, "invalid_amount"),
        ({"account_id": "1"}, 404, "account_not_found"),
    ],
    ids=str,
)
async def test_what_is_refused_leaves_nothing(shop: Shop, change: dict[str, object], status: int, code: str) -> None:
    answer = await shop.payment(await shop.account(), **change)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert await shop.count("payment_order") == 0
    assert await shop.count("idempotency") == 0


async def test_one_business_order_number_is_one_payment_and_another_recharge(shop: Shop) -> None:
    account = await shop.account()
    first = await shop.payment(account, key="a", business_order_no="S-1")
    assert (await shop.payment(account, key="a", business_order_no="S-1", description="Goods 1")).status_code == 201
    other = await shop.payment(account, key="b", business_order_no="S-1")
    assert (other.status_code, other.json()["code"], other.json()["order_no"]) == (
        409, "duplicate_order", first.json()["order_no"],
    )  # fmt: skip
    assert (await shop.recharge(account, business_order_no="S-1")).status_code == 201


async def test_kinds_do_not_see_each_other(shop: Shop) -> None:
    account = await shop.account()
    payment = (await shop.payment(account)).json()["order_no"]
    recharge = (await shop.recharge(account)).json()["order_no"]
    for ours, theirs in (("payments", recharge), ("recharges", payment)):
        for method, path in (("GET", ""), ("GET", "/qr.svg"), ("POST", "/pay"), ("POST", "/close")):
            body = {} if path == "/pay" else None
            answer = await shop.http.request(method, f"/v1/{ours}/{theirs}{path}", json=body)
            assert (answer.status_code, answer.json()["code"]) == (404, "order_not_found"), (method, path)
    shown = [(await shop.http.get(f"/v1/{kind}")).json()["data"] for kind in ("payments", "recharges")]
    assert [[one["order_no"] for one in page] for page in shown] == [[payment], [recharge]]


async def test_a_closed_payment_is_never_paid_again_and_late_money_is_put_aside(shop: Shop) -> None:
    seller = await shop.account()
    order = (await shop.payment(seller)).json()
    assert (await shop.http.post(f"/v1/payments/{order['order_no']}/close")).json()["state"] == "closed"
    again = await shop.http.post(f"/v1/payments/{order['order_no']}/pay", json={})
    assert (again.status_code, again.json()["code"]) == (409, "order_not_payable")
    await shop.sim.pay(order["attempts"][0]["attempt_no"], force=True)
    await shop.sim.drain()
    assert await topics(shop) == ["payment.closed", "payment.suspended"]
    assert (await shop.available(seller), await shop.count("suspense_item")) == (0, 1)
    await shop.check_books()


async def test_a_payment_lives_as_long_as_it_was_given(shop: Shop) -> None:
    order = (await shop.payment(await shop.account(), expires_in_s=3_600)).json()
    await shop.advance(3_599)
    await shop.recover()
    assert await state(shop, order["order_no"]) == "paying"
    await shop.advance(200)
    await shop.recover()
    assert await state(shop, order["order_no"]) == "closed"


async def test_goods_are_paid_from_a_balance_at_once(shop: Shop) -> None:
    buyer, seller = await rich(shop, 1), await shop.account(2)
    ask = {"channel": "balance", "method": None, "payer_account_id": buyer, "business_order_no": "S-1"}
    body = {**ask, "description": "Tea"}
    first = await shop.payment(seller, 4_000, key="k", **body)
    again = await shop.payment(seller, 4_000, key="k", **body)
    assert (first.status_code, first.json()["state"]) == (201, "paid"), first.text
    assert (again.content, again.headers["idempotent-replayed"]) == (first.content, "true")
    attempt = first.json()["attempts"][0]
    assert (attempt["channel"], attempt["merchant_account"], attempt["state"]) == ("balance", None, "paid")
    assert [await shop.available(one) for one in (buyer, seller)] == [6_000, 4_000]
    assert await shop.count("posting", "code = 104") == 1
    assert (await topics(shop))[-1] == "payment.paid"
    await shop.check_books()


@pytest.mark.parametrize(
    ("payer", "amount", "status", "code"),
    [
        ("buyer", 10_001, 422, "insufficient_balance"),
        ("seller", 1, 422, "account_cannot_pay"),
        ("dollars", 1, 422, "account_cannot_pay"),
        ("1", 1, 404, "account_not_found"),
    ],
)
async def test_who_cannot_pay_is_refused_and_may_repeat_the_key(
    shop: Shop, payer: str, amount: int, status: int, code: str
) -> None:
    buyer, seller, dollars = await rich(shop, 1), await shop.account(2), await shop.account(3, "USD")
    known = {"buyer": buyer, "seller": seller, "dollars": dollars}
    ask = {"channel": "balance", "method": None, "description": "Tea", "business_order_no": "S-1"}
    refused = await shop.payment(seller, amount, key="k", payer_account_id=known.get(payer, payer), **ask)
    assert (refused.status_code, refused.json()["code"]) == (status, code)
    assert await shop.count("payment_order", "kind = 'payment'") == 0
    paid = await shop.payment(seller, 10_000, key="k", payer_account_id=buyer, **ask)
    assert paid.json()["state"] == "paid", paid.text
    await shop.check_books()


async def test_a_hundred_buyers_at_once_of_whom_one_is_poor(shop: Shop) -> None:
    seller = await shop.account(1)
    accounts = [await shop.account(10 + number) for number in range(10)]
    for account in accounts[1:]:
        order = (await shop.recharge(account, 1_000)).json()
        await shop.sim.pay(order["attempts"][0]["attempt_no"])
    await shop.sim.drain()
    ask = {"channel": "balance", "method": None}
    answers = await asyncio.gather(
        *(shop.payment(seller, 100, payer_account_id=accounts[number % 10], **ask) for number in range(100))
    )
    assert [answer.status_code for answer in answers] == [422 if number % 10 == 0 else 201 for number in range(100)]
    assert [await shop.available(account) for account in [seller, *accounts]] == [9_000, *[0] * 10]
    await shop.check_books()


async def test_a_hundred_payments_of_the_whole_balance_are_one(shop: Shop) -> None:
    buyer, seller = await rich(shop, 1), await shop.account(2)
    ask = {"channel": "balance", "method": None, "payer_account_id": buyer}
    answers = await asyncio.gather(*(shop.payment(seller, 10_000, **ask) for _ in range(100)))
    assert sorted(answer.status_code for answer in answers) == [201] + [422] * 99
    assert [await shop.available(one) for one in (buyer, seller)] == [0, 10_000]
    assert await shop.count("payment_order", "kind = 'payment'") == 1
    await shop.check_books()


async def switch(shop: Shop, order_no: str, channel: str = SECOND) -> tuple[int, dict[str, object]]:
    answer = await shop.http.post(f"/v1/payments/{order_no}/pay", json={"channel": channel})
    return answer.status_code, answer.json()


async def test_paid_through_another_channel(shop: Shop) -> None:
    """The open attempt is closed at its channel first; then there is a new one, and only that can be paid."""
    seller = await shop.account()
    order = (await shop.payment(seller)).json()
    status, shown = await switch(shop, order["order_no"])
    assert (status, shown["state"]) == (201, "paying")
    attempts = (await shop.http.get(f"/v1/payments/{order['order_no']}")).json()["attempts"]
    assert [(one["channel"], one["state"]) for one in attempts] == [("wechat", "closed"), (SECOND, "paying")]
    again = await switch(shop, order["order_no"])
    assert again[1]["attempts"][-1]["attempt_no"] == attempts[-1]["attempt_no"], "the same hand-off again"
    await shop.sim.pay(attempts[-1]["attempt_no"])
    await shop.sim.drain()
    assert await state(shop, order["order_no"]) == "paid"
    assert await shop.available(seller) == 10_000
    assert await shop.count("task", "queue = 'recover'") == 0
    await shop.check_books()


async def test_no_second_attempt_while_the_first_may_still_be_paid(shop: Shop) -> None:
    order = (await shop.payment(await shop.account())).json()
    for operation in ("close", "query"):
        await shop.sim.fault(Fault(operation=operation, kind="drop_before_commit"))
    status, said = await switch(shop, order["order_no"])
    assert (status, said["code"]) == (409, "attempt_still_open")
    assert await shop.count("payment_attempt") == 1
    assert (await switch(shop, order["order_no"]))[0] == 201


async def test_the_first_attempt_turns_out_to_be_paid(shop: Shop) -> None:
    seller = await shop.account()
    order = (await shop.payment(seller)).json()
    await shop.sim.fault(Fault(operation="notify", kind="drop", count=None))
    await shop.sim.pay(order["attempts"][0]["attempt_no"])
    status, shown = await switch(shop, order["order_no"])
    assert (status, shown["state"], len(shown["attempts"])) == (201, "paid", 1)
    assert await shop.available(seller) == 10_000
    await shop.check_books()


@pytest.mark.parametrize("first_pays", ["before", "after"])
async def test_both_attempts_are_paid_and_the_second_success_is_put_aside(shop: Shop, first_pays: str) -> None:
    """R17: the channel lets a closed order be paid; one success pays the order, the other goes to suspense."""
    seller = await shop.account()
    order = (await shop.payment(seller)).json()
    _, shown = await switch(shop, order["order_no"])
    first, second = order["attempts"][0]["attempt_no"], shown["attempts"][-1]["attempt_no"]
    for number in (first, second) if first_pays == "before" else (second, first):
        await shop.sim.pay(number, force=True)
        await shop.sim.drain()
    assert await state(shop, order["order_no"]) == "paid"
    assert await shop.available(seller) == 10_000
    assert await shop.count("suspense_item", "reason = 'paid_twice'") == 1
    assert await topics(shop) == ["payment.paid", "payment.suspended"]
    await shop.check_books()


async def test_switching_twice_at_once_ends_with_one_open_attempt(shop: Shop) -> None:
    order = (await shop.payment(await shop.account())).json()
    answers = await asyncio.gather(*(switch(shop, order["order_no"]) for _ in range(8)))
    assert {status for status, _ in answers} <= {201, 202, 409}
    assert await shop.count("payment_attempt", "state in ('created', 'paying', 'unknown')") == 1
    assert await shop.count("payment_attempt") == 2
