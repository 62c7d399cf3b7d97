"""What a person is told about payments and refunds: raised when a channel contradicts the books or cannot go on."""

from dataclasses import dataclass

import pytest

from shop import BOOK, Shop
from tael import alerts
from tael.base.errors import TaelError
from tael.base.money import Money
from tael.channels.contract import MerchantAccount, PaymentState, PaymentView, RefundState, RefundView
from tael.payments.notices import RefundTold
from tael.payments.settlement import Fact


async def told(shop: Shop) -> list[tuple[str, str, int]]:
    """The open alerts: kind, subject, how often."""
    async with shop.db.transaction() as tx:
        found = await alerts.page(tx, book=BOOK, limit=99, only_open=True)
    return [(one.kind, one.subject, one.times) for one in found]


def account_of(shop: Shop) -> MerchantAccount:
    return shop.system.platform.accounts.get(book=BOOK, id=shop.merchant_account)


@pytest.mark.parametrize(("change", "verdict", "times"), [
    (0, "known", 0), (1, "contradicts", 2), (-1, "contradicts", 2),
])  # fmt: skip
async def test_a_payment_that_is_told_again_with_another_amount(
    shop: Shop, change: int, verdict: str, times: int
) -> None:
    seller = await shop.account()
    (attempt,) = (await shop.paid(seller))["attempts"]
    account, number = account_of(shop), attempt["attempt_no"]
    again = PaymentView(
        number, PaymentState.PAID, channel_ref=attempt["channel_ref"], amount=Money(10_000 + change, "CNY"),
        mchid=account.mchid, appid=account.appid, paid_at=shop.clock.now(),
    )  # fmt: skip
    for _ in range(2):
        assert await shop.system.parts.settlement.settle([Fact(account, again)], now=shop.clock.now()) == [verdict]
    assert await told(shop) == ([("payment_contradiction", number, times)] if times else [])
    assert await shop.available(seller) == 10_000
    await shop.check_books()


@dataclass(frozen=True, slots=True)
class Asked:
    """A refund under way: its number, its number at the channel, its payment's number there."""

    refund_no: str
    attempt_no: str
    paid_as: str


@pytest.fixture
async def asked(shop: Shop) -> Asked:
    payment = await shop.paid(await shop.account())
    refund = (await shop.refund(payment["order_no"], 10_000)).json()
    return Asked(refund["refund_no"], refund["attempt_no"], payment["attempts"][0]["attempt_no"])


async def say(shop: Shop, asked: Asked, state: RefundState, *, amount: int = 10_000) -> str:
    """The channel tells about the refund; answers the verdict or the name of the refusal."""
    account = account_of(shop)
    view = RefundView(
        asked.attempt_no, state, payment_number=asked.paid_as, channel_ref="50000", amount=Money(amount, "CNY"),
        mchid=account.mchid, refunded_at=shop.clock.now() if state is RefundState.REFUNDED else None,
    )  # fmt: skip
    (said,) = await shop.system.parts.refunds.settle_notices([RefundTold(account, view, notice=1)])
    return type(said).__name__ if isinstance(said, TaelError) else said


@pytest.mark.parametrize(("first", "then", "verdict", "state"), [
    (RefundState.REFUNDED, RefundState.CLOSED, "contradicts", "paid"),
    (RefundState.CLOSED, RefundState.REFUNDED, "contradicts", "paid"),
])  # fmt: skip
async def test_a_refund_that_ended_both_ways(
    shop: Shop, asked: Asked, first: RefundState, then: RefundState, verdict: str, state: str
) -> None:
    assert await say(shop, asked, first) in {"refunded", "failed"}
    assert await told(shop) == []
    assert await say(shop, asked, then) == verdict
    assert await told(shop) == [("refund_contradiction", asked.attempt_no, 1)]
    assert (await shop.http.get(f"/v1/refunds/{asked.refund_no}")).json()["state"] == state


async def test_a_refund_of_another_amount(shop: Shop, asked: Asked) -> None:
    assert await say(shop, asked, RefundState.REFUNDED, amount=9_999) == "NotOurRefund"
    assert await told(shop) == [("refund_contradiction", asked.attempt_no, 1)]


@pytest.mark.parametrize(("end", "state"), [(RefundState.REFUNDED, "paid"), (RefundState.CLOSED, "failed")])
async def test_a_payer_who_cannot_be_reached_is_told_until_it_is_over(
    shop: Shop, asked: Asked, end: RefundState, state: str
) -> None:
    assert await say(shop, asked, RefundState.ABNORMAL) == "noted"
    assert await say(shop, asked, RefundState.ABNORMAL) == "known"
    assert await told(shop) == [("refund_abnormal", asked.attempt_no, 1)]
    await say(shop, asked, end)
    assert (await shop.http.get(f"/v1/refunds/{asked.refund_no}")).json()["state"] == state
    assert await told(shop) == []
