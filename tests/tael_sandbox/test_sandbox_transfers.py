"""Transfers to users at the simulated WeChat Pay: what is accepted, how they end, where the money is, what is told."""

import asyncio
import base64
import json
from pathlib import Path
from shutil import copytree

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, OAEP
from cryptography.hazmat.primitives.hashes import SHA1
from tael_sandbox_shop import BILLS, NOON_MS, ORDER, TRANSFER, Ear, Shop

from tael_sandbox import ChangeMerchant, Fault, NewMerchant, Refused, Sandbox, SandboxProcess
from tael_sandbox.wechat.merchants import Quota

NUMBER = TRANSFER["out_bill_no"]
DAY_S = 86_400


async def balance(sim: Sandbox, name: str = "") -> int:
    return (await sim.book()).balances.get(name or f"merchant/{sim.merchant.mchid}", 0)


async def test_a_transfer_waits_for_the_user_and_is_paid_when_confirmed(sim: Sandbox, shop: Shop) -> None:
    reply = await shop.transfer()
    said = reply.json()
    assert (reply.status_code, said["state"], said["out_bill_no"]) == (200, "WAIT_USER_CONFIRM", NUMBER)
    assert said["package_info"]
    assert shop.genuine(reply.headers, reply.content)
    assert (await balance(sim), await balance(sim, "transfers")) == (99_995_000, 5_000)
    await sim.confirm_transfer(NUMBER)
    bill = await shop.bill()
    assert (bill["state"], bill["transfer_amount"], bill["mch_id"]) == ("SUCCESS", 5_000, sim.merchant.mchid)
    assert "package_info" not in bill
    assert (await balance(sim, "transfers"), await balance(sim, "users")) == (0, 5_000)
    by_theirs = await shop.call("GET", f"{BILLS}/transfer-bill-no/{said['transfer_bill_no']}")
    assert by_theirs.json() == bill
    with pytest.raises(Refused):
        await sim.fail_transfer(NUMBER)


async def test_the_same_number_is_the_same_transfer(sim: Sandbox, shop: Shop) -> None:
    first = (await shop.transfer(name="张三")).json()
    assert (await shop.transfer(name="张三")).json() == first, "though the sealed name looks different each time"
    await sim.confirm_transfer(NUMBER)
    again = (await shop.transfer(name="张三")).json()
    assert (again["transfer_bill_no"], again["state"]) == (first["transfer_bill_no"], "SUCCESS")
    assert len(await sim.transfers()) == 1
    assert await balance(sim) == 99_995_000


@pytest.mark.parametrize(
    "change",
    [{"transfer_amount": 5_001}, {"openid": "oUser2"}, {"transfer_remark": "other"}, {"name": "李四"}, {"name": None}],
)
async def test_the_same_number_with_other_content(shop: Shop, change: dict[str, object]) -> None:
    await shop.transfer(name="张三")
    reply = await shop.transfer(**({"name": "张三"} | change))
    assert (reply.status_code, reply.json()["code"]) == (400, "INVALID_REQUEST")


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"out_bill_no": "B_1"}, "PARAM_ERROR"),
        ({"out_bill_no": "B" * 33}, "PARAM_ERROR"),
        ({"transfer_amount": 0}, "PARAM_ERROR"),
        ({"transfer_remark": "字" * 33}, "PARAM_ERROR"),
        ({"transfer_scene_id": None}, "PARAM_ERROR"),
        ({"transfer_scene_report_infos": []}, "PARAM_ERROR"),
        ({"openid": ""}, "PARAM_ERROR"),
        ({"appid": "wx1"}, "APPID_MCHID_NOT_MATCH"),
        ({"notify_url": "https://shop.example.cn/n?a=1"}, "PARAM_ERROR"),
        ({"transfer_amount": 200_000}, "PARAM_ERROR"),
        ({"transfer_amount": 200_000, "name": "张三"}, None),
        ({"transfer_amount": 199_999}, None),
        ({"transfer_amount": 29, "name": "张三"}, "PARAM_ERROR"),
        ({"transfer_amount": 29}, None),
        ({"user_name": "AAAA"}, "PARAM_ERROR"),
        ({"user_name": "张三"}, "PARAM_ERROR"),
        ({"transfer_amount": 100_000_001, "name": "张三"}, "NOT_ENOUGH"),
    ],
)
async def test_what_is_accepted(sim: Sandbox, shop: Shop, change: dict[str, object], code: str | None) -> None:
    reply = await shop.transfer(**change)
    assert (reply.json().get("code"), reply.status_code == 200) == (code, code is None)
    assert bool(await sim.transfers()) == (code is None)
    assert (await sim.book()).sum_minor == 0


