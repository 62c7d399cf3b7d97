"""Long random stories at the simulated Alipay: the book always adds up, and a restart tells the same story again."""

import random
from pathlib import Path
from shutil import copytree

import pytest
from tael_sandbox_alipay import Store
from tael_sandbox_shop import NOON_MS

from tael_sandbox import NewAlipayMerchant, Refused, Sandbox

CARD = {"identity": "6222000011112222", "identity_type": "BANKCARD_ACCOUNT", "name": "张三"}
BY_HAND = ("scan", "pay", "decline", "expire", "finish", "refund", "renotify")
ON_TRANSFERS = ("settle_transfer", "fail_transfer", "close_transfer", "return_transfer")


async def _step(chance: random.Random, sim: Sandbox, store: Store) -> None:
    number, biz = f"N{chance.randrange(6)}", f"T{chance.randrange(6)}"
    match chance.randrange(8):
        case 0:
            await store.order(out_trade_no=number, total_amount=f"{chance.randrange(1, 9999)}.0{chance.randrange(10)}")
        case 1:
            await store.code("trade.close", {"out_trade_no": number})
        case 2:
            await store.code("trade.cancel", {"out_trade_no": number})
        case 3:
            content = {"out_trade_no": number, "refund_amount": f"{chance.randrange(1, 500)}.33"}
            await store.code("trade.refund", content | {"out_request_no": f"r{chance.randrange(4)}"})
        case 4:
            to_card = {"product_code": "TRANS_BANKCARD_NO_PWD", "payee_info": CARD}
            more = to_card if chance.random() < 0.5 else {}
            await store.transfer(out_biz_no=biz, trans_amount=str(chance.randrange(1, 40_000)), **more)
        case 5:
            await _by_hand(sim, chance.choice(ON_TRANSFERS), biz)
        case 6:
            await sim.advance(chance.randrange(20_000))
        case _:
            await _by_hand(sim, chance.choice(BY_HAND), number)


async def _by_hand(sim: Sandbox, act: str, name: str) -> None:
    try:
        await getattr(sim.alipay, act)(name)
    except Refused as refused:
        if refused.status not in (404, 409):
            raise


@pytest.mark.parametrize("seed", range(4))
async def test_any_story(tmp_path: Path, prepared: Path, seed: int) -> None:
    chance, folder = random.Random(seed), tmp_path / "sim"
    copytree(prepared, folder)
    async with Sandbox.start(folder) as sim:
        await sim.set_clock(mode="manual", now_ms=NOON_MS)
        poor = await sim.alipay.create_merchant(NewAlipayMerchant(balance_minor=5_000))
        stores = [Store(sim.alipay.merchant), Store(poor)]
        async with stores[0].http, stores[1].http:
            for _ in range(150):
                await _step(chance, sim, stores[0] if chance.random() < 0.7 else stores[1])
                book = await sim.book()
                assert book.sum_minor == 0
                owned = (f"alipay/merchant/{one.merchant.app_id}" for one in stores)
                assert all(book.balances[name] >= 0 for name in owned)
        before = (await sim.alipay.trades(), await sim.alipay.transfers(), await sim.book())
        for trade in before[0]:
            paid = sum(one.total_minor for one in trade.payments)
            assert 0 <= sum(one.amount_minor for one in trade.refunds) <= paid
    async with Sandbox.start(folder) as sim:
        assert (await sim.alipay.trades(), await sim.alipay.transfers(), await sim.book()) == before
