"""Versions of rules: drafts, shadow, activation, rolling back, what is shipped; none of them ever changes."""

import asyncio
from collections.abc import Awaitable, Callable

import asyncpg
import msgspec
import pytest

from risk.conftest import BOOK, MORNING, asks, judge, shipped, table
from tael.base.db import Database
from tael.base.errors import JsonValue
from tael.risk import InvalidRuleSet, Risk, RiskOutcome, RuleSetNotFound, RuleSetRetired, install_shipped, rule_sets
from tael.risk.store import RuleSet

STRICT = table(("amount > 100", "small_only", "refuse"))
LENIENT = table(("amount > 1000000000", "huge", "review"))
BROKEN = table(("amuont > 100", "small_only", "refuse"))

Move = Callable[[str, int], Awaitable[RuleSet]]


@pytest.fixture
def draft(db: Database) -> Callable[[JsonValue], Awaitable[RuleSet]]:
    async def add(content: JsonValue) -> RuleSet:
        assert isinstance(content, dict)
        async with db.transaction() as tx:
            return await rule_sets.draft(
                tx, book=BOOK, operation="withdrawal", content=content, note="n", author="ops", now=MORNING
            )

    return add


@pytest.fixture
def move(db: Database) -> Move:
    async def to(verb: str, version: int) -> RuleSet:
        async with db.transaction() as tx:
            match verb:
                case "activate":
                    return await rule_sets.activate(
                        tx, book=BOOK, operation="withdrawal", version=version, author="ops", now=MORNING
                    )
                case "shadow":
                    return await rule_sets.shadow(tx, book=BOOK, operation="withdrawal", version=version)
                case _:
                    return await rule_sets.retire(tx, book=BOOK, operation="withdrawal", version=version)

    return to


async def states(db: Database, book: int = BOOK) -> list[str]:
    async with db.transaction() as tx:
        rows = await tx.fetch("select state from risk_rule_set where book = $1 order by operation, version", book)
    return [row["state"] for row in rows]


@pytest.mark.parametrize(
    ("moves", "expected"),
    [
        ([], ["draft", "draft"]),
        ([("activate", 1)], ["active", "draft"]),
        ([("activate", 1), ("activate", 1)], ["active", "draft"]),
        ([("activate", 1), ("activate", 2)], ["retired", "active"]),
        ([("activate", 1), ("activate", 2), ("activate", 1)], ["retired", "retired", "active"]),
        ([("shadow", 1)], ["shadow", "draft"]),
        ([("shadow", 1), ("shadow", 1)], ["shadow", "draft"]),
        ([("shadow", 1), ("shadow", 2)], ["draft", "shadow"]),
        ([("shadow", 1), ("activate", 1)], ["active", "draft"]),
        ([("activate", 1), ("shadow", 2), ("activate", 2)], ["retired", "active"]),
        ([("activate", 1), ("shadow", 1)], RuleSetRetired),
        ([("retire", 1), ("shadow", 1)], RuleSetRetired),
        ([("retire", 1), ("retire", 1)], ["retired", "draft"]),
        ([("activate", 1), ("retire", 1)], ["retired", "draft"]),
        ([("activate", 3)], RuleSetNotFound),
        ([("shadow", 3)], RuleSetNotFound),
        ([("retire", 3)], RuleSetNotFound),
    ],
)
async def test_moves(
    moves: list[tuple[str, int]], expected: list[str] | type[Exception], db: Database, move: Move,
    draft: Callable[[JsonValue], Awaitable[RuleSet]],
) -> None:  # fmt: skip
    await draft(STRICT)
    await draft(LENIENT)
    if isinstance(expected, list):
        for verb, version in moves:
            await move(verb, version)
        assert await states(db) == expected
    else:
        for verb, version in moves[:-1]:
            await move(verb, version)
        with pytest.raises(expected):
            await move(*moves[-1])


@pytest.mark.parametrize("verb", ["activate", "shadow"])
async def test_a_broken_draft_is_kept_but_not_used(
    verb: str, db: Database, move: Move, draft: Callable[[JsonValue], Awaitable[RuleSet]]
) -> None:
    await draft(BROKEN)
    with pytest.raises(InvalidRuleSet) as refused:
        await move(verb, 1)
    assert "amuont" in str(refused.value.extra["problems"])
    assert await states(db) == ["draft"]