async def test_the_key_that_the_name_is_sealed_for(sim: Sandbox, shop: Shop) -> None:
    """The certificate's key works under its serial, and under no other."""
    served = shop.merchant.platform_certificates[0]
    key = x509.load_pem_x509_certificate(served.pem.encode()).public_key()
    sealed = base64.b64encode(key.encrypt("张三".encode(), OAEP(MGF1(SHA1()), SHA1(), None))).decode()
    body = {"appid": shop.merchant.appid, **TRANSFER, "user_name": sealed}
    for serial, status in ((shop.merchant.public_key_id, 400), ("7777", 400), ("", 400), (served.serial, 200)):
        assert (await shop.call("POST", BILLS, body, **{"Wechatpay-Serial": serial})).status_code == status
    assert (await sim.transfers())[0].user_name == "张三"


async def test_a_poor_merchant_pays_after_topping_up_with_the_same_number(sim: Sandbox, shop: Shop) -> None:
    await sim.draw_down(99_995_001)
    assert (await shop.transfer()).json()["code"] == "NOT_ENOUGH"
    assert (await shop.bill())["code"] == "NOT_FOUND"
    await sim.top_up(1)
    assert (await shop.transfer()).json()["state"] == "WAIT_USER_CONFIRM"
    with pytest.raises(Refused):
        await sim.draw_down(1)


async def test_a_wrong_name_fails_and_the_right_one_does_not(sim: Sandbox, shop: Shop) -> None:
    await sim.name_user("oUser1", "张三")
    assert (await shop.transfer(name="李四")).json()["state"] == "ACCEPTED"
    await shop.transfer(out_bill_no="B2", name="张三")
    await sim.advance(5)
    bill = await shop.bill()
    assert (bill["state"], bill["fail_reason"]) == ("FAIL", "NAME_NOT_CORRECT")
    assert (await shop.bill("B2"))["state"] == "WAIT_USER_CONFIRM"
    assert await balance(sim) == 99_995_000


async def test_unconfirmed_for_a_day_it_fails(sim: Sandbox, shop: Shop) -> None:
    await shop.transfer()
    await sim.advance(DAY_S - 1)
    shop.now += DAY_S - 1
    assert (await shop.bill())["state"] == "WAIT_USER_CONFIRM"
    await sim.advance(1)
    bill = await shop.bill()
    assert (bill["state"], bill["fail_reason"]) == ("FAIL", "OVERDUE_CLOSE")
    assert (await balance(sim), await balance(sim, "transfers")) == (100_000_000, 0)


async def test_cancelling_is_heard_first_and_done_later(sim: Sandbox, shop: Shop) -> None:
    assert (await shop.cancel()).json()["code"] == "NOT_FOUND"
    await shop.transfer()
    for _ in range(2):
        reply = await shop.cancel()
        assert (reply.status_code, reply.json()["state"]) == (200, "CANCELING")
    assert await balance(sim) == 99_995_000
    await sim.advance(5)
    assert (await shop.bill())["state"] == "CANCELLED"
    assert await balance(sim) == 100_000_000
    assert (await shop.cancel()).json()["state"] == "CANCELLED"


