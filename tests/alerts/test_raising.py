"""An alert is open once, counted as often as it is noticed, closed when all is well, and read page by page."""

import asyncio

import pytest
from prometheus_client import REGISTRY

from tael.alerts import Alert, AlertNotFound, acknowledge, clear, keep, observe_open, raise_alert
from tael.base.clock import SteppedClock
from tael.base.db import Database
from tael.base.ids import Ids

from .conftest import BOOK, LATE, LOST, Raise, Shown, lost


async def test_raising_again_counts_and_tells_the_newest(raised: Raise, shown: Shown, clock: SteppedClock) -> None:
    first_at = clock.now()
    await raised(lost(count=1))
    clock.advance(5)
    await raised(lost(count=7), lost("T-2"), lost(book=2))
    newest, first = await shown()
    assert (newest.subject, newest.times) == ("T-2", 1)
    assert (first.times, first.opened_at, first.last_at) == (2, first_at, clock.now())
    assert (first.text_en, first.text_zh, first.data) == ("7 of T-1 lost.", "T-1 丢失 7 件。", {"count": 7})
    assert [one.subject for one in await shown(2)] == ["T-1"]
    await raised()
    await raised(lost(count=1), lost(count=3))
    assert [(one.subject, one.times, one.data["count"]) for one in await shown()] == [("T-2", 1, 1), ("T-1", 3, 3)]


async def test_cleared_it_is_closed_and_raised_later_it_is_another(
    db: Database, raised: Raise, shown: Shown, clock: SteppedClock
) -> None:
    await raised(lost(), lost("T-2"), Alert(BOOK, LATE, "T-1"))
    for _ in range(2):
        async with db.transaction() as tx:
            await clear(tx, [(BOOK, LOST, "T-1"), (2, LOST, "T-2"), (BOOK, LATE, "unheard of")], now=clock.now())
            await clear(tx, [], now=clock.now())
    assert [(one.kind, one.subject, one.closed_at is None) for one in await shown()] == [
        ("thing_late", "T-1", True), ("thing_lost", "T-2", True), ("thing_lost", "T-1", False),
    ]  # fmt: skip
    await raised(lost())
    found = [one for one in await shown() if (one.kind, one.subject) == ("thing_lost", "T-1")]
    assert [(one.times, one.closed_at) for one in found] == [(1, None), (1, clock.now())]


async def test_nothing_is_raised_by_a_transaction_that_rolls_back(
    db: Database, ids: Ids, shown: Shown, clock: SteppedClock
) -> None:
    with pytest.raises(ZeroDivisionError):  # noqa: PT012
        async with db.transaction() as tx:
            await raise_alert(tx, [lost()], ids=ids, now=clock.now())
            raise ZeroDivisionError
    assert await shown() == []


async def test_many_raise_the_same_at_once(raised: Raise, shown: Shown) -> None:
    pairs = [(lost("A"), lost("B")), (lost("B"), lost("A"))]
    await asyncio.gather(*(raised(*pairs[number % 2]) for number in range(20)))
    assert [(one.subject, one.times) for one in sorted(await shown(), key=lambda one: one.subject)] == [
        ("A", 20), ("B", 20),
    ]  # fmt: skip


async def test_keeping_opens_changes_and_closes_only_its_kinds(
    db: Database, ids: Ids, raised: Raise, shown: Shown, clock: SteppedClock
) -> None:
    await raised(Alert(BOOK, LATE, "T-1"))
    for found, expected in (
        ([lost("A"), lost("B")], {"A": 1, "B": 1}),
        ([lost("A"), lost("B", 2)], {"A": 1, "B": 2}),
        ([lost("A")], {"A": 1}),
        ([], {}),
        ([lost("B")], {"B": 1}),
    ):
        async with db.transaction() as tx:
            await keep(tx, [LOST], found, ids=ids, now=clock.now())
        still = await shown(only_open=True)
        assert {one.subject: one.times for one in still if one.kind == "thing_lost"} == expected
        assert [one.subject for one in still if one.kind == "thing_late"] == ["T-1"]


async def test_the_first_to_acknowledge_stays(db: Database, raised: Raise, shown: Shown, clock: SteppedClock) -> None:
    await raised(lost())
    (one,) = await shown()
    for person in ("li", "zhao"):
        clock.advance(1)
        async with db.transaction() as tx:
            known = await acknowledge(tx, book=BOOK, id=one.id, by=person, now=clock.now())
        assert (known.acknowledged_by, known.closed_at) == ("li", None)
    await raised(lost())
    assert (await shown())[0].acknowledged_by == "li"
    for book, number in ((2, one.id), (BOOK, 7)):
        with pytest.raises(AlertNotFound):
            async with db.transaction() as tx:
                await acknowledge(tx, book=book, id=number, by="li", now=clock.now())


async def test_pages_show_open_ones_first_and_everything_once(
    db: Database, raised: Raise, shown: Shown, clock: SteppedClock
) -> None:
    for number in range(7):
        await raised(lost(f"T-{number}"))
    async with db.transaction() as tx:
        await clear(tx, [(BOOK, LOST, f"T-{number}") for number in (1, 3, 6)], now=clock.now())
    expected = ["T-5", "T-4", "T-2", "T-0", "T-6", "T-3", "T-1"]
    for limit in (1, 2, 3, 4, 5, 7, 9):
        seen, after = [], None
        while found := await shown(limit=limit, after=after):
            seen += [one.subject for one in found]
            after = (found[-1].closed_at is None, found[-1].id)
        assert seen == expected, limit
    assert [one.subject for one in await shown(only_open=True)] == expected[:4]


async def test_the_metric_follows(db: Database, raised: Raise, clock: SteppedClock) -> None:
    def gauge(severity: str, kind: str) -> float | None:
        return REGISTRY.get_sample_value("tael_alerts_open", {"severity": severity, "kind": kind})

    await raised(lost("A"), lost("B"), Alert(BOOK, LATE, "A"))
    assert await observe_open(db) == 3
    assert (gauge("critical", "thing_lost"), gauge("warning", "thing_late")) == (2, 1)
    async with db.transaction() as tx:
        await clear(tx, [(BOOK, LATE, "A")], now=clock.now())
    assert await observe_open(db) == 2
    assert gauge("warning", "thing_late") is None
