"""The way out: how every network end becomes a result, who may be called, how fast, and what is measured."""

import asyncio
import socket

import pytest
from prometheus_client import REGISTRY

from channels.otherside import NOW, NUMBER, account, payment, problem, reply, scripted, transaction, unsigned, wired
from tael.base.wire import Wire
from tael.channels.contract import ErrorKind, Operation, Outcome, PaymentRef, Retry
from tael.channels.registry import connectors
from tael.channels.throttle import MAX_WAIT_S, Throttle
from tael.channels.transport import AddressNotAllowed, Transport, check_address
from tael.channels.wechat import WechatPay
from tael.channels.wechat.payments import SPEC

REF = PaymentRef(NUMBER)
SECOND = 1_000_000_000


async def query(base_url: str, *, total_s: int = 12, **values):
    transport = Transport(Wire(total_s=total_s))
    try:
        return await WechatPay(transport).query_payment(account(base_url=base_url, **values), REF, now=NOW)
    finally:
        transport.close()


ENDS = [
    ("paid", wired(reply(200, transaction())), Outcome.SUCCEEDED, None),
    ("500", wired(problem(500, "SYSTEM_ERROR")), Outcome.UNKNOWN, "SYSTEM_ERROR"),
    ("502 html", wired(unsigned(502, b"<html>")), Outcome.UNKNOWN, "http_502"),
    ("empty", wired(unsigned(200)), Outcome.UNKNOWN, "unsigned"),
    ("reset after send", b"", Outcome.UNKNOWN, "reset"),
    ("half a body", wired(reply(200, transaction()))[:-5], Outcome.UNKNOWN, "half_reply"),
    ("redirect", b"HTTP/1.1 302 Found\r\nLocation: http://a\r\nContent-Length: 0\r\n\r\n", Outcome.UNKNOWN, "http_302"),
]


@pytest.mark.parametrize(("bytes_", "outcome", "code"), [case[1:] for case in ENDS], ids=[case[0] for case in ENDS])
async def test_ends_of_a_call(bytes_: bytes, outcome: Outcome, code: str | None):
    async def answer(request: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(bytes_)
        writer.close()

    async with scripted(answer) as server:
        result = await query(server.base_url)
    assert (result.outcome, result.error.code if result.error else None) == (outcome, code)
    assert len(server.requests) == 1


async def test_time_out_after_sending_is_unknown_and_before_is_not_sent():
    async def silent(request: bytes, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(60)

    async with scripted(silent) as server:
        result = await query(server.base_url, total_s=1)
    assert (result.outcome, result.error.code, result.error.retry) == (Outcome.UNKNOWN, "timeout", Retry.QUERY_FIRST)
    assert result.raw.elapsed_ms >= 1000
    assert result.raw.status is None
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        result = await query(f"http://127.0.0.1:{unused.getsockname()[1]}")
    assert (result.outcome, result.error.code, result.error.retry) == (Outcome.NOT_SENT, "connect", Retry.SAME_REQUEST)


ADDRESSES = [
    ("live", "https://api.mch.weixin.qq.com", True),
    ("live", "https://api2.mch.weixin.qq.com", True),
    ("live", "https://api.mch.weixin.qq.com.evil.example", False),
    ("live", "https://api.mch.weixin.qq.com:8443", False),
    ("live", "http://api.mch.weixin.qq.com", False),
    ("live", "http://127.0.0.1:8080", False),
    ("test", "http://127.0.0.1:8080", True),
    ("test", "https://sandbox.example.com", True),
    ("test", "https://user:word@sandbox.example.com", False),
    ("test", "https://sandbox.example.com/path", False),
    ("test", "file:///etc/passwd", False),
]


@pytest.mark.parametrize(("mode", "base_url", "allowed"), ADDRESSES)
async def test_only_allowed_addresses_are_called(mode: str, base_url: str, allowed: bool):
    if allowed:
        check_address(base_url, mode=mode, spec=SPEC)
        return
    with pytest.raises(AddressNotAllowed):
        check_address(base_url, mode=mode, spec=SPEC)
    with pytest.raises(AddressNotAllowed):
        await query(base_url, mode=mode)


def test_the_throttle_gives_a_second_of_calls_at_once_and_then_the_rate():
    throttle = Throttle(10)
    assert [throttle.reserve(0) for _ in range(10)] == [0] * 10
    assert [throttle.reserve(0) for _ in range(3)] == [SECOND // 10, SECOND // 5, SECOND * 3 // 10]
    assert throttle.reserve(SECOND) == 0


def test_the_throttle_refuses_who_would_wait_too_long_without_giving_a_place():
    throttle = Throttle(1)
    waits = [throttle.reserve(0) for _ in range(MAX_WAIT_S + 3)]
    assert waits == [0, SECOND, 2 * SECOND, None, None]
    assert throttle.reserve(SECOND) == 2 * SECOND


async def test_a_throttled_call_is_not_sent():
    async def answer(request: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(wired(reply(200, transaction())))

    transport = Transport()
    async with scripted(answer) as server:
        ours = account(base_url=server.base_url, qps={Operation.QUERY: 1})
        tasks = [asyncio.ensure_future(WechatPay(transport).query_payment(ours, REF, now=NOW)) for _ in range(6)]
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        await asyncio.sleep(0.05)
        ended = [task.result() for task in tasks if task.done()]
        refused = [result for result in ended if result.outcome is Outcome.NOT_SENT]
        assert [result.error.kind for result in refused] == [ErrorKind.RATE_LIMITED] * 3
        create = await WechatPay(transport).create_payment(ours, payment(), now=NOW)
        assert create.error.code == "unreadable_reply", "another operation has its own bucket"
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    transport.close()


async def test_every_call_is_measured_with_its_outcome():
    async def answer(request: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(wired(problem(404, "ORDER_NOT_EXIST")))

    labels = {"channel": "wechat", "operation": "query", "outcome": "succeeded"}
    before = REGISTRY.get_sample_value("tael_channel_call_seconds_count", labels) or 0
    async with scripted(answer) as server:
        await query(server.base_url)
    assert REGISTRY.get_sample_value("tael_channel_call_seconds_count", labels) == before + 1


def test_one_connector_per_channel_on_one_transport():
    transport = Transport()
    found = {name: connector.spec.name for name, connector in connectors(transport).items()}
    assert found == {name: name for name in ("alipay", "bill99", "wechat")}
    transport.close()