async def test_activating_takes_effect_at_once_in_every_process_and_rolling_back_makes_a_version(
    db: Database, risk: Risk, move: Move, draft: Callable[[JsonValue], Awaitable[RuleSet]]
) -> None:
    other = Risk()
    said: list[tuple[str, int]] = []

    async def ask(number: int) -> None:
        for process, judging in enumerate((risk, other)):
            (one,) = await judge(db, judging, [asks(f"{number}-{process}", 500, person=number)])
            said.append((one.outcome.value, one.version))

    await ask(1)
    await draft(STRICT)
    await ask(2)
    await move("activate", 1)
    await ask(3)
    await draft(LENIENT)
    await move("activate", 2)
    await ask(4)
    again = await move("activate", 1)
    await ask(5)
    await move("retire", 3)
    await ask(6)
    assert said[::2] == said[1::2]
    assert said[::2] == [("pass", 1), ("pass", 1), ("refuse", 1), ("pass", 2), ("refuse", 3), ("pass", 1)]
    assert (again.version, again.content, again.note) == (3, STRICT, "n (version 1 again)")


async def test_rules_of_one_company_are_not_those_of_another(
    db: Database, risk: Risk, move: Move, draft: Callable[[JsonValue], Awaitable[RuleSet]]
) -> None:
    await draft(STRICT)
    await move("activate", 1)
    found = await judge(db, risk, [asks(1, 500), asks(2, 500, book=2), asks(3, 500, book=3)])
    assert [one.outcome for one in found] == [RiskOutcome.REFUSE, RiskOutcome.PASS, RiskOutcome.PASS]


async def test_a_shadow_answers_aside_and_has_no_effect(
    db: Database, risk: Risk, move: Move, draft: Callable[[JsonValue], Awaitable[RuleSet]]
) -> None:
    await draft(STRICT)
    await move("shadow", 1)
    found = await judge(db, risk, [asks(1, 500), asks(2, 50), asks(3, 500, book=2)])
    assert [one.outcome for one in found] == [RiskOutcome.PASS] * 3
    async with db.transaction() as tx:
        rows = await tx.fetch("select shadow from risk_verdict order by number")
    kept = [row["shadow"] and msgspec.json.decode(row["shadow"]) for row in rows]
    assert kept == [
        {"version": 1, "outcome": "refuse", "rules": ["small_only"]}, {"version": 1, "outcome": "pass", "rules": []},
        None,
    ]  # fmt: skip


@pytest.mark.parametrize(
    "change",
    [
        "content = '{}'", "note = 'x'", "author = 'x'", "version = 9", "book = 9", "operation = 'x'",
        "created_at = created_at + interval '1 s'", "activated_at = activated_at + interval '1 s'",
        "activated_at = null", "state = 'draft'", "state = 'shadow'",
    ],
)  # fmt: skip
async def test_the_database_lets_nobody_change_a_version(
    change: str, db: Database, move: Move, draft: Callable[[JsonValue], Awaitable[RuleSet]]
) -> None:
    await draft(STRICT)
    await move("activate", 1)
    with pytest.raises(asyncpg.CheckViolationError, match="cannot be changed"):
        async with db.transaction() as tx:
            await tx.execute(f"update risk_rule_set set {change} where book = 1")


async def test_drafts_and_activations_at_once_leave_one_active(
    db: Database, move: Move, draft: Callable[[JsonValue], Awaitable[RuleSet]]
) -> None:
    made = await asyncio.gather(*(draft(STRICT) for _ in range(8)))
    assert sorted(one.version for one in made) == list(range(1, 9))
    await asyncio.gather(*(move("activate", one.version) for one in made))
    assert sorted(await states(db)) == ["active", *["retired"] * 7]


async def test_what_is_shipped_is_installed_once(db: Database) -> None:
    async def install() -> int:
        async with db.transaction() as tx:
            return len(await install_shipped(tx, now=MORNING))

    assert sorted(await asyncio.gather(*(install() for _ in range(5)))) == [0, 0, 0, 0, 1]
    async with db.transaction() as tx:
        (found,) = await rule_sets.listed(tx, book=BOOK)
        (same,) = await rule_sets.listed(tx, book=0, operation="withdrawal")
    assert found == same
    assert (found.book, found.version, found.state, found.content) == (0, 1, "active", shipped())


async def test_new_shipped_rules_follow_and_an_older_program_changes_nothing(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def install() -> None:
        async with db.transaction() as tx:
            await install_shipped(tx, now=MORNING)

    await install()
    newer = rule_sets.Written("withdrawal", "newer", STRICT)
    with monkeypatch.context() as patched:
        patched.setattr(rule_sets, "shipped_files", lambda: iter([newer]))
        await install()
        assert await states(db, book=0) == ["retired", "active"]
    await install()
    assert await states(db, book=0) == ["retired", "active"]
