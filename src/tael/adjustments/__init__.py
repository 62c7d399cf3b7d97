"""Manual adjustments (调账): balanced entries that one person proposes and others approve. Knows no channel.

desk = Adjustments(db, ids, ledger, clock.now)                       # one per process
answer = await desk.start(claim, NewAdjustment(...))                 # HTTP and command line, by idempotency key
adjustment, approval = await desk.approve(Verdict(book, number, checker="li"))

async with db.transaction() as tx:                                   # a package that has found a difference
    adjustment, approval = await propose(tx, NewAdjustment(...), ids=ids, now=now)

async with db.transaction() as tx:                                   # a periodic job in app.py
    await expire(tx, await approvals.expire_due(tx, now=now), ids=ids, now=now)
"""

from tael.adjustments.deciding import Verdict, approve, cancel, expire, reject
from tael.adjustments.desk import Adjustments
from tael.adjustments.legs import CODE, MOST_LEGS, Leg
from tael.adjustments.lookup import KIND, AdjustmentNotFound, get, page
from tael.adjustments.proposing import (
    PREFIX,
    AdjustmentNotReversible,
    LegsRefused,
    NewAdjustment,
    ReasonRequired,
    ReversalExists,
    propose,
)
from tael.adjustments.store import Adjustment, AdjustmentState
from tael.adjustments.views import TOPICS

__all__ = [
    "CODE",
    "KIND",
    "MOST_LEGS",
    "PREFIX",
    "TOPICS",
    "Adjustment",
    "AdjustmentNotFound",
    "AdjustmentNotReversible",
    "AdjustmentState",
    "Adjustments",
    "Leg",
    "LegsRefused",
    "NewAdjustment",
    "ReasonRequired",
    "ReversalExists",
    "Verdict",
    "approve",
    "cancel",
    "expire",
    "get",
    "page",
    "propose",
    "reject",
]
