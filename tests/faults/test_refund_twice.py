"""Every step of a refund is run twice, one after the other and at once, and takes effect once."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from flows.conftest import BOOK, Shop, open_shop
from tael.base.money import Money
from tael.base.tasks import claim
from tael.channels.contract import RefundRef
from tael.orders import Attempt, find_attempt
from tael.payments.notices import RefundTold
from tael.refunds import REFUNDS
from tael_sandbox import Fault

Step = Callable[[Shop, dict[str, object]], Awaitable[object]]


@pytest.fixture
async def shop(dsn: str, tmp_path: Path) -> AsyncIterator[Shop]:
    async with open_shop(dsn, tmp_path) as opened:
        yield opened


async def attempt_of(shop: Shop, refund: dict[str, object]) -> Attempt:
    async with shop.db.transaction() as tx:
        attempt = await find_attempt(tx, book=BOOK, attempt_no=str(refund["attempt_no"]))
    assert attempt is not None
    return attempt


async def ask(shop: Shop, refund: dict[str, object]) -> object:
    """The request that made the refund, again."""
    answer = await shop.refund(str(refund["payment_no"]), 4_000, key="the-key", business_refund_no="B")
    return answer.content if answer.status_code == 201 else answer.text


async def work(shop: Shop, refund: dict[str, object]) -> object:
    """The claimed task's handler, whatever has become of the task."""
    for task in await claim(shop.db, REFUNDS, now=shop.clock.now(), lease_s=0, limit=10):
        await shop.system.parts.refunds.work(task)
    return None


async def notify(shop: Shop, refund: dict[str, object]) -> object:
    """What the channel says now, as two notices in one batch."""
    attempt, platform = await attempt_of(shop, refund), shop.system.platform
    account = platform.account_of(attempt)
    (terms,) = await shop.sim.refunds()
    ref = RefundRef(attempt.attempt_no, terms.out_trade_no, Money(attempt.amount, attempt.currency))
    said = await platform.accounts.makes_refunds(account).query_refund(account, ref, now=shop.clock.now())
    assert said.value is not None
    told = [RefundTold(account, said.value, platform.ids.next()) for _ in range(2)]
    await shop.system.parts.refunds.settle_notices(told)
    return None


async def deliver(shop: Shop, refund: dict[str, object]) -> object:
    await shop.deliver()
    return None


UNSENT, SENT, THERE, DONE = "asked, answer lost", "asked", "arrived, not told", "done"
STEPS = [
    (ask, SENT), (work, UNSENT), (work, SENT), (notify, SENT), (work, THERE), (notify, THERE), (ask, THERE),
    (ask, DONE), (work, DONE), (notify, DONE), (deliver, DONE),
]  # fmt: skip


@pytest.mark.parametrize("together", [False, True], ids=["one after the other", "at once"])
@pytest.mark.parametrize(("step", "when"), STEPS)
async def test_a_step_twice_is_once(shop: Shop, step: Step, when: str, together: bool) -> None:
    seller = await shop.account()
    payment = await shop.paid(seller)
    if when == UNSENT:
        await shop.sim.fault(Fault(operation="refund", kind="drop_before_commit"))
    refund = (await shop.refund(payment["order_no"], 4_000, key="the-key", business_refund_no="B")).json()
    if when != DONE:
        await shop.sim.fault(Fault(operation="notify", kind="drop", count=None))
    await shop.advance(6 if when in (THERE, DONE) else 1)
    if together:
        first, second = await asyncio.gather(step(shop, refund), step(shop, refund))
    else:
        first, second = await step(shop, refund), await step(shop, refund)
    assert first == second
    for _ in range(3):  # what a step has not ended, the sender ends
        await shop.advance(60)
        await shop.send_refunds()
    shown = (await shop.http.get(f"/v1/refunds/{refund['refund_no']}")).json()
    assert shown["state"] == "paid"
    assert len(await shop.sim.refunds()) == 1
    assert await shop.count("payment_order", "kind = 'refund'") == 1
    assert await shop.count("event", "topic like 'refund.%'") == 1
    assert await shop.count("event", "topic = 'payment.refunded'") == 1
    assert await shop.count("task", "queue = 'refund'") == 0
    assert await shop.available(seller) == 6_000
    await shop.check_books()
