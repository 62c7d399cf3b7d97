"""Commit a batch without those of its commands that the ledger refuses.

    commit(everything) -> refused some -> rolled back, ids and all -> commit(the rest) ...

A refusal is known only when everything before it is written, and one command must not fail the others. Leaving some
out cannot make others fail, so the second try is the last one unless the books have changed meanwhile.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TypeVar

from tael.base.db import Database, Tx
from tael.base.errors import TaelError
from tael.ledger import PostingRefused, Result, require_posted

T = TypeVar("T")
Refused = dict[int, TaelError]
"""Refusals by the command's place in its batch."""


class LeftOut(Exception):
    """These commands cannot be done; raised inside the transaction to roll it back."""

    def __init__(self, refused: Refused) -> None:
        super().__init__()
        self.refused = refused


async def committed(db: Database, commit: Callable[[Tx, Refused], Awaitable[T]]) -> T:
    """Run `commit` in a transaction, again without the commands it leaves out, until it leaves out none."""
    refused: Refused = {}
    while True:
        try:
            async with db.transaction() as tx:
                return await commit(tx, refused)
        except LeftOut as left_out:
            refused |= left_out.refused


def require_all(results: Mapping[int, Sequence[Result]]) -> None:
    """Return when the postings of every command (by its place) are done; raises `LeftOut` with those that are not."""
    refused: Refused = {}
    for place, answers in results.items():
        try:
            require_posted(answers)
        except PostingRefused as problem:
            refused[place] = problem
    if refused:
        raise LeftOut(refused)
