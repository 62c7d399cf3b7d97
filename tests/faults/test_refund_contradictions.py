"""A channel that contradicts itself about refunds, says things twice, late, in the wrong order, or about others."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from flows.conftest import BOOK, Shop, open_shop
from tael.base.errors import TaelError, code
from tael.base.money import Money
from tael.channels.contract import RefundState, RefundView
from tael.payments.notices import RefundTold
from tael_sandbox import Fault


@pytest.fixture
async def shop(dsn: str, tmp_path: Path) -> AsyncIterator[Shop]:
    async with open_shop(dsn, tmp_path) as opened:
        yield opened


async def begin(shop: Shop) -> tuple[str, dict[str, object], dict[str, object]]:
    """A payment of 100.00 whose refund of 40.00 is under way: the seller's account, the payment, the refund."""
    seller = await shop.account()
    payment = await shop.paid(seller)
    return seller, payment, (await shop.refund(payment["order_no"], 4_000)).json()


def view(refund: dict[str, object], payment: dict[str, object], state: RefundState, **changes: object) -> RefundView:
    """What the channel says, if it is honest."""
    said = RefundView(
        number=str(refund["attempt_no"]), state=state, payment_number=payment["attempts"][0]["attempt_no"],
        channel_ref="50300000000000000000000000001", amount=Money(4_000, "CNY"), mchid=None,
    )  # fmt: skip
    return replace(said, **changes)


async def tell(shop: Shop, *views: RefundView) -> list[str]:
    """Give verified notices to whoever settles them; answers verdicts and codes of refusals."""
    account = shop.system.platform.accounts.get(book=BOOK, id=shop.merchant_account)
    told = [RefundTold(account, one, shop.system.ids.next()) for one in views]
    said = await shop.system.parts.refunds.settle_notices(told)
    return [code(type(one)) if isinstance(one, TaelError) else one for one in said]


async def now(shop: Shop, payment: dict[str, object], refund: dict[str, object]) -> tuple[object, ...]:
    """State of the refund, state of the payment, what has gone back and what is on its way."""
    shown = (await shop.http.get(f"/v1/refunds/{refund['refund_no']}")).json()
    paid = (await shop.http.get(f"/v1/payments/{payment['order_no']}")).json()
    return shown["state"], paid["state"], paid["refunded_amount"], paid["refund_pending_amount"]


R = RefundState
DONE, OPEN, FREE = ("paid", "paid", 4_000, 0), ("paying", "refunding", 0, 4_000), ("failed", "paid", 0, 0)
STORIES = [
    ([R.REFUNDED], ["refunded"], DONE),
    ([R.REFUNDED, R.REFUNDED], ["refunded", "known"], DONE),
    ([R.REFUNDED, R.PROCESSING], ["refunded", "known"], DONE),
    ([R.REFUNDED, R.NOT_FOUND], ["refunded", "known"], DONE),
    ([R.REFUNDED, R.ABNORMAL], ["refunded", "known"], DONE),
    ([R.REFUNDED, R.CLOSED], ["refunded", "contradicts"], DONE),
    ([R.CLOSED], ["failed"], FREE),
    ([R.CLOSED, R.CLOSED], ["failed", "known"], FREE),
    ([R.CLOSED, R.PROCESSING], ["failed", "known"], FREE),
    ([R.CLOSED, R.ABNORMAL], ["failed", "known"], FREE),
    ([R.ABNORMAL, R.ABNORMAL], ["noted", "known"], OPEN),
    ([R.ABNORMAL, R.REFUNDED], ["noted", "refunded"], DONE),
    ([R.ABNORMAL, R.CLOSED], ["noted", "failed"], FREE),
    ([R.PROCESSING, R.PROCESSING], ["noted", "noted"], OPEN),
    ([R.NOT_FOUND], ["noted"], OPEN),
    ([R.CLOSED, R.REFUNDED, R.REFUNDED], ["failed", "contradicts", "known"], DONE),
    ([R.CLOSED, R.REFUNDED, R.CLOSED], ["failed", "contradicts", "contradicts"], DONE),
]


@pytest.mark.parametrize("together", [False, True], ids=["one by one", "in one batch"])
@pytest.mark.parametrize(("story", "verdicts", "outcome"), STORIES, ids=str)
async def test_what_a_story_comes_to(
    shop: Shop, story: list[RefundState], verdicts: list[str], outcome: tuple[object, ...], together: bool
) -> None:
    seller, payment, refund = await begin(shop)
    views = [view(refund, payment, state) for state in story]
    if together:
        assert await tell(shop, *views) == verdicts
    else:
        assert [verdict for one in views for verdict in await tell(shop, one)] == verdicts
    assert await now(shop, payment, refund) == outcome
    in_error = story[:2] == [R.CLOSED, R.REFUNDED]
    assert await shop.count("posting", "code = 123") == in_error
    assert await shop.count("posting", "code = 121") == (outcome is DONE and not in_error)
    assert await shop.count("event", "topic = 'refund.contradiction'") == in_error
    assert await shop.available(seller) == (6_000 if outcome in (DONE, OPEN) and not in_error else 10_000)
    ended = outcome is not OPEN
    assert await shop.count("posting", "code = 120") == 1 + ended, "held once, settled or released once"


OTHERS = [
    ({"payment_number": "PM1" + "0" * 29}, "not_our_refund"),
    ({"payment_number": None}, "refunded"),
    ({"amount": Money(4_001, "CNY")}, "not_our_refund"),
    ({"amount": Money(3_999, "CNY")}, "not_our_refund"),
    ({"amount": Money(4_000, "USD")}, "not_our_refund"),
    ({"amount": None}, "not_our_refund"),
    ({"mchid": "1900000001"}, "not_our_refund"),
    ({"number": "RF1" + "0" * 29}, "unknown_refund"),
]


