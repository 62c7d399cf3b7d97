"""Genuine signatures under lies: what a broken or turned channel says must never credit what was not paid."""

import asyncio

import pytest

from attacks.arena import Arena, Call, Known
from attacks.cases.letters import write
from flows.conftest import Shop
from tael.channels.accounts import AccountRow
from tael_sandbox import NewMerchant


async def stage(shop: Shop, *, orders: int = 1) -> tuple[Arena, str, list[dict[str, object]]]:
    """An arena around the shop (for its letters), an account, open orders."""
    account = await shop.account()
    made = [(await shop.recharge(account)).json() for _ in range(orders)]
    first = str(made[0]["attempts"][0]["attempt_no"])
    return Arena(shop, {}, Known(account, str(made[0]["order_no"]), first, "", "")), account, made


def number(order: dict[str, object]) -> str:
    """The number of an order's attempt."""
    attempts = order["attempts"]
    assert isinstance(attempts, list)
    return attempts[0]["attempt_no"]


def told(total: int = 10_000, currency: str = "CNY") -> dict[str, object]:
    """An amount as the channel says it."""
    return {"total": total, "payer_total": total, "currency": currency, "payer_currency": currency}


async def send(arena: Arena, **changes: object) -> int:
    """Post a genuine notice with these lies; answers the status."""
    return (await arena.send(write(arena, **{"amount": told(), **changes}).call(arena))).status_code


LIES = [
    ("N11 less than ordered", {"amount": told(9_999)}, 204, "invalid", 1),
    ("N11 more than ordered", {"amount": told(10_001)}, 204, "invalid", 1),
    ("N11 one fen for everything", {"amount": told(1)}, 204, "invalid", 1),
    ("N11 another currency", {"amount": told(currency="HKD")}, 204, "invalid", 1),
    ("N12 nothing", {"amount": told(0)}, 400, "paying", 0),
    ("N12 a negative amount", {"amount": told(-1)}, 400, "paying", 0),
    ("N12 a fraction", {"amount": {"total": 100.5, "currency": "CNY"}}, 400, "paying", 0),
    ("N12 no amount", {"amount": None}, 400, "paying", 0),
    ("N12 no channel number", {"transaction_id": ""}, 400, "paying", 0),
    ("N15 not paid after all", {"trade_state": "NOTPAY"}, 204, "paying", 0),
    ("N15 closed", {"trade_state": "CLOSED"}, 204, "paying", 0),
    ("N15 an unknown state", {"trade_state": "PERHAPS"}, 400, "paying", 0),
]


@pytest.mark.parametrize(
    ("lie", "status", "state", "suspended"),
    [pytest.param(*case[1:], id=case[0]) for case in LIES],
)
async def test_a_lie_credits_nothing(
    shop: Shop, lie: dict[str, object], status: int, state: str, suspended: int
) -> None:
    arena, account, (order,) = await stage(shop)
    answered = await send(arena, **lie)
    assert (answered, (await shop.order(str(order["order_no"])))["state"]) == (status, state)
    assert await shop.available(account) == 0
    assert await shop.count("suspense_item") == suspended


async def test_one_payment_cannot_pay_a_second_order(shop: Shop) -> None:
    """N14: the number of a payment that was made is bound to another order, with everything else right."""
    arena, account, (first, second) = await stage(shop, orders=2)
    assert await send(arena) == 204
    assert await send(arena, out_trade_no=number(second)) == 422
    assert (await shop.order(str(second["order_no"])))["state"] == "paying"
    assert await shop.available(account) == 10_000
    assert await shop.count("posting", "code in (101, 102)") == 1
    assert (await shop.order(str(first["order_no"])))["state"] == "paid"


async def test_a_stolen_payment_among_honest_ones_harms_only_itself(shop: Shop) -> None:
    arena, account, orders = await stage(shop, orders=20)
    honest = [send(arena, out_trade_no=number(one), transaction_id=f"42{index:026d}")
              for index, one in enumerate(orders[:-1])]  # fmt: skip
    stolen = send(arena, out_trade_no=number(orders[-1]), transaction_id=f"42{0:026d}")
    answered = await asyncio.gather(*honest, stolen)
    assert sorted(answered) == [204] * 19 + [422]
    assert await shop.available(account) == 19 * 10_000
    assert await shop.count("payment_order", "state = 'paid'") == 19


