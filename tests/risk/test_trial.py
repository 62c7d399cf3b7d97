"""Rules tried on the past: would have stopped so many of so many."""

from datetime import timedelta

import pytest

from risk.conftest import BOOK, MORNING, asks, judge, shipped, table
from tael.base.db import Database
from tael.risk import InvalidRuleSet, Report, Risk, RuleSetNotFound, rule_sets, trial

STRICT = table(("amount > 100", "small_only", "refuse"), ("amount > 50", "look", "review"))


async def past(db: Database, risk: Risk) -> None:
    """Amounts 0, 10 ... 190, two a day since ten days ago, by ten persons, and one of 20,000.00 that was refused."""
    for number in range(20):
        now = MORNING - timedelta(days=10 - number // 2)
        await judge(db, risk, [asks(number, number * 10, person=number % 10)], now)
    await judge(db, risk, [asks("big", 2_000_000, payee=None)])


@pytest.mark.parametrize(
    ("days", "judged", "stopped", "review"), [(30, 21, 10, 5), (3, 7, 7, 0), (1, 3, 3, 0), (0, 1, 1, 0)]
)
async def test_would_have_stopped(days: int, judged: int, stopped: int, review: int, db: Database, risk: Risk) -> None:
    await past(db, risk)
    async with db.report() as tx:
        found = await risk.dry_run(tx, book=BOOK, operation="withdrawal", content=STRICT, days=days, now=MORNING)
    assert (found.judged, found.stopped, found.review, found.passed) == (
        judged, stopped, review, judged - stopped - review
    )  # fmt: skip
    assert (found.newly_stopped, found.released, found.complete) == (stopped - 1, 0, True)
    assert found.by_rule.get("small_only") == stopped
    assert all((one.was, one.would_be) in {("pass", "refuse"), ("pass", "review")} for one in found.examples)


async def test_the_same_rules_say_the_same_and_a_stored_version_can_be_tried(db: Database, risk: Risk) -> None:
    await past(db, risk)
    same = Report(
        judged=21, passed=20, review=0, stopped=1, newly_stopped=0, released=0, by_rule={"daily_amount": 1},
        examples=(), complete=True,
    )  # fmt: skip
    async with db.transaction() as tx:
        assert same == await risk.dry_run(
            tx, book=BOOK, operation="withdrawal", content=shipped(), days=30, now=MORNING
        )
        await rule_sets.draft(
            tx, book=BOOK, operation="withdrawal", content=table(), note="", author="ops", now=MORNING
        )
        found = await risk.dry_run(tx, book=BOOK, operation="withdrawal", version=1, days=30, now=MORNING)
        assert (found.released, found.passed, found.stopped) == (1, 21, 0)
        assert [(one.number, one.was, one.would_be) for one in found.examples] == [("WDbig", "refuse", "pass")]
        nothing = await risk.dry_run(tx, book=2, operation="withdrawal", content=STRICT, days=30, now=MORNING)
        assert (nothing.judged, nothing.examples) == (0, ())
        with pytest.raises(RuleSetNotFound):
            await risk.dry_run(tx, book=BOOK, operation="withdrawal", version=2, days=30, now=MORNING)
        with pytest.raises(InvalidRuleSet):
            await risk.dry_run(tx, book=BOOK, operation="withdrawal", content={}, days=30, now=MORNING)


async def test_more_than_can_be_tried_is_said(db: Database, risk: Risk, monkeypatch: pytest.MonkeyPatch) -> None:
    await past(db, risk)
    monkeypatch.setattr(trial, "MOST_JUDGED", 20)
    async with db.transaction() as tx:
        found = await risk.dry_run(tx, book=BOOK, operation="withdrawal", content=STRICT, days=30, now=MORNING)
    assert (found.judged, found.complete) == (20, False)
