"""The engine compares whole numbers exactly, up to the largest, and many small operations are noticed."""

from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from risk.conftest import BOOK, MORNING, asks, judge, shipped, table
from tael.base.db import Database
from tael.base.errors import JsonValue
from tael.base.money import MAX_MINOR
from tael.risk import Risk, RiskOutcome, rule_sets
from tael.risk.checks import sample_facts
from tael.risk.decisions import Decision
from tael.risk.tables import read_table

COMPARISONS = {">": int.__gt__, ">=": int.__ge__, "<": int.__lt__, "<=": int.__le__, "==": int.__eq__, "!=": int.__ne__}
NUMBERS = some.integers(0, MAX_MINOR)


@given(
    comparison=some.sampled_from(sorted(COMPARISONS)), limit=NUMBERS, off=some.integers(-1, 1), today=NUMBERS,
    in_column=some.booleans(),
)  # fmt: skip
@settings(max_examples=300, deadline=None)
def test_whole_numbers_are_compared_exactly(comparison: str, limit: int, off: int, today: int, in_column: bool) -> None:
    amount = min(max(limit - today + off, 0), MAX_MINOR)
    asked = "amount_today + amount"
    content = (
        table((f"{comparison} {limit}", "rule", "refuse"), field=asked) if in_column
        else table((f"{asked} {comparison} {limit}", "rule", "refuse"))
    )  # fmt: skip
    facts = next(sample_facts()) | {"amount": amount, "amount_today": today}
    (found,) = Decision(read_table(content)).decide([facts])
    holds = COMPARISONS[comparison](today + amount, limit)
    assert (found.outcome is RiskOutcome.REFUSE) == holds


@pytest.mark.parametrize(("minutes_apart", "eleventh"), [(5, RiskOutcome.REVIEW), (7, RiskOutcome.PASS)])
async def test_many_small_ones_within_an_hour_are_noticed(
    minutes_apart: int, eleventh: RiskOutcome, db: Database, risk: Risk
) -> None:
    """A company that allows more than three a day, and nothing else."""
    content = shipped()
    nodes = content["nodes"]
    assert isinstance(nodes, list)
    (node,) = [one for one in nodes if isinstance(one, dict) and one["id"] == "table"]
    inner = node["content"]
    assert isinstance(inner, dict)
    rows: JsonValue = inner["rules"]
    assert isinstance(rows, list)
    inner["rules"] = [one for one in rows if isinstance(one, dict) and one["_id"] != "daily_count"]
    async with db.transaction() as tx:
        await rule_sets.draft(
            tx, book=BOOK, operation="withdrawal", content=content, note="", author="ops", now=MORNING
        )
        await rule_sets.activate(tx, book=BOOK, operation="withdrawal", version=1, author="ops", now=MORNING)
    for number in range(11):
        (last,) = await judge(db, risk, [asks(number, 100)], MORNING + timedelta(minutes=minutes_apart * number))
        if number < 10:
            assert last.outcome is RiskOutcome.PASS
    assert last.outcome is eleventh
