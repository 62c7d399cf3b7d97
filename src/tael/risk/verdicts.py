"""Look up what was said about an operation, and why."""

from tael.base.db import Tx
from tael.base.errors import TaelError
from tael.risk import store
from tael.risk.store import Verdict

__all__ = ["Verdict", "VerdictNotFound", "find_verdict"]


class VerdictNotFound(TaelError):
    """This operation was not judged.
    zh: 该操作没有风控判定记录。
    """

    status = 404


async def find_verdict(tx: Tx, *, book: int, operation: str, number: str) -> Verdict:
    """The verdict on one operation. Raises `VerdictNotFound`."""
    key = (book, operation, number)
    found = await store.verdicts(tx, [key])
    if key not in found:
        raise VerdictNotFound
    return found[key]
