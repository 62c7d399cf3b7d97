"""python-alipay-sdk as a client of the sandbox: it sends GET with everything in the query, in both key modes.

Numbers in names are those of the list of conformance checks.
"""

import contextlib
import ssl
from collections.abc import AsyncGenerator, AsyncIterator
from pathlib import Path
from urllib.parse import parse_qsl

import httpx2
import pytest
from peers_alipay import Client, Ear, Raised

from tael_sandbox import AlipayMerchantView, ChangeAlipayMerchant, Fault, Sandbox

ORDER = {"out_trade_no": "A1", "total_amount": "1.00", "subject": '咖啡 "large" \\ 50% & more = +'}
PAYEE = {"identity_type": "ALIPAY_USER_ID", "identity": "2088123412341234", "order_title": "salary"}


@pytest.fixture
async def sim(tmp_path: Path) -> AsyncIterator[Sandbox]:
    async with Sandbox.start(tmp_path / "sim", seed="peers") as sandbox:
        yield sandbox


@contextlib.asynccontextmanager
async def _client(python: Path, merchant: AlipayMerchantView, *, notify_url: str = "") -> AsyncGenerator[Client]:
    arguments = {
        "appid": merchant.app_id, "app_notify_url": notify_url, "app_private_key_string": merchant.private_key_pem,
    }  # fmt: skip
    if merchant.mode == "certificate":
        kind = "DCAliPay"
        arguments |= {
            "app_public_key_cert_string": merchant.app_certificate_pem,
            "alipay_public_key_cert_string": merchant.alipay_certificate_pem,
            "alipay_root_cert_string": merchant.alipay_root_pem,
        }
    else:
        kind = "AliPay"
        arguments["alipay_public_key_string"] = merchant.alipay_public_key_pem
    async with Client.start(
        python, "client_python_alipay_sdk.py", kind=kind, gateway=merchant.gateway, arguments=arguments
    ) as client:
        yield client


@pytest.fixture(params=["public_key", "certificate"])
async def sdk(request, sim: Sandbox, python_alipay_sdk: Path) -> AsyncIterator[Client]:
    merchant = await sim.alipay.change_merchant(sim.alipay.merchant.app_id, ChangeAlipayMerchant(mode=request.param))
    async with _client(python_alipay_sdk, merchant) as client:
        yield client


async def test_32_33_37_precreate_query_before_and_after_the_scan(sim: Sandbox, sdk: Client) -> None:
    """Escaped slashes in qr_code (37) are part of what is signed."""
    said = await sdk.ask("api_alipay_trade_precreate", **ORDER)
    assert said["qr_code"].startswith(f"{sim.base_url}/alipay/q/")
    assert (await sim.alipay.trade("A1")).subject == ORDER["subject"]
    missing = await sdk.ask("api_alipay_trade_query", out_trade_no="A1")
    assert (missing["code"], missing["sub_code"]) == ("40004", "ACQ.TRADE_NOT_EXIST")
    await sim.alipay.pay(said["qr_code"])
    found = await sdk.ask("api_alipay_trade_query", out_trade_no="A1")
    assert (found["trade_status"], found["total_amount"]) == ("TRADE_SUCCESS", "1.00")


async def test_34_a_notice_is_verified_and_a_forged_amount_refused(sim: Sandbox, sdk: Client) -> None:
    async with Ear.listening() as ear:
        ear.script = ["fail"]
        await sdk.ask("api_alipay_trade_precreate", **ORDER, notify_url=ear.url)
        await sim.alipay.pay("A1")
        await sim.drain()
        await sim.advance(240)
        await sim.advance(86_400)
    assert len(ear.heard) == 2
    said = dict(parse_qsl(ear.heard[0].decode()))
    sign = said.pop("sign")
    assert await sdk.ask("verify", data=said, signature=sign) is True
    assert await sdk.ask("verify", data=said | {"total_amount": "0.01"}, signature=sign) is False


async def test_35_41_refunds(sim: Sandbox, sdk: Client) -> None:
    await sdk.ask("api_alipay_trade_precreate", **ORDER)
    await sim.alipay.pay("A1")
    refunds = [
        await sdk.ask("api_alipay_trade_refund", refund_amount=amount, out_trade_no="A1", out_request_no=number)
        for amount, number in (("0.30", "r1"), ("0.30", "r1"), ("0.20", "r2"))
    ]
    assert [(one["fund_change"], one["refund_fee"]) for one in refunds] == [("Y", "0.30"), ("N", "0.30"), ("Y", "0.50")]
    found = await sdk.ask("api_alipay_trade_fastpay_refund_query", out_request_no="r2", out_trade_no="A1")
    assert (found["refund_amount"], found["total_amount"]) == ("0.20", "1.00")
    empty = await sdk.ask("api_alipay_trade_fastpay_refund_query", out_request_no="r9", out_trade_no="A1")
    assert empty == {"code": "10000", "msg": "Success"}


