"""Refunds, from the request to the payer's money: whole, in parts, to a balance, out of suspense, and refused."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from flows.conftest import Shop, open_shop
from tael_sandbox import Fault


@pytest.fixture
async def shop(dsn: str, tmp_path: Path) -> AsyncIterator[Shop]:
    async with open_shop(dsn, tmp_path) as opened:
        yield opened


async def refund_of(shop: Shop, refund_no: str) -> dict[str, object]:
    answer = await shop.http.get(f"/v1/refunds/{refund_no}")
    assert answer.status_code == 200, answer.text
    return answer.json()


async def payment_of(shop: Shop, payment_no: str) -> tuple[object, ...]:
    shown = (await shop.http.get(f"/v1/payments/{payment_no}")).json()
    return shown["state"], shown["refunded_amount"], shown["refund_pending_amount"]


async def arrive(shop: Shop) -> None:
    """The channel gives the money back and says so."""
    await shop.advance(6)
    await shop.send_refunds()


async def topics(shop: Shop) -> list[str]:
    async with shop.db.transaction() as tx:
        return [row["topic"] for row in await tx.fetch("select topic from event order by id")]


async def test_a_payment_goes_back_whole(shop: Shop) -> None:
    seller = await shop.account()
    payment = await shop.paid(seller)
    answer = await shop.refund(payment["order_no"], 10_000, business_refund_no="B-7")
    assert answer.status_code == 201, answer.text
    refund = answer.json()
    assert (refund["object"], refund["refund_no"][:2], refund["state"], refund["source"]) == (
        "refund", "RF", "paying", "channel",
    )  # fmt: skip
    assert await payment_of(shop, payment["order_no"]) == ("refunding", 0, 10_000)
    assert await shop.available(seller) == 0, "the money is held while it is on its way"
    await arrive(shop)
    shown = await refund_of(shop, refund["refund_no"])
    assert (shown["state"], shown["channel_ref"] is not None, shown["refunded_at"] is not None) == ("paid", True, True)
    assert await payment_of(shop, payment["order_no"]) == ("refunded", 10_000, 0)
    assert await topics(shop) == ["payment.paid", "refund.succeeded", "payment.refunded"]
    assert await shop.count("task", "queue = 'refund'") == 0
    (listed,) = (await shop.http.get("/v1/refunds", params={"business_refund_no": "B-7"})).json()["data"]
    (of_payment,) = (await shop.http.get(f"/v1/payments/{payment['order_no']}/refunds")).json()["data"]
    assert listed == of_payment == shown
    await shop.check_books()


async def test_parts_never_exceed_the_payment(shop: Shop) -> None:
    seller = await shop.account()
    payment = await shop.paid(seller, 1_000)
    for amount, status in ((300, 201), (701, 422), (700, 202), (1, 422)):
        answer = await shop.refund(payment["order_no"], amount)
        assert answer.status_code == status, answer.text
    assert answer.json()["code"] == "refund_exceeds"
    await arrive(shop)
    assert await payment_of(shop, payment["order_no"]) == ("refunding", 300, 700), "the second waits for its minute"
    await shop.advance(60)
    await shop.send_refunds()
    await arrive(shop)
    assert await payment_of(shop, payment["order_no"]) == ("refunded", 1_000, 0)
    late = await shop.refund(payment["order_no"], 1)
    assert (late.status_code, late.json()["code"]) == (409, "order_not_refundable")
    assert await shop.count("payment_order", "kind = 'refund'") == 2
    await shop.check_books()


async def test_refunds_of_one_payment_are_a_minute_apart(shop: Shop) -> None:
    """WeChat's rule: they are queued, never failed, and each is sent in its own minute."""
    payment = await shop.paid(await shop.account(), 1_000)
    answers = [await shop.refund(payment["order_no"], 100) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [201, 202, 202, 202]
    assert [answer.json()["state"] for answer in answers] == ["paying", "created", "created", "created"]
    sent: list[int] = []
    for _ in range(5):
        await shop.send_refunds()
        sent.append(len(await shop.sim.refunds()))
        await shop.advance(60)
    assert sent == [1, 2, 3, 4, 4]
    await shop.send_refunds()
    assert await payment_of(shop, payment["order_no"]) == ("paid", 400, 0)
    await shop.check_books()


async def test_a_payment_has_at_most_fifty_refunds_there(shop: Shop) -> None:
    payment = await shop.paid(await shop.account(), 1_000)
    answers = [await shop.refund(payment["order_no"], 1) for _ in range(51)]
    assert [answer.status_code for answer in answers] == [201, *[202] * 49, 422]
    assert (answers[-1].json()["code"], answers[-1].json()["most"]) == ("too_many_refunds", 50)


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"payment_no": "PM1" + "0" * 29}, 404, "order_not_found"),
        ({"payment_no": None}, 422, "missing_field"),
        ({"business_order_no": "S-1"}, 422, "missing_field"),
        ({"payment_no": None, "business_order_no": "S-404"}, 404, "order_not_found"),
        ({"amount": 10_001}, 422, "refund_exceeds"),
        ({"amount": 0}, 422, "invalid_amount"),
        ({"currency": "USD"}, 422, "currency_differs"),
        ({"reason": ""}, 422, "invalid_field"),
        ({"business_refund_no": None}, 422, "invalid_field"),
        ({"account_id": "7"}, 422, "unknown_field"),
        ({"payee": "somebody else"}, 422, "unknown_field"),
    ],
    ids=str,
)
async def test_what_is_refused_leaves_nothing(shop: Shop, change: dict[str, object], status: int, code: str) -> None:
    payment = await shop.paid(await shop.account(), business_order_no="S-1", key="paid")
    answer = await shop.refund(payment["order_no"], 100, **change)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert await shop.count("payment_order", "kind = 'refund'") == 0
    assert await shop.count("idempotency", "key <> 'paid'") == 0
    assert await payment_of(shop, payment["order_no"]) == ("paid", 0, 0)


