"""The connector against the simulator: two programs, two processes, no shared code. Every fault, late returns."""

import itertools
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import pytest

from channels.bill99_side import CARD, MEMBER_CODE, REQUEST, account, keys
from tael.base.money import Money
from tael.base.wire import Wire
from tael.channels.bill99 import Bill99
from tael.channels.bill99.keys import load
from tael.channels.contract import ErrorKind, MerchantAccount, Outcome, PayoutRef, PayoutRequest, PayoutState, Retry
from tael.channels.transport import Transport
from tael.cli.channels import app
from tael_sandbox import Bill99MerchantView, Fault, SandboxProcess
from tael_sandbox.bill99.state import FAULTS

DAY_S = 86_400
NUMBERS = itertools.count(1)


@dataclass
class Desk:
    """A running simulator, our account there, and the connector."""

    sim: SandboxProcess
    account: MerchantAccount
    connector: Bill99

    async def now(self) -> datetime:
        return datetime.fromtimestamp((await self.sim.clock()).now_ms / 1000, UTC)

    async def pay(self, request: PayoutRequest):
        return await self.connector.payout(self.account, request, now=await self.now())

    async def query(self, number: str, *, asked_at: datetime | None = None):
        ref = PayoutRef(number, asked_at=asked_at)
        return await self.connector.query_payout(self.account, ref, now=await self.now())

    async def gone(self) -> int:
        """What has left the account by now, in all."""
        book = await self.sim.book()
        return sum(one.amount_minor for one in book.entries if one.kind == "payout")

    async def state(self, number: str) -> PayoutState | None:
        value = (await self.query(number)).value
        return value.state if value else None


def request(**changes) -> PayoutRequest:
    return replace(REQUEST, number=f"WD1{next(NUMBERS):029d}", **changes)


def account_of(merchant: Bill99MerchantView, **changes) -> MerchantAccount:
    secrets = {
        "member_key": merchant.private_key_pem.encode(),
        "bill99_certificate": merchant.bill99_certificate_pem.encode(),
    }
    return account(**{"mchid": merchant.member_code, "base_url": merchant.base_url, "keys": load(secrets)} | changes)


@pytest.fixture(scope="module")
async def running(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Desk]:
    async with SandboxProcess.start(tmp_path_factory.mktemp("bill99") / "sim") as sim:
        await sim.bill99.settle_after(0)
        transport = Transport(Wire(total_s=0.5))
        yield Desk(sim, account_of(sim.bill99.merchant), Bill99(transport))
        transport.close()


@pytest.fixture
async def desk(running: Desk) -> AsyncIterator[Desk]:
    yield running
    await running.sim.heal()


async def test_one_life(desk: Desk):
    wish = request()
    assert await desk.state(wish.number) is PayoutState.NOT_FOUND
    first, again = await desk.pay(wish), await desk.pay(wish)
    assert first.value == again.value
    assert (first.value.state, first.value.amount) == (PayoutState.PROCESSING, wish.amount)
    assert await desk.state(wish.number) is PayoutState.PROCESSING
    theirs = (await desk.sim.bill99.settle(wish.number)).order_seq_id
    paid = (await desk.query(wish.number)).value
    assert (paid.state, paid.amount, paid.channel_ref) == (PayoutState.PAID, wish.amount, theirs)
    assert (paid.mchid, paid.reason) == (desk.account.mchid, None)
    assert abs(paid.paid_at - await desk.now()) < timedelta(minutes=5)
    await desk.sim.bill99.return_(wish.number, "B17")
    back = (await desk.query(wish.number)).value
    assert (back.state, back.reason.code, back.reason.kind) == (PayoutState.RETURNED, "B17", ErrorKind.DECLINED)
    order = await desk.sim.bill99.order(wish.number)
    assert (order.credit_name, order.bank_acct_id, order.remark) == ("张三", CARD.number, wish.remark)


async def test_it_settles_by_itself_after_five_seconds(desk: Desk):
    await desk.sim.bill99.settle_after(5)
    wish = request()
    await desk.pay(wish)
    await desk.sim.bill99.settle_after(0)
    await desk.sim.advance(6)
    assert await desk.state(wish.number) is PayoutState.PAID


async def test_a_failed_one(desk: Desk):
    wish = request()
    await desk.pay(wish)
    await desk.sim.bill99.fail(wish.number, "6001")
    view = (await desk.query(wish.number)).value
    assert (view.state, view.reason.kind) == (PayoutState.FAILED, ErrorKind.INSUFFICIENT_CHANNEL_BALANCE)
    assert view.reason.kind.account_level


async def test_not_enough_money_is_solved_with_the_same_number(desk: Desk):
    balance = (await desk.sim.bill99.merchants())[0].balance_minor
    wish = request(amount=Money(balance + 1, "CNY"))
    refused = await desk.pay(wish)
    assert (refused.outcome, refused.error.code) == (Outcome.UNKNOWN, "6001")
    assert (refused.error.kind, refused.error.retry) == (ErrorKind.INSUFFICIENT_CHANNEL_BALANCE, Retry.SAME_REQUEST)
    assert await desk.state(wish.number) is PayoutState.NOT_FOUND
    await desk.sim.bill99.top_up(1_000_000_000)
    assert (await desk.pay(wish)).value.state is PayoutState.PROCESSING


