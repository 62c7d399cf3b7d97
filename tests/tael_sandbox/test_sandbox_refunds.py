"""Refunds at the simulated WeChat Pay: what is accepted, how they end, where the money is, what is told."""

import contextlib
import json

import httpx2
import pytest
from tael_sandbox_shop import NOON_MS, ORDER, REFUND, Ear, Shop

from tael_sandbox import ChangeMerchant, Fault, NewMerchant, Sandbox

NUMBER, REFUND_NO = ORDER["out_trade_no"], REFUND["out_refund_no"]
PATH = "/v3/refund/domestic/refunds"


@pytest.fixture
async def paid(sim: Sandbox, shop: Shop) -> str:
    """An order of 1.00, paid; the platform's number of the payment."""
    await shop.order()
    return (await sim.pay(NUMBER)).payments[0].transaction_id


async def status(shop: Shop, number: str = REFUND_NO) -> str:
    return (await shop.call("GET", f"{PATH}/{number}")).json()["status"]


def part(refund: int, total: int = 100) -> dict[str, object]:
    return {"refund": refund, "total": total, "currency": "CNY"}


async def test_a_refund_runs_and_then_arrives_by_itself(sim: Sandbox, shop: Shop, paid: str) -> None:
    reply = await shop.refund()
    said = reply.json()
    assert (reply.status_code, said["status"], said["transaction_id"]) == (200, "PROCESSING", paid)
    assert "success_time" not in said
    assert shop.genuine(reply.headers, reply.content)
    assert await shop.state() == "REFUND"
    await sim.advance(4)
    assert await status(shop) == "PROCESSING"
    await sim.advance(1)
    done = (await shop.call("GET", f"{PATH}/{REFUND_NO}")).json()
    assert (done["status"], done["success_time"]) == ("SUCCESS", "2027-01-15T16:00:05+08:00")
    assert {**done, "status": "PROCESSING", "success_time": None} == {**said, "success_time": None}


@pytest.mark.parametrize("moment", [0, 5])
async def test_the_same_number_is_the_same_refund(sim: Sandbox, shop: Shop, paid: str, moment: int) -> None:
    first = (await shop.refund()).json()
    await sim.advance(moment)
    again = (await shop.refund()).json()
    assert again["refund_id"] == first["refund_id"]
    assert (await shop.refund(transaction_id=paid)).json() == again, "named by either number"
    assert len(await sim.refunds()) == 1


@pytest.mark.parametrize(
    "change",
    [{"amount": part(31)}, {"reason": "other"}, {"notify_url": "https://shop.example.cn/other"}],
)
async def test_the_same_number_with_other_content(shop: Shop, paid: str, change: dict[str, object]) -> None:
    await shop.refund()
    reply = await shop.refund(**change)
    assert (reply.status_code, reply.json()["code"]) == (400, "INVALID_REQUEST")


@pytest.mark.parametrize(
    ("change", "outcome"),
    [
        ({"out_refund_no": "no good!"}, (400, "PARAM_ERROR")),
        ({"out_refund_no": "r" * 65}, (400, "PARAM_ERROR")),
        ({"out_refund_no": "a|b*c@d-e_f"}, (200, None)),
        ({"amount": part(0)}, (400, "PARAM_ERROR")),
        ({"amount": {"refund": 30, "total": 100}}, (400, "PARAM_ERROR")),
        ({"amount": {"refund": 30, "total": 100, "currency": "USD"}}, (400, "PARAM_ERROR")),
        ({"amount": part(30, 99)}, (400, "INVALID_REQUEST")),
        ({"amount": part(101)}, (400, "INVALID_REQUEST")),
        ({"reason": "字" * 81}, (400, "PARAM_ERROR")),
        ({"notify_url": "https://shop.example.cn/n?a=1"}, (400, "PARAM_ERROR")),
        ({"out_trade_no": None}, (400, "PARAM_ERROR")),
        ({"out_trade_no": "T0000000009"}, (404, "RESOURCE_NOT_EXISTS")),
        ({"out_trade_no": None, "transaction_id": "4200"}, (404, "RESOURCE_NOT_EXISTS")),
    ],
)
async def test_what_is_accepted(shop: Shop, paid: str, change: dict[str, object], outcome: tuple[int, str]) -> None:
    reply = await shop.refund(**change)
    assert (reply.status_code, reply.json().get("code")) == outcome


