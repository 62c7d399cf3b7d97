"""Decide: a table, compiled, and the facts of many questions -> what it says about each. The one place that knows zen.

A table that cannot be evaluated never lets anything pass: its finding is `FAILED`, which asks for a review.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec
import structlog
import zen

from tael.base.errors import JsonValue
from tael.risk.tables import RiskOutcome, Row, Table

Facts = Mapping[str, JsonValue]
RULES_FAILED: Final = "rules_failed"
NO_RULES: Final = "no_rules"

_log = structlog.get_logger("tael.risk")
_SEVERITY: Final = (RiskOutcome.PASS, RiskOutcome.REVIEW, RiskOutcome.REFUSE)


@dataclass(frozen=True, slots=True)
class Finding:
    """What a table says: the outcome, the rules that object, the reasons by rule in two languages, and which rows held
    because of which values."""

    outcome: RiskOutcome
    rules: tuple[str, ...]
    reasons: dict[str, dict[str, str]]
    trace: tuple[dict[str, object], ...]


def _objection(rule: str, *, zh: str, en: str) -> Finding:
    return Finding(RiskOutcome.REVIEW, (rule,), {rule: {"zh": zh, "en": en}}, ())


FAILED: Final = _objection(RULES_FAILED, zh="风控规则无法求值，需人工审核", en="the rules could not be evaluated")
NOTHING_SAID: Final = _objection(NO_RULES, zh="该业务没有生效的风控规则", en="there are no rules for this operation")


class _Hit(msgspec.Struct):
    row: int


class _Held(msgspec.Struct):
    index: int
    reference_map: dict[str, object] = {}


class _Step(msgspec.Struct, rename="camel"):
    trace_data: list[_Held] | _Held | None = None


class _Data(msgspec.Struct):
    result: list[_Hit] | _Hit
    trace: dict[str, _Step]


class _Answer(msgspec.Struct):
    success: bool
    data: _Data


class Decision:
    """A compiled table."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._strict = table.reads_extra
        self._engine = zen.ZenEngine({"loader": {"type": "static", "content": {"rules": _document(table)}}})

    def decide(self, questions: Sequence[Facts]) -> list[Finding]:
        """What the table says about each question, in order; `FAILED` where it says nothing."""
        try:
            answers = self._engine.evaluate_batch(
                [{"key": "rules", "context": dict(facts)} for facts in questions], {"trace": True}
            )
        except Exception as problem:  # noqa: BLE001
            # A fact that it cannot take is a TypeError, a ValueError, an OverflowError or, when its own JSON refuses
            # it, a bare Exception, so nothing narrower can be caught. Whichever it is, nothing passes.
            _log.error("risk.rules_failed", error=_first_line(problem))
            return [FAILED] * len(questions)
        return [self._finding(facts, answer) for facts, answer in zip(questions, answers, strict=True)]

    def _finding(self, facts: Facts, answer: object) -> Finding:
        try:
            if self._strict:
                check_cells(self._table, facts)
            data = msgspec.convert(answer, _Answer).data
            hits = data.result if isinstance(data.result, list) else [data.result]
            rows = [self._table.rows[hit.row] for hit in hits]
            worst = max((row.outcome for row in rows), key=_SEVERITY.index)
        except (msgspec.ValidationError, IndexError, ValueError, RuntimeError) as problem:
            _log.error("risk.rules_failed", error=_first_line(problem))
            return FAILED
        objecting = [row for row in rows if row.outcome is not RiskOutcome.PASS]
        reasons = {row.rule: {"zh": row.zh, "en": row.en} for row in objecting}
        return Finding(worst, tuple(reasons), reasons, _trace(self._table, data))


def check_cells(table: Table, facts: Facts) -> None:
    """Evaluate every cell by itself, since the engine takes one that fails for one that does not hold. Raises
    RuntimeError."""
    for row in table.rows:
        row_holds(table, row, facts)


def row_holds(table: Table, row: Row, facts: Facts) -> bool:
    """Whether all cells of a row hold, each evaluated by itself. Raises RuntimeError when one cannot be."""
    held = [cell_holds(field, cell, facts) for field, cell in table.conditions(row)]  # also after the first that fails
    return all(held)


def cell_holds(field: str, cell: str, facts: Facts) -> bool:
    """Whether one cell holds. Raises RuntimeError when it cannot be evaluated or answers neither yes nor no."""
    context = dict(facts)
    if field:
        # A fact is taken as it is: what an expression gives comes back as a float, and above 2^53 that is not exact.
        asked = context[field] if field in context else zen.evaluate_expression(field, context)
        holds = zen.evaluate_unary_expression(cell, context | {"$": asked})
    else:
        holds = zen.evaluate_expression(cell, context)
    if not isinstance(holds, bool):
        raise RuntimeError(f"{cell} is neither true nor false")
    return holds


def _document(table: Table) -> dict[str, object]:
    """The table for the engine, with row numbers for answers: what was read is what is evaluated."""
    inputs = [{"id": f"c{place}", "field": column.field} for place, column in enumerate(table.columns)]
    rules = [
        {"_id": str(number), "row": str(number)} | {f"c{place}": cell for place, cell in enumerate(row.cells)}
        for number, row in enumerate(table.rows)
    ]
    content = {"hitPolicy": table.policy, "inputs": inputs, "outputs": [{"id": "row", "field": "row"}], "rules": rules}
    nodes: list[dict[str, object]] = [
        {"id": "in", "type": "inputNode", "name": "in"},
        {"id": "table", "type": "decisionTableNode", "name": "table", "content": content},
        {"id": "out", "type": "outputNode", "name": "out"},
    ]
    edges = [{"id": "a", "sourceId": "in", "targetId": "table"}, {"id": "b", "sourceId": "table", "targetId": "out"}]
    return {"nodes": nodes, "edges": edges}


def _trace(table: Table, data: _Data) -> tuple[dict[str, object], ...]:
    held = data.trace["table"].trace_data if "table" in data.trace else None
    found = held if isinstance(held, list) else [] if held is None else [held]
    return tuple({"rule": table.rows[one.index].rule, "because": one.reference_map} for one in found)


def _first_line(problem: Exception) -> str:
    return str(problem).split("\n", 1)[0][:300]
