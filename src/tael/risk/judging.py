"""May this person do this? Facts -> decision table -> verdict, stored before it acts.

    judge   pass | review | refuse      one verdict per operation and number, for ever; asking again gives it again
    void    the operation did not happen: it counts towards limits no longer

The persons are locked in the caller's transaction, so verdicts about one person are taken one after the other, each
with the ones before it counted, over all of that person's accounts. The caller commits the verdict before it acts on
it, and before it refuses.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import msgspec
import structlog

from tael.base.clock import accounting_day
from tael.base.db import Tx
from tael.base.errors import JsonValue, TaelError
from tael.risk import facts, rule_sets, store
from tael.risk.checks import checked
from tael.risk.decisions import FAILED, NOTHING_SAID, Decision, Facts, Finding
from tael.risk.facts import Known, Question
from tael.risk.store import Counted, InForce, Key, Verdict
from tael.risk.tables import InvalidRuleSet, RiskOutcome
from tael.risk.trial import Report, try_out

_log = structlog.get_logger("tael.risk")
_MOST_COMPILED = 256


class RiskRefused(TaelError):
    """Risk control refused this operation; `rules` and `reasons` say why.
    zh: 风控拒绝了该操作，原因见 rules 与 reasons。
    """

    status = 422


class RiskNumberReused(TaelError):
    """This number was judged before, for another operation than this.
    zh: 该编号已用于另一笔操作的风控判定。
    """

    status = 409


@dataclass(frozen=True, slots=True)
class Judgement:
    """The verdict on one operation. `rules` are those that object, `reasons` say why in zh and en by rule, `reason` is
    the same for people; `version` 0 means that there were no rules."""

    number: str
    outcome: RiskOutcome
    rules: tuple[str, ...]
    reason: str
    version: int
    reasons: dict[str, dict[str, str]]


def require_allowed(judgements: Sequence[Judgement]) -> None:
    """Raises `RiskRefused` for the first that is refused. Call it when the verdicts are committed."""
    for one in judgements:
        if one.outcome is RiskOutcome.REFUSE:
            reasons: dict[str, JsonValue] = {rule: dict[str, JsonValue](texts) for rule, texts in one.reasons.items()}
            raise RiskRefused(one.reason, rules=list[JsonValue](one.rules), reason=one.reason, reasons=reasons)


@dataclass(frozen=True, slots=True)
class _Rules:
    active: InForce | None
    shadow: InForce | None


class Risk:
    """Judges for one process; keeps compiled tables, which never change."""

    def __init__(self) -> None:
        self._compiled: dict[tuple[int, str, int], Decision | None] = {}
        self._installed = False

    async def judge(self, tx: Tx, questions: Sequence[Question], *, now: datetime) -> list[Judgement]:
        """Judge operations; answers one judgement each, in order. Raises `RiskNumberReused`.

        Later questions of a batch see the earlier ones counted.
        """
        if not questions:
            return []
        assert all(one.amount >= 0 and one.book > 0 for one in questions)
        await store.lock_persons(tx, sorted({(one.book, one.person) for one in questions}))
        fresh = {_key(one): one for one in reversed(questions)}
        stored = await store.verdicts(tx, list(fresh))
        new = [one for one in questions if _key(one) not in stored and one is fresh[_key(one)]]
        if new:
            stored |= {_key_of(one): one for one in await self._judge_new(tx, new, now=now)}
        for question in questions:
            _require_same(question, stored[_key(question)])
        return [_judgement(stored[_key(one)]) for one in questions]

    async def void(self, tx: Tx, keys: Sequence[Key]) -> None:
        """These operations (book, operation, number) did not happen; again, or for unknown ones, it does nothing.

        Their numbers are spent: judged again they get the old verdict and do not count.
        """
        if keys:
            await store.void_uses(tx, keys)

    async def dry_run(
        self, tx: Tx, *, book: int, operation: str, days: int, now: datetime,
        content: dict[str, JsonValue] | None = None, version: int | None = None,
    ) -> Report:  # fmt: skip
        """What a table, or a stored version, would have said about the operations of the last `days` days.

        Raises `InvalidRuleSet`, `RuleSetNotFound`.
        """
        if content is None:
            assert version is not None
            content = (await rule_sets.find(tx, book=book, operation=operation, version=version)).content
        return await try_out(tx, content, book=book, operation=operation, days=days, now=now)

    async def _judge_new(self, tx: Tx, new: Sequence[Question], *, now: datetime) -> list[Verdict]:
        in_force = await self._in_force(tx, new, now=now)
        known = await facts.gather(tx, new, now=now)
        verdicts: list[Verdict] = []
        counted: list[Counted] = []
        for turn in _turns(new):
            found = self._decide(turn, [known.facts(one) for one in turn], in_force, now=now)
            verdicts += found
            for question, verdict in zip(turn, found, strict=True):
                if verdict.outcome != RiskOutcome.REFUSE:
                    known.count(question)
                    counted.append(_counted(question, known))
        inserted = await store.insert_verdicts(tx, verdicts)
        if len(inserted) < len(verdicts):  # another person asked with the same number at the same time
            raise RiskNumberReused
        await store.insert_uses(tx, counted, now=now)
        return verdicts

    def _decide(
        self, turn: Sequence[Question], asked: Sequence[dict[str, JsonValue]], in_force: dict[tuple[int, str], _Rules],
        *, now: datetime,
    ) -> list[Verdict]:  # fmt: skip
        """The verdicts on one question per person, evaluated in one call per rule set."""
        active = self._findings(turn, asked, [in_force[one.book, one.operation].active for one in turn])
        shadow = self._findings(turn, asked, [in_force[one.book, one.operation].shadow for one in turn])
        verdicts: list[Verdict] = []
        for place, question in enumerate(turn):
            rules = in_force[question.book, question.operation]
            finding = active[place] or NOTHING_SAID
            aside = shadow[place]
            verdicts.append(
                Verdict(
                    question.book, question.operation, question.number, question.person,
                    asked[place] | {"account": str(question.account)}, rules.active.book if rules.active else 0,
                    rules.active.version if rules.active else 0, finding.outcome, finding.rules, finding.reasons,
                    msgspec.to_builtins(finding.trace),
                    None if aside is None or rules.shadow is None else _aside(rules.shadow, aside), now,
                )
            )  # fmt: skip
            if finding is NOTHING_SAID:
                _log.error("risk.no_rules", book=question.book, operation=question.operation)
        return verdicts

    def _findings(
        self, turn: Sequence[Question], asked: Sequence[Facts], by: Sequence[InForce | None]
    ) -> list[Finding | None]:
        """What the rules of each question say about it; None where there are none."""
        found: list[Finding | None] = [None] * len(turn)
        for rules in {one for one in by if one is not None}:
            places = [place for place, one in enumerate(by) if one == rules]
            decision = self._compiled[rules.book, rules.operation, rules.version]
            said = [FAILED] * len(places) if decision is None else decision.decide([asked[place] for place in places])
            for place, finding in zip(places, said, strict=True):
                found[place] = finding
        return found

    async def _in_force(self, tx: Tx, questions: Sequence[Question], *, now: datetime) -> dict[tuple[int, str], _Rules]:
        """The rules of each book and operation, compiled; what is shipped is installed when it is missed."""
        wanted = sorted({(one.book, one.operation) for one in questions})
        found = _choose(wanted, await store.in_force(tx, wanted))
        if not self._installed and any(rules.active is None for rules in found.values()):
            await rule_sets.install_shipped(tx, now=now)
            tx.on_commit(self._note_installed)
            found = _choose(wanted, await store.in_force(tx, wanted))
        needed = {one for rules in found.values() for one in (rules.active, rules.shadow) if one is not None}
        await self._compile(tx, {(one.book, one.operation, one.version) for one in needed})
        return found

    def _note_installed(self) -> None:
        self._installed = True

    async def _compile(self, tx: Tx, needed: set[tuple[int, str, int]]) -> None:
        missing = sorted(needed - self._compiled.keys())
        if not missing:
            return
        if len(self._compiled) + len(missing) > _MOST_COMPILED:
            self._compiled.clear()
            missing = sorted(needed)
        for found in await store.rule_sets(tx, missing):
            self._compiled[found.book, found.operation, found.version] = _compiled(found.content)


def _choose(wanted: Sequence[tuple[int, str]], found: Sequence[InForce]) -> dict[tuple[int, str], _Rules]:
    """A book's own active version, else the shipped one; a shadow only of the book itself."""
    at = {(one.book, one.operation, one.state): one for one in found}
    return {
        (book, operation): _Rules(
            at.get((book, operation, "active")) or at.get((rule_sets.SHIPPED_BOOK, operation, "active")),
            at.get((book, operation, "shadow")),
        )
        for book, operation in wanted
    }


