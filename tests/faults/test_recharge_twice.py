"""Every step of a recharge is run twice, one after the other and at once, and takes effect once."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from flows.conftest import Shop, open_shop
from tael.base.outbox import publish_batch
from tael.base.tasks import claim
from tael.channels.contract import ChannelError, ErrorKind, Outcome, PaymentRef, Result, Retry
from tael.orders import Attempt, Order, find_attempt, find_order
from tael.payments.handover import Begun
from tael.payments.handover import _HandedOver as HandedOver  # pyright: ignore[reportPrivateUsage]
from tael.payments.settlement import RECOVERY, Fact, fact_of
from tael_sandbox import Fault

BOOK = 1
Step = Callable[[Shop, str], Awaitable[object]]


@pytest.fixture
async def shop(dsn: str, tmp_path: Path) -> AsyncIterator[Shop]:
    async with open_shop(dsn, tmp_path) as opened:
        made = await opened.http.post(
            "/v1/webhook_endpoints", json={"url": opened.receiver.url("/shop"), "topics": ["recharge.*"]}
        )
        opened.receiver.secrets["/shop"] = made.json()["secret"]
        yield opened


async def order_and_attempt(shop: Shop, order_no: str) -> tuple[Order, Attempt]:
    number = (await shop.order(order_no))["attempts"][-1]["attempt_no"]
    async with shop.db.transaction() as tx:
        order, attempt = (
            await find_order(tx, book=BOOK, order_no=order_no),
            await find_attempt(tx, book=BOOK, attempt_no=number),
        )
    assert order is not None
    assert attempt is not None
    return order, attempt


async def fact(shop: Shop, order_no: str) -> Fact:
    """What the channel says about a paid order."""
    _, attempt = await order_and_attempt(shop, order_no)
    account = shop.system.platform.account_of(attempt)
    said = await shop.system.platform.connector(account).query_payment(
        account, PaymentRef(attempt.attempt_no), now=shop.clock.now()
    )
    assert said.value is not None
    found = fact_of(account, said.value)
    assert found is not None
    return found


async def ask(shop: Shop, order_no: str) -> object:
    """The request that made the order, again."""
    async with shop.db.transaction() as tx:
        account = await tx.fetchval("select account from payment_order where order_no = $1", order_no)
    answer = await shop.recharge(str(account), key="the-key", description="Recharge 1")
    assert answer.status_code == 201, answer.text
    return answer.content


async def hand_over(shop: Shop, order_no: str) -> object:
    return (await shop.system.parts.handover.hand_over(Begun(None, *await order_and_attempt(shop, order_no)))).status


async def settle(shop: Shop, order_no: str) -> object:
    found = await fact(shop, order_no)
    await shop.system.parts.settlement.settle([found, found], now=shop.clock.now())


async def notify(shop: Shop, order_no: str) -> object:
    _, attempt = await order_and_attempt(shop, order_no)
    await shop.sim.renotify(attempt.attempt_no)
    return await shop.sim.drain() and None


async def recover(shop: Shop, order_no: str) -> object:
    """The claimed task's handler, whatever has become of the task."""
    _, attempt = await order_and_attempt(shop, order_no)
    await shop.advance(10)
    for task in await claim(shop.db, RECOVERY, now=shop.clock.now(), lease_s=0, limit=10):
        assert task.key == attempt.attempt_no
        await shop.system.parts.recovery.work(task)
    return None


async def close(shop: Shop, order_no: str) -> object:
    return (await shop.http.post(f"/v1/recharges/{order_no}/close")).status_code


async def publish(shop: Shop, order_no: str) -> object:
    await publish_batch(shop.db, {"recharge.paid": [shop.system.callbacks.fan_out]}, now=shop.clock.now())


async def deliver(shop: Shop, order_no: str) -> object:
    await shop.deliver()


