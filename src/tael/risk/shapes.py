"""What risk control looks like over HTTP and on the command line: bodies that come in, documents that go out."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from tael.base.http import Body
from tael.risk import rule_sets
from tael.risk.freezing import Freeze
from tael.risk.store import RuleSet, RuleSetState, Verdict
from tael.risk.tables import RiskOutcome
from tael.risk.trial import Report

Operation = Annotated[str, Field(pattern=r"^[a-z][a-z_]{0,39}$", examples=["withdrawal"])]
Content = Annotated[dict[str, JsonValue], Field(description="One decision table in the JSON Decision Model (JDM)")]
Reason = Annotated[str, Field(min_length=1, max_length=200)]


class NewRuleSet(Body):
    """A version of the rules of an operation, as a draft."""

    operation: Operation
    content: Content
    note: str = Field(default="", max_length=200)


class DryRun(Body):
    """Rules to try on the operations of the last days: a table, or a stored version."""

    operation: Operation
    content: Content | None = None
    version: int | None = Field(default=None, ge=1, lt=2**31)
    days: int = Field(default=30, ge=1, le=90)


class Because(Body):
    """Why an account is frozen or its freeze lifted."""

    reason: Reason


class View(BaseModel):
    """Base of every answer."""

    model_config = ConfigDict(frozen=True, from_attributes=True)


class RuleSetView(View):
    """A version of rules. `origin` is `shipped` for those that hold where a company has none of its own."""

    object: Literal["risk_rule_set"] = "risk_rule_set"
    operation: str
    version: int
    origin: Literal["own", "shipped"]
    state: RuleSetState
    note: str
    author: str
    created_at: datetime
    activated_at: datetime | None


class RuleSetWithContent(RuleSetView):
    """A version with its table. `problems` stand between it and being put into service."""

    content: dict[str, JsonValue]
    problems: list[str]


class RuleSetList(View):
    """A company's versions, newest first, and the shipped ones that are active."""

    data: list[RuleSetView]


class VerdictView(View):
    """What was said about an operation: the facts then, the rows that held and because of which values, and what the
    rules in shadow would have said. Version 0: there were no rules."""

    object: Literal["risk_verdict"] = "risk_verdict"
    operation: str
    number: str
    person: str
    outcome: RiskOutcome
    rules: list[str]
    reasons: dict[str, dict[str, str]]
    facts: dict[str, JsonValue]
    trace: list[JsonValue]
    shadow: dict[str, JsonValue] | None
    version: int
    origin: Literal["own", "shipped"]
    at: datetime


class ExampleView(View):
    """An operation about which the tried rules say something else than was said."""

    number: str
    person: str
    amount: int
    currency: str
    at: datetime
    was: RiskOutcome
    would_be: RiskOutcome
    rules: list[str]


class ReportView(View):
    """What the tried rules would have said: `stopped` of `judged`. `complete`: whether all of these days were tried."""

    object: Literal["risk_dry_run"] = "risk_dry_run"
    judged: int
    passed: int
    review: int
    stopped: int
    newly_stopped: int
    released: int
    by_rule: dict[str, int]
    examples: list[ExampleView]
    complete: bool


class FreezeView(View):
    """A freeze of an account; in force until it is lifted."""

    object: Literal["risk_freeze"] = "risk_freeze"
    account_id: str
    frozen: bool
    number: int
    reason: str
    frozen_by: str
    frozen_at: datetime
    lifted_reason: str | None
    lifted_by: str | None
    lifted_at: datetime | None


def rule_set_out(found: RuleSet) -> RuleSetView:
    """A version without its table."""
    return RuleSetView(
        operation=found.operation, version=found.version, origin=_origin(found.book), state=found.state,
        note=found.note, author=found.author, created_at=found.created_at, activated_at=found.activated_at,
    )  # fmt: skip


def with_content(found: RuleSet) -> RuleSetWithContent:
    """A version with its table."""
    problems = rule_sets.problems_of(found.content)
    shown = rule_set_out(found).model_dump() | {"content": found.content, "problems": problems}
    return RuleSetWithContent.model_validate(shown)


def verdict_out(found: Verdict) -> VerdictView:
    """A verdict."""
    return VerdictView.model_validate(
        {
            "operation": found.operation, "number": found.number, "person": str(found.person),
            "outcome": found.outcome, "rules": list(found.rules), "reasons": found.reasons, "facts": found.facts,
            "trace": found.trace, "shadow": found.shadow, "version": found.version, "origin": _origin(found.rules_of),
            "at": found.at,
        }
    )  # fmt: skip


def report_out(report: Report) -> ReportView:
    """A dry run."""
    examples = [
        ExampleView(
            number=one.number, person=str(one.person), amount=one.amount, currency=one.currency, at=one.at,
            was=RiskOutcome(one.was), would_be=RiskOutcome(one.would_be), rules=list(one.rules),
        )
        for one in report.examples
    ]  # fmt: skip
    return ReportView(
        judged=report.judged, passed=report.passed, review=report.review, stopped=report.stopped,
        newly_stopped=report.newly_stopped, released=report.released, by_rule=report.by_rule, examples=examples,
        complete=report.complete,
    )  # fmt: skip


def freeze_out(freeze: Freeze) -> FreezeView:
    """A freeze."""
    return FreezeView(
        account_id=str(freeze.account), frozen=freeze.lifted_at is None, number=freeze.number, reason=freeze.reason,
        frozen_by=freeze.frozen_by, frozen_at=freeze.frozen_at, lifted_reason=freeze.lifted_reason,
        lifted_by=freeze.lifted_by, lifted_at=freeze.lifted_at,
    )  # fmt: skip


def _origin(book: int) -> Literal["own", "shipped"]:
    return "shipped" if book == rule_sets.SHIPPED_BOOK else "own"