async def test_unpaid_and_closed_orders_have_nothing_to_refund(shop: Shop) -> None:
    """R05."""
    order = (await shop.payment(await shop.account())).json()
    unpaid = await shop.refund(order["order_no"], 1)
    await shop.http.post(f"/v1/payments/{order['order_no']}/close")
    closed = await shop.refund(order["order_no"], 1)
    for answer in (unpaid, closed):
        assert (answer.status_code, answer.json()["code"]) == (409, "order_not_refundable")


async def test_one_refund_number_is_one_refund(shop: Shop) -> None:
    """R04, K11: the same key is answered as the first time; another key with the same number is refused."""
    payment = await shop.paid(await shop.account(), business_order_no="S-1")
    first = await shop.refund(payment["order_no"], 100, key="a", business_refund_no="B-1")
    again = await shop.refund(payment["order_no"], 100, key="a", business_refund_no="B-1")
    other = await shop.refund(payment["order_no"], 100, key="b", business_refund_no="B-1")
    reused = await shop.refund(payment["order_no"], 101, key="a", business_refund_no="B-1")
    assert (again.status_code, again.content) == (201, first.content)
    assert [(one.status_code, one.json()["code"]) for one in (other, reused)] == [
        (409, "duplicate_order"), (422, "idempotency_key_reused"),
    ]  # fmt: skip
    by_name = await shop.refund("", 100, payment_no=None, business_order_no="S-1")
    assert by_name.status_code == 202, by_name.text
    assert await payment_of(shop, payment["order_no"]) == ("refunding", 0, 200)


async def test_money_that_is_spent_cannot_go_back(shop: Shop) -> None:
    seller, other = await shop.account(1), await shop.account(2)
    payment = await shop.paid(seller)
    ask = {"channel": "balance", "method": None, "payer_account_id": seller}
    assert (await shop.payment(other, 9_000, **ask)).status_code == 201
    answers = await asyncio.gather(*(shop.refund(payment["order_no"], amount) for amount in (1_001, 1_000, 5_000)))
    assert sorted(answer.status_code for answer in answers) == [201, 422, 422]
    assert {answer.json().get("code") for answer in answers} == {None, "insufficient_balance"}
    await arrive(shop)
    assert await shop.available(seller) == 0
    await shop.check_books()


async def test_a_recharge_goes_back_too(shop: Shop) -> None:
    account = await shop.account()
    order = (await shop.recharge(account)).json()
    await shop.sim.pay(order["attempts"][0]["attempt_no"])
    await shop.sim.drain()
    assert (await shop.refund(order["order_no"], 4_000)).status_code == 201
    await arrive(shop)
    shown = await shop.order(order["order_no"])
    assert (shown["state"], shown["refunded_amount"], await shop.available(account)) == ("paid", 4_000, 6_000)
    assert await topics(shop) == ["recharge.paid", "refund.succeeded", "recharge.refunded"]
    await shop.check_books()


