"""Alipay's connector against the simulator: payments from order to notice, both modes of keys, every class of fault."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import date
from pathlib import Path

import httpx2
import pytest

from channels.alipay_market import AFTER, BEFORE, PAID, PAYMENT, PAYOUT, UNKNOWN_CODE, Market, account_of, opened
from channels.otherside import scripted
from tael.base.money import Money
from tael.channels.contract import (
    AppParams,
    BadNotification,
    ErrorKind,
    Method,
    Outcome,
    PaymentRef,
    PaymentState,
    PayoutState,
    QrCode,
    Redirect,
    Retry,
)
from tael_sandbox import Sandbox
from tael_sandbox.alipay.views import ChangeAlipayMerchant, NewAlipayMerchant


@pytest.fixture(scope="module")
async def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("alipay") / "sim"
    async with Sandbox.start(folder):
        return folder


@pytest.fixture
async def market(tmp_path: Path, prepared: Path) -> AsyncIterator[Market]:
    async with opened(prepared, tmp_path / "sim") as running:
        yield running


@pytest.mark.parametrize("mode", ["certificate", "public_key"])
async def test_one_payment(market: Market, mode: str):
    await market.sim.alipay.change_merchant(market.account.appid, ChangeAlipayMerchant(mode=mode))
    market.account = account_of(market.sim.alipay.merchant, market.sim.base_url, mode=mode)
    request = market.payment()
    created, again = await market.create(request), await market.create(request)
    assert isinstance(created.value, QrCode)
    assert again.value.text == created.value.text, "the same request leads to the same code"
    assert (await market.query()).value.state is PaymentState.NOT_FOUND, "there is no trade before the code is scanned"
    await market.sim.alipay.scan(PAYMENT)
    assert (await market.query()).value.state is PaymentState.UNPAID
    await market.sim.alipay.pay(PAYMENT)
    paid = (await market.query()).value
    assert (paid.state, paid.amount, paid.mchid, paid.appid) == (
        PaymentState.PAID, PAID, market.account.mchid, market.account.appid,
    )  # fmt: skip
    by_their_number = await market.connector.query_payment(
        market.account, PaymentRef(PAYMENT, paid.channel_ref), now=market.now()
    )
    assert by_their_number.value == paid
    assert (await market.close()).outcome is Outcome.DECLINED
    assert (await market.create(request)).error.code == "ACQ.TRADE_HAS_SUCCESS"
    await market.sim.alipay.finish(PAYMENT)
    assert (await market.query()).value.state is PaymentState.PAID


async def test_closing_and_cancelling(market: Market):
    request = market.payment()
    await market.create(request)
    assert (await market.close()).value.state is PaymentState.NOT_FOUND
    await market.sim.alipay.scan(PAYMENT)
    for _ in range(2):
        assert (await market.close()).value.state is PaymentState.CLOSED
    assert (await market.query()).value.state is PaymentState.CLOSED
    refused = await market.create(request)
    assert (refused.outcome, refused.error.code) == (Outcome.DECLINED, "ACQ.TRADE_HAS_CLOSE")
    assert (await market.cancel()).error.code == "nothing_cancelled"


async def test_cancelling_gives_a_paid_trade_back(market: Market):
    await market.paid()
    await market.break_("trade.cancel", "retry")
    asked_again = await market.cancel()
    assert (asked_again.outcome, asked_again.error.retry) == (Outcome.UNKNOWN, Retry.QUERY_FIRST)
    assert (await market.cancel()).value.state is PaymentState.REFUNDED
    assert (await market.query()).value.state is PaymentState.REFUNDED


async def test_cancelling_closes_an_unpaid_trade(market: Market):
    await market.create(market.payment())
    await market.sim.alipay.scan(PAYMENT)
    assert (await market.cancel()).value.state is PaymentState.CLOSED


@pytest.mark.parametrize("method", [Method.PAGE, Method.H5, Method.APP])
async def test_a_hand_off_signed_here_is_genuine_there(market: Market, method: Method):
    result = await market.create(market.payment(method=method))
    if method is Method.APP:
        assert isinstance(result.value, AppParams)
        assert result.value.parameters["order_string"].count("sign=") == 1
        return
    assert isinstance(result.value, Redirect)
    async with httpx2.AsyncClient(trust_env=False) as browser:
        page = await browser.get(result.value.url)
        assert (page.status_code, "cashier" in page.headers["location"]) == (302, True)
        forged = await browser.get(result.value.url.replace("88.00", "00.01"))
        assert b"isv.invalid-signature" in forged.content
    assert (await market.query()).value.state is PaymentState.NOT_FOUND
    await market.sim.alipay.pay(PAYMENT)
    assert (await market.query()).value.amount == PAID


async def test_a_number_used_with_other_content(market: Market):
    await market.create(market.payment())
    result = await market.create(market.payment(amount=Money(1, "CNY")))
    assert (result.outcome, result.error.kind) == (Outcome.UNKNOWN, ErrorKind.DUPLICATE)


@pytest.mark.parametrize("kind", BEFORE + AFTER)
async def test_a_broken_create_is_unknown_and_repeating_it_is_safe(market: Market, kind: str):
    await market.break_("trade.precreate", kind, **UNKNOWN_CODE.get(kind, {}))
    request = market.payment()
    broken = await market.create(request)
    assert (broken.outcome, broken.value) == (Outcome.UNKNOWN, None)
    assert len(await market.sim.alipay.trades()) == (kind in AFTER)
    assert isinstance((await market.create(request)).value, QrCode)
    assert len(await market.sim.alipay.trades()) == 1


@pytest.mark.parametrize("kind", BEFORE + AFTER)
async def test_a_broken_query_concludes_nothing(market: Market, kind: str):
    await market.paid()
    await market.break_("trade.query", kind, **UNKNOWN_CODE.get(kind, {}))
    assert (await market.query()).outcome is Outcome.UNKNOWN
    assert (await market.query()).value.state is PaymentState.PAID


@pytest.mark.parametrize("kind", BEFORE + AFTER)
async def test_a_broken_close_concludes_nothing(market: Market, kind: str):
    await market.create(market.payment())
    await market.sim.alipay.scan(PAYMENT)
    await market.break_("trade.close", kind, **UNKNOWN_CODE.get(kind, {}))
    assert (await market.close()).outcome is Outcome.UNKNOWN
    assert (await market.query()).value.state is (PaymentState.CLOSED if kind in AFTER else PaymentState.UNPAID)


async def test_a_stranger_is_refused_and_that_concludes_nothing(market: Market):
    merchant = await market.sim.alipay.create_merchant(NewAlipayMerchant())
    other = account_of(merchant, market.sim.base_url, mode="certificate")
    market.account = replace(market.account, appid=other.appid)
    for result in (await market.create(market.payment()), await market.payout(), await market.query_payout()):
        assert (result.outcome, result.error.kind) == (Outcome.UNKNOWN, ErrorKind.AUTH)


async def test_a_new_certificate_of_alipay_is_fetched_and_believed(market: Market):
    await market.paid()
    await market.sim.alipay.rotate()
    assert (await market.query()).value.state is PaymentState.PAID
    assert (await market.query()).value.state is PaymentState.PAID


async def test_there_is_no_bill_yet(market: Market):
    result = await market.connector.bill_url(market.account, "trade", date(2020, 1, 1), now=market.now())
    assert (result.outcome, result.error.kind) == (Outcome.DECLINED, ErrorKind.NOT_FOUND)


async def _told(market: Market, cause) -> bytes:
    """The body of the first notice that `cause` leads to."""
    arrived: asyncio.Queue[bytes] = asyncio.Queue()

    async def answer(request: bytes, writer: asyncio.StreamWriter) -> None:
        arrived.put_nowait(request)
        reply = market.connector.acknowledge()
        head = f"HTTP/1.1 {reply.status} OK\r\ncontent-length: {len(reply.body)}\r\n\r\n"
        writer.write(head.encode() + reply.body)

    async with scripted(answer) as receiver:
        market.notify_url = receiver.base_url + "/v1/notices/alipay/1"
        await cause()
        async with asyncio.timeout(10):
            request = await arrived.get()
    return request.partition(b"\r\n\r\n")[2]


NOTICES = [
    (None, None), ("extra_field", None), ("duplicate", None),
    ("bad_signature", BadNotification), ("sha1_signature", BadNotification), ("other_merchants_key", BadNotification),
    ("wrong_app_id", BadNotification), ("wrong_seller_id", BadNotification),
]  # fmt: skip


@pytest.mark.parametrize(("fault", "refusal"), NOTICES)
async def test_notices_of_payments(market: Market, fault: str | None, refusal: type[BadNotification] | None):
    await market.sim.alipay.create_merchant(NewAlipayMerchant())

    async def cause() -> None:
        await market.create(market.payment())
        if fault:
            await market.break_("notify", fault)
        await market.sim.alipay.pay(PAYMENT)

    raw = await _told(market, cause)
    if refusal is not None:
        with pytest.raises(refusal):
            market.connector.verify_notification(market.account, [], raw, now=market.now())
        return
    event = market.connector.verify_notification(market.account, [], raw, now=market.now())
    assert (event.subject.number, event.subject.state, event.subject.amount) == (PAYMENT, PaymentState.PAID, PAID)


async def test_what_a_notice_says_is_read_and_compared_by_the_core(market: Market):
    async def cause() -> None:
        await market.create(market.payment())
        await market.break_("notify", "wrong_amount", amount_minor=1)
        await market.sim.alipay.pay(PAYMENT)

    raw = await _told(market, cause)
    event = market.connector.verify_notification(market.account, [], raw, now=market.now())
    assert event.subject.amount == Money(1, "CNY")


@pytest.mark.parametrize("amount", [3_000, 8_800])
async def test_a_refund_is_told_as_the_state_of_its_payment(market: Market, amount: int):
    async def cause() -> None:
        await market.create(market.payment())
        await market.break_("notify", "drop")
        await market.sim.alipay.pay(PAYMENT)
        await market.refund(market.wish(amount=Money(amount, "CNY")))

    raw = await _told(market, cause)
    view = market.connector.verify_notification(market.account, [], raw, now=market.now()).subject
    assert (view.state, view.amount) == (PaymentState.REFUNDED, PAID)


@pytest.mark.parametrize(("kind", "step", "state"), [
    ("dealing", "settle", PayoutState.PAID), ("dealing", "fail", PayoutState.FAILED),
])  # fmt: skip
async def test_notices_of_payouts_come_to_the_gateway_address(market: Market, kind: str, step: str, state: PayoutState):
    async def cause() -> None:
        change = ChangeAlipayMerchant(gateway_url=market.notify_url)
        await market.sim.alipay.change_merchant(market.account.appid, change)
        await market.sim.alipay.top_up(100_000)
        await market.break_("fund.trans.uni.transfer", kind)
        await market.payout()
        await getattr(market.sim.alipay, f"{step}_transfer")(PAYOUT)

    raw = await _told(market, cause)
    view = market.connector.verify_notification(market.account, [], raw, now=market.now()).subject
    assert (view.number, view.state, view.amount) == (PAYOUT, state, Money(5_000, "CNY"))
