"""Transfers at the simulated Alipay: refusals, states, limits, and what the app's gateway address hears."""

import json
from shutil import copytree

import pytest
from tael_sandbox_alipay import PAYEE, Door, Store

from tael_sandbox import ChangeAlipayMerchant, Fault, Refused, Sandbox
from tael_sandbox.alipay.merchants import Limits

CARD = {"identity": "6222000011112222", "identity_type": "BANKCARD_ACCOUNT", "name": "张三"}
TO_CARD = {"product_code": "TRANS_BANKCARD_NO_PWD", "payee_info": CARD}
DAY_S = 86_400


@pytest.mark.parametrize(
    ("changes", "outcome"),
    [
        ({}, "SUCCESS"),
        ({"trans_amount": "0.10"}, "SUCCESS"),
        ({"trans_amount": 10}, "SUCCESS"),
        (TO_CARD, "DEALING"),
        ({"payee_info": {"identity": "a@b.cn", "identity_type": "ALIPAY_LOGON_ID", "name": "张三"}}, "SUCCESS"),
        ({"payee_info": {"identity": "13800000000", "identity_type": "ALIPAY_LOGON_ID", "name": "张三"}}, "SUCCESS"),
        ({"payee_info": {"identity": "0123abc", "identity_type": "ALIPAY_OPEN_ID"}}, "SUCCESS"),
        ({"payee_info": PAYEE | {"name": None}}, "SUCCESS"),
        ({"payee_info": {"identity": "a@b.cn", "identity_type": "ALIPAY_LOGON_ID"}}, "PAYEE_USER_INFO_ERROR"),
        ({"payee_info": PAYEE | {"identity": "1"}}, "PAYEE_NOT_EXIST"),
        ({"payee_info": PAYEE | {"identity_type": "PASSPORT"}}, "INVALID_PARAMETER"),
        ({"trans_amount": "0.09"}, "EXCEED_LIMIT_SM_MIN_AMOUNT"),
        ({"trans_amount": "500000.01"}, "EXCEED_LIMIT_SM_AMOUNT"),
        ({"trans_amount": "100000.01"}, "PAYER_BALANCE_NOT_ENOUGH"),
        ({"trans_amount": "ten"}, "INVALID_PARAMETER"),
        ({"trans_amount": "1.001"}, "INVALID_PARAMETER"),
        ({"out_biz_no": "a-b"}, "INVALID_PARAMETER"),
        ({"order_title": ""}, "INVALID_PARAMETER"),
        ({"product_code": "STD_RED_PACKET"}, "INVALID_PARAMETER"),
        ({"biz_scene": "PERSONAL_PAY"}, "INVALID_PARAMETER"),
    ],
)
async def test_sending(sim: Sandbox, store: Store, changes: dict[str, object], outcome: str) -> None:
    said = await store.transfer(**changes)
    assert (said.get("status") or said["sub_code"]) == outcome
    sent = outcome in ("SUCCESS", "DEALING")
    assert len(await sim.alipay.transfers()) == sent
    left = (await sim.alipay.merchants())[0].balance_minor
    assert (left < sim.alipay.merchant.balance_minor) == sent


async def test_the_same_number(sim: Sandbox, store: Store) -> None:
    first = await store.transfer()
    assert await store.transfer() == first
    assert (len(str(first["order_id"])), len(await sim.alipay.transfers())) == (32, 1)
    for change in ({"trans_amount": "10.01"}, {"order_title": "gift"}, {"payee_info": PAYEE | {"name": "x"}}):
        assert (await store.transfer(**change))["sub_code"] == "PAYMENT_INFO_INCONSISTENCY"
    assert (await sim.alipay.merchants())[0].balance_minor == 10_000_000 - 1_000


async def test_a_refused_number_may_be_sent_again(sim: Sandbox, store: Store) -> None:
    assert (await store.transfer(trans_amount="100000.01"))["sub_code"] == "PAYER_BALANCE_NOT_ENOUGH"
    assert await store.code("fund.trans.common.query", {"out_biz_no": "T1"}) == "ORDER_NOT_EXIST"
    await sim.alipay.top_up(1)
    assert (await store.transfer(trans_amount="100000.01"))["status"] == "SUCCESS"


