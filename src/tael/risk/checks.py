"""Try a rule set before it is relied on: every cell with every kind of fact it may meet, then the table as a whole.

What is shown is not that the rules are wise but that they are in force: each cell can be evaluated, each case has an
answer, and the engine finds the very rows that the cells, evaluated one by one, say it should.
"""

import itertools
from collections.abc import Iterator

from tael.base.errors import JsonValue
from tael.risk.decisions import FAILED, Decision, Facts, cell_holds, row_holds
from tael.risk.facts import FACTS
from tael.risk.tables import RiskOutcome, Table, names, read_table, refusal

_MOST_NAMES = 6  # facts in one cell; every combination of their values is tried


def checked(content: JsonValue) -> Table:
    """The table of a rule set that can be relied on. Raises `InvalidRuleSet`."""
    table = read_table(content)
    if problems := [*_cells(table)] or [*_whole(table)]:
        raise refusal(problems)
    return table


def sample_facts() -> Iterator[dict[str, JsonValue]]:
    """Facts in their smallest and largest values, and each of them alone in another value than the rest."""
    smallest = {name: values[0] for name, values in FACTS.items()}
    largest = {name: values[-1] for name, values in FACTS.items()}
    yield smallest
    yield largest
    for name, values in FACTS.items():
        yield smallest | {name: values[-1]}
        yield largest | {name: values[0]}


def _cells(table: Table) -> Iterator[str]:
    for row in table.rows:
        for field, cell in table.conditions(row):
            used = sorted((names(field) | names(cell)) & FACTS.keys())
            if len(used) > _MOST_NAMES:
                yield f"{row.rule}: {cell} uses more than {_MOST_NAMES} facts"
            elif not all(_evaluates(field, cell, facts) for facts in _combinations(used)):
                yield f"{row.rule}: {field or 'condition'} {cell} cannot be evaluated for all facts it may meet"


def _combinations(used: list[str]) -> Iterator[dict[str, JsonValue]]:
    usual = {name: values[0] for name, values in FACTS.items()}
    for values in itertools.product(*(FACTS[name] for name in used)):
        yield usual | dict(zip(used, values, strict=True))


def _evaluates(field: str, cell: str, facts: Facts) -> bool:
    try:
        cell_holds(field, cell, facts)
    except RuntimeError:
        return False
    return True


def _whole(table: Table) -> Iterator[str]:
    samples = list(sample_facts())
    for facts, finding in zip(samples, Decision(table).decide(samples), strict=True):
        holding = [row for row in table.rows if row_holds(table, row, facts)]
        rows = holding if table.policy == "collect" else holding[:1]
        expected = [row.rule for row in rows if row.outcome is not RiskOutcome.PASS]
        if finding is FAILED or list(finding.rules) != expected:
            found, wanted = (", ".join(rules) or "nothing" for rules in (finding.rules, expected))
            yield f"the engine finds {found} where {wanted} holds"
