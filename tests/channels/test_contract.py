"""What every channel owes the platform, whatever it is: runs on each line of the registry, for each thing it can do.

A new channel brings its `Sample` to `samples.py`.
"""

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from channels.otherside import NOW, NUMBER, scripted
from channels.samples import SAMPLES, Sample
from tael.base.ids import base36
from tael.base.money import Money
from tael.base.wire import Wire
from tael.channels.contract import (
    PAYEE_KINDS,
    BadNotification,
    Connector,
    MakesRefunds,
    MalformedNotification,
    MerchantAccount,
    Outcome,
    PaymentNotPossible,
    PaymentRef,
    PaymentState,
    PayoutNotPossible,
    PayoutRef,
    PayoutState,
    PaysOut,
    RefundRef,
    RefundState,
    Result,
    ServesBills,
    TakesPayments,
    WechatUser,
)
from tael.channels.registry import CONNECTORS
from tael.channels.transport import Transport

ABILITIES = {"payments": TakesPayments, "refunds": MakesRefunds, "payouts": PaysOut}


def _names(ability: type) -> list[str]:
    return sorted(name for name, make in CONNECTORS.items() if isinstance(make(Transport()), ability))


@pytest.fixture(params=sorted(CONNECTORS))
def name(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def sample(name: str) -> Sample:
    return SAMPLES[name]


@pytest.fixture
def connector(name: str):
    transport = Transport(Wire(total_s=2))
    yield CONNECTORS[name](transport)
    transport.close()


takes_payments = pytest.mark.parametrize("name", _names(TakesPayments), indirect=True)
makes_refunds = pytest.mark.parametrize("name", _names(MakesRefunds), indirect=True)
pays_out = pytest.mark.parametrize("name", _names(PaysOut), indirect=True)


def test_every_channel_has_a_sample_of_all_that_it_can_do():
    assert SAMPLES.keys() == CONNECTORS.keys()
    for name, sample in SAMPLES.items():
        for part, ability in ABILITIES.items():
            assert (getattr(sample, part) is not None) == (name in _names(ability)), (name, part)


@pytest.mark.parametrize("ability", [Connector, TakesPayments, MakesRefunds, PaysOut, ServesBills])
def test_it_has_every_method_of_the_contract_with_the_same_parameters(connector: Connector, ability: type):
    if ability is not Connector and not isinstance(connector, ability):
        return
    for method, wanted in inspect.getmembers(ability, inspect.isfunction):
        if not method.startswith("_"):
            given = inspect.signature(getattr(type(connector), method))
            assert list(given.parameters) == list(inspect.signature(wanted).parameters), method


def test_our_numbers_fit(connector: Connector):
    for form in connector.spec.numbers.values():
        assert form.fullmatch("RC1" + base36(12345, 29))
        assert form.fullmatch(NUMBER)


def test_the_spec_is_complete(name: str, connector: Connector):
    spec = connector.spec
    assert spec.name == name
    assert spec.methods == set(spec.handoff_s)
    assert bool(spec.methods) == isinstance(connector, TakesPayments)
    assert bool(spec.payees) == isinstance(connector, PaysOut)
    assert spec.payees <= PAYEE_KINDS.keys()
    assert spec.qps.keys() >= spec.numbers.keys()
    assert 0 < spec.min_minor < spec.max_minor
    assert all(url.startswith("https://") for url in spec.base_urls)


PAYMENT_NOT_POSSIBLE = [
    ({"amount": Money(0, "CNY")}, "amount"),
    ({"amount": Money(2**62, "CNY")}, "amount"),
    ({"amount": Money(100, "KWD")}, "currency"),
    ({"number": ""}, "number"),
    ({"number": "RC1 030KA1B2202603020405060010042"}, "number"),
    ({"number": NUMBER + "\n"}, "number"),
    ({"description": ""}, "description"),
    ({"description": "x\u202ey"}, "description"),
    ({"description": "x\x00y"}, "description"),
    ({"description": "字" * 1000}, "description"),
    ({"notify_url": "https://pay.example.com/n?a=1"}, "notify_url"),
    ({"notify_url": "https://pay.example.com/" + "n" * 255}, "notify_url"),
    ({"notify_url": "ftp://pay.example.com/n"}, "notify_url"),
    ({"expires_at": NOW}, "expires_at"),
    ({"expires_at": NOW + timedelta(days=91)}, "expires_at"),
    ({"attach": "x" * 1000}, "attach"),
]


async def _nothing_may_be_sent(request: bytes, writer: asyncio.StreamWriter) -> None:
    raise AssertionError("nothing may be sent")


@takes_payments
async def test_a_payment_the_channel_would_refuse_is_refused_before_it_is_called(connector, sample: Sample):
    assert sample.payments is not None
    async with scripted(_nothing_may_be_sent) as server:
        account = sample.account(base_url=server.base_url)
        for change, param in PAYMENT_NOT_POSSIBLE + sample.payments.refused:
            request = replace(sample.payments.request(), **change)
            with pytest.raises(PaymentNotPossible) as refused:
                connector.check_payment(account, request, now=NOW)
            assert refused.value.param == param
            with pytest.raises(PaymentNotPossible):
                await connector.create_payment(account, request, now=NOW)
        assert server.connections == 0


@takes_payments
def test_a_paused_account_and_plain_http_notices_of_a_live_account_are_refused(connector, sample: Sample):
    assert sample.payments is not None
    request = sample.payments.request
    connector.check_payment(sample.account(), request(notify_url="http://127.0.0.1/n"), now=NOW)
    with pytest.raises(PaymentNotPossible):
        connector.check_payment(sample.account(state="paused"), request(), now=NOW)
    with pytest.raises(PaymentNotPossible):
        connector.check_payment(sample.account(mode="live"), request(notify_url="http://pay.example.com/n"), now=NOW)


async def _life(
    account: Callable[..., MerchantAccount],
    replies: list[bytes],
    steps: list[Callable[[MerchantAccount], Awaitable[Result]]],
) -> list[Result]:
    """Take the steps one after the other against a server that answers with these replies."""

    async def answer(request: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(replies[len(server.requests) - 1])

    async with scripted(answer) as server:
        here = account(base_url=server.base_url)
        results = [await step(here) for step in steps]
        assert len(server.requests) == len(steps)
    return results


@takes_payments
async def test_one_payment(connector, sample: Sample):
    part, ref = sample.payments, PaymentRef(NUMBER)
    assert part is not None
    steps = [
        lambda account: connector.create_payment(account, part.request(), now=NOW),
        lambda account: connector.query_payment(account, ref, now=NOW),
        lambda account: connector.close_payment(account, ref, now=NOW),
    ]
    created, queried, closed = await _life(sample.account, [part.handed_off, part.paid, part.closed], steps)
    assert [result.outcome for result in (created, queried, closed)] == [Outcome.SUCCEEDED] * 3
    assert (queried.value.state, closed.value.state) == (PaymentState.PAID, PaymentState.CLOSED)
    for field_ in ("channel_ref", "amount", "mchid", "appid", "paid_at"):
        assert getattr(queried.value, field_) is not None


@makes_refunds
async def test_one_refund(connector, sample: Sample):
    part = sample.refunds
    assert part is not None
    request = part.request()
    ref = RefundRef(request.number, request.payment_number, request.amount)
    steps = [
        lambda account: connector.refund(account, request, now=NOW),
        lambda account: connector.query_refund(account, ref, now=NOW),
    ]
    taken, queried = await _life(sample.account, [part.taken, part.refunded], steps)
    assert (taken.outcome, queried.outcome) == (Outcome.SUCCEEDED, Outcome.SUCCEEDED)
    assert taken.value.state in (RefundState.PROCESSING, RefundState.REFUNDED)
    told = (queried.value.number, queried.value.payment_number, queried.value.amount, queried.value.state)
    assert told == (request.number, request.payment_number, request.amount, RefundState.REFUNDED)


PAYOUT_NOT_POSSIBLE = [
    ({"amount": Money(0, "CNY")}, "amount"),
    ({"amount": Money(2**62, "CNY")}, "amount"),
    ({"amount": Money(100, "KWD")}, "currency"),
    ({"number": ""}, "number"),
    ({"number": "WD1 030KA1B2202603020405060010042"}, "number"),
    ({"number": NUMBER + "\n"}, "number"),
    ({"remark": "字" * 1000}, "remark"),
    ({"remark": "x\x00y"}, "remark"),
]


@pays_out
async def test_a_payout_the_channel_would_refuse_is_refused_before_it_is_called(connector, sample: Sample):
    assert sample.payouts is not None
    strangers = [made("x") if made is WechatUser else made("x", "x", "x") for made in PAYEE_KINDS.values()]
    wrong = [one for one in strangers if not isinstance(one, type(sample.payouts.request().payee))]
    async with scripted(_nothing_may_be_sent) as server:
        account = sample.account(base_url=server.base_url)
        connector.check_payout(account, sample.payouts.request(), now=NOW)
        changes = [*PAYOUT_NOT_POSSIBLE, *sample.payouts.refused, *(({"payee": one}, "payee") for one in wrong)]
        for change, param in changes:
            request = replace(sample.payouts.request(), **change)
            with pytest.raises(PayoutNotPossible) as refused:
                connector.check_payout(account, request, now=NOW)
            assert refused.value.param == param
            with pytest.raises(PayoutNotPossible):
                await connector.payout(account, request, now=NOW)
        with pytest.raises(PayoutNotPossible):
            connector.check_payout(sample.account(state="paused"), sample.payouts.request(), now=NOW)
        assert server.connections == 0


@pays_out
async def test_one_payout(connector, sample: Sample):
    part = sample.payouts
    assert part is not None
    request = part.request()
    steps = [
        lambda account: connector.payout(account, request, now=NOW),
        lambda account: connector.query_payout(account, PayoutRef(request.number), now=NOW),
    ]
    taken, queried = await _life(sample.account, [part.taken, part.paid], steps)
    assert (taken.outcome, queried.outcome) == (Outcome.SUCCEEDED, Outcome.SUCCEEDED)
    assert taken.value.state in (PayoutState.PROCESSING, PayoutState.PAID)
    assert (queried.value.number, queried.value.amount) == (request.number, request.amount)
    assert queried.value.state is PayoutState.PAID
    assert queried.value.channel_ref


BROKEN = [
    b"",
    b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}",
    b"HTTP/1.1 500 X\r\nContent-Length: 0\r\n\r\n",
    b"\x00",
]


@pytest.mark.parametrize("bytes_", BROKEN)
async def test_what_is_not_proven_is_unknown_for_every_operation(connector, sample: Sample, bytes_: bytes):
    async def answer(request: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(bytes_)
        writer.close()

    async with scripted(answer) as server:
        account, results = sample.account(base_url=server.base_url), []
        if sample.payments:
            results += [
                await connector.create_payment(account, sample.payments.request(), now=NOW),
                await connector.query_payment(account, PaymentRef(NUMBER), now=NOW),
                await connector.close_payment(account, PaymentRef(NUMBER), now=NOW),
            ]
        if sample.refunds:
            refund = sample.refunds.request()
            ref = RefundRef(refund.number, refund.payment_number, refund.amount)
            results += [
                await connector.refund(account, refund, now=NOW),
                await connector.query_refund(account, ref, now=NOW),
            ]
        if sample.payouts:
            results += [
                await connector.payout(account, sample.payouts.request(), now=NOW),
                await connector.query_payout(account, PayoutRef(NUMBER), now=NOW),
            ]
        for result in results:
            assert (result.outcome, result.value) == (Outcome.UNKNOWN, None)
            assert result.error is not None
        # Fewer when a request met a connection that the other side was just closing; never more.
        assert len(server.requests) <= len(results)


def test_a_genuine_notice_is_opened_and_every_changed_byte_is_noticed(connector: Connector, sample: Sample):
    if sample.notice is None:
        return
    headers, raw, state = sample.notice
    event = connector.verify_notification(sample.account(), headers, raw, now=NOW)
    assert event.subject.state is state
    for position in range(0, len(raw), 7):
        changed = raw[:position] + bytes([raw[position] ^ 1]) + raw[position + 1 :]
        with pytest.raises(BadNotification):
            connector.verify_notification(sample.account(), headers, changed, now=NOW)
    if sample.fresh is not None:
        with pytest.raises(BadNotification):
            connector.verify_notification(sample.account(), headers, raw, now=NOW + sample.fresh)


@pytest.mark.parametrize("raw", [b"", b"{}", b"\x00\xff", b"[" * 100_000, b"a=1&a=2", b"x" * 1_000_000])
def test_garbage_is_refused_as_a_bad_notice(connector: Connector, sample: Sample, raw: bytes):
    for headers in ([], sample.notice[0] if sample.notice else []):
        with pytest.raises(BadNotification):
            connector.verify_notification(sample.account(), headers, raw, now=NOW)


def test_answers_to_notices(connector: Connector):
    assert connector.acknowledge().status in (200, 204)
    assert connector.refuse(MalformedNotification("inner words")).status >= 400
    assert b"inner words" not in connector.refuse(MalformedNotification("inner words")).body
