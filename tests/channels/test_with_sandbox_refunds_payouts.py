"""The connector against the simulator: refunds and payouts, whole lives and every class of fault.

Two programs that share no code. The last column of a table is what may be concluded, and where the money then is.
"""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from channels.otherside import scripted
from tael.base.money import Money
from tael.base.wire import Wire
from tael.channels.contract import (
    ErrorKind,
    MerchantAccount,
    Method,
    Outcome,
    PaymentRequest,
    PayoutRef,
    PayoutRequest,
    PayoutState,
    RefundRef,
    RefundRequest,
    RefundState,
    Retry,
    WechatUser,
)
from tael.channels.transport import Transport
from tael.channels.wechat import WechatPay
from tael.channels.wechat.keys import load
from tael_sandbox import ChangeMerchant, Fault, NewMerchant, Sandbox
from tael_sandbox.wechat.merchants import Quota

PAYMENT, REFUND, PAYOUT = "RC1" + "0" * 29, "RF1" + "0" * 29, "WD1" + "0" * 29
YUAN = Money(8_800, "CNY")


@dataclass
class Market:
    """A running simulator with one paid order of 88.00, our account there, and the connector."""

    sim: Sandbox
    account: MerchantAccount
    connector: WechatPay
    notify_url: str = "http://127.0.0.1:9/n"

    def now(self) -> datetime:
        return datetime.now(UTC)

    def refund(self, **changes) -> RefundRequest:
        values = {
            "number": REFUND, "payment_number": PAYMENT, "payment_ref": None, "amount": Money(3_000, "CNY"),
            "total": YUAN, "reason": "退一件", "notify_url": self.notify_url,
        } | changes  # fmt: skip
        return RefundRequest(**values)

    def payout(self, **changes) -> PayoutRequest:
        values = {
            "number": PAYOUT, "payee": WechatUser("oUser1", "张三"), "amount": Money(5_000, "CNY"), "remark": "提现",
            "notify_url": self.notify_url,
        } | changes  # fmt: skip
        return PayoutRequest(**values)

    async def ask_refund(self, request: RefundRequest | None = None):
        return await self.connector.refund(self.account, request or self.refund(), now=self.now())

    async def query_refund(self, number: str = REFUND):
        ref = RefundRef(number, PAYMENT, Money(3_000, "CNY"))
        return await self.connector.query_refund(self.account, ref, now=self.now())

    async def ask_payout(self, request: PayoutRequest | None = None):
        return await self.connector.payout(self.account, request or self.payout(), now=self.now())

    async def query_payout(self, number: str = PAYOUT):
        return await self.connector.query_payout(self.account, PayoutRef(number), now=self.now())

    async def cancel_payout(self, number: str = PAYOUT):
        return await self.connector.cancel_payout(self.account, PayoutRef(number), now=self.now())

    async def balance(self) -> int:
        return (await self.sim.book()).balances[f"merchant/{self.account.mchid}"]


def account_of(sim: Sandbox, platform_keys: str) -> MerchantAccount:
    merchant = sim.merchant
    config = {
        "serial_no": merchant.serial,
        "public_key_id": merchant.public_key_id,
        "platform_keys": platform_keys,
        "transfer_scene_id": "1000",
        "transfer_scene_report_infos": '[{"info_type": "活动名称", "info_content": "提现"}]',
    }
    secrets = {
        "merchant_key": merchant.private_key_pem.encode(),
        "apiv3_key": merchant.apiv3_key.encode(),
        "public_key": merchant.public_key_pem.encode(),
    }
    return MerchantAccount(
        book=1, id=1, name="shop", channel="wechat", mode="test", state="active", mchid=merchant.mchid,
        appid=merchant.appid, base_url=sim.base_url, config=config, qps={}, keys=load(secrets, config),
    )  # fmt: skip


@pytest.fixture
async def market(tmp_path: Path) -> AsyncIterator[Market]:
    transport = Transport(Wire(total_s=2))
    merchant = NewMerchant(mode="both", settles_after_s=0)
    async with Sandbox.start(tmp_path / "sim", merchant=merchant) as sim:
        market = Market(sim, account_of(sim, "public_key"), WechatPay(transport))
        request = PaymentRequest(
            number=PAYMENT, amount=YUAN, description="充值", method=Method.NATIVE, notify_url="http://127.0.0.1:9/n",
            expires_at=market.now() + timedelta(minutes=30),
        )  # fmt: skip
        await market.connector.create_payment(market.account, request, now=market.now())
        await sim.pay(PAYMENT)
        yield market
    transport.close()


