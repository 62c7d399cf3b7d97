"""Which merchant account an operation goes through, and what it holds of the quota."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest

from tael.base.db import Database, DatabaseUnavailable
from tael.base.errors import code
from tael.routing import (
    InvalidRoute,
    NoRoute,
    QuotaContended,
    Reserved,
    Route,
    Wanted,
    cool,
    explain,
    put_route,
    reserve,
    set_state,
)

from .conftest import BOOK, NOON, A, B, C, put, reserve_now, route, wanted, went

Figures = Callable[..., Awaitable[tuple[int, ...]]]
LATER = NOON + timedelta(minutes=5)

CHOICES: list[tuple[str, list[Route], list[Wanted], list[int | str]]] = [
    ("nothing is set up", [], [wanted()], ["no_routes"]),
    ("another operation", [route(operation="payment")], [wanted()], ["no_routes"]),
    ("another book", [route(book=2)], [wanted()], ["no_routes"]),
    ("all paused", [route(A, state="paused"), route(B, state="paused")], [wanted()], ["no_routes"]),
    ("another currency", [route(currency="USD")], [wanted()], ["none_fits"]),
    ("by priority", [route(A, priority=2), route(B, priority=1)], [wanted()], [B]),
    ("then by merchant account", [route(B, priority=1), route(A, priority=1)], [wanted()], [A]),
    ("paused", [route(A, state="paused"), route(B)], [wanted()], [B]),
    ("channel", [route(A), route(B, channel="alipay")], [wanted(channels=("alipay",))], [B]),
    ("any of two channels", [route(A), route(B, channel="alipay")], [wanted(channels=("alipay", "wechat"))], [A]),
    ("no channel", [route(A)], [wanted(channels=())], ["none_fits"]),
    ("tried already", [route(A), route(B)], [wanted(exclude=frozenset({A}))], [B]),
    ("all tried", [route(A), route(B)], [wanted(exclude=frozenset({A, B}))], ["none_fits"]),
    ("insisted on", [route(A), route(B)], [wanted(only=B)], [B]),
    ("insisted on, with its limit", [route(A), route(B, daily_limit=99)], [wanted(only=B)], ["none_fits"]),
    ("too small", [route(A, single_min=101), route(B, single_min=100)], [wanted()], [B]),
    ("too large", [route(A, single_max=99), route(B, single_max=100)], [wanted()], [B]),
    ("the day is full", [route(A, daily_limit=250), route(B)], [wanted(), wanted(), wanted()], [A, A, B]),
    ("a smaller one still fits", [route(A, daily_limit=250), route(B)], [wanted(200), wanted(), wanted(50)], [A, B, A]),
    ("to the last unit", [route(A, daily_limit=200)], [wanted(), wanted(), wanted(1)], [A, A, "none_fits"]),
    ("the month is full", [route(A, monthly_limit=150), route(B)], [wanted(), wanted()], [A, B]),
    ("the payee's day", [route(A, payee_daily_limit=150), route(B)],
     [wanted(payee="x"), wanted(payee="x"), wanted(payee="y")], [A, B, A]),
    ("the payee's count", [route(A, payee_daily_count=2), route(B)],
     [wanted(1, payee="x"), wanted(1, payee="x"), wanted(1, payee="x"), wanted(1, payee="y")], [A, A, B, A]),
    ("the payee's month", [route(A, payee_monthly_limit=150), route(B)],
     [wanted(payee="x"), wanted(payee="x")], [A, B]),
    ("no payee, no payee's limit", [route(A, payee_daily_limit=1)], [wanted()], [A]),
    ("larger than any quota", [route(A)], [wanted(2**63 - 1), wanted(2**62 - 1), wanted(1)],
     ["none_fits", A, "none_fits"]),
]  # fmt: skip


@pytest.mark.parametrize(("routes", "operations", "expected"), [c[1:] for c in CHOICES], ids=[c[0] for c in CHOICES])
async def test_the_choice(
    db: Database, routes: list[Route], operations: list[Wanted], expected: list[int | str]
) -> None:
    await put(db, *routes)
    assert went(await reserve_now(db, *operations)) == expected
    assert went(await reserve_now(db, *operations)) == expected  # the same numbers: the same holds, nothing more
    async with db.transaction() as tx:
        rows = await tx.fetch("select merchant_account, sum(amount) from route_hold group by 1")
        taken = await tx.fetch(
            "select merchant_account, held_amount from quota_window where period = 'day' and payee = ''"
        )
    assert {tuple(row) for row in rows} == {tuple(row) for row in taken}


async def test_one_by_one_as_in_a_batch(db: Database) -> None:
    await put(db, route(A, daily_limit=250, payee_daily_count=2), route(B, monthly_limit=300), route(C))
    found = [went(await reserve_now(db, wanted(payee="x")))[0] for _ in range(7)]
    assert found == [A, A, B, B, B, C, C]


async def test_what_is_held(db: Database, figures: Figures) -> None:
    await put(db, route())
    await reserve_now(db, wanted(70, payee="x"), wanted(30))
    assert await figures() == await figures(period="month") == (0, 100, 0, 2)
    assert await figures(payee="x") == await figures(period="month", payee="x") == (0, 70, 0, 1)


async def test_a_number_names_one_operation(db: Database, figures: Figures) -> None:
    await put(db, route())
    one = wanted()
    assert went(await reserve_now(db, one, one)) == [A, A]
    with pytest.raises(AssertionError):
        await reserve_now(db, wanted(200, number=one.number))
    assert await figures() == (0, 100, 0, 1)


async def test_the_same_number_in_two_books(db: Database) -> None:
    await put(db, route(), route(B, book=2))
    one = wanted()
    other = wanted(book=2, number=one.number)
    assert went(await reserve_now(db, one, other)) == [A, B]


async def test_the_day_and_the_month_change_in_shanghai(db: Database, figures: Figures) -> None:
    await put(db, route(daily_limit=100, monthly_limit=200))
    ends = [(2026, 1, 30, 15, 59), (2026, 1, 30, 16, 0), (2026, 1, 31, 15, 59), (2026, 1, 31, 16, 0)]
    found = [went(await reserve_now(db, wanted(), now=datetime(*end, tzinfo=UTC)))[0] for end in ends]
    assert found == [A, A, "none_fits", A]  # 30, 31 and 31 January and 1 February, there
    assert await figures(period="month", starts="2026-01-01") == (0, 200, 0, 2)
    assert await figures(period="month", starts="2026-02-01") == (0, 100, 0, 1)


async def test_cooling_ends_by_itself_and_is_never_shortened(db: Database) -> None:
    await put(db, route(), route(currency="USD"), route(operation="payment"), route(B))
    async with db.transaction() as tx:
        for until in (LATER, LATER - timedelta(minutes=1)):
            await cool(tx, book=BOOK, merchant_account=A, operation="payout", until=until)
    almost = LATER - timedelta(microseconds=1)
    asked = [wanted(), wanted(currency="USD"), wanted(operation="payment")]
    assert went(await reserve_now(db, *asked, now=almost)) == [B, "none_fits", A]
    assert went(await reserve_now(db, wanted(), now=LATER)) == [A]
    await put(db, route())  # new settings do not end it
    assert went(await reserve_now(db, wanted(), now=almost)) == [B]
    async with db.transaction() as tx:
        await set_state(tx, book=BOOK, merchant_account=A, operation="payout", currency="CNY", state="active", now=NOON)
    assert went(await reserve_now(db, wanted(), now=NOON)) == [A]


async def test_a_refusal_says_why(db: Database) -> None:
    await put(db, route(A, daily_limit=1), route(B, state="paused"))
    (refusal,) = await reserve_now(db, wanted())
    assert isinstance(refusal, NoRoute)
    assert (code(type(refusal)), refusal.status, refusal.reason) == ("no_route", 422, "none_fits")
    assert str(refusal) == "A: daily_limit; B: paused"
    assert refusal.extra["considered"] == [
        {"merchant_account": "11", "currency": "CNY", "verdict": "daily_limit"},
        {"merchant_account": "12", "currency": "CNY", "verdict": "paused"},
    ]


async def test_a_limit_that_is_lowered_stops_what_comes_and_changes_nothing(db: Database, figures: Figures) -> None:
    await put(db, route(daily_limit=500))
    await reserve_now(db, wanted(400))
    await put(db, route(daily_limit=300))
    assert went(await reserve_now(db, wanted(1))) == ["none_fits"]
    assert await figures() == (0, 400, 0, 1)


async def test_a_transaction_that_dies_leaves_nothing(db: Database, figures: Figures) -> None:
    await put(db, route(daily_limit=100))
    one = wanted()

    async def die() -> None:
        async with db.transaction() as tx:
            assert went(await reserve(tx, [one], now=NOON)) == [A]
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await die()
    assert await figures() == (0, 0, 0, 0)
    assert went(await reserve_now(db, one)) == [A]


async def test_a_connection_that_dies_before_the_commit_leaves_nothing(db: Database, figures: Figures) -> None:
    await put(db, route(daily_limit=100))

    async def lose_connection() -> None:
        async with db.transaction() as tx:
            await reserve(tx, [wanted()], now=NOON)
            async with db.transaction() as other:
                pid = await tx.fetchval("select pg_backend_pid()")
                await other.execute("select pg_terminate_backend($1)", pid)
            await tx.fetchval("select 1")

    with pytest.raises(DatabaseUnavailable):
        await lose_connection()
    assert await figures() == (0, 0, 0, 0)
    assert went(await reserve_now(db, wanted())) == [A]


async def overtaken(db: Database, *, commits: bool) -> tuple[list[int | str], list[int | str]]:
    """Two reserve at once, and both have read that there is room: the second waits for what the first does."""
    async with db.transaction() as first:
        ours = went(await reserve(first, [wanted()], now=NOON))
        second = asyncio.create_task(reserve_now(db, wanted()))
        async with db.transaction() as looking:
            while not await looking.fetchval("select count(*) from pg_locks where not granted"):
                await asyncio.sleep(0)
        if not commits:
            await first.execute("rollback")
    return ours, went(await second)


async def test_two_take_the_last_quota(db: Database, figures: Figures) -> None:
    await put(db, route(A, daily_limit=100), route(B))
    assert await overtaken(db, commits=True) == ([A], [B])
    assert await figures(A) == await figures(B) == (0, 100, 0, 1)


async def test_two_want_the_last_quota_and_one_dies(db: Database, figures: Figures) -> None:
    await put(db, route(A, daily_limit=100), route(B))
    assert await overtaken(db, commits=False) == ([A], [A])
    assert await figures(A) == (0, 100, 0, 1)


async def test_the_same_number_from_two_callers_holds_once(db: Database, figures: Figures) -> None:
    await put(db, route(daily_limit=1_000))
    one = wanted()
    found = await asyncio.gather(*(reserve_now(db, one) for _ in range(20)))
    assert [went(each) for each in found] == [[A]] * 20
    assert await figures() == (0, 100, 0, 1)


async def test_explaining_takes_nothing(db: Database, figures: Figures) -> None:
    await put(db, route(A, daily_limit=150), route(B), route(C))
    await reserve_now(db, wanted())
    async with db.transaction() as tx:
        found = await explain(tx, wanted(), now=NOON)
    assert [(one.route.label, one.verdict) for one in found] == [
        ("A", "daily_limit"), ("B", "chosen"), ("C", "available"),
    ]  # fmt: skip
    assert [(quota.key.period, quota.held_amount, quota.remaining) for quota in found[0].quotas] == [
        ("day", 100, 50), ("month", 100, None),
    ]  # fmt: skip
    assert await figures() == (0, 100, 0, 1)


@pytest.mark.parametrize(
    "statement",
    [
        "update quota_window set held_amount = -1",
        "update quota_window set used_count = -1",
        "update quota_window set starts = starts + 1 where period = 'month'",
        "update route_hold set state = 'returned', ended_at = created_at",
        "update route_hold set ended_at = created_at",
        "update route_hold set bound = false",
        "insert into route_hold select * from route_hold",
        "update route set single_min = 2, single_max = 1",
    ],
)
async def test_the_database_refuses_what_cannot_be(db: Database, statement: str) -> None:
    await put(db, route())
    await reserve_now(db, wanted())
    with pytest.raises(asyncpg.IntegrityConstraintViolationError):
        async with db.transaction() as tx:
            await tx.execute(statement)


async def test_a_routes_settings_are_checked(db: Database) -> None:
    for changes, param in (
        ({"currency": "XXX"}, "currency"), ({"priority": -1}, "priority"), ({"daily_limit": 0}, "daily_limit"),
        ({"monthly_limit": 2**62}, "monthly_limit"), ({"payee_daily_count": 2_000_000}, "payee_daily_count"),
        ({"single_min": 2, "single_max": 1}, "single_min"),
    ):  # fmt: skip
        with pytest.raises(InvalidRoute) as refused:
            await put(db, route(**changes))
        assert refused.value.param == param
    async with db.transaction() as tx:
        for number in range(100):
            await put_route(tx, route(number + 1), now=NOON)
        await put_route(tx, route(1, priority=5), now=NOON)
        with pytest.raises(InvalidRoute, match="100 routes"):
            await put_route(tx, route(200), now=NOON)


async def test_reserved_says_the_channel(db: Database) -> None:
    await put(db, route(channel="alipay"))
    one = wanted()
    assert await reserve_now(db, one) == await reserve_now(db, one) == [Reserved(one.number, A, "alipay")]


async def test_who_is_always_overtaken_gives_up_and_leaves_nothing(db: Database) -> None:
    """A database in which no quota can ever be written, however often it is tried."""
    await put(db, route())
    async with db.transaction() as tx:
        await tx.execute("create function refuse() returns trigger language plpgsql as 'begin return null; end'")
        await tx.execute("create trigger refuse before insert on quota_window for each row execute function refuse()")
    with pytest.raises(QuotaContended) as given_up:
        await reserve_now(db, wanted())
    assert given_up.value.retryable
    async with db.transaction() as tx:
        assert await tx.fetchval("select count(*) from route_hold") == 0