def _compiled(content: JsonValue) -> Decision | None:
    """None when it cannot be relied on, which activating it should have shown: then nothing passes without a review."""
    try:
        return Decision(checked(content))
    except InvalidRuleSet as problem:
        _log.error("risk.rules_failed", error=str(problem))
        return None


def _turns(questions: Sequence[Question]) -> list[list[Question]]:
    """The questions in turns of at most one per person and operation, each person's in their order."""
    turns: list[list[Question]] = []
    seen: dict[tuple[int, int, str], int] = {}
    for question in questions:
        who = (question.book, question.person, question.operation)
        seen[who] = seen.get(who, -1) + 1
        if seen[who] == len(turns):
            turns.append([])
        turns[seen[who]].append(question)
    return turns


def _require_same(question: Question, verdict: Verdict) -> None:
    asked = (question.person, str(question.account), question.amount, question.currency, question.payee)
    known = verdict.facts
    if asked != (verdict.person, *(known[name] for name in ("account", "amount", "currency", "payee"))):
        raise RiskNumberReused(f"{question.operation} {question.number}")


def _judgement(verdict: Verdict) -> Judgement:
    texts = verdict.reasons.values()
    reason = f"{'；'.join(one['zh'] for one in texts)} ({'; '.join(one['en'] for one in texts)})" if texts else ""
    return Judgement(
        verdict.number, RiskOutcome(verdict.outcome), verdict.rules, reason, verdict.version, verdict.reasons
    )


def _counted(question: Question, known: Known) -> Counted:
    return Counted(
        question.book, question.operation, question.number, question.person, accounting_day(known.now),
        question.amount, question.currency, question.payee,
    )  # fmt: skip


def _aside(rules: InForce, finding: Finding) -> dict[str, JsonValue]:
    return {"version": rules.version, "outcome": finding.outcome.value, "rules": list[JsonValue](finding.rules)}


def _key(question: Question) -> Key:
    return question.book, question.operation, question.number


def _key_of(verdict: Verdict) -> Key:
    return verdict.book, verdict.operation, verdict.number