REFUND_ENDS = [
    ("settle_refund", RefundState.REFUNDED),
    ("close_refund", RefundState.CLOSED),
    ("abnormal_refund", RefundState.ABNORMAL),
]


@pytest.mark.parametrize(("act", "end"), REFUND_ENDS)
async def test_a_refunds_life(market: Market, act: str, end: RefundState):
    assert (await market.query_refund()).value.state is RefundState.NOT_FOUND
    first, again = await market.ask_refund(), await market.ask_refund()
    assert (first.outcome, first.value.state) == (Outcome.SUCCEEDED, RefundState.PROCESSING)
    assert again.value == first.value, "the same request is the same refund"
    view = (await market.query_refund()).value
    assert (view.amount, view.payment_number, view.mchid) == (Money(3_000, "CNY"), PAYMENT, market.account.mchid)
    await getattr(market.sim, act)(REFUND)
    ended = (await market.query_refund()).value
    assert (ended.state, ended.channel_ref) == (end, view.channel_ref)
    assert (await market.ask_refund()).value.state is end
    assert len(await market.sim.refunds()) == 1


async def test_refunds_in_parts_by_the_channels_number(market: Market):
    paid = (await market.sim.order(PAYMENT)).payments[0].transaction_id
    parts = [market.refund(number=f"RF{index}", payment_ref=paid, amount=Money(4_400, "CNY")) for index in range(3)]
    results = [await market.ask_refund(part) for part in parts]
    assert [one.outcome for one in results] == [Outcome.SUCCEEDED, Outcome.SUCCEEDED, Outcome.UNKNOWN]
    assert results[2].error.code == "INVALID_REQUEST"
    assert (await market.query_refund("RF2")).value.state is RefundState.NOT_FOUND


async def test_a_refund_number_with_other_content(market: Market):
    await market.ask_refund()
    result = await market.ask_refund(market.refund(amount=Money(3_001, "CNY")))
    assert (result.outcome, result.error.code) == (Outcome.UNKNOWN, "INVALID_REQUEST")
    assert (await market.query_refund()).value.amount == Money(3_000, "CNY")


async def test_a_payouts_life(market: Market):
    await market.sim.name_user("oUser1", "张三")
    assert (await market.query_payout()).value.state is PayoutState.NOT_FOUND
    first, again = await market.ask_payout(), await market.ask_payout()
    assert (first.outcome, first.value.state) == (Outcome.SUCCEEDED, PayoutState.WAITING_FOR_PAYEE)
    assert first.value.confirmation == (await market.sim.transfers())[0].package_info
    assert again.value == first.value, "the same request is the same payout, though its bytes differ"
    assert (await market.query_payout()).value.state is PayoutState.WAITING_FOR_PAYEE
    await market.sim.confirm_transfer(PAYOUT)
    paid = (await market.query_payout()).value
    assert (paid.state, paid.amount, paid.mchid) == (PayoutState.PAID, Money(5_000, "CNY"), market.account.mchid)
    assert (paid.appid, paid.channel_ref) == (market.account.appid, first.value.channel_ref)
    assert paid.paid_at is not None
    assert (await market.ask_payout()).value.state is PayoutState.PROCESSING, "an acceptance proves no end"
    assert len(await market.sim.transfers()) == 1


WORDS = [
    ("ACCEPTED", PayoutState.PROCESSING),
    ("PROCESSING", PayoutState.PROCESSING),
    ("TRANSFERING", PayoutState.PROCESSING),
    ("WAIT_USER_CONFIRM", PayoutState.WAITING_FOR_PAYEE),
    ("CANCELING", PayoutState.CANCELLING),
]


@pytest.mark.parametrize(("word", "state"), WORDS)
async def test_states_that_are_not_final(market: Market, word: str, state: PayoutState):
    await market.ask_payout()
    await market.sim.move_transfer(PAYOUT, word)
    assert (await market.query_payout()).value.state is state


async def test_calling_a_payout_back(market: Market):
    assert (await market.cancel_payout()).outcome is Outcome.UNKNOWN
    await market.ask_payout()
    wished = await market.cancel_payout()
    assert (wished.outcome, wished.value.state) == (Outcome.SUCCEEDED, PayoutState.CANCELLING)
    assert (await market.query_payout()).value.state is PayoutState.CANCELLING
    await market.sim.cancel_transfer(PAYOUT)
    assert (await market.query_payout()).value.state is PayoutState.CANCELLED
    assert (await market.cancel_payout()).value.state is PayoutState.PROCESSING, "only a query proves the end"