async def test_a_hundred_at_once_credit_once(shop: Shop) -> None:
    arena, account, _ = await stage(shop)
    assert await asyncio.gather(*(send(arena) for _ in range(100))) == [204] * 100
    assert await shop.available(account) == 10_000
    assert await shop.count("posting", "code in (101, 102)") == 1
    assert await shop.count("event", "topic = 'recharge.paid'") == 1
    assert await shop.count("channel_notice") == 100


async def test_a_replay_within_five_minutes_changes_nothing_and_after_them_is_refused(shop: Shop) -> None:
    arena, account, _ = await stage(shop)
    letter = write(arena, amount=told()).call(arena)
    said: list[int] = []
    for pause in (0, 299, 1):
        shop.clock.advance(pause)
        await shop.system.ids.renew(shop.db)
        said.append((await arena.send(letter)).status_code)
    assert said == [204, 204, 401]
    assert await shop.available(account) == 10_000


async def test_a_notice_for_a_live_account_does_not_reach_a_test_system(shop: Shop) -> None:
    """N13: an account of the other environment is not there, even with its own keys and genuine signature."""
    arena, account, _ = await stage(shop)
    mchid, appid, live = await _second_merchant(shop, mode="live", base_url="https://api.mch.weixin.qq.com")
    letter = write(arena, of=mchid, mchid=mchid, appid=appid, amount=told()).call(arena)
    assert await _post(arena, live, letter) == 404
    assert await shop.available(account) == 0
    assert await shop.count("channel_notice") == 0


OTHERS = [
    ("its own money, for our order", True, {}, 422, 1),
    ("our money, said by another merchant", True, {"mchid": "", "appid": ""}, 422, 1),
    ("our genuine notice, sent to its address", False, {"mchid": "", "appid": ""}, 401, 0),
]


@pytest.mark.parametrize(
    ("own_keys", "lie", "status", "kept"), [case[1:] for case in OTHERS], ids=[case[0] for case in OTHERS]
)
async def test_another_merchant_of_the_channel_pays_nothing_of_ours(
    shop: Shop, own_keys: bool, lie: dict[str, str], status: int, kept: int
) -> None:
    """N08: the company has a second merchant account; the order belongs to the first."""
    arena, account, _ = await stage(shop)
    mchid, appid, second = await _second_merchant(shop, mode="test", base_url=shop.sim.base_url)
    ours = {"mchid": shop.sim.merchant.mchid, "appid": shop.sim.merchant.appid}
    said = {name: ours[name] if lie else own for name, own in (("mchid", mchid), ("appid", appid))}
    letter = write(arena, of=mchid if own_keys else "", amount=told(), **said).call(arena)
    assert await _post(arena, second, letter) == status
    assert await shop.available(account) == 0
    assert await shop.count("channel_notice") == kept


async def _post(arena: Arena, account: int, letter: Call) -> int:
    call = Call("POST", f"/v1/notices/wechat/{account}", letter.content, letter.headers, "")
    return (await arena.send(call)).status_code


async def _second_merchant(shop: Shop, *, mode: str, base_url: str) -> tuple[str, str, int]:
    """Another merchant account of the same company: number, app and our id of it."""
    merchant = await shop.sim.create_merchant(NewMerchant())
    row = AccountRow(
        book=1, id=shop.system.ids.next(), name="second", channel="wechat", mode=mode, state="active",
        mchid=merchant.mchid, appid=merchant.appid, base_url=base_url,
        config={"serial_no": merchant.serial, "public_key_id": merchant.public_key_id},
        secret_refs={
            "merchant_key": f"file:{merchant.private_key_path}", "apiv3_key": f"file:{merchant.apiv3_key_path}",
            "public_key": f"file:{merchant.public_key_path}",
        },
        qps={}, changed_at=shop.clock.now(),
    )  # fmt: skip
    async with shop.db.transaction() as tx:
        await shop.system.platform.accounts.add(tx, row)
    assert await shop.system.platform.accounts.refresh(shop.db) == []
    return merchant.mchid, merchant.appid, row.id
