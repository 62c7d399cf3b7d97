"""What becomes of held quota: used, released, expired, returned; each step twice, and never by time once bound."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from tael.base.db import Database, Tx
from tael.routing import bind, expire_unused, give_back, release, reserve, set_used, settle

from .conftest import BOOK, NOON, A, put, reserve_now, route, wanted, went

Figures = Callable[..., Awaitable[tuple[int, ...]]]
NUMBER = "N0"
KEYS = [(BOOK, NUMBER), (BOOK, "nobody"), (2, NUMBER)]
SOON = NOON + timedelta(minutes=10)


async def step(db: Database, name: str, *, now: datetime = NOON) -> int:
    """Take a step; answers how many holds it moved."""
    async with db.transaction() as tx:
        match name:
            case "settle":
                return len(await settle(tx, KEYS, now=now))
            case "release":
                return len(await release(tx, KEYS, now=now))
            case "give_back":
                return len(await give_back(tx, KEYS, now=now))
            case "bind":
                return len(await bind(tx, KEYS))
            case _:
                assert name == "expire"
                return await expire_unused(tx, now=SOON)


# Steps, each taken twice -> state, and used and held amounts in all four windows.
STORIES: list[tuple[list[str], str, tuple[int, int]]] = [
    ([], "held", (0, 70)),
    (["settle"], "used", (70, 0)),
    (["release"], "released", (0, 0)),
    (["give_back"], "held", (0, 70)),
    (["expire"], "expired", (0, 0)),
    (["bind", "expire"], "held", (0, 70)),
    (["bind", "settle", "expire"], "used", (70, 0)),
    (["bind", "release"], "released", (0, 0)),
    (["settle", "release"], "used", (70, 0)),
    (["settle", "give_back"], "returned", (0, 0)),
    (["settle", "give_back", "settle"], "returned", (0, 0)),
    (["settle", "give_back", "release"], "returned", (0, 0)),
    (["release", "give_back"], "released", (0, 0)),
    (["release", "settle"], "used", (70, 0)),
    (["expire", "settle"], "used", (70, 0)),
    (["expire", "bind"], "expired", (0, 0)),
    (["expire", "settle", "give_back"], "returned", (0, 0)),
    (["settle", "bind"], "used", (70, 0)),
]


@pytest.mark.parametrize(("steps", "state", "amounts"), STORIES, ids=["-".join(story[0]) or "-" for story in STORIES])
async def test_a_hold(db: Database, figures: Figures, steps: list[str], state: str, amounts: tuple[int, int]) -> None:
    await put(db, route(daily_limit=70))
    await reserve_now(db, wanted(70, number=NUMBER, payee="x"), bound=False, expires_at=SOON)
    for name in steps:
        await step(db, name)
        assert await step(db, name) == (1 if name == "bind" and state != "expired" else 0)
    async with db.transaction() as tx:
        assert await tx.fetchval("select state from route_hold") == state
    used, held = amounts
    expected = (used, held, used // 70, held // 70)
    for period in ("day", "month"):
        assert await figures(period=period) == await figures(period=period, payee="x") == expected
    again = await reserve_now(db, wanted(70, number=NUMBER, payee="x"))
    assert went(again) == [A if state in {"held", "used"} else "number_over"]
    assert await figures() == expected


@pytest.mark.parametrize("name", ["settle", "release", "expire"])
async def test_a_step_that_dies_changed_nothing(db: Database, figures: Figures, name: str) -> None:
    await put(db, route())
    await reserve_now(db, wanted(70, number=NUMBER), bound=False, expires_at=SOON)

    async def dies(tx: Tx) -> None:
        await {"settle": settle, "release": release}[name](tx, KEYS, now=NOON) if name != "expire" else (
            await expire_unused(tx, now=SOON)
        )
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        async with db.transaction() as tx:
            await dies(tx)
    assert await figures() == (0, 70, 0, 1)
    assert await step(db, name) == 1


async def test_amounts_move_in_the_windows_in_which_they_were_held(db: Database, figures: Figures) -> None:
    await put(db, route(daily_limit=70))
    await reserve_now(db, wanted(70, number=NUMBER), now=datetime(2026, 1, 31, 15, 59, tzinfo=UTC))
    later = datetime(2026, 2, 3, tzinfo=UTC)
    assert went(await reserve_now(db, wanted(70), now=later)) == [A]
    for name, (used, held) in (("settle", (70, 0)), ("give_back", (0, 0))):
        assert await step(db, name, now=later) == 1
        for period, old, new in (("day", "2026-01-31", "2026-02-03"), ("month", "2026-01-01", "2026-02-01")):
            assert (await figures(period=period, starts=old))[:2] == (used, held)
            assert (await figures(period=period, starts=new))[:2] == (0, 70)


async def test_only_unbound_holds_expire_a_bounded_number_at_a_time(db: Database, figures: Figures) -> None:
    await put(db, route())
    await reserve_now(db, *(wanted() for _ in range(5)), bound=False, expires_at=SOON)
    await reserve_now(db, *(wanted() for _ in range(3)))  # their attempts may be unknown for days
    bound = [wanted(), wanted()]
    await reserve_now(db, *bound, bound=False, expires_at=SOON)
    async with db.transaction() as tx:
        assert await bind(tx, [(BOOK, bound[0].number)]) == {(BOOK, bound[0].number)}
    await reserve_now(db, bound[1])  # reserving for an attempt that exists binds too
    for now, counts in ((SOON - timedelta(microseconds=1), [0]), (SOON + timedelta(days=900), [4, 1, 0])):
        for count in counts:
            async with db.transaction() as tx:
                assert await expire_unused(tx, now=now, limit=4) == count
    assert await figures() == (0, 500, 0, 5)


async def test_two_sweepers_share_the_work(db: Database, figures: Figures) -> None:
    await put(db, route())
    await reserve_now(db, *(wanted() for _ in range(10)), bound=False, expires_at=SOON)

    async def sweep() -> int:
        async with db.transaction() as tx:
            return await expire_unused(tx, now=SOON, limit=7)

    assert sum(await asyncio.gather(*(sweep() for _ in range(4)))) == 10
    assert await figures() == (0, 0, 0, 0)


async def test_a_hold_that_is_being_bound_does_not_expire(db: Database) -> None:
    await put(db, route())
    await reserve_now(db, wanted(number=NUMBER), bound=False, expires_at=SOON)
    async with db.transaction() as binding:
        await bind(binding, KEYS)
        assert await step(db, "expire") == 0
    assert await step(db, "expire") == 0


async def test_a_batch_of_mixed_holds_in_two_books(db: Database, figures: Figures) -> None:
    await put(db, route(), route(book=2, merchant_account=21))
    ours, theirs = [wanted(10, payee="x") for _ in range(3)], wanted(7, book=2)
    await reserve_now(db, *ours, theirs)
    keys = [(one.book, one.number) for one in (*ours, theirs)]
    async with db.transaction() as tx:
        assert await settle(tx, [keys[0], keys[3]], now=NOON) == {keys[0], keys[3]}
        assert await release(tx, keys, now=NOON) == {keys[1], keys[2]}
        assert await settle(tx, [], now=NOON) == await bind(tx, []) == set()
    assert await figures() == await figures(payee="x") == (10, 0, 1, 0)
    assert await figures(21) == (7, 0, 1, 0)


async def test_a_number_of_another_book_is_left_alone(db: Database) -> None:
    """Two books, two numbers, crosswise: only the pairs that were named end."""
    await put(db, route(), route(book=2))
    pairs = [(book, number) for book in (1, 2) for number in ("X", "Y")]
    await reserve_now(db, *(wanted(book=book, number=number) for book, number in pairs))
    async with db.transaction() as tx:
        assert await settle(tx, [(1, "X"), (2, "Y")], now=NOON) == {(1, "X"), (2, "Y")}
        rows = await tx.fetch("select book, number from route_hold where state = 'used'")
    assert {tuple(row) for row in rows} == {(1, "X"), (2, "Y")}


async def test_ends_in_opposite_orders_do_not_wait_in_a_circle(db: Database, figures: Figures) -> None:
    await put(db, route(A, single_max=10), route(12))
    operations = [wanted(10 if number % 2 else 20) for number in range(40)]
    await reserve_now(db, *operations)
    keys = [(one.book, one.number) for one in operations]

    async def end(mine: list[tuple[int, str]]) -> int:
        async with db.transaction() as tx:
            return len(await settle(tx, mine, now=NOON))

    halves = [keys[first:last] for first, last in pairwise(range(0, 41, 5))]
    found = await asyncio.gather(*(end(half[::way]) for half in [keys, *halves] for way in (1, -1)))
    assert sum(found) == 40
    assert await figures(A) == (200, 0, 20, 0)
    assert await figures(12) == (400, 0, 20, 0)


async def test_the_channels_count_corrects_ours(db: Database, figures: Figures) -> None:
    await put(db, route(daily_limit=1_000))
    await reserve_now(db, wanted(100, number=NUMBER), wanted(50))
    await step(db, "settle")

    async def correct(amount: int, count: int, **other: object) -> tuple[int, int]:
        at = {"merchant_account": A, "day": NOON.date()} | other
        async with db.transaction() as tx:
            drift = await set_used(
                tx, book=BOOK, operation="payout", currency="CNY", used_amount=amount, used_count=count, **at
            )
        return drift.amount, drift.count

    assert await correct(130, 3) == (30, 2)
    assert await correct(130, 3) == (0, 0)
    assert await figures() == await figures(period="month") == (130, 50, 3, 1)
    assert await correct(20, 1) == (-110, -2)
    assert await figures() == await figures(period="month") == (20, 50, 1, 1)
    assert await step(db, "give_back") == 1  # the channel's count is the truth: nothing falls below zero
    assert await figures() == (0, 50, 0, 1)
    assert await correct(900, 1, merchant_account=99) == (900, 1)  # where nothing went through us
    assert await figures(99, period="month") == (900, 0, 1, 0)
    assert await correct(960, 9) == (960, 9)
    assert went(await reserve_now(db, wanted(1))) == ["none_fits"]


async def test_the_last_quota_is_free_again_after_a_release(db: Database) -> None:
    await put(db, route(daily_limit=100, payee_daily_count=1))
    await reserve_now(db, wanted(100, number=NUMBER, payee="x"))
    assert went(await reserve_now(db, wanted(100, payee="x"))) == ["none_fits"]
    async with db.transaction() as tx:
        await release(tx, KEYS, now=NOON)
        assert went(await reserve(tx, [wanted(100, payee="x")], now=NOON)) == [A]
