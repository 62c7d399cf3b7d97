"""Alipay's connector against the simulator: refunds and payouts, whole lives and every class of fault.

The last column of a table is what may be concluded; after each fault it is counted what moved.
"""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from channels.alipay_market import AFTER, BEFORE, PAYOUT, REFUND, UNKNOWN_CODE, Market, account_of, opened
from tael.base.money import Money
from tael.channels.contract import ErrorKind, Outcome, PaymentState, PayoutState, RefundState, Retry
from tael_sandbox import Sandbox
from tael_sandbox.alipay.views import NewAlipayMerchant


@pytest.fixture(scope="module")
async def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("alipay") / "sim"
    async with Sandbox.start(folder):
        return folder


@pytest.fixture
async def market(tmp_path: Path, prepared: Path) -> AsyncIterator[Market]:
    async with opened(prepared, tmp_path / "sim") as running:
        yield running


async def test_refunds_in_parts(market: Market):
    await market.paid()
    assert (await market.query_refund()).value.state is RefundState.NOT_FOUND
    first = await market.refund()
    assert (first.value.state, first.value.amount) == (RefundState.REFUNDED, Money(3_000, "CNY"))
    second = await market.refund(market.wish(number=REFUND + "2", amount=Money(5_800, "CNY")))
    assert second.value.amount == Money(5_800, "CNY"), "and not the sum of both"
    again = await market.refund()
    assert (again.outcome, again.error.code) == (Outcome.UNKNOWN, "fund_change_n")
    found = (await market.query_refund()).value
    assert (found.state, found.amount, found.number) == (RefundState.REFUNDED, Money(3_000, "CNY"), REFUND)
    assert (await market.query()).value.state is PaymentState.REFUNDED
    too_much = await market.refund(market.wish(number=REFUND + "3", amount=Money(1, "CNY")))
    assert (too_much.outcome, too_much.error.code) == (Outcome.DECLINED, "ACQ.REFUND_AMT_NOT_EQUAL_TOTAL")


@pytest.mark.parametrize("kind", BEFORE + AFTER)
async def test_a_broken_refund_is_unknown_and_repeating_it_never_adds_up(market: Market, kind: str):
    await market.paid()
    await market.break_("trade.refund", kind, **UNKNOWN_CODE.get(kind, {}))
    broken = await market.refund()
    assert (broken.outcome, broken.value) == (Outcome.UNKNOWN, None)
    found = (await market.query_refund()).value
    assert found.state is (RefundState.REFUNDED if kind in AFTER else RefundState.NOT_FOUND)
    repeated = await market.refund()
    assert repeated.outcome is (Outcome.UNKNOWN if kind in AFTER else Outcome.SUCCEEDED)
    assert (await market.query_refund()).value.state is RefundState.REFUNDED
    (trade,) = await market.sim.alipay.trades()
    assert [one.amount_minor for one in trade.refunds] == [3_000]


REFUND_REFUSALS = [
    ("ACQ.SELLER_BALANCE_NOT_ENOUGH", Outcome.UNKNOWN, ErrorKind.INSUFFICIENT_CHANNEL_BALANCE),
    ("ACQ.TRADE_HAS_FINISHED", Outcome.DECLINED, ErrorKind.DECLINED),
    ("ACQ.INVALID_PARAMETER", Outcome.UNKNOWN, ErrorKind.INVALID),
    ("ACQ.WHATEVER_COMES", Outcome.UNKNOWN, ErrorKind.UNKNOWN),
]


@pytest.mark.parametrize(("code", "outcome", "kind"), REFUND_REFUSALS)
async def test_a_refused_refund(market: Market, code: str, outcome: Outcome, kind: ErrorKind):
    await market.paid()
    await market.break_("trade.refund", "error", code=code)
    result = await market.refund()
    assert (result.outcome, result.error.kind) == (outcome, kind)


@pytest.mark.parametrize("kind", BEFORE + AFTER)
async def test_a_broken_refund_query_concludes_nothing(market: Market, kind: str):
    await market.paid()
    await market.refund()
    await market.break_("trade.fastpay.refund.query", kind, **UNKNOWN_CODE.get(kind, {}))
    assert (await market.query_refund()).outcome is Outcome.UNKNOWN
    assert (await market.query_refund()).value.state is RefundState.REFUNDED


