"""The public SDK wechatpayv3, unmodified, against the sandbox: an independent opinion on every signature and seal.

Nothing in the SDK is patched or assigned. It believes it talks to https://api.mch.weixin.qq.com: its own ``proxy``
argument leads to the sandbox's CONNECT proxy, and REQUESTS_CA_BUNDLE makes its HTTP library trust the sandbox's
authority. The numbers W1 ... W51 are those of the conformance list.
"""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests
from peers_wechatpayv3 import Notices, settings
from wechatpayv3 import WeChatPay, WeChatPayType

from tael_sandbox import ChangeMerchant, Fault, JsapiParams, NewMerchant, Sandbox

NUMBER = "W0000000001"
FEN_100 = {"total": 100, "currency": "CNY"}


@dataclass
class Desk:
    """A sandbox on real time, and how to make SDK clients for its merchant."""

    sim: Sandbox
    proxy_url: str
    notices: Notices

    async def client(self, *, kind: str = "public_key", **changes: object) -> WeChatPay:
        said = settings(self.sim.merchant, kind=kind, notify_url=self.notices.url) | {"timeout": 20} | changes
        return await asyncio.to_thread(
            lambda: WeChatPay(wechatpay_type=WeChatPayType.NATIVE, proxy={"https": self.proxy_url}, **said)
        )


@pytest.fixture
async def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Desk]:
    async with (
        Sandbox.start(tmp_path, seed="peers", merchant=NewMerchant(mode="both")) as sim,
        sim.tunnel() as tunnel,
        Notices.listening() as notices,
    ):
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tunnel.ca_path))
        yield Desk(sim, tunnel.proxy_url, notices)


async def ask(function: object, *args: object, **named: object) -> tuple[int, dict[str, object]]:
    """Run a blocking SDK call beside the event loop; status and decoded body."""
    status, body = await asyncio.to_thread(function, *args, **named)
    return status, json.loads(body) if body else {}


async def order(pay: WeChatPay, number: str = NUMBER, **changes: object) -> tuple[int, dict[str, object]]:
    said = {"description": "coffee", "out_trade_no": number, "amount": FEN_100} | changes
    return await ask(pay.pay, **said)


async def test_w1_w24_native_order_with_nothing_modified(desk: Desk) -> None:
    status, said = await order(await desk.client())
    assert (status, said["code_url"][:29]) == (200, "weixin://wxpay/bizpayurl?pr=" + said["code_url"][28])
    assert (await desk.sim.order(NUMBER)).total_minor == 100


@pytest.mark.parametrize("text", ["图书", 'a "quoted" one', "back\\slash", "emoji 🧧 50%", "line\nbreak"])
async def test_w2_any_description_verifies(desk: Desk, text: str) -> None:
    assert (await order(await desk.client(), description=text))[0] == 200
    assert (await desk.sim.order(NUMBER)).description == text


async def test_w3_the_serial_header_selects_the_key(desk: Desk) -> None:
    """A client that only knows the public key accepts the reply: the platform must have signed with it."""
    pay = await desk.client(kind="public_key")
    await order(pay)
    assert (await ask(pay.query, out_trade_no=NUMBER))[0] == 200
    assert (await desk.sim.requests()).counts.get("certificates") is None


async def test_w4_w5_query_and_notice(desk: Desk) -> None:
    pay = await desk.client()
    await order(pay)
    assert (await ask(pay.query, out_trade_no=NUMBER))[1]["trade_state"] == "NOTPAY"
    await desk.sim.pay(NUMBER)
    await desk.sim.drain()
    status, said = await ask(pay.query, out_trade_no=NUMBER)
    assert (status, said["trade_state"]) == (200, "SUCCESS")
    assert (await ask(pay.query, transaction_id=said["transaction_id"]))[1] == said
    told = pay.callback(*desk.notices.heard[0])
    assert (told["event_type"], told["resource"]) == ("TRANSACTION.SUCCESS", said)
    await desk.sim.advance(2 * 86_400)
    assert len(desk.notices.heard) == 1


