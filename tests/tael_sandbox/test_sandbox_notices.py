"""Notices: what is in them, when they come, and every way in which they can be wrong."""

import json

import pytest
from cryptography.exceptions import InvalidTag
from tael_sandbox_shop import NOON_MS, ORDER, Ear, Heard, Shop

from tael_sandbox import ChangeMerchant, Fault, NewMerchant, Sandbox
from tael_sandbox.wechat.state import LADDER_S

NUMBER = ORDER["out_trade_no"]


async def _paid(sim: Sandbox, shop: Shop, ear: Ear, number: str = NUMBER) -> None:
    await shop.order(notify_url=ear.url, out_trade_no=number)
    await sim.pay(number)
    await sim.drain()


async def test_a_notice_is_signed_sealed_and_told_once(sim: Sandbox, shop: Shop, ear: Ear) -> None:
    await _paid(sim, shop, ear)
    (heard,) = ear.heard
    said = json.loads(heard.body)
    assert shop.genuine(heard.headers, heard.body)
    assert (said["event_type"], said["resource_type"]) == ("TRANSACTION.SUCCESS", "encrypt-resource")
    assert said["create_time"] == "2027-01-15T16:00:00+08:00"
    assert shop.read(heard) == (await shop.query()).json()
    await sim.advance(2 * 86_400)
    assert len(ear.heard) == 1


def test_the_ladder_is_the_documented_one() -> None:
    assert (len(LADDER_S), sum(LADDER_S)) == (15, 24 * 3600 + 4 * 60)


