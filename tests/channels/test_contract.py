"""What every channel owes the platform, whatever it is: runs on each line of the registry.

A new channel brings its `Sample` here: an account, how the other side answers, and a genuine notice.
"""

import asyncio
import inspect
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta

import pytest

from channels import otherside
from channels.otherside import NOW, NUMBER, scripted, wired
from tael.base.ids import base36
from tael.base.money import Money
from tael.base.wire import Wire
from tael.channels.contract import (
    BadNotification,
    Connector,
    MalformedNotification,
    MerchantAccount,
    Method,
    Outcome,
    PaymentNotPossible,
    PaymentRef,
    PaymentRequest,
    PaymentState,
)
from tael.channels.registry import CONNECTORS
from tael.channels.transport import Transport


@dataclass(frozen=True)
class Sample:
    """How to drive one channel; the replies are bytes on the wire."""

    account: Callable[..., MerchantAccount]
    payment: Callable[..., PaymentRequest]
    handed_off: bytes
    paid: bytes
    closed: bytes
    notice: tuple[list[tuple[str, str]], bytes]


SAMPLES = {
    "wechat": Sample(
        account=otherside.account,
        payment=otherside.payment,
        handed_off=wired(otherside.reply(200, {"code_url": "weixin://wxpay/bizpayurl?pr=1"})),
        paid=wired(otherside.reply(200, otherside.transaction())),
        closed=wired(otherside.reply(204)),
        notice=(otherside.signature_headers(otherside.notice()), otherside.notice()),
    )
}


def test_every_channel_has_a_sample():
    assert SAMPLES.keys() == CONNECTORS.keys()


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


def test_it_has_every_method_of_the_contract_with_the_same_parameters(connector: Connector):
    for method, wanted in inspect.getmembers(Connector, inspect.isfunction):
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
    assert spec.qps.keys() >= spec.numbers.keys()
    assert 0 < spec.min_minor < spec.max_minor
    assert all(url.startswith("https://") for url in spec.base_urls)


NOT_POSSIBLE = [
    ({"amount": Money(0, "CNY")}, "amount"),
    ({"amount": Money(2**62, "CNY")}, "amount"),
    ({"amount": Money(100, "KWD")}, "currency"),
    ({"number": "short"}, "number"),
    ({"number": "RC1 030KA1B2202603020405060010042"}, "number"),
    ({"number": NUMBER + "\n"}, "number"),
    ({"description": ""}, "description"),
    ({"description": "x\u202ey"}, "description"),
    ({"description": "x\x00y"}, "description"),
    ({"description": "字" * 128}, "description"),
    ({"notify_url": "https://pay.example.com/n?a=1"}, "notify_url"),
    ({"notify_url": "https://pay.example.com/" + "n" * 255}, "notify_url"),
    ({"notify_url": "ftp://pay.example.com/n"}, "notify_url"),
    ({"expires_at": NOW}, "expires_at"),
    ({"expires_at": NOW + timedelta(days=91)}, "expires_at"),
    ({"attach": "x" * 129}, "attach"),
    ({"method": Method.JSAPI, "payer_id": None}, "payer_id"),
    ({"method": Method.H5, "payer_ip": "localhost; drop"}, "payer_ip"),
]


@pytest.mark.parametrize(("change", "param"), NOT_POSSIBLE)
async def test_what_the_channel_would_refuse_is_refused_before_it_is_called(
    connector: Connector, sample: Sample, change: dict[str, object], param: str
):
    async def answer(request: bytes, writer: asyncio.StreamWriter) -> None:
        raise AssertionError("nothing may be sent")

    async with scripted(answer) as server:
        account, request = sample.account(base_url=server.base_url), replace(sample.payment(), **change)
        with pytest.raises(PaymentNotPossible) as refused:
            connector.check_payment(account, request, now=NOW)
        assert refused.value.param == param
        with pytest.raises(PaymentNotPossible):
            await connector.create_payment(account, request, now=NOW)
        assert server.connections == 0


def test_a_paused_account_and_plain_http_notices_of_a_live_account_are_refused(connector: Connector, sample: Sample):
    connector.check_payment(sample.account(), sample.payment(notify_url="http://127.0.0.1/n"), now=NOW)
    with pytest.raises(PaymentNotPossible):
        connector.check_payment(sample.account(state="paused"), sample.payment(), now=NOW)
    with pytest.raises(PaymentNotPossible):
        connector.check_payment(
            sample.account(mode="live"), sample.payment(notify_url="http://pay.example.com/n"), now=NOW
        )


async def test_one_life(connector: Connector, sample: Sample):
    replies = [sample.handed_off, sample.paid, sample.closed]

    async def answer(request: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(replies[len(server.requests) - 1])

    async with scripted(answer) as server:
        account = sample.account(base_url=server.base_url)
        created = await connector.create_payment(account, sample.payment(), now=NOW)
        queried = await connector.query_payment(account, PaymentRef(NUMBER), now=NOW)
        closed = await connector.close_payment(account, PaymentRef(NUMBER), now=NOW)
    assert [result.outcome for result in (created, queried, closed)] == [Outcome.SUCCEEDED] * 3
    assert (queried.value.state, closed.value.state) == (PaymentState.PAID, PaymentState.CLOSED)
    for field in ("channel_ref", "amount", "mchid", "appid", "paid_at"):
        assert getattr(queried.value, field) is not None


BROKEN = [
    b"",
    b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}",
    b"HTTP/1.1 500 X\r\nContent-Length: 0\r\n\r\n",
    b"\x00",
]


@pytest.mark.parametrize("bytes_", BROKEN)
async def test_what_is_not_proven_is_unknown_for_every_operation(connector: Connector, sample: Sample, bytes_: bytes):
    async def answer(request: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(bytes_)
        writer.close()

    async with scripted(answer) as server:
        account, ref = sample.account(base_url=server.base_url), PaymentRef(NUMBER)
        for result in (
            await connector.create_payment(account, sample.payment(), now=NOW),
            await connector.query_payment(account, ref, now=NOW),
            await connector.close_payment(account, ref, now=NOW),
        ):
            assert (result.outcome, result.value) == (Outcome.UNKNOWN, None)
            assert result.error is not None
        # Fewer when a request met a connection that the other side was just closing; never more.
        assert len(server.requests) <= 3


def test_a_genuine_notice_is_opened_and_every_changed_byte_is_noticed(connector: Connector, sample: Sample):
    headers, raw = sample.notice
    event = connector.verify_notification(sample.account(), headers, raw, now=NOW)
    assert event.subject.state is PaymentState.PAID
    for position in range(0, len(raw), 7):
        changed = raw[:position] + bytes([raw[position] ^ 1]) + raw[position + 1 :]
        with pytest.raises(BadNotification):
            connector.verify_notification(sample.account(), headers, changed, now=NOW)
    with pytest.raises(BadNotification):
        connector.verify_notification(sample.account(), headers, raw, now=NOW + timedelta(minutes=5))


def test_answers_to_notices(connector: Connector):
    assert connector.acknowledge().status in (200, 204)
    assert connector.refuse(MalformedNotification("inner words")).status >= 400
    assert b"inner words" not in connector.refuse(MalformedNotification("inner words")).body
