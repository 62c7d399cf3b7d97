"""A rule set as it is written: one decision table in the JSON Decision Model (JDM), read strictly.

    input node -> decision table -> output node           hit policy `first` or `collect`; the last row holds always

Columns are questions about the facts, cells are the answers that make a row hold, and a row says `rule`, `outcome`
and why in two languages. The engine takes a cell that it cannot read, or that names a fact which does not exist, for
one that does not hold: such a row would be silently switched off. That is why a table is read here first, and why only
tables are allowed: no scripts, no links to other documents, no loops.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Literal

import msgspec

from tael.base.errors import JsonValue, TaelError
from tael.risk.facts import FACTS

MOST_ROWS: Final = 100
MOST_COLUMNS: Final = 20
MOST_BYTES: Final = 65_536
MOST_CHARACTERS: Final = 500
FUNCTIONS: Final = frozenset(
    {"abs", "floor", "ceil", "round", "min", "max", "len", "contains", "startsWith", "endsWith", "lower", "upper"}
)
"""What an expression may call; each of them takes time in proportion to what is written or given, not more."""
_KEYWORDS: Final = frozenset({"and", "or", "not", "in", "true", "false", "null"})
_TEXTS: Final = ("rule", "outcome", "zh", "en")
_LITERAL: Final = re.compile(r"""(["'])([^"'\\]{1,200})\1""")
_STRING: Final = re.compile(r""""[^"\\]*"|'[^'\\]*'""")
_WORD: Final = re.compile(r"(?<![\w.])([A-Za-z_]\w*)\s*(\(?)")
_MEMBER: Final = re.compile(r"(?<!\.)\.\s*[A-Za-z_]\w*")
_RULE: Final = re.compile(r"[a-z][a-z0-9_]{0,39}")


class RiskOutcome(StrEnum):
    """What rules say: pass, review (needs approval whatever the amount), refuse."""

    PASS = "pass"  # noqa: S105 (not a password)
    REVIEW = "review"
    REFUSE = "refuse"


class InvalidRuleSet(TaelError):
    """The rule set cannot be relied on and is not put into service; `problems` lists what is wrong with it.
    zh: 规则集不可靠，未启用；problems 列出了问题。
    """

    status = 422


@dataclass(frozen=True, slots=True)
class Column:
    """A question: an expression over the facts, or nothing, and then each cell is a whole condition."""

    id: str
    field: str


@dataclass(frozen=True, slots=True)
class Row:
    """A rule: it holds when all its cells do; an empty cell always does."""

    rule: str
    outcome: RiskOutcome
    zh: str
    en: str
    cells: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """A decision table. `first`: the first row that holds decides. `collect`: the worst of all that hold."""

    policy: Literal["first", "collect"]
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]

    @property
    def reads_extra(self) -> bool:
        """Whether any cell looks at what the caller added to the facts, whose kinds nobody promises."""
        return any("extra" in names(text) for row in self.rows for pair in self.conditions(row) for text in pair)

    def conditions(self, row: Row) -> Iterator[tuple[str, str]]:
        """The question and the answer of each cell of a row that is not empty."""
        return ((column.field, cell) for column, cell in zip(self.columns, row.cells, strict=True) if cell)


class _Column(msgspec.Struct):
    id: str
    field: str = ""


class _Content(msgspec.Struct, rename="camel"):
    hit_policy: Literal["first", "collect"]
    inputs: list[_Column]
    outputs: list[_Column]
    rules: list[dict[str, str]]
    input_field: str | None = None
    output_path: str | None = None
    execution_mode: Literal["single"] = "single"


class _Node(msgspec.Struct):
    id: str
    type: str
    content: msgspec.Raw = msgspec.Raw(b"null")


class _Edge(msgspec.Struct, rename="camel"):
    source_id: str
    target_id: str


class _Document(msgspec.Struct):
    nodes: list[_Node]
    edges: list[_Edge]


def read_table(content: JsonValue) -> Table:
    """The table in a JDM document. Raises `InvalidRuleSet` when there is anything else in it, or anything unclear."""
    written = encoded(content)
    try:
        table = msgspec.json.decode(_only_table(msgspec.json.decode(written, type=_Document)), type=_Content)
    except msgspec.ValidationError as problem:
        raise refusal([f"not a decision table: {problem}"]) from None
    _check_shape(table)
    columns = tuple(Column(column.id, column.field.strip()) for column in table.inputs)
    outputs = {column.field: column.id for column in table.outputs}
    rows = [_row(number, written_row, table, outputs) for number, written_row in enumerate(table.rules, start=1)]
    if any(rows[-1].cells):
        raise refusal(["the last row must have empty cells only, so that every case has an answer"])
    if len({row.rule for row in rows}) < len(rows):
        raise refusal(["two rows have the same rule name"])
    read = Table(table.hit_policy, columns, tuple(rows))
    if unreadable := [problem for row in rows for pair in read.conditions(row) for problem in _unreadable(*pair)]:
        raise refusal(unreadable)
    return read


def encoded(content: JsonValue) -> bytes:
    """A rule set as JSON, provided that it can be stored. Raises `InvalidRuleSet`."""
    written = msgspec.json.encode(content)
    if len(written) > MOST_BYTES or b"\\u0000" in written:
        raise refusal([f"a rule set has {MOST_BYTES} bytes at most, and none of them zero"])
    return written


def refusal(problems: list[str]) -> InvalidRuleSet:
    """The refusal of a rule set with everything that is wrong with it."""
    return InvalidRuleSet(problems[0], problems=list[JsonValue](problems[:50]))


def names(expression: str) -> set[str]:
    """The names that an expression uses for facts."""
    return {
        name for name, call in _WORD.findall(_STRING.sub('""', expression)) if not call and name not in _KEYWORDS
    }  # fmt: skip


def _only_table(document: _Document) -> bytes:
    """The one table of the document, provided that every question goes through it."""
    kinds = {node.type: node for node in document.nodes}
    if sorted(node.type for node in document.nodes) != ["decisionTableNode", "inputNode", "outputNode"]:
        raise refusal(["a rule set is one input node, one decision table and one output node"])
    table = kinds["decisionTableNode"]
    wanted = {(kinds["inputNode"].id, table.id), (table.id, kinds["outputNode"].id)}
    if {(edge.source_id, edge.target_id) for edge in document.edges} != wanted:
        raise refusal(["the edges must lead from the input node through the table to the output node"])
    return bytes(table.content)


def _check_shape(table: _Content) -> None:
    outputs = [column.field for column in table.outputs]
    if table.input_field or table.output_path:
        raise refusal(["input field and output path must be empty"])
    if not 1 <= len(table.rules) <= MOST_ROWS or len(table.inputs) > MOST_COLUMNS:
        raise refusal([f"a table has 1 to {MOST_ROWS} rows and {MOST_COLUMNS} columns at most"])
    if len(set(outputs)) < len(outputs) or not {"rule", "outcome"} <= set(outputs) <= set(_TEXTS):
        raise refusal(["the output columns are rule, outcome, and zh and en for the reason"])
    ids = [column.id for column in (*table.inputs, *table.outputs)]
    if len(set(ids)) < len(ids) or any(one.startswith("_") or not one for one in ids):
        raise refusal(["every column needs an id of its own that does not begin with _"])
    texts = [*(column.field for column in table.inputs), *(cell for row in table.rules for cell in row.values())]
    if any(len(text) > MOST_CHARACTERS for text in texts):
        raise refusal([f"a cell has {MOST_CHARACTERS} characters at most"])


def _row(number: int, written: dict[str, str], table: _Content, outputs: dict[str, str]) -> Row:
    columns = {column.id for column in (*table.inputs, *table.outputs)}
    if strays := sorted(key for key in written if key not in columns and not key.startswith("_")):
        raise refusal([f"row {number}: there is no column {strays[0]}"])
    said: dict[str, str] = {}
    for field, column in outputs.items():
        literal = _LITERAL.fullmatch(written.get(column, "").strip())
        if literal is None:
            raise refusal([f"row {number}: {field} must be a text in quotes"])
        said[field] = literal[2]
    if not _RULE.fullmatch(said["rule"]):
        raise refusal([f"row {number}: a rule's name is a word of lower-case letters, digits and _"])
    if said["outcome"] not in set(RiskOutcome):
        raise refusal([f"row {number}: the outcome is one of {', '.join(RiskOutcome)}"])
    cells = tuple(written.get(column.id, "").strip() for column in table.inputs)
    why = said.get("en") or said["rule"]
    return Row(said["rule"], RiskOutcome(said["outcome"]), said.get("zh") or why, why, cells)


def _unreadable(field: str, cell: str) -> Iterator[str]:
    """What in a question and its answer is not known here."""
    for expression, may_ask in ((field, False), (cell, bool(field))):
        bare = _STRING.sub('""', expression)
        if re.search(r"[`#;@\\]", bare) or ("$" in bare and not may_ask):
            yield f"{expression}: only facts, comparisons and the functions {', '.join(sorted(FUNCTIONS))}"
        for name, call in _WORD.findall(bare):
            known = FUNCTIONS if call and name not in _KEYWORDS else FACTS.keys() | _KEYWORDS
            if name not in known:
                yield f"{expression}: there is no {'function' if call else 'fact'} {name}"
        if _MEMBER.search(re.sub(r"\bextra(\.\w+)+", "extra", bare)):
            yield f"{expression}: only extra has members"
