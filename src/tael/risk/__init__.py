"""Risk control (风控): may this person do this? Rules are decision tables kept as data; every verdict is kept too.

risk = Risk()                                        # one per process; keeps compiled tables

async with db.transaction() as tx:                   # commit the verdict before acting on it, and before refusing
    judgements = await risk.judge(tx, [Question(...)], now=now)
require_allowed(judgements)                          # raises RiskRefused (422)
...                                                  # outcome REVIEW: needs approval whatever the amount
await risk.void(tx, [(book, "withdrawal", number)])  # it did not happen: it counts no longer

Knows operations by name and number only; knows no order, no channel and no approval.
"""

from tael.risk.facts import FACTS, Question
from tael.risk.freezing import Freeze, freeze, unfreeze
from tael.risk.judging import Judgement, Risk, RiskNumberReused, RiskRefused, require_allowed
from tael.risk.rule_sets import RuleSetNotFound, RuleSetRetired, install_shipped
from tael.risk.tables import InvalidRuleSet, RiskOutcome
from tael.risk.trial import Report

__all__ = [
    "FACTS",
    "Freeze",
    "InvalidRuleSet",
    "Judgement",
    "Question",
    "Report",
    "Risk",
    "RiskNumberReused",
    "RiskOutcome",
    "RiskRefused",
    "RuleSetNotFound",
    "RuleSetRetired",
    "freeze",
    "install_shipped",
    "require_allowed",
    "unfreeze",
]