async def test_what_was_not_paid_or_belongs_to_another_is_not_refunded(sim: Sandbox, shop: Shop) -> None:
    await shop.order()
    assert (await shop.refund()).json()["code"] == "INVALID_REQUEST"
    paid = (await sim.pay(NUMBER)).payments[0].transaction_id
    other = Shop(await sim.create_merchant(NewMerchant()), now=shop.now)
    async with other.http:
        for named in ({"transaction_id": paid, "out_trade_no": None}, {}):
            assert (await other.refund(**named)).json()["code"] == "RESOURCE_NOT_EXISTS"
        await shop.refund()
        assert (await other.call("GET", f"{PATH}/{REFUND_NO}")).json()["code"] == "RESOURCE_NOT_EXISTS"


async def test_never_more_than_was_paid_however_it_is_cut(sim: Sandbox, shop: Shop, paid: str) -> None:
    for index, amount in enumerate((40, 40)):
        assert (await shop.refund(out_refund_no=f"R{index}", amount=part(amount))).status_code == 200
    assert (await shop.refund(out_refund_no="R2", amount=part(21))).json()["code"] == "INVALID_REQUEST"
    await sim.close_refund("R1")
    assert (await shop.refund(out_refund_no="R3", amount=part(60))).status_code == 200, "what was closed is free again"
    assert (await shop.refund(out_refund_no="R4", amount=part(1))).json()["code"] == "INVALID_REQUEST"


async def test_fifty_parts_and_no_more(shop: Shop, paid: str) -> None:
    for index in range(50):
        assert (await shop.refund(out_refund_no=f"R{index}", amount=part(1))).status_code == 200
    assert (await shop.refund(out_refund_no="R50", amount=part(1))).json()["code"] == "INVALID_REQUEST"


@pytest.mark.parametrize(("days", "outcome"), [(365, 200), (366, 400)])
async def test_a_year_and_no_longer(sim: Sandbox, shop: Shop, paid: str, days: int, outcome: int) -> None:
    await sim.advance(days * 86_400)
    shop.now += days * 86_400
    assert (await shop.refund()).status_code == outcome


async def test_by_hand_and_over_the_api_count_together(sim: Sandbox, shop: Shop, paid: str) -> None:
    await sim.refund(NUMBER)
    assert (await shop.refund(amount=part(1))).json()["code"] == "INVALID_REQUEST"
    assert await sim.refunds() == []


async def test_a_poor_merchant_refunds_after_topping_up_with_the_same_number(sim: Sandbox, shop: Shop, paid) -> None:
    balance = (await sim.book()).balances[f"merchant/{sim.merchant.mchid}"]
    assert (await sim.draw_down(balance - 29)).balance_minor == 29
    reply = await shop.refund()
    assert (reply.status_code, reply.json()["code"]) == (403, "NOT_ENOUGH")
    assert (await shop.call("GET", f"{PATH}/{REFUND_NO}")).json()["code"] == "RESOURCE_NOT_EXISTS"
    await sim.top_up(1)
    assert (await shop.refund()).json()["status"] == "PROCESSING"


@pytest.mark.parametrize(
    ("act", "state", "balances"),
    [
        (None, "PROCESSING", {"merchant": -50, "refunds": 50, "payers": 0, "coupons": 0}),
        ("settle_refund", "SUCCESS", {"merchant": -50, "refunds": 0, "payers": 45, "coupons": 5}),
        ("close_refund", "CLOSED", {"merchant": 0, "refunds": 0, "payers": 0, "coupons": 0}),
        ("abnormal_refund", "ABNORMAL", {"merchant": 0, "refunds": 0, "payers": 0, "coupons": 0}),
    ],
)
async def test_where_the_money_is(sim: Sandbox, shop: Shop, act: str | None, state: str, balances: dict) -> None:
    await shop.order()
    await sim.pay(NUMBER, coupon_minor=10)
    before = (await sim.book()).balances
    await shop.refund(amount=part(50))
    if act is not None:
        await getattr(sim, act)(REFUND_NO)
    await sim.advance(86_400 if act else 0)
    book = await sim.book()
    names = {"merchant": f"merchant/{sim.merchant.mchid}"}
    moved = {name: book.balances[names.get(name, name)] - before.get(names.get(name, name), 0) for name in balances}
    assert (moved, book.sum_minor) == (balances, 0)
    assert (await sim.refunds())[0].state == state


