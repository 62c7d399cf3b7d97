"""Recharge by WeChat QR code: paid once, whatever comes first, twice, late or not at all."""

import asyncio
from datetime import date, datetime, timedelta

import pytest

from shop import Shop
from tael.channels.contract import MerchantAccount, PaymentRef, PaymentView, Result
from tael.channels.wechat.connector import WechatPay
from tael_sandbox import Fault, NewMerchant


async def test_paid_by_scanning(shop: Shop) -> None:
    account = await shop.account()
    answer = await shop.recharge(account, 12_345)
    assert answer.status_code == 201, answer.text
    order = answer.json()
    assert order["state"] == "paying"
    assert order["attempts"][0]["handoff"]["type"] == "qr_code"
    await shop.sim.pay(order["attempts"][0]["handoff"]["text"])
    await shop.sim.drain()
    paid = await shop.order(order["order_no"])
    assert (paid["state"], paid["attempts"][0]["state"]) == ("paid", "paid")
    assert await shop.available(account) == 12_345
    assert await shop.recover() == 0  # the notice came first: nothing is left to ask
    await shop.check_books()


async def test_a_lost_notice_is_recovered_by_query_after_ten_seconds(shop: Shop) -> None:
    account = await shop.account()
    order = (await shop.recharge(account)).json()
    await shop.sim.fault(Fault(operation="notify", kind="drop", count=100))
    await shop.sim.pay(order["attempts"][0]["attempt_no"])
    assert await shop.recover() == 0
    await shop.advance(10)
    assert await shop.recover() == 1
    assert (await shop.order(order["order_no"]))["state"] == "paid"
    assert await shop.available(account) == 10_000
    await shop.check_books()


async def test_the_whole_ladder_is_asked_while_the_payer_hesitates(shop: Shop) -> None:
    account = await shop.account()
    order = (await shop.recharge(account)).json()
    await shop.sim.fault(Fault(operation="notify", kind="drop", count=100))
    for pause in (10, 20, 30, 60):
        assert await shop.recover() == 0
        await shop.advance(pause)
        assert await shop.recover() == 1
    await shop.sim.pay(order["attempts"][0]["attempt_no"])
    await shop.advance(120)
    await shop.recover()
    assert (await shop.order(order["order_no"]))["state"] == "paid"
    assert (await shop.sim.requests()).counts["query"] == 5
    await shop.check_books()


@pytest.mark.parametrize("times", [2, 100])
async def test_duplicate_notices_credit_once(shop: Shop, times: int) -> None:
    account = await shop.account()
    order = (await shop.recharge(account)).json()
    number = order["attempts"][0]["attempt_no"]
    await shop.sim.pay(number)
    await asyncio.gather(*(shop.sim.renotify(number) for _ in range(times - 1)))
    await shop.sim.drain()
    assert await shop.available(account) == 10_000
    assert all(delivery.accepted for delivery in (await shop.sim.deliveries()).tried)
    assert await shop.count("event", "topic = 'recharge.paid'") == 1
    await shop.check_books()


async def test_a_notice_that_arrives_before_our_create_call_returned(shop: Shop) -> None:
    account = await shop.account()
    await shop.sim.fault(Fault(operation="create", kind="notify_inside_create"))
    order = (await shop.recharge(account)).json()
    await shop.sim.drain()
    assert (await shop.order(order["order_no"]))["state"] == "paid"
    assert await shop.available(account) == 10_000
    await shop.check_books()


CREATE_FAULTS = [
    ("commit_then_drop_reply", "unknown"),
    ("5xx_after_commit", "unknown"),
    ("5xx_before_commit", "unknown"),
    ("drop_before_commit", "unknown"),
    ("truncated_body", "unknown"),
    ("html_body", "unknown"),
    ("empty_body", "unknown"),
    ("garbage_body", "unknown"),
    ("bad_signature", "unknown"),
    ("unsigned", "unknown"),
    ("stale_timestamp", "unknown"),
]


