"""Tiers: how many people an amount needs, what may be set, and who has set it."""

import asyncio

import pytest

from tael import approvals
from tael.approvals import FourEyesRequired, Tier, TierChange, TiersRefused
from tael.base.clock import SteppedClock
from tael.base.db import Database
from tael.base.ids import Ids
from tael.base.money import InvalidCurrency

from .conftest import BOOK, KIND, Ask

AMOUNTS = [
    ("CNY", 0, 1), ("CNY", 4_999_999, 1), ("CNY", 5_000_000, 2), ("CNY", 49_999_999, 2), ("CNY", 50_000_000, 3),
    ("CNY", 2**63 - 1, 3), ("JPY", 49_999, 1), ("JPY", 50_000, 2), ("JPY", 500_000, 3), ("KWD", 49_999_999, 1),
    ("KWD", 50_000_000, 2),
]  # fmt: skip


@pytest.mark.parametrize(("currency", "amount", "needed"), AMOUNTS)
async def test_the_shipped_tiers(db: Database, currency: str, amount: int, needed: int) -> None:
    async with db.transaction() as tx:
        assert await approvals.needed(tx, book=BOOK, kind=KIND, amount=amount, currency=currency) == needed


async def test_an_unknown_currency_has_no_tiers(db: Database) -> None:
    with pytest.raises(InvalidCurrency):
        async with db.transaction() as tx:
            await approvals.needed(tx, book=BOOK, kind=KIND, amount=1, currency="XXX")


SETTABLE = [
    ([(0, 1)], "test", None), ([(0, 1)], "live", None), ([(0, 0), (100, 1)], "test", None),
    ([(0, 0), (100, 1)], "live", FourEyesRequired), ([(0, 3)], "live", None), ([(0, 1), (1, 2), (2, 3)], "live", None),
    ([], "test", TiersRefused), ([(1, 1)], "test", TiersRefused), ([(0, 2), (100, 1)], "test", TiersRefused),
    ([(0, 1), (0, 2)], "test", TiersRefused), ([(0, 1), (9, 2), (8, 3)], "test", TiersRefused),
    ([(0, 4)], "test", TiersRefused), ([(0, -1)], "test", TiersRefused),
]  # fmt: skip


@pytest.mark.parametrize(("steps", "mode", "refusal"), SETTABLE)
async def test_what_can_be_set(
    db: Database, ids: Ids, clock: SteppedClock, steps: list[tuple[int, int]], mode: str,
    refusal: type[Exception] | None,
) -> None:  # fmt: skip
    async def change() -> None:
        async with db.transaction() as tx:
            await approvals.set_tiers(
                tx, book=BOOK, kind=KIND, currency="CNY", tiers=[Tier(*step) for step in steps], mode=mode,
                person="wang", ids=ids, now=clock.now(),
            )  # fmt: skip

    if refusal is not None:
        with pytest.raises(refusal):
            await change()
        assert await _in_force(db) == [(0, 1), (5_000_000, 2), (50_000_000, 3)]
        return
    for _ in range(2):
        await change()
        assert await _in_force(db) == steps
    async with db.transaction() as tx:
        found = await approvals.changes_of(tx, book=BOOK, kind=KIND, currency="CNY", limit=9)
        assert [(one.person, one.at, len(one.tiers)) for one in found] == [("wang", clock.now(), len(steps))] * 2
        for other in ({"book": 2}, {"kind": "refund"}, {"currency": "USD"}):
            where: dict[str, object] = {"book": BOOK, "kind": KIND, "currency": "CNY"} | other
            assert await approvals.changes_of(tx, limit=9, **where) == []
            (tiers,) = await approvals.tiers_of(tx, [(where["book"], where["kind"], where["currency"])])
            assert tiers.is_shipped


async def test_whoever_sets_them_last_sets_all_of_them(db: Database, ids: Ids, clock: SteppedClock) -> None:
    sets = [[(0, 1), (n, 2), (n + 1, 3)] for n in range(10, 40)]

    async def change(steps: list[tuple[int, int]]) -> None:
        async with db.transaction() as tx:
            await approvals.set_tiers(
                tx, book=BOOK, kind=KIND, currency="CNY", tiers=[Tier(*step) for step in steps], mode="test",
                person="wang", ids=ids, now=clock.now(),
            )  # fmt: skip

    await asyncio.gather(*(change(steps) for steps in sets))
    assert await _in_force(db) in sets


async def test_nobody_is_needed_only_where_a_book_says_so(db: Database, ids: Ids, clock: SteppedClock, ask: Ask):
    async with db.transaction() as tx:
        await approvals.refuse_zero_tiers(tx)
        await approvals.set_tiers(
            tx, book=BOOK, kind=KIND, currency="CNY", tiers=[Tier(0, 0), Tier(1000, 2)], mode="test", person="wang",
            ids=ids, now=clock.now(),
        )  # fmt: skip
    assert [(one.state, one.needed) for one in [
        await ask("free", amount=999), await ask("risky", amount=999, least=1), await ask("big", amount=1000),
        await ask("dollars", amount=999, currency="USD"), await ask("elsewhere", amount=999, book=2),
    ]] == [("approved", 0), ("pending", 1), ("pending", 2), ("pending", 1), ("pending", 1)]  # fmt: skip
    with pytest.raises(FourEyesRequired, match="book 1: withdrawal in CNY"):
        async with db.transaction() as tx:
            await approvals.refuse_zero_tiers(tx)


async def test_in_live_mode_two_people_change_the_tiers(db: Database, ids: Ids, clock: SteppedClock) -> None:
    wanted = TierChange(BOOK, KIND, "CNY", [Tier(0, 2)], "live", "wang")

    async def decide(checker: str, *, approve: bool = True) -> str:
        async with db.transaction() as tx:
            done = await approvals.decide_tiers(
                tx, book=BOOK, kind=KIND, currency="CNY", checker=checker, approve=approve, note=None,
                payload_sha256=None, ids=ids, now=clock.now(),
            )  # fmt: skip
        return done.state

    for _ in range(2):
        async with db.transaction() as tx:
            waits = await approvals.change_tiers(tx, wanted, ids=ids, now=clock.now())
            assert isinstance(waits, approvals.Approval)
            assert (waits.state, waits.needed) == ("pending", 1)
    with pytest.raises(approvals.SelfApproval):
        await decide("wang")
    assert await _in_force(db) == [(0, 1), (5_000_000, 2), (50_000_000, 3)]
    assert await decide("li", approve=False) == "rejected"
    async with db.transaction() as tx:
        await approvals.change_tiers(tx, wanted, ids=ids, now=clock.now())
    assert await decide("li") == "approved"
    assert await _in_force(db) == [(0, 2)]
    with pytest.raises(approvals.AlreadyDecided):
        await decide("li")


async def _in_force(db: Database) -> list[tuple[int, int]]:
    async with db.transaction() as tx:
        (tiers,) = await approvals.tiers_of(tx, [(BOOK, KIND, "CNY")])
    return [(one.from_minor, one.needed) for one in tiers.tiers]