async def test_the_user_may_be_faster_than_the_cancellation(sim: Sandbox, shop: Shop) -> None:
    await shop.transfer()
    await shop.cancel()
    await sim.confirm_transfer(NUMBER)
    await sim.advance(5)
    assert (await shop.bill())["state"] == "SUCCESS"
    assert (await shop.cancel()).json()["code"] == "INVALID_REQUEST"


@pytest.mark.parametrize("state", ["ACCEPTED", "PROCESSING", "WAIT_USER_CONFIRM", "TRANSFERING"])
async def test_every_state_that_is_not_final_can_be_shown_and_cancelled(sim: Sandbox, shop: Shop, state: str) -> None:
    await shop.transfer()
    await sim.move_transfer(NUMBER, state)
    assert (await shop.bill())["state"] == state
    assert (await shop.cancel()).json()["state"] == "CANCELING"


QUOTAS = [
    ({"single_minor": 5_000}, [None, None, None]),
    ({"single_minor": 4_999}, ["TRANSFER_QUOTA_EXCEED"] * 3),
    ({"payee_day_count": 1}, [None, "DAY_RECEIVED_COUNT_EXCEED", None]),
    ({"payee_day_minor": 9_999}, [None, "DAY_RECEIVED_QUOTA_EXCEED", None]),
    ({"day_minor": 10_000}, [None, None, "TRANSFER_QUOTA_EXCEED"]),
]


@pytest.mark.parametrize(("quota", "reasons"), QUOTAS)
async def test_quotas_of_a_day(sim: Sandbox, shop: Shop, quota: dict[str, int], reasons: list[str | None]) -> None:
    """Two transfers to one user, one to another; the next day all of them again."""
    await sim.change_merchant(sim.merchant.mchid, ChangeMerchant(quota=Quota(**quota)))
    for day in range(2):
        for index, openid in enumerate(("oUser1", "oUser1", "oUser2")):
            await shop.transfer(out_bill_no=f"B{day}{index}", openid=openid)
        await sim.advance(5)
        said = [(await shop.bill(f"B{day}{index}")).get("fail_reason") for index in range(3)]
        assert said == reasons
        await sim.advance(DAY_S - 5)
        shop.now += DAY_S


async def test_bills_are_kept_for_thirty_days(sim: Sandbox, shop: Shop) -> None:
    await shop.transfer()
    await sim.confirm_transfer(NUMBER)
    await sim.advance(30 * DAY_S)
    shop.now += 30 * DAY_S
    assert (await shop.bill())["state"] == "SUCCESS"
    await sim.advance(1)
    assert (await shop.bill())["code"] == "NOT_FOUND"


async def test_merchants_do_not_see_each_others_bills(sim: Sandbox, shop: Shop) -> None:
    mine = (await shop.transfer()).json()["transfer_bill_no"]
    other = Shop(await sim.create_merchant(NewMerchant(balance_minor=0)), now=shop.now)
    async with other.http:
        assert (await other.bill())["code"] == "NOT_FOUND"
        assert (await other.call("GET", f"{BILLS}/transfer-bill-no/{mine}")).json()["code"] == "NOT_FOUND"
        assert (await other.cancel()).json()["code"] == "NOT_FOUND"
        assert (await other.transfer()).json()["code"] == "NOT_ENOUGH"


@pytest.mark.parametrize(
    ("act", "word", "reason"),
    [
        ("confirm_transfer", "SUCCESS", None),
        ("fail_transfer", "FAIL", "OTHER_FAIL_REASON_TYPE"),
        ("cancel_transfer", "CANCELLED", None),
    ],
)
async def test_what_the_merchant_is_told(sim, shop, ear: Ear, act: str, word: str, reason: str | None) -> None:
    ear.script = [500]
    await shop.transfer(notify_url=ear.url)
    await getattr(sim, act)(NUMBER)
    await sim.advance(15)
    envelope, told = json.loads(ear.heard[0].body), shop.read(ear.heard[0])
    assert (envelope["event_type"], envelope["resource"]["original_type"]) == (
        "MCHTRANSFER.BILL.FINISHED",
        "mch_payment",
    )
    assert (told["state"], told.get("fail_reason"), told["out_bill_no"]) == (word, reason, NUMBER)
    assert (told["mch_id"], told["transfer_amount"], "appid" in told) == (sim.merchant.mchid, 5_000, False)
    assert len(ear.heard) == 2
    await sim.advance(2 * DAY_S)
    assert len(ear.heard) == 2


