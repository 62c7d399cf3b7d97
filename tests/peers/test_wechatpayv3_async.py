"""The asynchronous client of wechatpayv3, unmodified, against the sandbox (W25).

As for the blocking client, only its ``proxy`` argument and the trust store of its HTTP library (SSL_CERT_FILE) lead it
here.
"""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from peers_wechatpayv3 import Notices, settings
from wechatpayv3.async_ import AsyncWeChatPay, WeChatPayType

from tael_sandbox import NewMerchant, Sandbox


@pytest.fixture
async def notices() -> AsyncIterator[Notices]:
    async with Notices.listening() as listening:
        yield listening


@pytest.mark.parametrize("kind", ["public_key", "certificate"])
async def test_w25_a_whole_life(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, notices: Notices, kind: str) -> None:
    async with (
        Sandbox.start(tmp_path, merchant=NewMerchant(mode=kind)) as sim,
        sim.tunnel() as tunnel,
    ):
        monkeypatch.setenv("SSL_CERT_FILE", str(tunnel.ca_path))
        said = settings(sim.merchant, kind=kind, notify_url=notices.url)
        async with AsyncWeChatPay(
            wechatpay_type=WeChatPayType.NATIVE, proxy=tunnel.proxy_url, timeout=20, **said
        ) as pay:
            status, body = await pay.pay(description="咖啡", out_trade_no="W0000000001", amount={"total": 100})
            assert (status, list(json.loads(body))) == (200, ["code_url"])
            assert (await pay.close("W0000000001"))[0] == 204
            await pay.pay(description="咖啡", out_trade_no="W0000000002", amount={"total": 100})
            await sim.pay("W0000000002")
            await sim.drain()
            status, body = await pay.query(out_trade_no="W0000000002")
            assert (status, json.loads(body)["trade_state"]) == (200, "SUCCESS")
            told = pay.callback(*notices.heard[0])
            assert told["resource"] == json.loads(body)
