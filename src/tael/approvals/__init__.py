"""Approvals (复核): what one person proposes and others approve. Knows kinds, subjects and amounts, and moves no money.

async with db.transaction() as tx:                                   # the package that wants something approved
    (approval,) = await ask(tx, [NewApproval(...)], ids=ids, now=now, least=1)
    ...                                                              # and stores its own intent

async with db.transaction() as tx:                                   # the same package's route
    approval = await decide(tx, book=book, kind="withdrawal", subject=no, checker=caller.checker(), approve=True,
                            note=None, payload_sha256=seen, now=now)
    if approval.state == "approved":
        ...                                                          # execute approval.payload, here

async with db.transaction() as tx:                                   # a periodic job in app.py
    ended = await expire_due(tx, now=now)                            # each kind's package then undoes what waited
"""

from tael.approvals.asking import ApprovalPending, ask, digest
from tael.approvals.deciding import (
    AlreadyDecided,
    ApprovalNotFound,
    ApprovalNotPending,
    PayloadChanged,
    SelfApproval,
    cancel,
    decide,
    decide_all,
    expire_due,
)
from tael.approvals.lookup import find, find_all, get, page
from tael.approvals.store import Approval, ApprovalState, Decision, NewApproval, NewDecision, Verdict
from tael.approvals.tier_changes import TierChange, change_tiers, decide_tiers
from tael.approvals.tiers import (
    FourEyesRequired,
    Tier,
    Tiers,
    TiersRefused,
    changes_of,
    needed,
    refuse_zero_tiers,
    set_tiers,
    tiers_of,
)

__all__ = [
    "AlreadyDecided",
    "Approval",
    "ApprovalNotFound",
    "ApprovalNotPending",
    "ApprovalPending",
    "ApprovalState",
    "Decision",
    "FourEyesRequired",
    "NewApproval",
    "NewDecision",
    "PayloadChanged",
    "SelfApproval",
    "Tier",
    "TierChange",
    "Tiers",
    "TiersRefused",
    "Verdict",
    "ask",
    "cancel",
    "change_tiers",
    "changes_of",
    "decide",
    "decide_all",
    "decide_tiers",
    "digest",
    "expire_due",
    "find",
    "find_all",
    "get",
    "needed",
    "page",
    "refuse_zero_tiers",
    "set_tiers",
    "tiers_of",
]
