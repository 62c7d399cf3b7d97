"""Many ask for refunds at once, over two processes: never more goes back than came, and each refund goes back once."""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest
from httpx2 import ASGITransport

from flows.conftest import MASTER_KEY, Shop, open_shop
from tael.app import System, running
from tael.base.settings import Settings


@pytest.fixture
async def shop(dsn: str, tmp_path: Path) -> AsyncIterator[Shop]:
    async with open_shop(dsn, tmp_path) as opened:
        yield opened


@contextlib.asynccontextmanager
async def second_process(shop: Shop, dsn: str, tmp_path: Path) -> AsyncIterator[tuple[System, Shop]]:
    """A second system on the same database, with caches, connections and a node number of its own, and its door."""
    settings = Settings(home=tmp_path / "second", port=shop.system.settings.port, master_key=MASTER_KEY)
    async with (
        running(settings, dsn=dsn, clock=shop.clock, work=False) as second,
        httpx2.AsyncClient(
            transport=ASGITransport(second.app), base_url="http://second", headers=shop.http.headers, timeout=60
        ) as http,
    ):
        door = Shop(second, second.db, shop.clock, shop.sim, shop.receiver, http, shop.merchant_account, shop.numbers)
        yield second, door


async def everything_arrives(shop: Shop, second: System) -> None:
    """Minutes pass until the channel has everything that was queued."""
    for _ in range(60):
        await shop.advance(60)
        await second.ids.renew(second.db)
        await asyncio.gather(shop.send_refunds(), second.refunder.run_due())
        if not await shop.count("task", "queue = 'refund'"):
            return


async def asked(door: Shop, payment: str, amount: int, **more: object) -> httpx2.Response:
    """A refund asked for, again under the same key while too many others stand before it: nothing was done then."""
    number = f"crowd-{next(door.numbers)}"
    wish = {"key": number, "business_refund_no": number} | more
    while (answer := await door.refund(payment, amount, **wish)).status_code == 503:
        await asyncio.sleep(0.05)
    return answer


@pytest.mark.parametrize("seed", range(3))
async def test_a_hundred_mixed_refunds_never_exceed_the_payment(
    shop: Shop, dsn: str, tmp_path: Path, seed: int
) -> None:
    """R02 at once: whatever is accepted fits into what was paid, and all of it arrives."""
    chance = random.Random(seed)
    seller = await shop.account()
    payment = await shop.paid(seller, 10_000)
    amounts = [chance.choice((1, 250, 999, 5_000, 10_000)) for _ in range(100)]
    async with second_process(shop, dsn, tmp_path) as (second, other):
        doors = [chance.choice((shop, other)) for _ in amounts]
        answers = await asyncio.gather(
            *(asked(door, payment["order_no"], amount) for door, amount in zip(doors, amounts, strict=True))
        )
        assert {answer.status_code for answer in answers} <= {201, 202, 409, 422}
        accepted = [amount for amount, one in zip(amounts, answers, strict=True) if one.status_code in {201, 202}]
        refused = {one.json()["code"] for one in answers if one.status_code not in {201, 202}}
        assert 0 < sum(accepted) <= 10_000
        assert refused <= {"refund_exceeds", "order_not_refundable", "too_many_refunds"}
        left = 10_000 - sum(accepted)
        too_many = (await shop.refund(payment["order_no"], left + 1)).status_code
        assert too_many in {409, 422}, "what is left is exact"
        await everything_arrives(shop, second)
    shown = (await shop.http.get(f"/v1/payments/{payment['order_no']}")).json()
    assert (shown["refunded_amount"], shown["refund_pending_amount"]) == (sum(accepted), 0)
    assert sum(one.refund_minor for one in await shop.sim.refunds()) == sum(accepted)
    assert await shop.available(seller) == left
    assert await shop.count("payment_order", "kind = 'refund'") == len(accepted), "who was refused left no trace"
    await shop.check_books()