async def test_a_payout_that_is_paid_while_it_is_called_back(market: Market):
    await market.ask_payout()
    await market.cancel_payout()
    await market.sim.confirm_transfer(PAYOUT)
    assert (await market.query_payout()).value.state is PayoutState.PAID
    assert (await market.cancel_payout()).outcome is Outcome.UNKNOWN


FAILURES = [
    ("the name is wrong", {"name": "李四"}, ErrorKind.PAYEE),
    ("the day's amount to this user", {"quota": Quota(payee_day_minor=4_999)}, ErrorKind.QUOTA_EXCEEDED),
    ("the largest transfer", {"quota": Quota(single_minor=4_999)}, ErrorKind.QUOTA_EXCEEDED),
    ("by hand", {"reason": "PAYER_ACCOUNT_ABNORMAL"}, ErrorKind.AUTH),
    ("by hand, unlisted", {"reason": "WHO_KNOWS"}, ErrorKind.DECLINED),
]


@pytest.mark.parametrize(("cause", "kind"), [case[1:] for case in FAILURES], ids=[case[0] for case in FAILURES])
async def test_a_payout_that_fails_says_why(market: Market, cause: dict, kind: ErrorKind):
    before = await market.balance()
    if "name" in cause:
        await market.sim.name_user("oUser1", cause["name"])
    if "quota" in cause:
        await market.sim.change_merchant(market.account.mchid, ChangeMerchant(quota=cause["quota"]))
    await market.ask_payout()
    if "reason" in cause:
        await market.sim.fail_transfer(PAYOUT, cause["reason"])
    await market.sim.advance(1)
    failed = (await market.query_payout()).value
    assert (failed.state, failed.reason.kind) == (PayoutState.FAILED, kind)
    assert await market.balance() == before


async def test_without_money_at_the_channel_the_same_request_is_repeated_later(market: Market):
    await market.sim.draw_down(await market.balance())
    for result in (await market.ask_payout(), await market.ask_refund()):
        assert (result.outcome, result.value) == (Outcome.UNKNOWN, None)
        assert (result.error.kind, result.error.retry) == (ErrorKind.INSUFFICIENT_CHANNEL_BALANCE, Retry.SAME_REQUEST)
        assert result.error.kind.account_level
    await market.sim.top_up(10_000)
    assert (await market.ask_payout()).outcome is Outcome.SUCCEEDED
    assert (await market.ask_refund()).outcome is Outcome.SUCCEEDED


async def test_a_payout_number_with_other_content_concludes_nothing(market: Market):
    await market.ask_payout()
    result = await market.ask_payout(market.payout(amount=Money(5_001, "CNY")))
    assert (result.outcome, result.error.kind, result.error.code) == (
        Outcome.UNKNOWN, ErrorKind.UNKNOWN, "INVALID_REQUEST",
    )  # fmt: skip


# kind of fault -> whether the channel did it all the same
FAULTS = [
    ("drop_before_commit", False),
    ("5xx_before_commit", False),
    ("429", False),
    ("error", False),
    ("commit_then_drop_reply", True),
    ("5xx_after_commit", True),
    ("truncated_body", True),
    ("garbage_body", True),
    ("html_body", True),
    ("empty_body", True),
    ("bad_signature", True),
    ("stale_timestamp", True),
    ("unsigned", True),
]


@pytest.mark.parametrize(("kind", "done"), FAULTS)
async def test_a_broken_refund_is_unknown_and_repeating_it_refunds_once(market: Market, kind: str, done: bool):
    await market.sim.fault(Fault(operation="refund", kind=kind, status=400 if kind == "error" else 0, code="NEW_CODE"))
    broken = await market.ask_refund()
    assert (broken.outcome, broken.value) == (Outcome.UNKNOWN, None)
    truth = RefundState.PROCESSING if done else RefundState.NOT_FOUND
    assert (await market.query_refund()).value.state is truth
    assert (await market.ask_refund()).value.state is RefundState.PROCESSING
    assert [one.refund_minor for one in await market.sim.refunds()] == [3_000]


