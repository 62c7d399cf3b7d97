"""Alipay's notices: what is in them, when they come, and every way in which they can be wrong."""

import pytest
from tael_sandbox_alipay import NUMBER, Door, Store
from tael_sandbox_shop import NOON_MS

from tael_sandbox import Fault, NewAlipayMerchant, Sandbox
from tael_sandbox.alipay.state import LADDER_S


async def _paid(sim: Sandbox, store: Store, door: Door, number: str = NUMBER) -> None:
    await store.order(notify_url=door.url, out_trade_no=number)
    await sim.alipay.pay(number)
    await sim.drain()


@pytest.mark.parametrize("charset", ["utf-8", "gbk"])
async def test_a_payment_is_told_once(sim: Sandbox, store: Store, door: Door, charset: str) -> None:
    store.charset = charset
    await _paid(sim, store, door)
    said, trade = store.hears(door.heard[0]), await sim.alipay.trade(NUMBER)
    wanted = {
        "notify_type": "trade_status_sync", "app_id": store.merchant.app_id, "seller_id": store.merchant.seller_id,
        "out_trade_no": NUMBER, "trade_no": trade.trade_no, "trade_status": "TRADE_SUCCESS", "total_amount": "1.00",
        "subject": "一杯咖啡 100%", "charset": charset, "gmt_payment": "2027-01-15 16:00:00", "sign_type": "RSA2",
        "notify_id": trade.payments[0].notify_id,
    }  # fmt: skip
    assert {name: said[name] for name in wanted} == wanted
    await sim.advance(2 * 86_400)
    assert len(door.heard) == 1


def test_the_ladder_is_the_documented_one() -> None:
    assert LADDER_S == (4 * 60, 10 * 60, 10 * 60, 3_600, 2 * 3_600, 6 * 3_600, 15 * 3_600)


async def test_a_refused_notice_climbs_the_whole_ladder_with_one_id(sim: Sandbox, store: Store, door: Door) -> None:
    door.script = [(500, "success"), (200, "fail"), (302, "success"), (200, " success"), (200, "SUCCESS")]
    door.script += [(200, "")] * 9
    await _paid(sim, store, door)
    await sim.advance(2 * 86_400)
    seen = await sim.deliveries()
    due = [sum(LADDER_S[:rung]) for rung in range(8)]
    assert [(one.at_ms - NOON_MS) // 1000 for one in seen.tried] == due
    assert len({store.hears(one)["notify_id"] for one in door.heard}) == 1
    assert seen.pending == ()


async def test_refunds_are_told_as_they_were(sim: Sandbox, store: Store, door: Door) -> None:
    await _paid(sim, store, door)
    door.script = [(500, "")] * 3
    for amount, number in (("0.30", "r1"), ("0.20", "r2"), ("0.50", "r3")):
        await store.refund(amount, number)
    await sim.drain()
    await sim.advance(240)
    for heard in (door.heard[1:4], door.heard[4:]):
        told = sorted(
            (said["out_biz_no"], said["refund_fee"], said["trade_status"]) for said in map(store.hears, heard)
        )
        assert told == [
            ("r1", "0.30", "TRADE_SUCCESS"), ("r2", "0.50", "TRADE_SUCCESS"), ("r3", "1.00", "TRADE_CLOSED"),
        ]  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "field", "value"),
    [
        ("wrong_amount", "total_amount", "0.01"),
        ("other_order", "out_trade_no", "X0000000001"),
        ("wrong_app_id", "app_id", "2021000000000000"),
        ("wrong_seller_id", "seller_id", "2088000000000000"),
        ("wrong_status", "trade_status", "WAIT_BUYER_PAY"),
        ("extra_field", "a_new_field", "with = and & in it"),
    ],
)
async def test_a_lie_that_is_well_signed(sim, store, door, kind: str, field: str, value: str) -> None:
    await sim.alipay.fault(Fault(operation="notify", kind=kind))
    await _paid(sim, store, door)
    assert store.hears(door.heard[0])[field] == value


@pytest.mark.parametrize("kind", ["bad_signature", "other_merchants_key", "sha1_signature"])
async def test_a_forged_notice(sim: Sandbox, store: Store, door: Door, kind: str) -> None:
    await sim.alipay.create_merchant(NewAlipayMerchant())
    await sim.alipay.fault(Fault(operation="notify", kind=kind))
    door.script = [(200, "fail")]
    await _paid(sim, store, door)
    assert not store.genuine(door.heard[0])
    await sim.advance(240)
    assert [store.genuine(one) for one in door.heard] == [False, True]


async def test_dropped_late_duplicate_and_out_of_order(sim: Sandbox, store: Store, door: Door) -> None:
    await sim.alipay.fault(Fault(operation="notify", kind="drop", out_trade_no="dropped"))
    await sim.alipay.fault(Fault(operation="notify", kind="late", late_s=100, out_trade_no="late"))
    await sim.alipay.fault(Fault(operation="notify", kind="duplicate", times=3, out_trade_no="thrice"))
    await sim.alipay.fault(Fault(operation="notify", kind="out_of_order", out_trade_no="held"))
    for number in ("dropped", "late", "held", "thrice"):
        await _paid(sim, store, door, number)
    assert [store.hears(one)["out_trade_no"] for one in door.heard] == ["thrice"] * 3 + ["held"]
    await sim.advance(100)
    assert store.hears(door.heard[-1])["out_trade_no"] == "late"
    await sim.advance(140)
    assert store.hears(door.heard[-1])["out_trade_no"] == "dropped"


async def test_again_on_request_and_twice_paid(sim: Sandbox, store: Store, door: Door) -> None:
    await _paid(sim, store, door)
    await sim.alipay.renotify(NUMBER)
    await sim.drain()
    assert len({store.hears(one)["notify_id"] for one in door.heard}) == 1
    await sim.alipay.pay(NUMBER, force=True, amount_minor=99)
    await sim.drain()
    said = store.hears(door.heard[-1])
    assert (len(door.heard), said["total_amount"]) == (3, "0.99")


async def test_no_address_and_a_foreign_one(sim: Sandbox, store: Store) -> None:
    await store.order()
    await sim.alipay.pay(NUMBER)
    assert (await sim.drain()).tried == ()
    await store.order(out_trade_no="T2", notify_url="https://shop.example.cn/n")
    await sim.alipay.pay("T2")
    assert (await sim.drain()).tried[0].answer == "not a host the sandbox may call"


async def test_the_notice_arrives_before_the_reply(sim: Sandbox, store: Store, door: Door) -> None:
    await sim.alipay.fault(Fault(operation="trade.precreate", kind="notify_inside_create"))
    assert (await store.order(notify_url=door.url))["code"] == "10000"
    assert len(door.heard) == 1
