"""The adjustment desk: every step in a transaction of its own, in the order in which people take them.

    start    idempotency key + adjustment + approval + event + stored answer    one transaction
    approve  decision + state + event + postings                                one transaction
    reject, cancel                                                              likewise

A process that dies leaves a step done or not begun; whoever repeats it gets the first answer, or a refusal that says
that this person has decided already.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from tael.adjustments import deciding
from tael.adjustments.deciding import Verdict
from tael.adjustments.proposing import NewAdjustment, propose
from tael.adjustments.store import Adjustment
from tael.adjustments.views import adjustment_view
from tael.approvals import Approval
from tael.base.crash import crash_point
from tael.base.db import Database
from tael.base.errors import TaelError
from tael.base.ids import Ids
from tael.guard import Answer, Claim, answered, begin, finish
from tael.ledger import Ledger


@dataclass(frozen=True, slots=True)
class Adjustments:
    """Proposes and decides adjustments. One per process."""

    db: Database
    ids: Ids
    ledger: Ledger
    now: Callable[[], datetime]

    async def start(self, claim: Claim, new: NewAdjustment) -> Answer:
        """Propose under an idempotency key; raises a refusal when nothing was stored."""
        async with self.db.transaction() as tx:
            (standing,) = await begin(tx, [claim], now=self.now())
            said = answered(standing)
            if isinstance(said, TaelError):
                raise said
            if said is not None:
                return said
            proposed = await propose(tx, new, ids=self.ids, now=self.now())
            body = adjustment_view(*proposed).model_dump_json().encode()
            await finish(tx, [(claim, 201, body)])
            crash_point("adjustment.propose_before_commit")
        crash_point("adjustment.proposed")
        return Answer(201, body)

    async def approve(self, verdict: Verdict) -> tuple[Adjustment, Approval]:
        """Approve; books it when nobody else is needed."""
        async with self.db.transaction() as tx:
            approved = await deciding.approve(tx, verdict, ledger=self.ledger, ids=self.ids, now=self.now())
            crash_point("adjustment.approve_before_commit")
        crash_point("adjustment.approved")
        return approved

    async def reject(self, verdict: Verdict) -> tuple[Adjustment, Approval]:
        """Reject."""
        async with self.db.transaction() as tx:
            return await deciding.reject(tx, verdict, ids=self.ids, now=self.now())

    async def cancel(self, *, book: int, adjustment_no: str, person: str) -> tuple[Adjustment, Approval]:
        """Withdraw a proposal."""
        async with self.db.transaction() as tx:
            return await deciding.cancel(
                tx, book=book, adjustment_no=adjustment_no, person=person, ids=self.ids, now=self.now()
            )