@pytest.mark.parametrize(("kind", "done"), FAULTS)
async def test_a_broken_payout_is_unknown_and_repeating_it_pays_once(market: Market, kind: str, done: bool):
    before = await market.balance()
    await market.sim.fault(
        Fault(operation="transfer", kind=kind, status=400 if kind == "error" else 0, code="NEW_CODE")
    )
    broken = await market.ask_payout()
    assert (broken.outcome, broken.value) == (Outcome.UNKNOWN, None)
    truth = PayoutState.WAITING_FOR_PAYEE if done else PayoutState.NOT_FOUND
    assert (await market.query_payout()).value.state is truth
    assert (await market.ask_payout()).value.state is PayoutState.WAITING_FOR_PAYEE
    assert await market.balance() == before - 5_000


@pytest.mark.parametrize("kind", [kind for kind, _ in FAULTS])
async def test_a_broken_question_concludes_nothing(market: Market, kind: str):
    await market.ask_refund()
    await market.ask_payout()
    await market.sim.fail_transfer(PAYOUT)
    await market.sim.close_refund(REFUND)
    status = 400 if kind == "error" else 0
    for operation in ("query_refund", "query_transfer"):
        await market.sim.fault(Fault(operation=operation, kind=kind, status=status, code="NEW_CODE"))
    for result in (await market.query_refund(), await market.query_payout()):
        assert (result.outcome, result.value) == (Outcome.UNKNOWN, None)
    assert (await market.query_refund()).value.state is RefundState.CLOSED
    assert (await market.query_payout()).value.state is PayoutState.FAILED


@pytest.mark.parametrize(("kind", "done"), FAULTS)
async def test_a_broken_cancellation_is_unknown(market: Market, kind: str, done: bool):
    await market.ask_payout()
    status = 400 if kind == "error" else 0
    await market.sim.fault(Fault(operation="cancel_transfer", kind=kind, status=status, code="NEW_CODE"))
    assert (await market.cancel_payout()).outcome is Outcome.UNKNOWN
    truth = PayoutState.CANCELLING if done else PayoutState.WAITING_FOR_PAYEE
    assert (await market.query_payout()).value.state is truth


async def test_certificate_mode_seals_names_for_the_certificate_even_after_a_rotation(market: Market):
    await market.sim.change_merchant(market.account.mchid, ChangeMerchant(mode="certificate"))
    market.account = account_of(market.sim, "certificates")
    await market.sim.name_user("oUser1", "张三")
    assert (await market.ask_payout()).value.state is PayoutState.WAITING_FOR_PAYEE
    await market.sim.rotate()
    market.account = account_of(market.sim, "certificates")
    other = market.payout(number="WD2")
    assert (await market.ask_payout(other)).value.state is PayoutState.WAITING_FOR_PAYEE
    assert [one.user_name for one in await market.sim.transfers()] == ["张三", "张三"]


NOTICES = [
    ("settle_refund", "REFUND.SUCCESS", RefundState.REFUNDED),
    ("close_refund", "REFUND.CLOSED", RefundState.CLOSED),
    ("abnormal_refund", "REFUND.ABNORMAL", RefundState.ABNORMAL),
    ("confirm_transfer", "MCHTRANSFER.BILL.FINISHED", PayoutState.PAID),
    ("fail_transfer", "MCHTRANSFER.BILL.FINISHED", PayoutState.FAILED),
    ("cancel_transfer", "MCHTRANSFER.BILL.FINISHED", PayoutState.CANCELLED),
]


@pytest.mark.parametrize(("act", "event", "state"), NOTICES)
async def test_notices_say_what_the_query_says(market: Market, act: str, event: str, state: object):
    heard: list[bytes] = []

    async def answer(request: bytes, writer) -> None:
        heard.append(request)
        writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")

    async with scripted(answer) as receiver:
        market.notify_url = receiver.base_url + "/v1/notices/wechat/1"
        await market.ask_refund()
        await market.ask_payout()
        about_refund = act.endswith("refund")
        await getattr(market.sim, act)(REFUND if about_refund else PAYOUT)
        await market.sim.drain()
    head, _, raw = heard[0].partition(b"\r\n\r\n")
    headers = [(name, value) for name, value in (line.split(": ", 1) for line in head.decode().split("\r\n")[1:])]
    told = market.connector.verify_notification(market.account, headers, raw, now=market.now())
    asked = (await market.query_refund() if about_refund else await market.query_payout()).value
    assert (told.kind, told.subject.state, len(heard)) == (event, state, 1)
    assert told.subject == (asked if about_refund else replace(asked, appid=None))
    assert json.loads(raw)["id"] == told.id
