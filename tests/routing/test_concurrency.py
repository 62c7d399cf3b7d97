"""Many callers over many connections: no limit is exceeded, every sum is exact, and explaining agrees with doing."""

import asyncio
from collections import Counter
from random import Random

import pytest

from tael.base.db import Database
from tael.routing import (
    Reserved,
    Route,
    Verdict,
    Wanted,
    cool,
    explain,
    give_back,
    release,
    reserve,
    set_state,
    settle,
    usage,
)

from .conftest import BOOK, NOON, A, B, C, put, reserve_now, route, wanted

PAYEES = [f"p{number}" for number in range(30)]
BROKEN = """
    select * from quota_window where used_amount + held_amount > coalesce(amount_limit, 1e18)
        or used_count + held_count > coalesce(count_limit, 1e18)
"""
# What every window must hold, from the holds alone.
EXPECTED = """
    select merchant_account, period, case period when 'day' then day else month end, who,
        coalesce(sum(amount) filter (where state = 'used'), 0), coalesce(sum(amount) filter (where state = 'held'), 0),
        count(*) filter (where state = 'used'), count(*) filter (where state = 'held')
    from route_hold, unnest(array['day', 'month']) period,
        unnest(case when payee is null then array[''] else array['', payee] end) who
    group by 1, 2, 3, 4
"""
FOUND = """
    select merchant_account, period, starts, payee, used_amount, held_amount, used_count, held_count from quota_window
"""


async def check_sums(db: Database) -> None:
    """No window is above its limits, and each is what its holds add up to."""
    async with db.report() as tx:
        assert not await tx.fetch(BROKEN)
        expected = {tuple(row) for row in await tx.fetch(EXPECTED)}
        assert {tuple(row) for row in await tx.fetch(FOUND)} == expected


async def test_a_thousand_at_once_fill_every_quota_and_exceed_none(dsn: str, db: Database) -> None:
    await put(
        db, route(A, daily_limit=20_000), route(B, monthly_limit=30_000, payee_daily_count=20),
        route(C, payee_daily_limit=900, single_max=150),
    )  # fmt: skip
    random = Random(7)
    queue = [wanted(random.randrange(50, 200), payee=random.choice(PAYEES)) for _ in range(1_000)]
    results: list[object] = []

    async def caller(pool: Database) -> None:
        while queue:
            size = random.choice([1, 1, 1, 7])
            batch, queue[:] = queue[:size], queue[size:]
            results.extend(await reserve_now(pool, *batch))

    async with await Database.connect(dsn, max_size=12) as other:
        await asyncio.gather(*(caller(pool) for pool in (db, other) for _ in range(12)))
    assert len(results) == 1_000
    held = Counter(one.merchant_account for one in results if isinstance(one, Reserved))
    assert set(held) == {A, B, C}
    await check_sums(db)
    async with db.transaction() as tx:
        today = {one.route.merchant_account: one.day for one in await usage(tx, book=BOOK, day=NOON.date())}
    assert {number: window.held_count for number, window in today.items()} == held
    assert today[A].remaining is not None
    assert today[A].remaining < 50  # nothing was left that could have been used
    assert 30_000 - today[B].held_amount < 200


async def test_a_life_at_once(dsn: str, db: Database) -> None:
    """Reserving, settling, releasing, giving back and crashing, all at the same time; what was settled is the sum."""
    await put(db, route(A, daily_limit=5_000, payee_daily_limit=800), route(B, monthly_limit=9_000), route(C))
    random, settled = Random(11), Counter[int]()

    async def life(pool: Database, one: Wanted) -> None:
        (result,) = await reserve_now(pool, one)
        assert isinstance(result, Reserved)
        keys = [(one.book, one.number)]
        fate = random.choice(["settle", "settle", "release", "give_back", "unknown", "crash"])
        for _ in range(2):
            try:
                async with pool.transaction() as tx:
                    if fate == "release":
                        await release(tx, keys, now=NOON)
                    elif fate != "unknown":
                        await settle(tx, keys, now=NOON)
                    if fate == "crash":
                        raise ZeroDivisionError
            except ZeroDivisionError:
                continue
        if fate == "give_back":
            async with pool.transaction() as tx:
                await give_back(tx, keys, now=NOON)
        if fate == "settle":
            settled[result.merchant_account] += one.amount

    async def caller(pool: Database) -> None:
        for _ in range(15):
            await life(pool, wanted(random.randrange(1, 300), payee=random.choice(PAYEES[:5])))

    async with await Database.connect(dsn, max_size=12) as other:
        await asyncio.gather(*(caller(pool) for pool in (db, other) for _ in range(12)))
    await check_sums(db)
    async with db.transaction() as tx:
        today = await usage(tx, book=BOOK, day=NOON.date())
    assert {one.route.merchant_account: one.day.used_amount for one in today} == settled


def any_route(random: Random, merchant_account: int) -> Route:
    def limit(most: int) -> int | None:
        return random.choice([None, None, random.randrange(1, most)])

    low = limit(60)
    return route(
        merchant_account, priority=random.randrange(3), channel=random.choice(["wechat", "alipay"]),
        currency=random.choice(["CNY", "CNY", "CNY", "USD"]), state=random.choice(["active", "active", "paused"]),
        single_min=low, single_max=random.choice([None, (low or 1) + random.randrange(200)]), daily_limit=limit(900),
        monthly_limit=limit(900), payee_daily_limit=limit(300), payee_daily_count=limit(5),
        payee_monthly_limit=limit(400),
    )  # fmt: skip


def any_wanted(random: Random) -> Wanted:
    return wanted(
        random.randrange(1, 250), payee=random.choice([None, "x", "y"]), currency=random.choice(["CNY", "CNY", "USD"]),
        channels=random.choice([None, None, ("wechat",), ("wechat", "alipay")]),
        exclude=frozenset(random.sample(range(1, 7), random.choice([0, 0, 1, 3]))),
        only=random.choice([None, None, None, random.randrange(1, 7)]),
    )  # fmt: skip


@pytest.mark.parametrize("seed", range(12))
async def test_explaining_agrees_with_reserving(db: Database, seed: int) -> None:
    random = Random(seed)
    await put(db, *(any_route(random, number) for number in range(1, 7)))
    async with db.transaction() as tx:
        for _ in range(60):
            one = any_wanted(random)
            considered = await explain(tx, one, now=NOON)
            chosen = [each.route.merchant_account for each in considered if each.verdict is Verdict.CHOSEN]
            (result,) = await reserve(tx, [one], now=NOON)
            if isinstance(result, Reserved):
                assert chosen == [result.merchant_account]
                end = random.choice([settle, release, None])
                if end is not None:
                    await end(tx, [(one.book, one.number)], now=NOON)
            else:
                assert chosen == []
                assert [(each.route, each.verdict) for each in result.considered] == [
                    (each.route, each.verdict) for each in considered
                ]
            if random.random() < 0.1:
                await cool(tx, book=BOOK, merchant_account=random.randrange(1, 7), operation="payout", until=NOON)
                where = random.choice(considered).route
                await set_state(
                    tx, book=BOOK, merchant_account=where.merchant_account, operation="payout",
                    currency=where.currency, state=random.choice(["active", "paused"]), now=NOON,
                )  # fmt: skip
    await check_sums(db)