async def test_a_full_refund_in_odd_parts_gives_everybody_back_what_was_theirs(sim: Sandbox, shop: Shop) -> None:
    await shop.order(amount={"total": 9_999})
    await sim.pay(NUMBER, coupon_minor=1_000)
    for index, amount in enumerate((3_333, 3_333, 3_333)):
        await shop.refund(out_refund_no=f"R{index}", amount=part(amount, 9_999))
        await sim.settle_refund(f"R{index}")
    balances = (await sim.book()).balances
    merchant = balances[f"merchant/{sim.merchant.mchid}"]
    assert (merchant, balances["payers"], balances["coupons"], balances["fees"]) == (100_000_000, 0, 0, 0)


@pytest.mark.parametrize(
    ("act", "word"), [("settle_refund", "SUCCESS"), ("close_refund", "CLOSED"), ("abnormal_refund", "ABNORMAL")]
)
async def test_what_the_merchant_is_told(sim: Sandbox, shop: Shop, ear: Ear, paid: str, act: str, word: str) -> None:
    await shop.refund(notify_url=ear.url)
    await getattr(sim, act)(REFUND_NO)
    await sim.drain()
    (heard,) = ear.heard
    envelope, told = json.loads(heard.body), shop.read(heard)
    assert shop.genuine(heard.headers, heard.body)
    assert (envelope["event_type"], envelope["resource"]["original_type"]) == (f"REFUND.{word}", "refund")
    assert (told["refund_status"], told["mchid"], "status" in told) == (word, sim.merchant.mchid, False)
    assert (told["out_refund_no"], told["out_trade_no"], told["transaction_id"]) == (REFUND_NO, NUMBER, paid)
    assert told["amount"] == {"total": 100, "refund": 30, "payer_total": 100, "payer_refund": 30}
    await sim.advance(2 * 86_400)
    assert len(ear.heard) == 1


async def test_one_that_arrives_by_itself_is_told_on_the_ladder(sim: Sandbox, shop: Shop, ear: Ear, paid) -> None:
    ear.script = [500, 500]
    await shop.refund(notify_url=ear.url)
    await sim.advance(60)
    seen = await sim.deliveries()
    tried = [one for one in seen.tried if one.out_trade_no == REFUND_NO]
    assert [(one.at_ms - NOON_MS) // 1000 for one in tried] == [5, 20, 35]
    assert (await sim.refunds())[0].ended_at == "2027-01-15T16:00:05+08:00"
    assert REFUND_NO not in [one.out_trade_no for one in seen.pending]


@pytest.mark.parametrize(
    ("kind", "field", "lie"),
    [
        ("wrong_amount", lambda told: told["amount"]["refund"], 31),
        ("wrong_mchid", lambda told: told["mchid"], "1900000000"),
        ("other_order", lambda told: told["out_refund_no"], "X0000000001"),
    ],
)
async def test_a_lie_in_a_notice(sim, shop, ear, paid, kind: str, field, lie: object) -> None:
    await sim.fault(Fault(operation="notify", kind=kind, out_trade_no=REFUND_NO))
    await shop.refund(notify_url=ear.url)
    await sim.settle_refund(REFUND_NO)
    await sim.drain()
    assert field(shop.read(ear.heard[0])) == lie
    assert shop.genuine(ear.heard[0].headers, ear.heard[0].body)


async def test_by_hand_only_when_the_merchant_wants_it_so(sim: Sandbox, shop: Shop, paid: str) -> None:
    await sim.change_merchant(sim.merchant.mchid, ChangeMerchant(settles_after_s=0))
    await shop.refund()
    await sim.advance(30 * 86_400)
    shop.now += 30 * 86_400
    assert await status(shop) == "PROCESSING"
    await sim.settle_refund(REFUND_NO)
    assert await status(shop) == "SUCCESS"


@pytest.mark.parametrize(
    ("kind", "there"), [("drop_before_commit", False), ("5xx_before_commit", False), ("commit_then_drop_reply", True)]
)
async def test_faults(sim: Sandbox, shop: Shop, paid: str, kind: str, there: bool) -> None:
    await sim.fault(Fault(operation="refund", kind=kind, out_trade_no=REFUND_NO))
    with contextlib.suppress(httpx2.RemoteProtocolError):
        assert (await shop.refund()).status_code == 500
    assert bool(await sim.refunds()) == there
    assert (await shop.refund()).json()["status"] == "PROCESSING"