async def test_w6_close_gives_204_with_a_signature_over_nothing(desk: Desk) -> None:
    pay = await desk.client()
    await order(pay)
    assert await ask(pay.close, NUMBER) == (204, {})
    assert (await ask(pay.query, out_trade_no=NUMBER))[1]["trade_state"] == "CLOSED"


async def test_w7_a_paid_order_is_not_closed(desk: Desk) -> None:
    pay = await desk.client()
    await order(pay)
    await desk.sim.pay(NUMBER)
    status, said = await ask(pay.close, NUMBER)
    assert (status, said["code"]) == (400, "ORDERPAID")


async def test_w10_a_tampered_reply_is_rejected(desk: Desk) -> None:
    pay = await desk.client()
    await desk.sim.fault(Fault(operation="create", kind="bad_signature"))
    with pytest.raises(Exception, match="failed to verify the signature"):
        await order(pay)


async def test_w11_a_tampered_notice_is_rejected_and_comes_again_on_schedule(desk: Desk) -> None:
    pay = await desk.client()
    desk.notices.refuse_unless(pay.callback)
    await desk.sim.fault(Fault(operation="notify", kind="bad_signature", count=3))
    await order(pay)
    began = await desk.sim.set_clock(mode="manual")
    await desk.sim.pay(NUMBER)
    await desk.sim.drain()
    await desk.sim.advance(86_400)
    tried = (await desk.sim.deliveries()).tried
    assert [(one.status, (one.at_ms - began.now_ms) // 1000) for one in tried] == [
        (401, 0),
        (401, 15),
        (401, 30),
        (204, 60),
    ]


async def test_w12_certificate_mode_downloads_and_opens_the_certificate(desk: Desk) -> None:
    pay = await desk.client(kind="certificate")
    assert (await order(pay))[0] == 200
    assert (await desk.sim.requests()).counts["certificates"] == 1


async def test_w13_after_rotation_it_downloads_again(desk: Desk) -> None:
    pay = await desk.client(kind="certificate")
    await desk.sim.rotate()
    assert (await order(pay))[0] == 200
    assert (await desk.sim.requests()).counts["certificates"] == 2


async def test_w14_in_an_overlap_either_certificate_signs(desk: Desk) -> None:
    await desk.sim.change_merchant(desk.sim.merchant.mchid, ChangeMerchant(notify_by_public_key=0))
    await desk.sim.rotate("add")
    pay = await desk.client(kind="certificate")
    await order(pay)
    await desk.sim.rotate("switch")
    assert (await ask(pay.query, out_trade_no=NUMBER))[0] == 200
    await desk.sim.pay(NUMBER)
    await desk.sim.drain()
    assert pay.callback(*desk.notices.heard[0])["resource"]["out_trade_no"] == NUMBER
    assert (await desk.sim.requests()).counts["certificates"] == 1


async def test_w15_a_wrong_merchant_serial(desk: Desk) -> None:
    status, said = await order(await desk.client(cert_serial_no="ABCDEF0123456789"))
    assert (status, said["code"]) == (401, "SIGN_ERROR")


async def test_w16_an_unknown_order(desk: Desk) -> None:
    status, said = await ask((await desk.client()).query, out_trade_no="W0000000009")
    assert (status, said["code"]) == (404, "ORDER_NOT_EXIST")


async def test_w26_jsapi_parameters_open_the_clients_cashier(desk: Desk) -> None:
    pay = await desk.client()
    said = (await order(pay, payer={"openid": "o1"}, pay_type=WeChatPayType.JSAPI))[1]
    appid, stamp, package = desk.sim.merchant.appid, str(int(time.time())), f"prepay_id={said['prepay_id']}"
    sign = pay.sign([appid, stamp, "n0", package])
    opened = await desk.sim.open_jsapi(
        JsapiParams(appId=appid, timeStamp=stamp, nonceStr="n0", package=package, signType="RSA", paySign=sign)
    )
    assert (opened.out_trade_no, opened.method) == (NUMBER, "jsapi")


@pytest.mark.parametrize(
    ("pay_type", "more", "answer"),
    [
        (WeChatPayType.APP, {}, "prepay_id"),
        (WeChatPayType.MINIPROG, {"payer": {"openid": "o1"}}, "prepay_id"),
        (WeChatPayType.H5, {"scene_info": {"payer_client_ip": "1.2.3.4", "h5_info": {"type": "Wap"}}}, "h5_url"),
    ],
)
async def test_the_other_ways_to_pay(desk: Desk, pay_type: object, more: dict[str, object], answer: str) -> None:
    status, said = await order(await desk.client(), pay_type=pay_type, **more)
    assert (status, list(said)) == (200, [answer])


async def test_w27_the_same_order_again(desk: Desk) -> None:
    pay = await desk.client()
    first = await order(pay)
    assert await order(pay) == first
    status, said = await order(pay, amount={"total": 101})
    assert (status, said["code"]) == (403, "OUT_TRADE_NO_USED")


async def test_w28_a_closed_order_is_not_placed_again(desk: Desk) -> None:
    pay = await desk.client()
    await order(pay)
    await ask(pay.close, NUMBER)
    status, said = await order(pay)
    assert (status, said["code"]) == (400, "ORDER_CLOSED")


@pytest.mark.parametrize(
    ("fault", "outcome"),
    [
        ({"kind": "429"}, (429, "FREQUENCY_LIMITED")),
        ({"kind": "5xx_after_commit"}, (500, "SYSTEM_ERROR")),
        ({"kind": "drop_before_commit"}, requests.ConnectionError),
        ({"kind": "commit_then_drop_reply"}, requests.ConnectionError),
        ({"kind": "truncated_body"}, requests.exceptions.ChunkedEncodingError),
        ({"kind": "delay_ms", "delay_ms": 600}, requests.ReadTimeout),
    ],
)
async def test_w51_what_the_sdk_shows_of_each_fault(desk: Desk, fault: dict[str, object], outcome: object) -> None:
    pay = await desk.client(timeout=0.2 if fault["kind"] == "delay_ms" else 20)
    await desk.sim.fault(Fault(operation="create", **fault))
    if isinstance(outcome, tuple):
        status, said = await order(pay)
        assert (status, said["code"]) == outcome
    else:
        with pytest.raises(outcome):
            await order(pay)


async def test_w51_an_unsigned_reply_is_rejected(desk: Desk) -> None:
    pay = await desk.client()
    await desk.sim.fault(Fault(operation="create", kind="unsigned"))
    with pytest.raises(Exception, match="does not support this algorithm"):
        await order(pay)


async def test_a_pipe_in_the_number_shows_the_sdks_own_defect(desk: Desk) -> None:
    """It signs the path unencoded while its HTTP library encodes it: the sandbox judges the wire, so this is 401."""
    pay = await desk.client()
    assert (await order(pay, "W|00000001"))[0] == 200
    assert (await ask(pay.query, out_trade_no="W|00000001"))[0] == 401


async def test_w8_a_refund_with_the_same_number_is_the_same_refund(desk: Desk) -> None:
    pay = await desk.client()
    await order(pay)
    await desk.sim.pay(NUMBER)
    amount = {"refund": 30, "total": 100, "currency": "CNY"}
    status, first = await ask(pay.refund, out_refund_no="R0000000001", out_trade_no=NUMBER, amount=amount)
    assert (status, first["status"]) == (200, "PROCESSING")
    again = await ask(pay.refund, out_refund_no="R0000000001", out_trade_no=NUMBER, amount=amount)
    assert again[1]["refund_id"] == first["refund_id"]
    other = await ask(pay.refund, out_refund_no="R0000000001", out_trade_no=NUMBER, amount=amount | {"refund": 31})
    assert (other[0], other[1]["code"]) == (400, "INVALID_REQUEST")
    await desk.sim.settle_refund("R0000000001")
    status, said = await ask(pay.query_refund, "R0000000001")
    assert (status, said["status"], said["refund_id"]) == (200, "SUCCESS", first["refund_id"])


async def test_w9_a_refund_notice_is_verified_and_opened(desk: Desk) -> None:
    pay = await desk.client()
    await order(pay)
    await desk.sim.pay(NUMBER)
    await desk.sim.drain()
    amount = {"refund": 30, "total": 100, "currency": "CNY"}
    await ask(pay.refund, out_refund_no="R0000000001", out_trade_no=NUMBER, amount=amount)
    await desk.sim.settle_refund("R0000000001")
    await desk.sim.drain()
    told = pay.callback(*desk.notices.heard[-1])
    assert (told["event_type"], told["resource"]["refund_status"]) == ("REFUND.SUCCESS", "SUCCESS")
    assert (told["resource"]["out_refund_no"], told["resource"]["amount"]["refund"]) == ("R0000000001", 30)


def bill(number: str = "B0000000001", **changes: object) -> dict[str, object]:
    """Arguments of the SDK for a transfer of 50.00."""
    reports = [{"info_type": "活动名称", "info_content": "提现"}]
    return {
        "out_bill_no": number, "transfer_scene_id": "1000", "openid": "oUser1", "transfer_amount": 5_000,
        "transfer_remark": "提现", "transfer_scene_report_infos": reports,
    } | changes  # fmt: skip


@pytest.mark.filterwarnings("ignore:Properties that return a na")  # of the SDK, in certificate mode
@pytest.mark.parametrize("kind", ["public_key", "certificate"])
async def test_w20_the_encrypted_name_is_opened_and_compared(desk: Desk, kind: str) -> None:
    await desk.sim.change_merchant(desk.sim.merchant.mchid, ChangeMerchant(mode=kind))
    pay = await desk.client(kind=kind)
    await desk.sim.name_user("oUser1", "张三")
    status, said = await ask(pay.mch_transfer_bills, **bill(user_name="张三"))
    assert (status, said["state"]) == (200, "WAIT_USER_CONFIRM")
    assert (await desk.sim.transfers())[0].user_name == "张三"
    await desk.sim.confirm_transfer("B0000000001")
    await desk.sim.drain()
    told = pay.callback(*desk.notices.heard[-1])
    assert (told["event_type"], told["resource"]["state"]) == ("MCHTRANSFER.BILL.FINISHED", "SUCCESS")
    by_theirs = await ask(pay.mch_transfer_bills_query, transfer_bill_no=said["transfer_bill_no"])
    assert by_theirs == await ask(pay.mch_transfer_bills_query, out_bill_no="B0000000001")
    await ask(pay.mch_transfer_bills, **bill("B0000000002", user_name="李四"))
    await desk.sim.advance(5)
    said = (await ask(pay.mch_transfer_bills_query, out_bill_no="B0000000002"))[1]
    assert (said["state"], said["fail_reason"]) == ("FAIL", "NAME_NOT_CORRECT")


async def test_w21_small_transfers_carry_no_name_and_large_ones_must(desk: Desk) -> None:
    pay = await desk.client()
    status, _ = await ask(pay.mch_transfer_bills, **bill(transfer_amount=29, user_name="张三"))
    assert (status, (await desk.sim.transfers())[0].user_name) == (200, "")
    with pytest.raises(Exception, match="user_name is not assigned"):
        await ask(pay.mch_transfer_bills, **bill("B0000000002", transfer_amount=200_000))
    status, _ = await ask(pay.mch_transfer_bills, **bill("B0000000002", transfer_amount=200_000, user_name="张三"))
    assert status == 200


async def test_w22_cancelling_signs_an_empty_body(desk: Desk) -> None:
    pay = await desk.client()
    await ask(pay.mch_transfer_bills, **bill())
    status, said = await ask(pay.mch_transfer_bills_cancel, "B0000000001")
    assert (status, said["state"]) == (200, "CANCELING")
    await desk.sim.advance(5)
    assert (await ask(pay.mch_transfer_bills_query, out_bill_no="B0000000001"))[1]["state"] == "CANCELLED"