@pytest.mark.parametrize(("change", "verdict"), OTHERS, ids=str)
async def test_what_was_not_asked_for_changes_nothing(shop: Shop, change: dict[str, object], verdict: str) -> None:
    seller, payment, refund = await begin(shop)
    assert await tell(shop, view(refund, payment, R.REFUNDED, **change)) == [verdict]
    assert await now(shop, payment, refund) == (DONE if verdict == "refunded" else OPEN)
    assert await shop.available(seller) == 6_000


async def test_a_notice_about_a_payment_is_no_refund(shop: Shop) -> None:
    """The number of a payment's attempt in a refund notice, and one channel number for two refunds."""
    _, payment, refund = await begin(shop)
    other = await shop.paid(await shop.account())
    second = (await shop.refund(other["order_no"], 4_000)).json()
    number = payment["attempts"][0]["attempt_no"]
    assert await tell(shop, view(refund, payment, R.REFUNDED, number=number)) == ["unknown_refund"]
    both = [view(refund, payment, R.REFUNDED), view(second, other, R.REFUNDED)]
    assert await tell(shop, *both) == ["refunded", "not_our_refund"], "the same channel number twice"
    assert await now(shop, other, second) == OPEN


async def test_the_refund_is_told_before_our_own_call_has_returned(shop: Shop) -> None:
    """F34: the channel notifies while we still wait for the answer, which then comes late, or never."""
    seller = await shop.account()
    payment = await shop.paid(seller)
    await shop.sim.fault(Fault(operation="refund", kind="commit_then_drop_reply"))
    refund = (await shop.refund(payment["order_no"], 4_000)).json()
    assert refund["state"] == "unknown"
    await shop.sim.settle_refund(refund["attempt_no"])
    await shop.sim.drain()
    assert await now(shop, payment, refund) == DONE
    assert await shop.count("task", "queue = 'refund'") == 0
    await shop.check_books()


async def test_the_refund_is_told_before_the_payment(shop: Shop) -> None:
    """F33: the payment's notice is lost, it is refunded by hand there, and the query speaks of the refund first."""
    seller = await shop.account()
    order = (await shop.payment(seller)).json()
    await shop.sim.fault(Fault(operation="notify", kind="drop", count=None))
    number = order["attempts"][0]["attempt_no"]
    await shop.sim.pay(number)
    await shop.sim.refund(number)
    early = await shop.refund(order["order_no"], 1)
    assert (early.status_code, early.json()["code"]) == (409, "order_not_refundable")
    await shop.advance(10)
    await shop.recover()
    assert (await shop.http.get(f"/v1/payments/{order['order_no']}")).json()["state"] == "paid"
    ours = await shop.refund(order["order_no"], 10_000)
    assert ours.json()["state"] == "unknown", "the channel refuses more than was paid, and that proves nothing"
    assert await shop.available(seller) == 0


@pytest.mark.parametrize("kind", ["duplicate", "late", "bad_signature"])
async def test_notices_of_refunds_that_misbehave(shop: Shop, kind: str) -> None:
    seller, payment, refund = await begin(shop)
    await shop.sim.fault(Fault(operation="notify", kind=kind, times=100, late_s=30))
    await shop.sim.settle_refund(refund["attempt_no"])
    await shop.sim.drain()
    await shop.advance(60)
    await shop.send_refunds()
    assert await now(shop, payment, refund) == DONE
    assert await shop.count("event", "topic = 'refund.succeeded'") == 1
    assert await shop.available(seller) == 6_000
    await shop.check_books()


FAULTS = [
    ("drop_before_commit", 0), ("5xx_before_commit", 0), ("429", 0), ("commit_then_drop_reply", 1),
    ("5xx_after_commit", 1), ("truncated_body", 1), ("html_body", 1), ("empty_body", 1), ("garbage_body", 1),
    ("bad_signature", 1), ("unsigned", 1),
]  # fmt: skip


@pytest.mark.parametrize("on", ["refund", "query_refund", "both"])
@pytest.mark.parametrize(("kind", "executed"), FAULTS)
async def test_no_bad_answer_loses_or_doubles_a_refund(shop: Shop, kind: str, executed: int, on: str) -> None:
    """F26-F28: whatever the answers look like, the refund is neither failed nor asked for under a second number."""
    seller = await shop.account()
    payment = await shop.paid(seller)
    await shop.sim.fault(Fault(operation="notify", kind="drop", count=None))
    for operation in ("refund", "query_refund") if on == "both" else (on,):
        await shop.sim.fault(Fault(operation=operation, kind=kind))
    refund = (await shop.refund(payment["order_no"], 4_000)).json()
    asked = executed if on != "query_refund" else 1
    assert len(await shop.sim.refunds()) == asked
    assert refund["state"] in {"created", "unknown", "paying"}
    for _ in range(5):
        await shop.advance(60)
        await shop.send_refunds()
    assert await now(shop, payment, refund) == DONE
    assert len(await shop.sim.refunds()) == 1
    assert await shop.available(seller) == 6_000
    await shop.check_books()


async def test_unknown_for_weeks_stays_held(shop: Shop) -> None:
    """Time makes nothing failed: the hold stays, and after a month a person is asked."""
    seller, payment, refund = await begin(shop)
    for operation in ("refund", "query_refund"):
        await shop.sim.fault(Fault(operation=operation, kind="5xx_before_commit", count=None))
    await shop.sim.fault(Fault(operation="notify", kind="drop", count=None))
    for _ in range(32):
        await shop.advance(86_400)
        await shop.send_refunds()
    assert await now(shop, payment, refund) == OPEN
    assert await shop.available(seller) == 6_000
    assert await shop.count("task", "queue = 'refund' and dead_at is not null") == 1