async def test_one_payout(market: Market):
    await market.paid()
    unknown = await market.query_payout()
    assert unknown.value.state is PayoutState.NOT_FOUND
    first, again = await market.payout(), await market.payout()
    assert (first.value.state, first.value.amount) == (PayoutState.PAID, Money(5_000, "CNY"))
    assert first.value.channel_ref == again.value.channel_ref
    found = (await market.query_payout()).value
    assert (found.state, found.amount, found.channel_ref) == (
        PayoutState.PAID,
        first.value.amount,
        first.value.channel_ref,
    )
    other = await market.payout(market.order(amount=Money(5_001, "CNY")))
    assert (other.outcome, other.error.kind) == (Outcome.UNKNOWN, ErrorKind.DUPLICATE)
    assert await market.sent_minor() == 5_000


@pytest.mark.parametrize(("kind", "step", "state"), [
    ("dealing", "settle", PayoutState.PAID),
    ("dealing", "fail", PayoutState.FAILED),
    ("wait_pay", "close", PayoutState.FAILED),
    ("fail", None, PayoutState.FAILED),
])  # fmt: skip
async def test_a_payout_that_takes_its_time(market: Market, kind: str, step: str | None, state: PayoutState):
    await market.paid()
    await market.break_("fund.trans.uni.transfer", kind)
    asked = (await market.payout()).value
    assert asked.state is (PayoutState.PROCESSING if step else PayoutState.FAILED)
    if step:
        assert (await market.query_payout()).value.state is PayoutState.PROCESSING
        await getattr(market.sim.alipay, f"{step}_transfer")(PAYOUT)
    found = (await market.query_payout()).value
    assert found.state is state
    if state is PayoutState.FAILED:
        assert found.reason.kind is ErrorKind.PAYEE


async def test_a_payout_that_comes_back(market: Market):
    await market.paid()
    await market.payout()
    await market.sim.alipay.return_transfer(PAYOUT)
    assert (await market.query_payout()).value.state is PayoutState.RETURNED


@pytest.mark.parametrize("kind", BEFORE + AFTER)
async def test_a_broken_payout_is_unknown_and_repeating_it_pays_once(market: Market, kind: str):
    await market.paid()
    await market.break_("fund.trans.uni.transfer", kind, **({"code": "SYSTEM_ERROR"} if kind == "error" else {}))
    broken = await market.payout()
    assert (broken.outcome, broken.value) == (Outcome.UNKNOWN, None)
    assert broken.error.retry in (Retry.QUERY_FIRST, Retry.SAME_REQUEST)
    found = (await market.query_payout()).value
    assert found.state is (PayoutState.PAID if kind in AFTER else PayoutState.NOT_FOUND)
    assert (await market.payout()).value.state is PayoutState.PAID
    assert await market.sent_minor() == 5_000


@pytest.mark.parametrize("kind", BEFORE + AFTER)
async def test_a_broken_payout_query_concludes_nothing(market: Market, kind: str):
    await market.paid()
    await market.payout()
    await market.break_("fund.trans.common.query", kind, **({"code": "SYSTEM_ERROR"} if kind == "error" else {}))
    result = await market.query_payout()
    assert (result.outcome, result.value) == (Outcome.UNKNOWN, None)
    assert (await market.query_payout()).value.state is PayoutState.PAID


async def test_a_payout_whose_reply_comes_too_late_is_unknown_and_paid(market: Market):
    await market.paid()
    await market.break_("fund.trans.uni.transfer", "delay_ms", delay_ms=2_500)
    late = await market.payout()
    assert (late.outcome, late.error.code, late.error.retry) == (Outcome.UNKNOWN, "timeout", Retry.QUERY_FIRST)
    assert (await market.query_payout()).value.state is PayoutState.PAID
    assert await market.sent_minor() == 5_000


async def test_payouts_that_are_refused_for_good(market: Market):
    merchant = await market.sim.alipay.create_merchant(NewAlipayMerchant())
    market.account = account_of(merchant, market.sim.base_url, mode="certificate")
    empty = await market.payout()
    assert (empty.outcome, empty.error.kind) == (Outcome.DECLINED, ErrorKind.INSUFFICIENT_CHANNEL_BALANCE)
    await market.sim.alipay.top_up(10_000_000_000, app_id=merchant.app_id)
    too_much = await market.payout(market.order(number=PAYOUT + "2", amount=Money(60_000_000, "CNY")))
    assert (too_much.outcome, too_much.error.kind) == (Outcome.DECLINED, ErrorKind.QUOTA_EXCEEDED)
    await market.break_("fund.trans.uni.transfer", "error", code="PAYEE_NOT_EXIST")
    nobody = await market.payout(market.order(number=PAYOUT + "3"))
    assert (nobody.outcome, nobody.error.kind) == (Outcome.DECLINED, ErrorKind.PAYEE)
    assert await market.sent_minor() == 0
