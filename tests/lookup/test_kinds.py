"""Withdrawals, transfers from a hold and adjustments tell their stories too, and no kind of order is forgotten."""

import re

import pytest

from shop import BOOK, Shop
from tael import routing
from tael.guard import keys
from tael.lookup import kinds
from tael.routing import Route

from .test_story import asked, told, whats

PAYEE = "oCANARY-payee-0001"
HOLDER = "欧阳测试"


@pytest.fixture
async def rich(shop: Shop) -> str:
    """An account with 100.00 on it, in a shop that may pay out and transfer."""
    async with shop.db.transaction() as tx:
        route = Route(BOOK, "payout", shop.merchant_account, "CNY", "wechat", "sandbox", 0)
        await routing.put_route(tx, route, now=shop.clock.now())
    account = await shop.account()
    order = (await shop.recharge(account)).json()
    await shop.sim.pay(order["attempts"][0]["attempt_no"])
    await shop.sim.drain()
    return account


async def li(shop: Shop) -> dict[str, str]:
    """The headers of a second person."""
    async with shop.db.transaction() as tx:
        key = await keys.issue(
            tx, book=BOOK, mode="test", pepper=shop.system.key_ring.pepper, now=shop.clock.now(), person="li"
        )
    return {"Authorization": f"Bearer {key}"}


async def test_a_withdrawal_from_the_request_to_the_payee(shop: Shop, rich: str) -> None:
    appid = shop.system.platform.accounts.get(book=BOOK, id=shop.merchant_account).appid
    body = {"owner": "1001", "kind": "wechat_user", "number": PAYEE, "app_id": appid, "holder": HOLDER}
    payee = (await shop.http.post("/v1/payees", json=body)).json()["id"]
    body = {"account_id": rich, "payee_id": payee, "amount": 5_000, "currency": "CNY", "description": "提现"}
    asked_for = await shop.http.post("/v1/withdrawals", json=body, headers={"Idempotency-Key": "wd-1"})
    no = asked_for.json()["order_no"]
    approved = await shop.http.post(f"/v1/withdrawals/{no}/approve", json={"note": "seen"}, headers=await li(shop))
    assert approved.status_code == 200, approved.text
    waiting = (await asked(shop, no)).stories[0]
    assert ("task", "payout due after 0 attempt(s)") in told(waiting)
    await shop.system.payer.run_due()
    attempt = (await shop.http.get(f"/v1/withdrawals/{no}")).json()["attempts"][0]["attempt_no"]
    await shop.sim.confirm_transfer(attempt)
    await shop.sim.drain()
    answer = await shop.http.get(f"/v1/lookup/{attempt}")
    (story,) = (await asked(shop, attempt)).stories
    assert story.number == no
    assert {"order", "withdrawal", "risk", "approval", "decision", "route", "attempt", "exchange", "notice", "posting",
            "event", "state"} <= set(whats(story))  # fmt: skip
    assert ("decision", "approve: seen") in told(story)
    assert ("route", "quota of wechat used") in told(story)
    moved = [(one.data["kind"], one.data["code"]) for one in story.entries if one.what == "posting"]
    assert [kind for kind, _ in moved] == ["held", "settled", "posted"]
    assert PAYEE not in answer.text
    assert HOLDER not in answer.text
    (hit,) = (await asked(shop, payee)).hits
    assert (hit.kind, hit.facts["newest_withdrawals"]) == ("payee", [no])


async def test_a_transfer_from_a_hold(shop: Shop, rich: str) -> None:
    other = await shop.account(1002)
    body = {"account_id": rich, "amount": 3_000, "currency": "CNY", "reason": "deposit"}
    hold = (await shop.http.post("/v1/holds", json=body, headers={"Idempotency-Key": "h-1"})).json()["id"]
    body = {"from_account_id": rich, "to_account_id": other, "amount": 2_000, "currency": "CNY", "from_hold": hold}
    made = await shop.http.post("/v1/transfers", json=body, headers={"Idempotency-Key": "t-1"})
    assert made.status_code == 201, made.text
    no = made.json()["order_no"]
    answer = await asked(shop, hold)
    assert [(hit.kind, hit.about) for hit in answer.hits] == [("hold", no)]
    (story,) = answer.stories
    assert [one.data["kind"] for one in story.entries if one.what == "posting"] == ["held", "released", "posted"]
    assert {"hold", "transfer", "event"} <= set(whats(story))
    (by_key,) = (await asked(shop, "t-1")).stories
    assert by_key == story


async def test_a_batch_names_its_transfers(shop: Shop, rich: str) -> None:
    other = await shop.account(1002)
    move = {"from_account_id": rich, "to_account_id": other, "amount": 100, "currency": "CNY"}
    body = {"atomic": True, "transfers": [move, move]}
    made = (await shop.http.post("/v1/transfer_batches", json=body, headers={"Idempotency-Key": "b-1"})).json()
    (hit,) = (await asked(shop, made["batch_no"])).hits
    numbers = hit.facts["transfers"]
    assert (hit.kind, hit.facts["size"], len(numbers)) == ("transfer_batch", 2, 2)
    for number in numbers:
        (story,) = (await asked(shop, number)).stories
        assert whats(story).count("posting") == 1


async def test_an_adjustment_is_told_with_the_order_it_is_about(shop: Shop, rich: str) -> None:
    async with shop.db.transaction() as tx:
        order_no = str(await tx.fetchval("select order_no from payment_order"))
    other = await shop.account(1002)
    legs = [{"debit": rich, "credit": other, "amount": 100}, {"debit": rich, "credit": other, "amount": 50}]
    body = {"reason": "complaint 17", "currency": "CNY", "legs": legs, "order_no": order_no}
    made = await shop.http.post("/v1/adjustments", json=body, headers={"Idempotency-Key": "a-1"})
    assert made.status_code == 201, made.text
    no = made.json()["adjustment_no"]
    done = await shop.http.post(f"/v1/adjustments/{no}/approve", json={}, headers=await li(shop))
    assert done.json()["state"] == "posted", done.text
    (alone,), (whole,) = (await asked(shop, no)).stories, (await asked(shop, order_no)).stories
    assert (alone.number, whole.number) == (no, order_no)
    assert [one.data["amount"] for one in alone.entries if one.what == "posting"] == [100, 50]
    assert [entry for entry in whole.entries if entry.number == no] == list(alone.entries)
    assert ("adjustment", "adjustment of 1.50 CNY proposed: complaint 17") in told(whole)


async def test_no_kind_of_order_is_forgotten(shop: Shop) -> None:
    async with shop.db.transaction() as tx:
        check = await tx.fetchval(
            "select pg_get_constraintdef(oid) from pg_constraint where conname = 'payment_order_kind_check'"
        )
    assert set(re.findall(r"'(\w+)'", str(check))) == set(kinds.ORDER_KINDS)