@pytest.mark.parametrize("same", ["key", "number"])
async def test_a_hundred_identical_refunds_are_one(shop: Shop, dsn: str, tmp_path: Path, same: str) -> None:
    seller = await shop.account()
    payment = await shop.paid(seller, 10_000)
    keys = ["once" if same == "key" else f"once-{number}" for number in range(100)]
    async with second_process(shop, dsn, tmp_path) as (second, other):
        doors = [(shop, other)[number % 2] for number in range(100)]
        answers = await asyncio.gather(
            *(
                asked(door, payment["order_no"], 10, key=key, business_refund_no="B")
                for door, key in zip(doors, keys, strict=True)
            )
        )
        good = [answer for answer in answers if answer.status_code == 201]
        assert {answer.json()["refund_no"] for answer in good} == {good[0].json()["refund_no"]}
        assert len(good) == 1 or same == "key"
        bad = {answer.json()["code"] for answer in answers if answer.status_code != 201}
        assert bad <= {"idempotency_in_flight", "duplicate_order"}
        await everything_arrives(shop, second)
    assert [one.refund_minor for one in await shop.sim.refunds()] == [10]
    assert await shop.available(seller) == 9_990
    await shop.check_books()


async def test_the_balance_is_enough_for_one_of_many_refunds(shop: Shop, dsn: str, tmp_path: Path) -> None:
    """Ten payments of 100 each, of which 900 are spent: one refund finds its money, and no other fails it."""
    seller, other_account = await shop.account(1), await shop.account(2)
    payments = [await shop.paid(seller, 100) for _ in range(10)]
    ask = {"channel": "balance", "method": None, "payer_account_id": seller}
    assert (await shop.payment(other_account, 900, **ask)).status_code == 201
    async with second_process(shop, dsn, tmp_path) as (second, other):
        answers = await asyncio.gather(
            *(asked((shop, other)[at % 2], one["order_no"], 100) for at, one in enumerate(payments))
        )
        assert sorted(answer.status_code for answer in answers) == [201] + [422] * 9
        assert {answer.json().get("code") for answer in answers} == {None, "insufficient_balance"}
        await everything_arrives(shop, second)
    assert await shop.available(seller) == 0
    await shop.check_books()


async def test_notice_query_and_sender_at_once(shop: Shop, dsn: str, tmp_path: Path) -> None:
    seller = await shop.account()
    chance = random.Random(3)
    async with second_process(shop, dsn, tmp_path) as (second, other):
        for number in range(10):
            payment = await shop.paid(seller, 1_000)
            refund = (await (shop, other)[number % 2].refund(payment["order_no"], 1_000)).json()
            shop.clock.advance(10)
            await shop.system.ids.renew(shop.db)
            await second.ids.renew(second.db)
            moves = [
                shop.sim.settle_refund(refund["attempt_no"]), shop.send_refunds(), second.refunder.run_due(),
                shop.sim.drain(), shop.send_refunds(),
            ]  # fmt: skip
            chance.shuffle(moves)
            await asyncio.gather(*moves)
            await shop.sim.drain()
        await everything_arrives(shop, second)
    assert await shop.count("payment_order", "kind = 'refund' and state = 'paid'") == 10
    assert await shop.count("event", "topic = 'refund.succeeded'") == 10
    assert len(await shop.sim.refunds()) == 10
    assert await shop.available(seller) == 0
    await shop.check_books()


async def test_an_item_in_suspense_and_two_processes_that_give_it_back(shop: Shop, dsn: str, tmp_path: Path) -> None:
    order = (await shop.payment(await shop.account())).json()
    number = order["attempts"][0]["attempt_no"]
    for _ in range(3):
        await shop.sim.pay(number, force=True)
    await shop.sim.drain()
    items = (await shop.http.get("/v1/suspense_items")).json()["data"]
    assert len(items) == 2
    async with second_process(shop, dsn, tmp_path) as (second, other):
        await shop.deliver()
        answers, *_ = await asyncio.gather(
            asyncio.gather(
                *(door.http.post(f"/v1/suspense_items/{one['id']}/refund") for one in items for door in (shop, other))
            ),
            shop.send_refunds(),
            second.refunder.run_due(),
        )
        assert {answer.status_code for answer in answers} <= {201, 202}
        await everything_arrives(shop, second)
    assert [one.refund_minor for one in await shop.sim.refunds()] == [10_000] * 2
    assert await shop.count("suspense_item", "state = 'resolved'") == 2
    await shop.check_books()