async def test_a_refused_notice_climbs_the_whole_ladder_with_one_id(sim: Sandbox, shop: Shop, ear: Ear) -> None:
    ear.script = [500, 404, 302, 401, *[500] * 20]
    await _paid(sim, shop, ear)
    await sim.advance(2 * 86_400)
    seen = await sim.deliveries()
    due = [sum(LADDER_S[:rung]) for rung in range(16)]
    assert [(one.at_ms - NOON_MS) // 1000 for one in seen.tried] == due
    assert len({json.loads(one.body)["id"] for one in ear.heard}) == 1
    assert len({one.headers["wechatpay-signature"] for one in ear.heard}) == 16
    assert seen.pending == ()


@pytest.mark.parametrize(("status", "told"), [(200, 1), (204, 1), (201, 2), (301, 2), (400, 2), (500, 2)])
async def test_which_answers_end_the_ladder(sim: Sandbox, shop: Shop, ear: Ear, status: int, told: int) -> None:
    ear.script = [status]
    await _paid(sim, shop, ear)
    await sim.advance(15)
    assert len(ear.heard) == told


async def test_nobody_listens(sim: Sandbox, shop: Shop) -> None:
    await shop.order(notify_url="http://127.0.0.1:9/n")
    await sim.pay(NUMBER)
    seen = await sim.drain()
    assert [(one.status, one.accepted) for one in seen.tried] == [(0, False)]
    assert "Connect" in seen.tried[0].answer


async def test_nobody_outside_this_machine_is_called(sim: Sandbox, shop: Shop) -> None:
    await shop.order()
    await sim.pay(NUMBER)
    assert (await sim.drain()).tried[0].answer == "not a host the sandbox may call"


@pytest.mark.parametrize(
    ("kind", "field", "outcome"),
    [
        ("wrong_amount", lambda said: said["amount"]["total"], 101),
        ("wrong_currency", lambda said: said["amount"]["currency"], "USD"),
        ("wrong_appid", lambda said: said["appid"], "wx0000000000000000"),
        ("wrong_mchid", lambda said: said["mchid"], "1900000000"),
        ("other_order", lambda said: said["out_trade_no"], "X0000000001"),
    ],
)
async def test_a_lie_in_a_genuine_envelope(sim, shop, ear, kind: str, field, outcome: object) -> None:
    await sim.fault(Fault(operation="notify", kind=kind))
    await _paid(sim, shop, ear)
    assert shop.genuine(ear.heard[0].headers, ear.heard[0].body)
    told, truth = shop.read(ear.heard[0]), (await shop.query()).json()
    assert (field(told), field(told) != field(truth)) == (outcome, True)


@pytest.mark.parametrize("kind", ["bad_signature", "unknown_serial", "other_merchants_key", "signtest"])
async def test_a_truth_in_a_forged_envelope(sim: Sandbox, shop: Shop, ear: Ear, kind: str) -> None:
    await sim.create_merchant(NewMerchant())
    await sim.fault(Fault(operation="notify", kind=kind))
    ear.script = [401]
    await _paid(sim, shop, ear)
    forged = ear.heard[0]
    assert not shop.genuine(forged.headers, forged.body)
    assert shop.read(forged)["trade_state"] == "SUCCESS"
    assert forged.headers["wechatpay-signature"].startswith("WECHATPAY/SIGNTEST/") == (kind == "signtest")
    await sim.advance(15)
    assert shop.genuine(ear.heard[1].headers, ear.heard[1].body)
    assert len(ear.heard) == 2


async def test_a_broken_seal_under_a_good_signature(sim: Sandbox, shop: Shop, ear: Ear) -> None:
    await sim.fault(Fault(operation="notify", kind="bad_seal"))
    await _paid(sim, shop, ear)
    assert shop.genuine(ear.heard[0].headers, ear.heard[0].body)
    with pytest.raises(InvalidTag):
        shop.read(ear.heard[0])


async def test_a_stale_notice_is_genuine_but_old(sim: Sandbox, shop: Shop, ear: Ear) -> None:
    await sim.fault(Fault(operation="notify", kind="stale_timestamp", late_s=301))
    await _paid(sim, shop, ear)
    assert shop.genuine(ear.heard[0].headers, ear.heard[0].body)
    assert int(ear.heard[0].headers["wechatpay-timestamp"]) == NOON_MS // 1000 - 301


async def test_a_dropped_notice_comes_with_the_next_rung(sim: Sandbox, shop: Shop, ear: Ear) -> None:
    await sim.fault(Fault(operation="notify", kind="drop"))
    await _paid(sim, shop, ear)
    assert ear.heard == []
    await sim.advance(15)
    assert len(ear.heard) == 1


async def test_every_notice_dropped_for_ever(sim: Sandbox, shop: Shop, ear: Ear) -> None:
    await sim.fault(Fault(operation="notify", kind="drop", count=None))
    await _paid(sim, shop, ear)
    await sim.advance(2 * 86_400)
    assert (ear.heard, (await sim.deliveries()).pending) == ([], ())


async def test_duplicates_carry_one_id(sim: Sandbox, shop: Shop, ear: Ear) -> None:
    await sim.fault(Fault(operation="notify", kind="duplicate", times=5))
    await _paid(sim, shop, ear)
    assert len(ear.heard) == 5
    assert len({json.loads(one.body)["id"] for one in ear.heard}) == 1
    await sim.advance(86_400)
    assert len(ear.heard) == 5


async def test_a_late_notice(sim: Sandbox, shop: Shop, ear: Ear) -> None:
    await sim.fault(Fault(operation="notify", kind="late", late_s=7200))
    await _paid(sim, shop, ear)
    await sim.advance(7199)
    assert ear.heard == []
    await sim.advance(1)
    assert len(ear.heard) == 1


async def test_notices_out_of_order(sim: Sandbox, shop: Shop, ear: Ear) -> None:
    await sim.fault(Fault(operation="notify", kind="out_of_order", out_trade_no="first_1"))
    await _paid(sim, shop, ear, "first_1")
    assert ear.heard == []
    await _paid(sim, shop, ear, "second_2")
    assert _numbers(shop, ear.heard) == ["second_2", "first_1"]


async def test_the_notice_arrives_before_the_reply_to_the_order(sim: Sandbox, shop: Shop, ear: Ear) -> None:
    await sim.fault(Fault(operation="create", kind="notify_inside_create"))
    reply = await shop.order(notify_url=ear.url)
    assert (reply.status_code, _numbers(shop, ear.heard)) == (200, [NUMBER])


async def test_a_notice_again_on_request(sim: Sandbox, shop: Shop, ear: Ear) -> None:
    await _paid(sim, shop, ear)
    await sim.renotify(NUMBER)
    await sim.drain()
    assert _numbers(shop, ear.heard) == [NUMBER, NUMBER]


async def test_a_second_payment_of_one_order_has_a_notice_of_its_own(sim: Sandbox, shop: Shop, ear: Ear) -> None:
    await _paid(sim, shop, ear)
    await sim.pay(NUMBER, force=True)
    await sim.drain()
    assert len({shop.read(one)["transaction_id"] for one in ear.heard}) == 2


async def test_a_payment_of_another_amount_is_told_as_it_was_booked(sim: Sandbox, shop: Shop, ear: Ear) -> None:
    await shop.order(notify_url=ear.url)
    await sim.pay(NUMBER, amount_minor=99)
    await sim.drain()
    assert shop.read(ear.heard[0])["amount"] == (await shop.query()).json()["amount"]
    assert shop.read(ear.heard[0])["amount"]["total"] == 99


async def test_the_public_key_takes_over_by_share_of_orders(sim: Sandbox, shop: Shop, ear: Ear) -> None:
    await sim.change_merchant(shop.merchant.mchid, ChangeMerchant(notify_by_public_key=500))
    for index in range(40):
        await _paid(sim, shop, ear, f"order_{index}")
    by_public_key = sum(one.headers["wechatpay-serial"] == shop.merchant.public_key_id for one in ear.heard)
    assert 8 <= by_public_key <= 32
    assert all(shop.genuine(one.headers, one.body) for one in ear.heard)


def _numbers(shop: Shop, heard: list[Heard]) -> list[object]:
    return [shop.read(one)["out_trade_no"] for one in heard]