@pytest.mark.parametrize(("kind", "state"), CREATE_FAULTS)
async def test_an_unclear_create_is_unknown_and_then_found_out(shop: Shop, kind: str, state: str) -> None:
    account = await shop.account()
    await shop.sim.fault(Fault(operation="create", kind=kind))
    answer = await shop.recharge(account)
    assert answer.status_code == 202, answer.text
    assert answer.json()["state"] == state
    await shop.advance(10)
    await shop.recover()  # asks, and sends the same request again
    order = await shop.order(answer.json()["order_no"])
    assert order["state"] == "paying"
    await shop.sim.pay(order["attempts"][0]["handoff"]["text"])
    await shop.sim.drain()
    assert await shop.available(account) == 10_000
    assert len(await shop.sim.orders()) == 1
    await shop.check_books()


async def test_closed_between_the_query_and_the_request_that_is_sent_again_is_closed_not_failed(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    await shop.sim.fault(Fault(operation="create", kind="truncated_body"))
    order_no = (await shop.recharge(await shop.account())).json()["order_no"]
    query = WechatPay.query_payment

    async def closed_afterwards(
        wechat: WechatPay, account: MerchantAccount, ref: PaymentRef, *, now: datetime
    ) -> Result[PaymentView]:
        found = await query(wechat, account, ref, now=now)
        await wechat.close_payment(account, ref, now=now)
        return found

    with monkeypatch.context() as patch:
        patch.setattr(WechatPay, "query_payment", closed_afterwards)
        await shop.advance(10)
        await shop.recover()
    assert (await shop.order(order_no))["state"] == "unknown", "the channel refused, and why has to be asked"
    await shop.advance(20)
    await shop.recover()
    assert (await shop.order(order_no))["state"] == "closed"
    assert await shop.count("task", "queue = 'recover'") == 0
    await shop.check_books()


async def test_an_unclear_query_decides_nothing(shop: Shop) -> None:
    account = await shop.account()
    order = (await shop.recharge(account)).json()
    await shop.sim.fault(Fault(operation="notify", kind="drop", count=100))
    await shop.sim.pay(order["attempts"][0]["attempt_no"])
    await shop.sim.fault(Fault(operation="query", kind="5xx_after_commit", count=1))
    await shop.advance(10)
    await shop.recover()
    assert (await shop.order(order["order_no"]))["state"] == "paying"
    await shop.advance(20)
    await shop.recover()
    assert (await shop.order(order["order_no"]))["state"] == "paid"
    await shop.check_books()


async def test_a_channel_that_cannot_be_reached_leaves_the_order_created_and_recovery_sends_it(shop: Shop) -> None:
    account = await shop.account()
    await shop.system.platform.accounts.refresh(shop.db)
    async with shop.db.transaction() as tx:
        await tx.execute("update merchant_account set base_url = 'http://127.0.0.1:1', changed_at = now()")
    await shop.system.platform.accounts.refresh(shop.db)
    answer = await shop.recharge(account)
    assert (answer.status_code, answer.json()["state"]) == (202, "created")
    async with shop.db.transaction() as tx:
        await tx.execute("update merchant_account set base_url = $1, changed_at = now()", shop.sim.base_url)
    await shop.system.platform.accounts.refresh(shop.db)
    await shop.advance(10)
    await shop.recover()
    assert (await shop.order(answer.json()["order_no"]))["state"] == "paying"


async def test_an_unpaid_order_is_closed_at_the_channel_first_and_then_here(shop: Shop) -> None:
    account = await shop.account()
    order = (await shop.recharge(account)).json()
    await shop.advance(901)
    await shop.recover()
    assert (await shop.order(order["order_no"]))["state"] == "closed"
    assert [one.state for one in await shop.sim.orders()] == ["CLOSED"]
    assert await shop.count("task", "queue = 'recover'") == 0
    assert await shop.available(account) == 0
    await shop.check_books()


async def test_paid_while_we_close_is_paid(shop: Shop) -> None:
    account = await shop.account()
    order = (await shop.recharge(account)).json()
    await shop.sim.fault(Fault(operation="notify", kind="drop", count=100))
    await shop.sim.pay(order["attempts"][0]["attempt_no"])
    answer = await shop.http.post(f"/v1/recharges/{order['order_no']}/close")
    assert (answer.status_code, answer.json()["code"]) == (409, "order_not_payable")
    assert (await shop.order(order["order_no"]))["state"] == "paid"
    assert await shop.available(account) == 10_000
    await shop.check_books()


async def test_a_close_whose_reply_is_lost_is_found_out(shop: Shop) -> None:
    account = await shop.account()
    order = (await shop.recharge(account)).json()
    await shop.sim.fault(Fault(operation="close", kind="commit_then_drop_reply"))
    answer = await shop.http.post(f"/v1/recharges/{order['order_no']}/close")
    assert answer.status_code == 200, answer.text
    assert answer.json()["state"] == "closed"


async def test_a_late_success_on_a_closed_order_is_booked_to_suspense_and_proposes_a_refund(shop: Shop) -> None:
    account = await shop.account()
    order = (await shop.recharge(account)).json()
    await shop.http.post(f"/v1/recharges/{order['order_no']}/close")
    await shop.sim.pay(order["attempts"][0]["attempt_no"], force=True)
    await shop.sim.drain()
    assert (await shop.order(order["order_no"]))["state"] == "closed"
    assert await shop.available(account) == 0
    (item,) = (await shop.http.get("/v1/suspense_items")).json()["data"]
    assert (item["reason"], item["amount"], item["proposal"]) == ("late_payment", 10_000, "refund")
    await shop.sim.renotify(order["attempts"][0]["attempt_no"])
    await shop.sim.drain()
    assert await shop.count("suspense_item") == 1
    await shop.check_books()


@pytest.mark.parametrize("kind", ["wrong_amount", "wrong_currency"])
async def test_another_amount_or_currency_goes_to_suspense(shop: Shop, kind: str) -> None:
    account = await shop.account()
    order = (await shop.recharge(account)).json()
    await shop.sim.fault(Fault(operation="notify", kind=kind))
    await shop.sim.pay(order["attempts"][0]["attempt_no"])
    await shop.sim.drain()
    assert [delivery.accepted for delivery in (await shop.sim.deliveries()).tried] == [True]
    invalid = await shop.order(order["order_no"])
    assert (invalid["state"], invalid["reason"]) == ("invalid", "amount_mismatch")
    assert await shop.available(account) == 0
    assert await shop.count("suspense_item", "reason = 'amount_mismatch'") == 1
    assert await shop.recover() == 0


@pytest.mark.parametrize(
    "kind",
    ["bad_signature", "stale_timestamp", "unknown_serial", "other_merchants_key", "bad_seal", "wrong_appid",
     "wrong_mchid", "other_order"],
)  # fmt: skip
async def test_a_notice_that_is_not_ours_changes_nothing_and_the_true_one_still_pays(shop: Shop, kind: str) -> None:
    account = await shop.account()
    order = (await shop.recharge(account)).json()
    await shop.sim.create_merchant(NewMerchant())  # whose key the wrong signature may be made with
    await shop.sim.fault(Fault(operation="notify", kind=kind))
    await shop.sim.pay(order["attempts"][0]["attempt_no"])
    await shop.sim.drain()
    assert (await shop.order(order["order_no"]))["state"] == "paying"
    assert await shop.available(account) == 0
    assert all(delivery.status >= 400 for delivery in (await shop.sim.deliveries()).tried)
    await shop.advance(15)  # the channel repeats
    assert (await shop.order(order["order_no"]))["state"] == "paid"
    assert await shop.available(account) == 10_000
    await shop.check_books()


async def test_a_signature_probe_is_refused_and_the_notice_behind_it_pays(shop: Shop) -> None:
    account = await shop.account()
    order = (await shop.recharge(account)).json()
    await shop.sim.fault(Fault(operation="notify", kind="signtest"))
    await shop.sim.pay(order["attempts"][0]["attempt_no"])
    await shop.sim.drain()
    probe, genuine = (await shop.sim.deliveries()).tried
    assert (probe.status, genuine.accepted) == (401, True)
    assert await shop.available(account) == 10_000
    await shop.check_books()


async def test_a_coupon_pays_part_and_the_whole_order_is_credited(shop: Shop) -> None:
    account = await shop.account()
    order = (await shop.recharge(account)).json()
    await shop.sim.pay(order["attempts"][0]["attempt_no"], coupon_minor=300)
    await shop.sim.drain()
    assert await shop.available(account) == 10_000


async def test_paid_a_second_time_at_the_channel_goes_to_suspense(shop: Shop) -> None:
    account = await shop.account()
    order = (await shop.recharge(account)).json()
    number = order["attempts"][0]["attempt_no"]
    await shop.sim.pay(number)
    await shop.sim.pay(number, force=True)
    await shop.sim.drain()
    assert await shop.available(account) == 10_000
    assert await shop.count("suspense_item", "reason = 'paid_twice'") == 1
    await shop.check_books()


async def test_a_failed_payment_may_be_tried_again_with_a_new_number(shop: Shop) -> None:
    account = await shop.account()
    await shop.sim.fault(Fault(operation="create", kind="error", status=403, code="RULE_LIMIT"))
    first = (await shop.recharge(account)).json()
    again = await shop.http.post(f"/v1/recharges/{first['order_no']}/pay", json={})
    assert again.status_code in {201, 202}, again.text
    order = await shop.order(first["order_no"])
    assert order["state"] in {"paying", "unknown"}


async def test_pay_answers_with_the_open_attempt_s_code(shop: Shop) -> None:
    account = await shop.account()
    order = (await shop.recharge(account)).json()
    again = (await shop.http.post(f"/v1/recharges/{order['order_no']}/pay", json={})).json()
    assert again["attempts"] == order["attempts"]
    assert len(await shop.sim.orders()) == 1


async def test_the_business_is_told_once_with_a_verified_signature(shop: Shop) -> None:
    made = await shop.http.post(
        "/v1/webhook_endpoints", json={"url": shop.receiver.url("/shop"), "topics": ["recharge.*"]}
    )
    assert made.status_code == 201, made.text
    shop.receiver.secrets["/shop"] = made.json()["secret"]
    account = await shop.account()
    order = (await shop.recharge(account)).json()
    await shop.sim.pay(order["attempts"][0]["attempt_no"])
    await shop.sim.renotify(order["attempts"][0]["attempt_no"])
    await shop.sim.drain()
    await shop.deliver()
    await shop.deliver()
    (message,) = shop.receiver.kept["/shop"].values()
    assert order["order_no"].encode() in message
    assert b'"recharge.paid"' in message


async def test_the_accounting_day_moves_on_by_itself(shop: Shop) -> None:
    account = await shop.account()

    async def paid() -> str:
        order = (await shop.recharge(account)).json()
        await shop.sim.pay(order["attempts"][0]["attempt_no"])
        await shop.sim.drain()
        entries = (await shop.http.get(f"/v1/accounts/{account}/entries")).json()["data"]
        return entries[-1]["day"]

    first = await paid()
    await shop.advance(24 * 3600)
    await shop.system.chores.keep_books(shop.clock.now())
    second = await paid()
    assert date.fromisoformat(second) - date.fromisoformat(first) == timedelta(days=1)
    await shop.check_books()


async def test_what_is_kept_for_a_time_only_is_deleted(shop: Shop) -> None:
    await shop.recharge(await shop.account())
    assert await shop.count("order_submission") == 1
    await shop.system.chores.forget(shop.clock.now())
    assert await shop.count("order_submission") == 1  # the guard still holds
    await shop.advance(11)
    await shop.system.chores.forget(shop.clock.now())
    assert await shop.count("order_submission") == 0
    await shop.advance(31 * 24 * 3600)
    await shop.system.chores.forget(shop.clock.now())
    assert await shop.count("idempotency") == 0