async def test_limits_of_a_day_and_a_month(sim: Sandbox, store: Store) -> None:
    limits = Limits(single_minor=1_000, day_minor=2_000, month_minor=3_000)
    await sim.alipay.change_merchant(store.merchant.app_id, ChangeAlipayMerchant(limits=limits))
    assert (await store.transfer(trans_amount="10.01"))["sub_code"] == "EXCEED_LIMIT_SM_AMOUNT"
    for number in ("T1", "T2"):
        assert (await store.transfer(out_biz_no=number, **TO_CARD))["status"] == "DEALING"
    assert (await store.transfer(out_biz_no="T3"))["sub_code"] == "EXCEED_LIMIT_DM_MAX_AMOUNT"
    await sim.alipay.fail_transfer("T2")
    assert (await store.transfer(out_biz_no="T3"))["status"] == "SUCCESS"
    await sim.advance(DAY_S)
    assert (await store.transfer(out_biz_no="T4"))["status"] == "SUCCESS"
    assert (await store.transfer(out_biz_no="T5"))["sub_code"] == "EXCEED_LIMIT_MM_MAX_AMOUNT"


@pytest.mark.parametrize(
    ("steps", "status", "left"),
    [
        (("settle_transfer",), "SUCCESS", 9_999_000),
        (("fail_transfer",), "FAIL", 10_000_000),
        (("close_transfer",), "CLOSED", 10_000_000),
        (("settle_transfer", "return_transfer"), "REFUND", 10_000_000),
    ],
)
async def test_how_a_transfer_goes_on(
    sim: Sandbox, store: Store, door: Door, steps: tuple[str, ...], status: str, left: int
) -> None:
    await sim.alipay.change_merchant(store.merchant.app_id, ChangeAlipayMerchant(gateway_url=door.url))
    sent = await store.transfer(**TO_CARD)
    for step in steps:
        await getattr(sim.alipay, step)("T1")
        await sim.drain()
    for step in ("settle_transfer", "fail_transfer", "close_transfer"):
        with pytest.raises(Refused):
            await getattr(sim.alipay, step)("T1")
    found = await store.ask("fund.trans.common.query", {"order_id": sent["order_id"]})
    assert (found["status"], found["trans_amount"], "error_code" in found) == (status, "10.00", status != "SUCCESS")
    assert await store.ask("fund.trans.common.query", {"out_biz_no": "T1"}) == found
    assert (await store.transfer(**TO_CARD))["status"] == status
    assert (await sim.alipay.merchants())[0].balance_minor == left
    assert (await sim.book()).sum_minor == 0
    heard = store.hears(door.heard[-1])
    assert (len(door.heard), heard["msg_method"]) == (len(steps), "alipay.fund.trans.order.changed")
    told = json.loads(heard["biz_content"])
    assert (told["out_biz_no"], told["status"], told["trans_amount"]) == ("T1", status, "10.00")


@pytest.mark.parametrize(("kind", "status"), [("dealing", "DEALING"), ("wait_pay", "WAIT_PAY"), ("fail", "FAIL")])
async def test_a_fault_decides_how_it_starts(sim: Sandbox, store: Store, kind: str, status: str) -> None:
    await sim.alipay.fault(Fault(operation="fund.trans.uni.transfer", kind=kind))
    for _ in range(2):
        assert (await store.transfer())["status"] == status
    left = (await sim.alipay.merchants())[0].balance_minor
    assert left == (10_000_000 if status == "FAIL" else 9_999_000)


async def test_the_balance(sim: Sandbox, store: Store) -> None:
    asked = {"alipay_user_id": store.merchant.seller_id, "account_type": "ACCTRANS_ACCOUNT"}
    await store.transfer()
    said = await store.ask("fund.account.query", asked)
    assert (said["available_amount"], said["freeze_amount"]) == ("99990.00", "0.00")
    assert await store.code("fund.account.query", asked | {"alipay_user_id": "2088000000000000"}) == "INVALID_PARAMETER"


async def test_who_is_told_is_settled_when_it_happens(tmp_path, prepared, door: Door) -> None:
    """A transfer from before the address was known stays untold, also after a restart."""
    copytree(prepared, tmp_path / "sim")
    for number in ("T1", "T2"):
        async with Sandbox.start(tmp_path / "sim") as sim:
            store = Store((await sim.alipay.merchants())[0])
            async with store.http:
                await store.transfer(out_biz_no=number)
                await sim.drain()
                await sim.alipay.change_merchant(store.merchant.app_id, ChangeAlipayMerchant(gateway_url=door.url))
    async with Sandbox.start(tmp_path / "sim") as sim:
        await sim.drain()
        assert [one.out_trade_no for one in (await sim.deliveries()).pending] == []
    assert [json.loads(store.hears(one)["biz_content"])["out_biz_no"] for one in door.heard] == ["T2"]