async def test_the_same_number_with_other_content_is_never_a_second_payout(desk: Desk):
    wish = request()
    await desk.pay(wish)
    before = await desk.gone()
    other = await desk.pay(replace(wish, amount=Money(4999, "CNY")))
    assert (other.outcome, other.error.kind, other.error.retry) == (
        Outcome.UNKNOWN, ErrorKind.UNKNOWN, Retry.QUERY_FIRST,
    )  # fmt: skip
    assert await desk.gone() == before


async def test_wrong_keys_and_members(desk: Desk):
    strangers = [
        (account_of(desk.sim.bill99.merchant, keys=load(keys())), "0004", ErrorKind.AUTH),
        (account_of(desk.sim.bill99.merchant, mchid=MEMBER_CODE), "0001", ErrorKind.UNKNOWN),
    ]
    for stranger, code, kind in strangers:
        result = await desk.connector.payout(stranger, request(), now=await desk.now())
        assert (result.outcome, result.error.code, result.error.kind) == (Outcome.UNKNOWN, code, kind)


@pytest.mark.parametrize("kind", sorted(FAULTS["pay"]))
async def test_every_fault_of_a_payout_is_unknown_and_ends_in_one_payment(desk: Desk, kind: str):
    wish, before = request(), await desk.gone()
    delay_ms = 2_000 if kind == "delay_ms" else 0
    await desk.sim.bill99.fault(Fault(operation="pay", kind=kind, out_trade_no=wish.number, delay_ms=delay_ms))
    spoilt = await desk.pay(wish)
    assert (spoilt.outcome, spoilt.value) == (Outcome.UNKNOWN, None)
    assert spoilt.error.retry is Retry.QUERY_FIRST
    if await desk.state(wish.number) is PayoutState.NOT_FOUND:
        assert (await desk.pay(wish)).outcome is Outcome.SUCCEEDED
    await desk.sim.bill99.settle(wish.number)
    assert await desk.state(wish.number) is PayoutState.PAID
    assert (await desk.pay(wish)).value.state is PayoutState.PROCESSING, "a late repetition changes nothing"
    assert await desk.gone() - before == wish.amount.minor


@pytest.mark.parametrize("kind", sorted(FAULTS["query"]))
async def test_every_fault_of_a_question_is_unknown(desk: Desk, kind: str):
    wish = request()
    await desk.pay(wish)
    await desk.sim.bill99.fail(wish.number)
    delay_ms = 2_000 if kind == "delay_ms" else 0
    await desk.sim.bill99.fault(Fault(operation="query", kind=kind, out_trade_no=wish.number, delay_ms=delay_ms))
    spoilt = await desk.query(wish.number)
    assert (spoilt.outcome, spoilt.value) == (Outcome.UNKNOWN, None)
    assert await desk.state(wish.number) is PayoutState.FAILED


async def test_a_reply_slower_than_our_patience_is_never_a_failure(desk: Desk):
    """Seen elsewhere: a read time-out of three seconds, and the payout is marked as failed though it is paid."""
    wish, before = request(), await desk.gone()
    await desk.sim.bill99.fault(Fault(operation="pay", kind="delay_ms", delay_ms=1_500))
    silent = await desk.pay(wish)
    assert (silent.outcome, silent.error.code) == (Outcome.UNKNOWN, "timeout")
    await desk.sim.bill99.settle(wish.number)
    assert await desk.state(wish.number) is PayoutState.PAID
    assert await desk.gone() - before == wish.amount.minor


async def test_a_return_seven_days_after_a_slow_payment_is_found(desk: Desk):
    """99bill looks for orders in seven days only, counted from the first request."""
    wish = request()
    asked_at = await desk.now()
    await desk.pay(wish)
    await desk.sim.advance(DAY_S)
    await desk.sim.bill99.settle(wish.number)
    await desk.sim.advance(7 * DAY_S)
    await desk.sim.bill99.return_(wish.number)
    assert (await desk.query(wish.number, asked_at=asked_at)).value.state is PayoutState.RETURNED
    assert await desk.state(wish.number) is PayoutState.NOT_FOUND, "whoever does not say when, looks in the last days"


async def test_nobody_there_is_not_sent_and_a_killed_channel_keeps_what_it_accepted(desk: Desk):
    wish, now = request(), await desk.now()
    await desk.pay(wish)
    await desk.sim.kill()
    down = await desk.connector.payout(desk.account, request(), now=now)
    assert (down.outcome, down.error.retry) in (
        (Outcome.NOT_SENT, Retry.SAME_REQUEST),
        (Outcome.UNKNOWN, Retry.QUERY_FIRST),
    )
    await desk.sim.restart()
    before = await desk.gone()
    assert (await desk.pay(wish)).value.state is PayoutState.PROCESSING
    assert await desk.gone() == before


async def test_from_the_command_line(
    desk: Desk, dsn: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    merchant = desk.sim.bill99.merchant
    monkeypatch.setenv("TAEL_DATABASE_URL", dsn)
    add = [
        "add", "payouts", "--channel", "bill99", "--mchid", merchant.member_code, "--base-url", merchant.base_url,
        "--secret.member_key", f"file:{merchant.private_key_path}",
        "--secret.bill99_certificate", f"file:{merchant.bill99_certificate_path}",
    ]  # fmt: skip
    await app.run_async(add, result_action="return_value")
    await app.run_async(["check", "payouts"], result_action="return_value")
    assert "✓ 1/payouts: ok" in capsys.readouterr().out
