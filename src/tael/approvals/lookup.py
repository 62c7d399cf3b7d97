"""Find approvals: by subject, by number, by page."""

from tael.approvals import store
from tael.approvals.deciding import ApprovalNotFound
from tael.approvals.store import Approval
from tael.base.db import Tx

find = store.newest
find_all = store.newest_of
page = store.page


async def get(tx: Tx, *, book: int, id: int) -> Approval:
    """One approval by its number. Raises `ApprovalNotFound`."""
    approval = await store.by_id(tx, book=book, id=id)
    if approval is None:
        raise ApprovalNotFound
    return approval
