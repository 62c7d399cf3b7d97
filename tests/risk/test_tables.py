"""Rule sets that cannot be relied on are refused, and one that breaks all the same lets nothing pass."""

import msgspec
import pytest

from risk.conftest import BOOK, MORNING, asks, judge, shipped, table
from tael.base.db import Database
from tael.base.errors import JsonValue
from tael.risk import FACTS, InvalidRuleSet, Risk, RiskOutcome
from tael.risk.checks import checked, sample_facts
from tael.risk.decisions import FAILED, Decision
from tael.risk.tables import MOST_ROWS, Table, read_table
from tael.risk.tables import RiskOutcome as Outcome

GOOD = [
    ("", "amount > 5 and currency == 'CNY'"), ("", "hour in [0..6]"), ("", "payee != null"), ("amount", ">= 500000"),
    ("amount", "[1..100], > 500"), ("currency", "'CNY', 'USD'"), ("currency", "not in ['CNY']"),
    ("currency", "!= 'CNY'"),
    ("first_payee", "true"), ("amount_today + amount", "> 1e6"), ("amount", "$ % 100 == 0"), ("", "account_frozen"),
    ("", "(extra.score ?? 0) > 50"), ("", "startsWith(payee ?? '', '6222')"), ("", "max([amount, amount_today]) > 5"),
    ("payee", "== null"), ("amount - amount_today", "< 0"),
]  # fmt: skip
BAD = [
    ("", "amount >", "cannot be evaluated"), ("", "(((", "cannot be evaluated"), ("amount", ">= (((", "cannot be"),
    ("", "amuont > 5", "no fact amuont"), ("amuont", "> 5", "no fact amuont"), ("amount", "> limit", "no fact limit"),
    ("", "amount", "cannot be evaluated"), ("", "'CNY'", "cannot be evaluated"), ("", "null", "cannot be evaluated"),
    ("", "amount > 'x'", "cannot be evaluated"), ("currency", "> 5", "cannot be evaluated"),
    ("payee", "> 5", "cannot be evaluated"), ("", "extra.score > 50", "cannot be evaluated"),
    ("", "startsWith(payee, '6222')", "cannot be evaluated"), ("", "100 / amount > 5", "cannot be evaluated"),
    ("", "amount * amount * amount > 5", "cannot be evaluated"), ("", "first_payee > 1", "cannot be evaluated"),
    ("", "amount > 5 or amount > 'x'", "cannot be evaluated"), ("", "$ > 5", "only facts"),
    ("amount", "-", "cannot be"),
    ("", "some([1..9999999], # > 5)", "only facts"), ("", "len(map([1..9], #)) > 5", "only facts"),
    ("", "sum([1, 2]) > 5", "no function sum"), ("", "d('2026-01-01') > 5", "no function d"),
    ("", "rand(5) > 2", "no function rand"), ("", "amount.value > 5", "only extra has members"),
    ("", "`${amount}` == '5'", "only facts"), ("", "amount > 5; true", "only facts"), ("", "amount # 5", "only facts"),
]  # fmt: skip


@pytest.mark.parametrize(("field", "cell"), GOOD)
def test_conditions_that_are_understood(field: str, cell: str) -> None:
    for policy in ("first", "collect"):
        assert isinstance(checked(table((cell, "rule", "refuse"), policy=policy, field=field)), Table)


@pytest.mark.parametrize(("field", "cell", "why"), BAD)
def test_conditions_that_would_be_switched_off_silently(field: str, cell: str, why: str) -> None:
    with pytest.raises(InvalidRuleSet, match=why):
        checked(table((cell, "rule", "refuse"), field=field))


def edited(**change: object) -> dict[str, JsonValue]:
    content = table(("amount > 5", "rule", "refuse"))
    content.update(change)  # type: ignore[arg-type]
    return content


NODES = table(("amount > 5", "rule", "refuse"))["nodes"]
assert isinstance(NODES, list)
SHAPES: list[tuple[str, object, str]] = [
    ("nothing", {}, "not a decision table"),
    ("a list", [], "not a decision table"),
    ("no nodes", edited(nodes=[]), "one input node"),
    ("no edges", edited(edges=[]), "edges must lead"),
    ("a way around the table", edited(edges=[{"id": "x", "sourceId": "a", "targetId": "c"}]), "edges must lead"),
    ("two tables", edited(nodes=[*NODES, NODES[1]]), "one input node"),
    ("a script", edited(nodes=[*NODES, {"id": "f", "type": "functionNode", "content": {}}]), "one input node"),
    ("another document", edited(nodes=[*NODES, {"id": "f", "type": "decisionNode"}]), "one input node"),
    ("no content", edited(nodes=[NODES[0], {"id": "b", "type": "decisionTableNode"}, NODES[2]]), "not a decision"),
    ("an unknown policy", table(policy="any"), "not a decision table"),
    ("an input field", table(inputField="extra"), "input field"),
    ("an output path", table(outputPath="x"), "input field"),
    ("a loop", table(executionMode="loop"), "not a decision table"),
    ("no rows", table(rules=[]), "1 to 100 rows"),
    ("too many rows", table(*(("amount > 5", f"r{n}", "refuse") for n in range(MOST_ROWS))), "1 to 100 rows"),
    ("too many bytes", table(("amount > 5" + " " * 70_000, "rule", "refuse")), "65536 bytes"),
    ("a long cell", table(("(" * 500 + "amount > 5" + ")" * 500, "rule", "refuse")), "500 characters"),
    ("a long question", table(("> 5", "rule", "refuse"), field="-" * 501 + "amount"), "500 characters"),
    ("an unknown outcome", table(("amount > 5", "rule", "maybe")), "the outcome is one of"),
    ("a computed outcome", table(rules=[{"rule": '"a"', "outcome": "amount"}]), "outcome must be a text"),
    ("no rule name", table(rules=[{"outcome": '"pass"'}]), "rule must be a text"),
    ("a long rule name", table(("amount > 5", "r" * 41, "refuse")), "rule's name"),
    ("a comma in a name", table(("amount > 5", "a,b", "refuse")), "rule's name"),
    ("one name twice", table(("amount > 5", "a", "refuse"), ("amount > 6", "a", "pass")), "same rule name"),
    ("no last resort", table(rules=[{"c": "amount > 5", "rule": '"a"', "outcome": '"pass"'}]), "last row must have"),
    ("a stray cell", table(rules=[{"d": "true", "rule": '"a"', "outcome": '"pass"'}]), "no column d"),
    ("no outcome column", table(outputs=[{"id": "rule", "field": "rule"}]), "output columns"),
    ("another output", table(outputs=[{"id": "x", "field": "x"}, {"id": "y", "field": "outcome"}]), "output columns"),
    ("columns of one id", table(inputs=[{"id": "c", "field": ""}, {"id": "c", "field": "amount"}]), "id of its own"),
]  # fmt: skip


