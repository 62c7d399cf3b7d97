"""alipay-sdk-python, the official SDK, as a client of the sandbox: POST with an absolute target, public parameters in
the query and the content in a form.

It knows no certificates, so the merchant is in public-key mode. Numbers in names are those of the list of conformance
checks.
"""

import base64
import contextlib
import json
import ssl
from collections.abc import AsyncGenerator, AsyncIterator
from pathlib import Path

import httpx2
import pytest
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)
from peers_alipay import Client, Raised

from tael_sandbox import AlipayMerchantView, ChangeAlipayMerchant, Fault, Sandbox

CONTENT = {"out_trade_no": "O1", "total_amount": "1.00", "subject": '咖啡 "large" \\ 50% & more = +'}
BAR = {
    "out_trade_no": "O1",
    "total_amount": "1.00",
    "subject": "tea",
    "scene": "bar_code",
    "auth_code": "28" + "4" * 16,
}


def keys(private_pem: str, public_pem: str) -> dict[str, str]:
    """Keys as the SDK wants them: bare base64, the private one as PKCS #1."""
    private = load_pem_private_key(private_pem.encode(), None, unsafe_skip_rsa_key_validation=True)
    public = load_pem_public_key(public_pem.encode())
    return {
        "app_private_key": base64.b64encode(
            private.private_bytes(Encoding.DER, PrivateFormat.TraditionalOpenSSL, NoEncryption())
        ).decode(),
        "alipay_public_key": base64.b64encode(
            public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        ).decode(),
    }


@contextlib.asynccontextmanager
async def client(python: Path, merchant: AlipayMerchantView, **more: str) -> AsyncGenerator[Client]:
    gateway = httpx2.URL(merchant.gateway)
    config = {"app_id": merchant.app_id, "server_url": "http://openapi.alipay.com/gateway.do"} | more
    config |= keys(merchant.private_key_pem, merchant.alipay_public_key_pem)
    async with Client.start(python, "client_alipay_sdk_python.py", port=gateway.port, config=config) as started:
        yield started


@pytest.fixture
async def sim(tmp_path: Path) -> AsyncIterator[Sandbox]:
    async with Sandbox.start(tmp_path / "sim", seed="peers") as sandbox:
        merchant = sandbox.alipay.merchant
        change = ChangeAlipayMerchant(mode="public_key")
        sandbox.alipay.merchant = await sandbox.alipay.change_merchant(merchant.app_id, change)
        yield sandbox


@pytest.fixture(params=["utf-8", "GBK"])
async def sdk(request, sim: Sandbox, alipay_sdk_python: Path) -> AsyncIterator[Client]:
    async with client(alipay_sdk_python, sim.alipay.merchant, charset=request.param) as started:
        yield started


async def _execute(sdk: Client, name: str, content: dict[str, object], **more: str) -> dict[str, object]:
    return json.loads(await sdk.ask("execute", name=name, content=content, more=more))


async def test_42_45_precreate_query_refund(sim: Sandbox, sdk: Client) -> None:
    """Both ways, in UTF-8 and in GBK: Chinese text arrives and comes back."""
    said = await _execute(sdk, "AlipayTradePrecreate", CONTENT)
    assert said["qr_code"].startswith(f"{sim.base_url}/alipay/q/")
    assert (await sim.alipay.trade("O1")).subject == CONTENT["subject"]
    named = {"out_trade_no": "O1"}
    assert (await _execute(sdk, "AlipayTradeQuery", named))["sub_msg"] == "交易不存在"
    await sim.alipay.pay("O1")
    assert (await _execute(sdk, "AlipayTradeQuery", named))["trade_status"] == "TRADE_SUCCESS"
    refund = named | {"refund_amount": "1.00", "out_request_no": "r1", "refund_reason": "颜色不对"}
    assert (await _execute(sdk, "AlipayTradeRefund", refund))["fund_change"] == "Y"
    found = await _execute(sdk, "AlipayTradeFastpayRefundQuery", named | {"out_request_no": "r1"})
    assert (found["refund_amount"], found["refund_reason"]) == ("1.00", "颜色不对")
    assert (await _execute(sdk, "AlipayTradeQuery", named))["trade_status"] == "TRADE_CLOSED"


async def test_43_a_brace_in_a_text_verifies(sim: Sandbox, sdk: Client) -> None:
    await _execute(sdk, "AlipayTradePrecreate", CONTENT)
    await sim.alipay.pay("O1")
    refund = {"out_trade_no": "O1", "refund_amount": "1.00", "out_request_no": "r1", "refund_reason": 'a } b {" ,'}
    await _execute(sdk, "AlipayTradeRefund", refund)
    found = await _execute(sdk, "AlipayTradeFastpayRefundQuery", {"out_trade_no": "O1", "out_request_no": "r1"})
    assert found["refund_reason"] == refund["refund_reason"]
    assert (await _execute(sdk, "AlipayTradePay", BAR | {"auth_code": "1"}))[
        "sub_msg"
    ] == "支付授权码无效{请刷新付款码}"


@pytest.mark.parametrize(
    ("kind", "raised"),
    [
        ("bad_signature", "ResponseException"),
        ("unsigned", "ResponseException"),
        ("gateway_error", "ResponseException"),
        ("40005", "ResponseException"),
        ("html_body", "ResponseException"),
        ("empty_body", "ResponseException"),
        ("truncated_body", "IncompleteRead"),
        ("drop_before_commit", "RemoteDisconnected"),
        ("commit_then_drop_reply", "RemoteDisconnected"),
        ("5xx_before_commit", "TypeError"),
    ],
)
async def test_44_51_replies_that_are_not_what_they_should_be(sim, sdk, kind: str, raised: str) -> None:
    """A status other than 200 makes the SDK fail on its own message (TypeError)."""
    await sim.alipay.fault(Fault(operation="trade.query", kind=kind))
    with pytest.raises(Raised) as error:
        await _execute(sdk, "AlipayTradeQuery", {"out_trade_no": "O1"})
    assert error.value.kind == raised
    assert (await _execute(sdk, "AlipayTradeQuery", {"out_trade_no": "O1"}))["code"] == "40004"


async def test_46_a_bar_code_with_a_password_then_cancelled(sim: Sandbox, sdk: Client) -> None:
    await sim.alipay.fault(Fault(operation="trade.pay", kind="user_paying"))
    named = {"out_trade_no": "O1"}
    assert (await _execute(sdk, "AlipayTradePay", BAR))["code"] == "10003"
    assert (await _execute(sdk, "AlipayTradeQuery", named))["trade_status"] == "WAIT_BUYER_PAY"
    await sim.alipay.pay("O1")
    said = await _execute(sdk, "AlipayTradeCancel", named)
    assert (said["action"], said["retry_flag"]) == ("refund", "N")
    assert (await _execute(sdk, "AlipayTradeQuery", named))["trade_status"] == "TRADE_CLOSED"


async def test_a_page_address_opens_the_cashier(sim: Sandbox, sdk: Client) -> None:
    content = CONTENT | {"product_code": "FAST_INSTANT_TRADE_PAY"}
    address = await sdk.ask("page", name="AlipayTradePagePay", content=content)
    query = str(address).partition("?")[2]
    quiet = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    async with httpx2.AsyncClient(trust_env=False, verify=quiet, follow_redirects=True) as browser:
        page = await browser.get(f"{sim.alipay.merchant.gateway}?{query}")
    assert "¥ 1.00" in page.text
    assert (await sim.alipay.trade("O1")).subject == CONTENT["subject"]
