"""A channel that takes back what it said, says it late or twice, or speaks of another environment (F29-F33)."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from flows.conftest import Shop, open_shop
from tael_sandbox import Fault


@pytest.fixture
async def shop(dsn: str, tmp_path: Path) -> AsyncIterator[Shop]:
    async with open_shop(dsn, tmp_path) as opened:
        yield opened


async def start(shop: Shop) -> tuple[str, str, str]:
    """A new recharge of 100.00: account, order number, attempt number."""
    account = await shop.account()
    order = (await shop.recharge(account)).json()
    return account, order["order_no"], order["attempts"][0]["attempt_no"]


async def test_failed_at_the_channel_and_then_paid_after_all(shop: Shop) -> None:
    account, order_no, attempt_no = await start(shop)
    await shop.sim.decline(attempt_no, state="PAYERROR")
    await shop.advance(10)
    await shop.recover()
    assert (await shop.order(order_no))["state"] == "failed"
    await shop.sim.pay(attempt_no, force=True)
    await shop.sim.drain()
    assert (await shop.order(order_no))["state"] == "paid"
    assert await shop.available(account) == 10_000
    topics = ["recharge.failed", "recharge.paid"]
    async with shop.db.transaction() as tx:
        rows = await tx.fetch("select topic from event order by sequence")
    assert [row["topic"] for row in rows] == topics
    await shop.check_books()


async def test_failed_paid_late_while_a_second_attempt_is_open(shop: Shop) -> None:
    """The late success pays the order; the second attempt is closed at the channel, or its money is put aside."""
    account, order_no, first = await start(shop)
    await shop.sim.decline(first, state="PAYERROR")
    await shop.advance(10)
    await shop.recover()
    again = (await shop.http.post(f"/v1/recharges/{order_no}/pay", json={})).json()
    second = again["attempts"][-1]["attempt_no"]
    assert second != first
    await shop.sim.pay(first, force=True)
    await shop.sim.pay(second)
    await shop.sim.drain()
    assert (await shop.order(order_no))["state"] == "paid"
    assert await shop.available(account) == 10_000
    assert await shop.count("suspense_item", "reason = 'paid_twice'") == 1
    await shop.advance(1000)
    await shop.recover()
    assert await shop.count("payment_attempt", "state <> 'paid'") == 0
    assert await shop.count("task", "queue = 'recover'") == 0
    await shop.check_books()


async def test_paid_late_and_the_second_attempt_never(shop: Shop) -> None:
    account, order_no, first = await start(shop)
    await shop.sim.decline(first, state="PAYERROR")
    await shop.advance(10)
    await shop.recover()
    await shop.http.post(f"/v1/recharges/{order_no}/pay", json={})
    await shop.sim.pay(first, force=True)
    await shop.sim.drain()
    await shop.advance(1000)
    await shop.recover()
    assert (await shop.order(order_no))["state"] == "paid"
    assert await shop.count("payment_attempt", "state = 'closed'") == 1
    assert await shop.available(account) == 10_000
    assert await shop.count("event") == 2
    await shop.check_books()


@pytest.mark.parametrize("times", [1, 3])
async def test_success_after_closed_whoever_says_it(shop: Shop, times: int) -> None:
    account, order_no, attempt_no = await start(shop)
    await shop.http.post(f"/v1/recharges/{order_no}/close")
    await shop.sim.pay(attempt_no, force=True)
    for _ in range(times):
        await shop.sim.renotify(attempt_no)
        await shop.sim.drain()
    assert (await shop.order(order_no))["state"] == "closed"
    assert await shop.available(account) == 0
    assert await shop.count("suspense_item", "reason = 'late_payment'") == 1
    await shop.check_books()


@pytest.mark.parametrize("amount", [1, 9_999, 10_001, 1_000_000])
async def test_a_notice_with_another_amount_than_the_query_credits_nobody(shop: Shop, amount: int) -> None:
    """F31: the notice's amount is in suspense; what the query says afterwards does not add a second entry."""
    account, order_no, attempt_no = await start(shop)
    await shop.sim.fault(Fault(operation="notify", kind="wrong_amount", amount_minor=amount))
    await shop.sim.pay(attempt_no)
    await shop.sim.drain()
    assert (await shop.order(order_no))["state"] == "invalid"
    await shop.sim.renotify(attempt_no)  # this one is right
    await shop.sim.drain()
    await shop.advance(10)
    await shop.recover()
    assert await shop.available(account) == 0
    assert await shop.count("posting") == 1
    assert await shop.count("suspense_item", f"amount = {amount} and reason = 'amount_mismatch'") == 1
    assert await shop.count("channel_notice", "verdict = 'contradicts'") == 1, "a person is to look"


@pytest.mark.parametrize("amount", [1, 1_000_000])
async def test_a_later_notice_with_another_amount_changes_nothing_and_is_marked(shop: Shop, amount: int) -> None:
    account, order_no, attempt_no = await start(shop)
    await shop.sim.pay(attempt_no)
    await shop.sim.drain()
    await shop.sim.fault(Fault(operation="notify", kind="wrong_amount", amount_minor=amount))
    await shop.sim.renotify(attempt_no)
    await shop.sim.drain()
    assert (await shop.order(order_no))["state"] == "paid"
    assert await shop.available(account) == 10_000
    assert await shop.count("suspense_item") == 0
    async with shop.db.transaction() as tx:
        verdicts = [row["verdict"] for row in await tx.fetch("select verdict from channel_notice order by id")]
    assert verdicts == ["paid", "contradicts"]
    await shop.check_books()


async def test_a_closed_notice_after_the_success_does_not_take_it_back(shop: Shop) -> None:
    account, order_no, attempt_no = await start(shop)
    await shop.sim.fault(Fault(operation="notify", kind="out_of_order"))
    await shop.sim.pay(attempt_no)
    await shop.sim.drain()
    await shop.advance(60)
    await shop.recover()
    assert (await shop.order(order_no))["state"] == "paid"
    assert await shop.available(account) == 10_000
    await shop.check_books()


async def test_refunded_by_hand_before_we_heard_of_the_payment(shop: Shop) -> None:
    """The query says REFUND: the money had come, so it is booked; what went back is the refund's own matter."""
    account, order_no, attempt_no = await start(shop)
    await shop.sim.fault(Fault(operation="notify", kind="drop", count=None))
    await shop.sim.pay(attempt_no)
    await shop.sim.refund(attempt_no)
    await shop.advance(10)
    await shop.recover()
    assert (await shop.order(order_no))["state"] == "paid"
    assert await shop.available(account) == 10_000
    await shop.check_books()


async def test_a_notice_for_another_environment_is_turned_away(shop: Shop) -> None:
    """The merchant account becomes a live one: this process, in test mode, no longer takes its notices."""
    account, order_no, attempt_no = await start(shop)
    async with shop.db.transaction() as tx:
        await tx.execute("update payment_order set mode = 'live'")
    await shop.sim.pay(attempt_no)
    await shop.sim.drain()
    assert [one.accepted for one in (await shop.sim.deliveries()).tried] == [False]
    assert (await shop.order(order_no))["state"] == "paying"
    assert await shop.available(account) == 0
    assert await shop.count("posting") == 0
    assert await shop.count("channel_notice", "verdict = 'NotOurPayment'") == 1, "the evidence is kept"