@pytest.mark.parametrize(("content", "why"), [one[1:] for one in SHAPES], ids=[one[0] for one in SHAPES])
def test_documents_that_are_not_one_clear_table(content: JsonValue, why: str) -> None:
    with pytest.raises(InvalidRuleSet, match=why):
        read_table(content)


def test_the_shipped_rules_can_be_relied_on() -> None:
    assert {row.outcome for row in checked(shipped()).rows} == set(Outcome)


def test_samples_have_every_fact_and_only_those() -> None:
    assert {frozenset(one) for one in sample_facts()} == {frozenset(FACTS)}


@pytest.mark.parametrize(
    ("policy", "amount", "outcome", "rules"),
    [
        ("collect", 1, "pass", ()),
        ("collect", 10, "review", ("b",)),
        ("collect", 100, "refuse", ("a", "b")),
        ("first", 1, "pass", ()),
        ("first", 10, "review", ("b",)),
        ("first", 100, "refuse", ("a",)),
        ("first", 1000, "pass", ()),
    ],
)
def test_first_and_collect(policy: str, amount: int, outcome: str, rules: tuple[str, ...]) -> None:
    rows = [("amount >= 100", "a", "refuse"), ("amount >= 10", "b", "review")]
    rows = [("amount >= 1000", "big", "pass"), *rows] if policy == "first" else rows
    decision = Decision(checked(table(*rows, policy=policy)))
    (found,) = decision.decide([next(sample_facts()) | {"amount": amount}])
    assert (found.outcome, found.rules) == (outcome, rules)


@pytest.mark.parametrize("score", ["high", None, True, {"a": 1}, [5]], ids=str)
def test_further_facts_of_a_kind_that_was_not_expected_let_nothing_pass(score: JsonValue) -> None:
    decision = Decision(checked(table(("(extra.score ?? 0) > 50", "score", "refuse"))))
    facts = next(sample_facts())
    scores: list[JsonValue] = [score, 51, 50]
    found = decision.decide([facts | {"extra": {"score": one}} for one in scores] + [facts])
    expected = FAILED.outcome if score is not None else RiskOutcome.PASS
    assert [one.outcome for one in found] == [expected, RiskOutcome.REFUSE, RiskOutcome.PASS, RiskOutcome.PASS]


def test_facts_that_the_engine_cannot_read_let_nothing_pass() -> None:
    decision = Decision(checked(shipped()))
    facts = next(sample_facts())
    found = decision.decide([facts | {"extra": {"x": object()}}, facts])  # type: ignore[dict-item]
    assert RiskOutcome.PASS not in {one.outcome for one in found}


@pytest.mark.parametrize("fact", [object(), 10**40, "\ud800", {1: 2}, b"bytes"], ids=lambda fact: type(fact).__name__)
def test_a_fact_that_the_engine_cannot_take_lets_nothing_pass(fact: object) -> None:
    decision = Decision(checked(shipped()))
    assert decision.decide([next(sample_facts()) | {"payee": fact}]) == [FAILED]  # type: ignore[dict-item]


# What stands in the database although it was never checked: somebody wrote it there, or an engine changed its mind.
BROKEN: list[tuple[str, JsonValue]] = [
    ("an empty document", {}),
    ("no edges", edited(edges=[])),
    ("no last row", table(rules=[{"c": "amount > 5", "rule": '"a"', "outcome": '"pass"'}])),
    ("an unknown outcome", table(("true", "rule", "maybe"))),
    ("an unknown fact", table(("amuont > 5", "rule", "refuse"))),
    ("a condition that cannot be evaluated", table(("amount > 'x'", "rule", "refuse"))),
    ("a fact of another kind in extra", table(("extra.score > 5", "rule", "refuse"))),
]


@pytest.mark.parametrize("content", [one[1] for one in BROKEN], ids=[one[0] for one in BROKEN])
async def test_a_broken_rule_set_lets_nothing_pass(content: JsonValue, db: Database, risk: Risk) -> None:
    async with db.transaction() as tx:
        await tx.execute(
            """insert into risk_rule_set (book, operation, version, state, content, note, author, created_at,
                   activated_at) values ($1, 'withdrawal', 1, 'active', $2, '', '', $3, $3)""",
            BOOK, msgspec.json.encode(content).decode(), MORNING,
        )  # fmt: skip
    for number in range(2):
        (one,) = await judge(db, risk, [asks(number)])
        assert (one.outcome, one.rules, one.version) == (RiskOutcome.REVIEW, ("rules_failed",), 1)
