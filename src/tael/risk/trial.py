"""Try rules on the past: judge again, from the stored facts, what was judged in the last days. Nothing is changed.

The facts are as they were. Had the rules stopped an operation then, those after it would have found fewer before them;
so the answer is "would have stopped 14 of 3,210", not a history of what else would have followed.
"""

import asyncio
from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import msgspec

from tael.base.db import Tx
from tael.base.errors import JsonValue
from tael.risk import store
from tael.risk.checks import checked
from tael.risk.decisions import Decision, Finding
from tael.risk.store import Past
from tael.risk.tables import RiskOutcome

MOST_JUDGED: Final = 50_000
MOST_EXAMPLES: Final = 20
_AT_ONCE: Final = 500


@dataclass(frozen=True, slots=True)
class Example:
    """An operation about which the rules say something else than was said."""

    number: str
    person: int
    amount: int
    currency: str
    at: datetime
    was: str
    would_be: str
    rules: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Report:
    """What rules would have said about `judged` operations. `newly_stopped`: refused now, and not then; `released`: the
    other way round. `complete` is false when there were more operations than are tried."""

    judged: int
    passed: int
    review: int
    stopped: int
    newly_stopped: int
    released: int
    by_rule: dict[str, int]
    examples: tuple[Example, ...]
    complete: bool


async def try_out(
    tx: Tx, content: dict[str, JsonValue], *, book: int, operation: str, days: int, now: datetime
) -> Report:
    """Judge the newest operations of the last `days` days again with another table. Raises `InvalidRuleSet`."""
    decision = Decision(checked(content))
    since = now - timedelta(days=days)
    past = await store.past(tx, book=book, operation=operation, since=since, most=MOST_JUDGED + 1)
    complete, past = len(past) <= MOST_JUDGED, past[:MOST_JUDGED]
    moves: Counter[tuple[str, str]] = Counter()
    rules: Counter[str] = Counter()
    examples: list[Example] = []
    for start in range(0, len(past), _AT_ONCE):
        some = past[start : start + _AT_ONCE]
        facts: list[dict[str, JsonValue]] = [msgspec.json.decode(one.facts) for one in some]
        for was, known, finding in zip(some, facts, decision.decide(facts), strict=True):
            moves[was.outcome, finding.outcome] += 1
            rules.update(finding.rules)
            if was.outcome != finding.outcome and len(examples) < MOST_EXAMPLES:
                examples.append(_example(was, known, finding))
        await asyncio.sleep(0)  # evaluation keeps the processor to itself: let others have their turn
    return _report(moves, rules, examples, complete=complete)


def _report(moves: Counter[tuple[str, str]], rules: Counter[str], examples: list[Example], *, complete: bool) -> Report:
    totals: Counter[str] = Counter()
    for (_, becomes), count in moves.items():
        totals[becomes] += count
    stop = RiskOutcome.REFUSE.value
    return Report(
        judged=moves.total(), passed=totals[RiskOutcome.PASS], review=totals[RiskOutcome.REVIEW],
        stopped=totals[stop], newly_stopped=sum(n for (was, now), n in moves.items() if now == stop != was),
        released=sum(n for (was, now), n in moves.items() if was == stop != now),
        by_rule=dict(rules.most_common()), examples=tuple(examples), complete=complete,
    )  # fmt: skip


def _example(was: Past, facts: dict[str, JsonValue], finding: Finding) -> Example:
    amount, currency = facts["amount"], str(facts["currency"])
    assert isinstance(amount, int)
    return Example(
        was.number, was.person, amount, currency, was.at, was.outcome, finding.outcome.value, finding.rules
    )  # fmt: skip