@pytest.mark.parametrize(
    ("kind", "field", "lie"),
    [
        ("wrong_amount", "transfer_amount", 5_001),
        ("wrong_mchid", "mch_id", "1900000000"),
        ("other_order", "out_bill_no", "X0000000001"),
    ],
)
async def test_a_lie_in_a_notice(sim, shop, ear, kind: str, field: str, lie: object) -> None:
    await sim.fault(Fault(operation="notify", kind=kind))
    await shop.transfer(notify_url=ear.url)
    await sim.confirm_transfer(NUMBER)
    await sim.drain()
    assert shop.read(ear.heard[0])[field] == lie
    assert shop.genuine(ear.heard[0].headers, ear.heard[0].body)


async def test_the_user_confirms_after_a_restart(tmp_path: Path, prepared: Path, ear: Ear) -> None:
    folder = tmp_path / "sim"
    copytree(prepared, folder)
    async with Sandbox.start(folder) as sim:
        await sim.set_clock(mode="manual", now_ms=NOON_MS)
        shop = Shop(sim.merchant, now=NOON_MS // 1000)
        async with shop.http:
            await sim.name_user("oUser1", "张三")
            await shop.transfer(notify_url=ear.url)
            await shop.transfer(out_bill_no="B2", notify_url=ear.url)
            await shop.transfer(out_bill_no="B3", name="李四")
            await shop.cancel("B2")
            await sim.confirm_transfer(NUMBER)
            before = (await sim.transfers(), await sim.book())
    async with Sandbox.start(folder) as sim:
        assert (await sim.transfers(), await sim.book()) == before
        await sim.advance(5)
        assert [one.state for one in await sim.transfers()] == ["SUCCESS", "CANCELLED", "FAIL"]
        assert await balance(sim) == 99_995_000
        assert {json.loads(one.body)["event_type"] for one in ear.heard} == {"MCHTRANSFER.BILL.FINISHED"}
        assert len(ear.heard) == 2


async def test_what_was_accepted_survives_kill_9(tmp_path: Path, prepared: Path) -> None:
    """Killed right after the answers: transfer, refund and their money are there, and repeating adds nothing."""
    copytree(prepared, tmp_path / "sim")
    async with SandboxProcess.start(tmp_path / "sim") as sim:
        shop = Shop(sim.merchant)
        async with shop.http:
            await shop.order()
            await sim.pay(ORDER["out_trade_no"])
            refunded, accepted = (await shop.refund()).json(), (await shop.transfer()).json()
            await sim.kill()
            await sim.restart()
            assert (await shop.refund()).json()["refund_id"] == refunded["refund_id"]
            assert (await shop.transfer()).json() == accepted
            book = await sim.book()
            assert (book.balances["transfers"], book.balances["refunds"], book.sum_minor) == (5_000, 30, 0)


async def test_on_the_real_clock_things_happen_by_themselves(tmp_path: Path, prepared: Path, ear: Ear) -> None:
    copytree(prepared, tmp_path / "sim")
    async with Sandbox.start(tmp_path / "sim") as sim:
        await sim.change_merchant(sim.merchant.mchid, ChangeMerchant(settles_after_s=1))
        shop = Shop(sim.merchant)
        async with shop.http:
            await shop.order()
            await sim.pay(ORDER["out_trade_no"])
            await shop.refund(notify_url=ear.url)
            await shop.transfer(notify_url=ear.url)
            await shop.cancel()
            while len(ear.heard) < 2:
                await asyncio.sleep(0)
            told = {json.loads(one.body)["event_type"] for one in ear.heard}
            assert told == {"REFUND.SUCCESS", "MCHTRANSFER.BILL.FINISHED"}