async def test_a_payment_from_a_balance_goes_back_in_one_commit(shop: Shop) -> None:
    buyer, seller = await shop.account(1), await shop.account(2)
    await shop.paid(buyer)
    ask = {"channel": "balance", "method": None, "payer_account_id": buyer}
    payment = (await shop.payment(seller, 5_000, **ask)).json()
    answers = [await shop.refund(payment["order_no"], amount) for amount in (2_000, 3_001, 3_000, 1)]
    assert [answer.status_code for answer in answers] == [201, 422, 201, 409]
    assert (answers[0].json()["state"], answers[0].json()["source"]) == ("paid", "balance")
    assert await payment_of(shop, payment["order_no"]) == ("refunded", 5_000, 0)
    assert [await shop.available(one) for one in (buyer, seller)] == [10_000, 0]
    assert await shop.count("posting", "code = 124") == 2
    assert (await topics(shop))[-4:] == ["refund.succeeded", "payment.refunded"] * 2
    assert await shop.count("task", "queue = 'refund'") == 0
    assert await shop.count("posting", "code = 120") == 0, "nothing had to be held"
    await shop.check_books()


@pytest.mark.parametrize("again", [False, True])
async def test_a_refund_that_the_channel_closes_frees_the_money(shop: Shop, again: bool) -> None:
    seller = await shop.account()
    payment = await shop.paid(seller)
    refund = (await shop.refund(payment["order_no"], 10_000)).json()
    await shop.sim.close_refund(refund["attempt_no"])
    await shop.sim.drain()
    assert (await refund_of(shop, refund["refund_no"]))["state"] == "failed"
    assert await payment_of(shop, payment["order_no"]) == ("paid", 0, 0)
    assert await shop.available(seller) == 10_000
    assert (await topics(shop))[-1] == "refund.failed"
    if again:
        await shop.advance(60)
        assert (await shop.refund(payment["order_no"], 10_000)).status_code == 201
        await arrive(shop)
        assert await payment_of(shop, payment["order_no"]) == ("refunded", 10_000, 0)
    await shop.check_books()


async def test_a_payer_who_cannot_be_reached_needs_a_person(shop: Shop) -> None:
    """ABNORMAL is no failure: the hold stays, whatever time does; what the person arranged is settled when it is so."""
    seller = await shop.account()
    payment = await shop.paid(seller)
    refund = (await shop.refund(payment["order_no"], 10_000)).json()
    await shop.sim.abnormal_refund(refund["attempt_no"])
    await shop.sim.drain()
    for _ in range(3):
        shown = await refund_of(shop, refund["refund_no"])
        assert (shown["state"], shown["note"]) == ("paying", "abnormal")
        assert await shop.available(seller) == 0
        await shop.advance(86_400)
        await shop.send_refunds()
    assert (await topics(shop)).count("refund.needs_attention") == 1
    assert await shop.count("task", "queue = 'refund' and dead_at is null") == 1


async def test_an_empty_merchant_balance_waits_for_money(shop: Shop) -> None:
    """NOT_ENOUGH frees nothing: the identical request goes out again until there is money."""
    seller = await shop.account()
    payment = await shop.paid(seller)
    await shop.sim.draw_down((await shop.sim.top_up(1)).balance_minor)
    answer = await shop.refund(payment["order_no"], 10_000)
    assert (answer.status_code, answer.json()["state"]) == (202, "unknown")
    await shop.advance(10)
    await shop.send_refunds()
    assert await payment_of(shop, payment["order_no"]) == ("refunding", 0, 10_000)
    await shop.sim.top_up(10_000)
    await shop.advance(3_600)
    await shop.send_refunds()
    await arrive(shop)
    assert (await refund_of(shop, answer.json()["refund_no"]))["state"] == "paid"
    assert len(await shop.sim.refunds()) == 1
    await shop.check_books()


