"""The connector against the simulator: two programs, two processes, no shared code. One life, every fault."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx2
import pytest

from channels.otherside import scripted
from tael.base.money import Money
from tael.base.wire import Wire
from tael.channels.contract import (
    BadNotification,
    JsapiParams,
    MerchantAccount,
    Method,
    Outcome,
    PaymentRef,
    PaymentRequest,
    PaymentState,
    QrCode,
    Redirect,
    SignatureProbe,
)
from tael.channels.transport import Transport
from tael.channels.wechat import WechatPay
from tael.channels.wechat.keys import load


@dataclass
class Market:
    """A running simulator, our account there, and the connector."""

    account: MerchantAccount
    connector: WechatPay
    control: httpx2.AsyncClient
    count: int = 0

    def now(self) -> datetime:
        return datetime.now(UTC)

    def payment(self, **changes) -> PaymentRequest:
        self.count += 1
        values = {
            "number": f"RC1{self.count:029d}", "amount": Money(8800, "CNY"), "description": "充值",
            "method": Method.NATIVE, "notify_url": "http://127.0.0.1:9/n",
            "expires_at": self.now() + timedelta(minutes=30),
        } | changes  # fmt: skip
        return PaymentRequest(**values)

    async def create(self, request: PaymentRequest):
        return await self.connector.create_payment(self.account, request, now=self.now())

    async def query(self, number: str):
        return await self.connector.query_payment(self.account, PaymentRef(number), now=self.now())

    async def close(self, number: str):
        return await self.connector.close_payment(self.account, PaymentRef(number), now=self.now())

    async def sim(self, path: str, **content: object) -> object:
        answer = await self.control.post(f"/_sim/{path}", json=content)
        assert answer.is_success, answer.text
        return answer.json()


def account_of(merchant: dict, base_url: str, platform_keys: str) -> MerchantAccount:
    config = {
        "serial_no": merchant["serial"],
        "public_key_id": merchant["public_key_id"],
        "platform_keys": platform_keys,
    }
    secrets = {
        "merchant_key": merchant["private_key_pem"].encode(),
        "apiv3_key": merchant["apiv3_key"].encode(),
        "public_key": merchant["public_key_pem"].encode(),
    }
    return MerchantAccount(
        book=1, id=1, name="shop", channel="wechat", mode="test", state="active", mchid=merchant["mchid"],
        appid=merchant["appid"], base_url=base_url, config=config, qps={}, keys=load(secrets, config),
    )  # fmt: skip


@pytest.fixture
async def market(tmp_path: Path) -> AsyncIterator[Market]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tael_sandbox", "--port", "0", "--data", str(tmp_path / "sim"), "--json",
        stdout=asyncio.subprocess.PIPE, limit=1 << 20,
    )  # fmt: skip
    assert process.stdout is not None
    ready = json.loads(await process.stdout.readline())
    transport = Transport(Wire(total_s=2))
    try:
        async with httpx2.AsyncClient(base_url=ready["base_url"], trust_env=False) as control:
            account = account_of(ready["merchant"], ready["base_url"], "public_key")
            yield Market(account, WechatPay(transport), control)
    finally:
        transport.close()
        process.terminate()
        await process.wait()


async def test_one_life(market: Market):
    request = market.payment()
    created, again = await market.create(request), await market.create(request)
    assert isinstance(created.value, QrCode)
    assert again.value.text == created.value.text, "the same request leads to the same code"
    assert (await market.query(request.number)).value.state is PaymentState.UNPAID
    await market.sim("pay", out_trade_no=request.number)
    paid = (await market.query(request.number)).value
    assert (paid.state, paid.amount, paid.mchid) == (PaymentState.PAID, Money(8800, "CNY"), market.account.mchid)
    by_their_number = await market.connector.query_payment(
        market.account, PaymentRef(request.number, paid.channel_ref), now=market.now()
    )
    assert by_their_number.value == paid
    assert (await market.close(request.number)).outcome is Outcome.DECLINED
    assert (await market.create(request)).error.code.replace("_", "") == "ORDERPAID"


async def test_closing(market: Market):
    request = market.payment()
    await market.create(request)
    for _ in range(2):
        assert (await market.close(request.number)).value.state is PaymentState.CLOSED
    assert (await market.query(request.number)).value.state is PaymentState.CLOSED
    refused = await market.create(request)
    assert (refused.outcome, refused.error.code) == (Outcome.DECLINED, "ORDER_CLOSED")
    assert (await market.query("NEVER0PENED")).value.state is PaymentState.NOT_FOUND
    assert (await market.close("NEVER0PENED")).value.state is PaymentState.NOT_FOUND


METHODS = [
    ({"method": Method.JSAPI, "payer_id": "oUpF8uMuAJO_M2pxb1Q9zNjWeS6o"}, JsapiParams),
    ({"method": Method.H5, "payer_ip": "203.0.113.9"}, Redirect),
    ({"number": "a|b*c-d_1"}, QrCode),
]


@pytest.mark.parametrize(("changes", "kind"), METHODS)
async def test_other_methods_and_numbers_with_signs(market: Market, changes: dict, kind: type):
    request = market.payment(**changes)
    assert isinstance((await market.create(request)).value, kind)
    assert (await market.query(request.number)).value.state is PaymentState.UNPAID
    assert (await market.close(request.number)).outcome is Outcome.SUCCEEDED


async def test_a_number_used_with_other_content(market: Market):
    request = market.payment()
    await market.create(request)
    result = await market.create(replace(request, amount=Money(1, "CNY")))
    assert (result.outcome, result.error.code) == (Outcome.UNKNOWN, "OUT_TRADE_NO_USED")


FAULTS = [
    ("drop_before_commit", PaymentState.NOT_FOUND),
    ("5xx_before_commit", PaymentState.NOT_FOUND),
    ("429", PaymentState.NOT_FOUND),
    ("commit_then_drop_reply", PaymentState.UNPAID),
    ("5xx_after_commit", PaymentState.UNPAID),
    ("truncated_body", PaymentState.UNPAID),
    ("html_body", None),
    ("bad_signature", PaymentState.UNPAID),
    ("stale_timestamp", PaymentState.UNPAID),
]


@pytest.mark.parametrize(("kind", "truth"), FAULTS)
async def test_a_broken_create_is_unknown_and_the_query_tells_the_truth(
    market: Market, kind: str, truth: PaymentState | None
):
    await market.sim("faults", operation="create", kind=kind, count=1)
    request = market.payment()
    broken = await market.create(request)
    assert (broken.outcome, broken.value) == (Outcome.UNKNOWN, None)
    if truth is not None:
        assert (await market.query(request.number)).value.state is truth
    assert isinstance((await market.create(request)).value, QrCode), "sending the same again is safe"


@pytest.mark.parametrize("kind", [kind for kind, _ in FAULTS])
async def test_a_broken_query_concludes_nothing(market: Market, kind: str):
    request = market.payment()
    await market.create(request)
    await market.sim("faults", operation="query", kind=kind, count=1)
    assert (await market.query(request.number)).outcome is Outcome.UNKNOWN
    assert (await market.query(request.number)).value.state is PaymentState.UNPAID


async def test_a_stranger_is_refused_and_that_concludes_nothing(market: Market):
    config = dict(market.account.config) | {"serial_no": "0" * 7 + "A" * 33}
    keys = replace(market.account.keys, serial=config["serial_no"])
    stranger = replace(market.account, keys=keys)
    result = await market.connector.create_payment(stranger, market.payment(), now=market.now())
    assert (result.outcome, result.error.code) == (Outcome.UNKNOWN, "SIGN_ERROR")


NOTICES = [
    ("genuine", None, None),
    ("wrong signature", "bad_signature", BadNotification),
    ("probe", "signtest", SignatureProbe),
]


@pytest.mark.parametrize(("fault", "refusal"), [case[1:] for case in NOTICES], ids=[case[0] for case in NOTICES])
async def test_notices(market: Market, fault: str | None, refusal: type[BadNotification] | None):
    arrived: asyncio.Queue[bytes] = asyncio.Queue()

    async def answer(request: bytes, writer: asyncio.StreamWriter) -> None:
        arrived.put_nowait(request)
        writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")

    async with scripted(answer) as receiver:
        request = market.payment(notify_url=receiver.base_url + "/v1/notices/wechat/1")
        await market.create(request)
        if fault is not None:
            await market.sim("faults", operation="notify", kind=fault, count=1)
        await market.sim("pay", out_trade_no=request.number)
        async with asyncio.timeout(10):
            head, _, raw = (await arrived.get()).partition(b"\r\n\r\n")
    pairs = [line.split(": ", 1) for line in head.decode().split("\r\n")[1:]]
    headers = [(name, value) for name, value in pairs]
    if refusal is not None:
        with pytest.raises(refusal):
            market.connector.verify_notification(market.account, headers, raw, now=market.now())
        return
    event = market.connector.verify_notification(market.account, headers, raw, now=market.now())
    assert (event.subject.number, event.subject.amount) == (request.number, Money(8800, "CNY"))


async def test_certificate_mode(market: Market):
    merchant = await market.sim("merchants", mode="certificate")
    assert isinstance(merchant, dict)
    market.account = account_of(merchant, market.account.base_url, "certificates")
    request = market.payment()
    assert isinstance((await market.create(request)).value, QrCode)
    assert (await market.query(request.number)).value.state is PaymentState.UNPAID
