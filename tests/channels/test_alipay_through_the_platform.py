"""Alipay behind the platform's own doors: recharged, noticed, recovered and refunded as with any other channel."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from shop import BOOK, Shop, open_shop
from tael.channels.accounts import AccountRow
from tael_sandbox import Fault


@pytest.fixture
async def shop(dsn: str, tmp_path: Path) -> AsyncIterator[Shop]:
    """A shop that also has an account at Alipay."""
    async with open_shop(dsn, tmp_path) as opened:
        merchant, platform = opened.sim.alipay.merchant, opened.system.platform
        row = AccountRow(
            book=BOOK, id=platform.ids.next(), name="alipay", channel="alipay", mode="test", state="active",
            mchid=merchant.seller_id, appid=merchant.app_id, base_url=opened.sim.base_url,
            config={"mode": "certificate"}, qps={}, changed_at=opened.clock.now(),
            secret_refs={
                "app_private_key": f"file:{merchant.private_key_path}",
                "app_cert": f"file:{merchant.app_certificate_path}",
                "alipay_cert": f"file:{merchant.alipay_certificate_path}",
                "alipay_root_cert": f"file:{merchant.alipay_root_path}",
            },
        )  # fmt: skip
        async with opened.db.transaction() as tx:
            await platform.accounts.add(tx, row)
        await platform.accounts.refresh(opened.db)
        yield opened


async def opened_by(shop: Shop, account: str, method: str) -> dict:
    answer = await shop.recharge(account, channel="alipay", method=method)
    assert answer.status_code == 201, answer.text
    return answer.json()


HANDOFFS = [("native", "qr_code", "text"), ("page", "redirect", "url"), ("h5", "redirect", "url"), ("app", "app", "")]


@pytest.mark.parametrize(("method", "type_", "field"), HANDOFFS)
async def test_a_recharge_is_booked_when_the_notice_comes(shop: Shop, method: str, type_: str, field: str):
    account = await shop.account()
    order = await opened_by(shop, account, method)
    (attempt,) = order["attempts"]
    handoff = attempt["handoff"]
    assert handoff["type"] == type_
    if method == "app":
        return  # the simulator has no app; the string is that of a page
    if method != "native":
        assert (await shop.http.get(handoff[field], headers={"Authorization": ""})).status_code == 302
    await shop.sim.alipay.pay(attempt["attempt_no"])
    await shop.sim.drain()
    assert (await shop.order(order["order_no"]))["state"] == "paid"
    assert await shop.available(account) == 10_000


async def test_a_lost_notice_is_recovered(shop: Shop):
    account = await shop.account()
    order = await opened_by(shop, account, "page")
    (attempt,) = order["attempts"]
    await shop.http.get(attempt["handoff"]["url"], headers={"Authorization": ""})
    await shop.sim.alipay.fault(Fault(operation="notify", kind="drop", count=None))
    await shop.sim.alipay.pay(attempt["attempt_no"])
    await shop.advance(11)
    await shop.recover()
    assert (await shop.order(order["order_no"]))["state"] == "paid"
    assert await shop.available(account) == 10_000


async def test_a_payment_that_nobody_opened_is_closed_after_its_time(shop: Shop):
    order = await opened_by(shop, await shop.account(), "native")
    for _ in range(12):
        await shop.advance(300)
        await shop.recover()
    assert (await shop.order(order["order_no"]))["state"] == "closed"


BROKEN = [None, "commit_then_drop_reply", "20000_before_commit", "20000_after_commit", "unsigned", "drop_before_commit"]


@pytest.mark.parametrize("fault", BROKEN)
async def test_a_refund_ends_the_same_whatever_happens_to_its_reply(shop: Shop, fault: str | None):
    account = await shop.account()
    order = (await shop.payment(account, channel="alipay")).json()
    await shop.sim.alipay.pay(order["attempts"][0]["attempt_no"])
    await shop.sim.drain()
    if fault:
        await shop.sim.alipay.fault(Fault(operation="trade.refund", kind=fault))
    answer = await shop.refund(order["order_no"], 4_000)
    assert answer.status_code in (201, 202), answer.text
    for _ in range(6):
        await shop.advance(60)
        await shop.send_refunds()
    shown = (await shop.http.get(f"/v1/refunds/{answer.json()['refund_no']}")).json()
    assert shown["state"] == "paid", shown
    (trade,) = await shop.sim.alipay.trades()
    assert [one.amount_minor for one in trade.refunds] == [4_000]
    assert await shop.available(account) == 6_000