UNPAID = {"state": "paying", "available": 0, "mail": 0}
PAID = {"state": "paid", "available": 10_000, "mail": 1}
CLOSED = {"state": "closed", "available": 0, "mail": 1}
STEPS = [
    (ask, "asked", UNPAID),
    (hand_over, "asked", UNPAID),
    (recover, "asked", UNPAID),
    (close, "asked", CLOSED),
    (hand_over, "paid, not told", PAID),
    (settle, "paid, not told", PAID),
    (recover, "paid, not told", PAID),
    (close, "paid, not told", PAID),
    (notify, "paid", PAID),
    (settle, "paid", PAID),
    (ask, "paid", PAID),
    (hand_over, "paid", PAID),
    (close, "paid", PAID),
    (publish, "paid", PAID),
    (deliver, "paid", PAID),
]


@pytest.mark.parametrize("together", [False, True], ids=["one after the other", "at once"])
@pytest.mark.parametrize(("step", "when", "outcome"), STEPS)
async def test_a_step_twice_is_once(
    shop: Shop, step: Step, when: str, outcome: dict[str, object], together: bool
) -> None:
    account = await shop.account()
    order_no = (await shop.recharge(account, key="the-key")).json()["order_no"]
    if when != "asked":
        if when == "paid, not told":
            await shop.sim.fault(Fault(operation="notify", kind="drop", count=None))
        await shop.sim.pay((await order_and_attempt(shop, order_no))[1].attempt_no)
        await shop.sim.drain()
    if together:
        first, second = await asyncio.gather(step(shop, order_no), step(shop, order_no))
    else:
        first, second = await step(shop, order_no), await step(shop, order_no)
    assert first == second
    await shop.advance(10)
    await shop.recover()  # what a step has not ended, recovery ends
    await shop.deliver()
    await shop.advance(400)  # past the lease of a delivery that two couriers took
    await shop.deliver()
    assert {
        "state": (await shop.order(order_no))["state"],
        "available": await shop.available(account),
        "mail": len(shop.receiver.kept["/shop"]),
    } == outcome
    assert len(await shop.sim.orders()) == 1
    assert await shop.count("event") == outcome["mail"]
    assert await shop.count("event", "published_at is null") == 0
    await shop.check_books()


async def test_two_answers_of_the_channel_in_one_batch_do_not_undo_each_other(shop: Shop) -> None:
    """A repeated request: one call got the hand-off, the other's reply was lost; both are recorded together."""
    await shop.sim.fault(Fault(operation="create", kind="drop_before_commit"))
    order_no = (await shop.recharge(await shop.account())).json()["order_no"]
    order, attempt = await order_and_attempt(shop, order_no)
    account = shop.system.platform.account_of(attempt)
    good = await shop.system.platform.connector(account).create_payment(
        account, shop.system.platform.channel_request(order, attempt), now=shop.clock.now()
    )
    timeout = ChannelError(kind=ErrorKind.UNAVAILABLE, code="timeout", message="", http=None, retry=Retry.QUERY_FIRST)
    lost = Result(Outcome.UNKNOWN, None, timeout, good.raw)
    begun = Begun(None, order, attempt)
    for pair in ([good, lost], [lost, good]):
        said = await shop.system.parts.handover._record([HandedOver(begun, one) for one in pair])
        shown = await shop.order(order_no)
        assert (shown["state"], shown["attempts"][0]["handoff"] is not None) == ("paying", True)
        assert [one.status for one in said] == [201, 201]
        assert said[0].body == said[1].body


async def test_two_refusals_of_the_channel_in_one_batch_tell_once(shop: Shop) -> None:
    order_no = (await shop.recharge(await shop.account())).json()["order_no"]
    begun = Begun(None, *await order_and_attempt(shop, order_no))
    await shop.sim.expire(begun.attempt.attempt_no)  # from now on the channel refuses this number for good
    said = await asyncio.gather(*(shop.system.parts.handover.hand_over(begun) for _ in range(2)))
    assert said[0] == said[1]
    assert (await shop.order(order_no))["state"] == "failed"
    assert await shop.count("event", "topic = 'recharge.failed'") == 1