@pytest.mark.parametrize(
    ("fault", "raised"),
    [
        ({"kind": "bad_signature"}, "AliPayValidationError"),
        ({"kind": "unsigned"}, "AliPayException"),
        ({"kind": "gateway_error"}, "AliPayException"),
        ({"kind": "40005"}, "AliPayException"),
        ({"kind": "garbage_body"}, "JSONDecodeError"),
        ({"kind": "html_body"}, "JSONDecodeError"),
        ({"kind": "empty_body"}, "JSONDecodeError"),
        ({"kind": "truncated_body"}, "IncompleteRead"),
        ({"kind": "5xx_before_commit"}, "HTTPError"),
        ({"kind": "drop_before_commit"}, "RemoteDisconnected"),
        ({"kind": "commit_then_drop_reply"}, "RemoteDisconnected"),
    ],
)
async def test_36_38_51_replies_that_are_not_what_they_should_be(sim, sdk, fault: dict[str, str], raised: str) -> None:
    await sdk.ask("api_alipay_trade_precreate", **ORDER)
    await sim.alipay.fault(Fault(operation="trade.query", **fault))
    with pytest.raises(Raised) as error:
        await sdk.ask("api_alipay_trade_query", out_trade_no="A1")
    assert error.value.kind == raised
    assert (await sdk.ask("api_alipay_trade_query", out_trade_no="A1"))["sub_code"] == "ACQ.TRADE_NOT_EXIST"


async def test_38_a_gateway_failure_of_an_unknown_app(sim: Sandbox, python_alipay_sdk: Path) -> None:
    import msgspec

    stranger = msgspec.structs.replace(sim.alipay.merchant, app_id="2021999999999999", mode="public_key")
    async with _client(python_alipay_sdk, stranger) as sdk:
        with pytest.raises(Raised, match=r"isv\.invalid-app-id"):
            await sdk.ask("api_alipay_trade_query", out_trade_no="A1")


async def test_39_transfers_in_certificate_mode_only(sim: Sandbox, sdk: Client) -> None:
    in_certificates = (await sim.alipay.merchants())[0].mode == "certificate"
    if not in_certificates:
        with pytest.raises(Raised, match="40006"):
            await sdk.ask("server_api", api_name="alipay.fund.trans.uni.transfer", biz_content={"out_biz_no": "T1"})
        return
    sent = [
        await sdk.ask("api_alipay_fund_trans_uni_transfer", out_biz_no="T1", trans_amount="10.00", **PAYEE)
        for _ in range(2)
    ]
    assert sent[0] == sent[1]
    assert (sent[0]["status"], len(await sim.alipay.transfers())) == ("SUCCESS", 1)
    other = await sdk.ask("api_alipay_fund_trans_uni_transfer", out_biz_no="T1", trans_amount="10.01", **PAYEE)
    assert other["sub_code"] == "PAYMENT_INFO_INCONSISTENCY"
    found = await sdk.ask(
        "server_api", api_name="alipay.fund.trans.common.query",
        biz_content={"out_biz_no": "T1", "product_code": "TRANS_ACCOUNT_NO_PWD", "biz_scene": "DIRECT_TRANSFER"},
    )  # fmt: skip
    assert (found["order_id"], found["status"]) == (sent[0]["order_id"], "SUCCESS")


async def test_39_certificate_numbers_are_computed_alike(sim: Sandbox, python_alipay_sdk: Path) -> None:
    merchant = sim.alipay.merchant
    async with _client(python_alipay_sdk, merchant) as sdk:
        said = await sdk.ask("attributes", names=["app_cert_sn", "alipay_root_cert_sn"])
        theirs = await sdk.ask("get_cert_sn", cert=merchant.alipay_certificate_pem)
    assert said == {"app_cert_sn": merchant.app_cert_sn, "alipay_root_cert_sn": merchant.alipay_root_cert_sn}
    assert theirs == merchant.alipay_cert_sn


@pytest.mark.parametrize(("call", "kind"), [("page", "page"), ("wap", "wap")])
async def test_40_a_signed_address_opens_the_cashier(sim: Sandbox, sdk: Client, call: str, kind: str) -> None:
    signed = await sdk.ask(f"api_alipay_trade_{call}_pay", **ORDER, return_url="https://shop.example.cn/done")
    quiet = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    async with httpx2.AsyncClient(trust_env=False, verify=quiet, follow_redirects=True) as browser:
        page = await browser.get(f"{sim.alipay.merchant.gateway}?{signed}")
        assert "¥ 1.00" in page.text
        forged = await browser.get(f"{sim.alipay.merchant.gateway}?{signed.replace('1.00', '0.01')}")
        assert "isv.invalid-signature" in forged.text
    assert (await sim.alipay.trade("A1")).kind == kind


async def test_a_bar_code_and_its_cancel(sim: Sandbox, sdk: Client) -> None:
    await sim.alipay.fault(Fault(operation="trade.pay", kind="user_paying"))
    said = await sdk.ask(
        "api_alipay_trade_pay", out_trade_no="B1", scene="bar_code", auth_code="28" + "3" * 16, subject="tea",
        total_amount="5.00",
    )  # fmt: skip
    assert said["code"] == "10003"
    assert (await sdk.ask("api_alipay_trade_query", out_trade_no="B1"))["trade_status"] == "WAIT_BUYER_PAY"
    assert (await sdk.ask("api_alipay_trade_cancel", out_trade_no="B1"))["action"] == "close"


async def test_its_own_bug_a_brace_in_a_text_breaks_its_reading(sim: Sandbox, sdk: Client) -> None:
    await sdk.ask("api_alipay_trade_precreate", **ORDER)
    await sim.alipay.pay("A1")
    reason = {"out_request_no": "r1", "refund_reason": "a } b"}
    await sdk.ask("api_alipay_trade_refund", refund_amount="1.00", out_trade_no="A1", **reason)
    with pytest.raises(Raised, match="AliPayValidationError"):
        await sdk.ask("api_alipay_trade_fastpay_refund_query", out_request_no="r1", out_trade_no="A1")