@pytest.mark.parametrize("reason", ["late_payment", "paid_twice"])
async def test_late_and_double_money_goes_back_by_itself(shop: Shop, reason: str) -> None:
    seller = await shop.account()
    order = (await shop.payment(seller)).json()
    number = order["attempts"][0]["attempt_no"]
    if reason == "late_payment":
        await shop.http.post(f"/v1/payments/{order['order_no']}/close")
    else:
        await shop.sim.pay(number)
        await shop.sim.drain()
    await shop.sim.pay(number, force=True)
    await shop.sim.drain()
    before = await payment_of(shop, order["order_no"])
    for _ in range(2):
        await shop.deliver()
        await shop.send_refunds()
    (item,) = (await shop.http.get("/v1/suspense_items")).json()["data"]
    assert (item["reason"], item["state"], item["refund_no"] is not None) == (reason, "refunding", True)
    await arrive(shop)
    (item,) = (await shop.http.get("/v1/suspense_items")).json()["data"]
    refund = await refund_of(shop, item["refund_no"])
    assert (item["state"], refund["state"], refund["source"], refund["suspense_item"]) == (
        "resolved", "paid", "suspense", item["id"],
    )  # fmt: skip
    assert await payment_of(shop, order["order_no"]) == before
    assert await shop.available(seller) == (0 if reason == "late_payment" else 10_000)
    async with shop.db.transaction() as tx:
        held = await tx.fetchval("select count(*) from posting where code = 150")
    assert held == 2, "the hold and its settlement"
    await shop.check_books()


async def test_a_wrong_amount_waits_for_a_person(shop: Shop) -> None:
    order = (await shop.payment(await shop.account())).json()
    await shop.sim.pay(order["attempts"][0]["attempt_no"], amount_minor=9_000)
    await shop.sim.drain()
    await shop.deliver()
    await shop.send_refunds()
    assert await shop.count("refund") == 0
    (item,) = (await shop.http.get("/v1/suspense_items")).json()["data"]
    answers = await asyncio.gather(*(shop.http.post(f"/v1/suspense_items/{item['id']}/refund") for _ in range(5)))
    assert {answer.status_code for answer in answers} <= {201, 202}
    assert len({answer.json()["refund_no"] for answer in answers}) == 1
    await arrive(shop)
    assert await shop.count("suspense_item", "state = 'resolved'") == 1
    assert [(one.refund_minor, one.state) for one in await shop.sim.refunds()] == [(9_000, "SUCCESS")]
    await shop.check_books()


@pytest.mark.parametrize("number", ["1", "0", "x", "99999999999999999999"])
async def test_there_is_no_such_item(shop: Shop, number: str) -> None:
    answer = await shop.http.post(f"/v1/suspense_items/{number}/refund")
    assert (answer.status_code, answer.json()["code"]) == (404, "suspense_item_not_found")


async def test_a_suspense_refund_that_fails_may_be_made_again(shop: Shop) -> None:
    order = (await shop.payment(await shop.account())).json()
    number = order["attempts"][0]["attempt_no"]
    await shop.sim.pay(number)
    await shop.sim.pay(number, force=True)
    await shop.sim.drain()
    await shop.deliver()
    await shop.send_refunds()
    (refund,) = await shop.sim.refunds()
    await shop.sim.close_refund(refund.out_refund_no)
    await shop.sim.drain()
    (item,) = (await shop.http.get("/v1/suspense_items")).json()["data"]
    assert (item["state"], item["refund_no"]) == ("proposed", None)
    assert (await shop.http.post(f"/v1/suspense_items/{item['id']}/refund")).status_code == 201
    await arrive(shop)
    assert await shop.count("suspense_item", "state = 'resolved'") == 1
    await shop.check_books()


async def test_every_notice_lost_and_every_answer_too(shop: Shop) -> None:
    seller = await shop.account()
    payment = await shop.paid(seller)
    await shop.sim.fault(Fault(operation="notify", kind="drop", count=None))
    await shop.sim.fault(Fault(operation="refund", kind="commit_then_drop_reply"))
    await shop.sim.fault(Fault(operation="query_refund", kind="drop_before_commit", count=2))
    answer = await shop.refund(payment["order_no"], 10_000)
    assert (answer.status_code, answer.json()["state"]) == (202, "unknown")
    for _ in range(5):
        await shop.advance(60)
        await shop.send_refunds()
    assert (await refund_of(shop, answer.json()["refund_no"]))["state"] == "paid"
    assert len(await shop.sim.refunds()) == 1
    await shop.check_books()
