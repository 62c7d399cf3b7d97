"""Find adjustments, each with the approval that holds its legs and decisions."""

from tael import approvals
from tael.adjustments import store
from tael.adjustments.store import Adjustment, AdjustmentState
from tael.approvals import Approval
from tael.base.db import Tx
from tael.base.errors import TaelError

KIND = "adjustment"
"""What adjustments are called as approvals."""


class AdjustmentNotFound(TaelError):
    """There is no such adjustment.
    zh: 调账记录不存在。
    """

    status = 404


async def get(tx: Tx, *, book: int, adjustment_no: str) -> tuple[Adjustment, Approval]:
    """One adjustment and its approval. Raises `AdjustmentNotFound`."""
    found = await store.by_number(tx, book=book, numbers=[adjustment_no])
    if not found:
        raise AdjustmentNotFound
    asked = await approvals.find_all(tx, book=book, kind=KIND, subjects=[adjustment_no])
    return found[adjustment_no], asked[adjustment_no]


async def page(
    tx: Tx, *, book: int, state: AdjustmentState | None = None, limit: int, older_than: int | None = None
) -> list[tuple[Adjustment, Approval]]:
    """A page of adjustments with their approvals, newest first (keyset)."""
    found = await store.page(tx, book=book, state=state, limit=limit, older_than=older_than)
    asked = await approvals.find_all(tx, book=book, kind=KIND, subjects=[one.adjustment_no for one in found])
    return [(one, asked[one.adjustment_no]) for one in found]
