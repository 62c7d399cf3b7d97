"""Group commit for postings: many concurrent callers, one transaction.

    post_one, post_group -> batch -> decide (no lock) -> write -> commit -> answer
                                     batch after it: decide ------> write -> commit -> answer

Two batches are under way at a time. The second is decided while the first is being written, on the assumption that
the first succeeds; its write checks that, and it is decided again if not. Whoever gets an answer gets it after commit.
"""

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import cast

from msgspec.structs import replace

from tael.base.batch import Batcher
from tael.base.db import Database, UniqueViolation
from tael.ledger.posting import Ledger
from tael.ledger.records import LINKED, BookId, Posting, Result


class LedgerWriter:
    """The front for callers that have nothing else to write in the posting's transaction. One per process."""

    def __init__(self, db: Database, ledger: Ledger, *, now: Callable[[], datetime]) -> None:
        self._db, self._ledger, self._now = db, ledger, now
        self._books: dict[BookId, _BookWriter] = {}

    async def post_one(self, posting: Posting) -> Result:
        """Post one movement; answers after commit. Refusals are results. Raises `Overloaded`, `OutcomeUnknown`,
        `DatabaseUnavailable`, `UnknownBook`."""
        return cast("Result", await self._writer(posting.book).batcher.submit(posting))

    async def post_group(self, postings: Sequence[Posting]) -> Sequence[Result]:
        """Post movements of one book that succeed or fail together, like `post_one`; sets their LINKED flags."""
        linked = [replace(posting, flags=posting.flags | LINKED) for posting in postings[:-1]]
        last = replace(postings[-1], flags=postings[-1].flags & ~LINKED)
        return cast("tuple[Result, ...]", await self._writer(last.book).batcher.submit((*linked, last)))

    async def close(self) -> None:
        """Refuse new postings and finish those under way."""
        for writer in self._books.values():
            await writer.batcher.close()

    def _writer(self, book: BookId) -> "_BookWriter":
        writer = self._books.get(book)
        if writer is None:
            writer = self._books[book] = _BookWriter(book, self._db, self._ledger, self._now)
        return writer


class _BookWriter:
    """The two lanes of one book. The locks keep batches in one order: decided, then written, first come first."""

    def __init__(self, book: BookId, db: Database, ledger: Ledger, now: Callable[[], datetime]) -> None:
        self.book, self.db, self.ledger, self.now = book, db, ledger, now
        self.deciding, self.writing = asyncio.Lock(), asyncio.Lock()
        self.batcher: Batcher[Posting | tuple[Posting, ...], Result | tuple[Result, ...]] = Batcher(
            self.run, cap=1_000, split_at=100
        )

    async def run(self, commands: list[Posting | tuple[Posting, ...]]) -> list[Result | tuple[Result, ...]]:
        """Answer each posting with its result, each group with its results."""
        postings, alone = list[Posting](), True
        for command in commands:
            if isinstance(command, Posting):
                postings.append(command)
            else:
                postings.extend(command)
                alone = False
        results = await self.commit(postings)
        if alone:
            return list(results)
        ends = iter(results)
        return [next(ends) if isinstance(one, Posting) else tuple(next(ends) for _ in one) for one in commands]

    async def commit(self, postings: Sequence[Posting]) -> Sequence[Result]:
        """One transaction, decided ahead when possible."""
        try:
            return await self.attempt(postings, ahead=True)
        except UniqueViolation as problem:
            if problem.constraint_name != "posting_id":
                raise
            return await self.attempt(postings, ahead=False)

    async def attempt(self, postings: Sequence[Posting], *, ahead: bool) -> Sequence[Result]:
        now, plan = self.now(), None
        async with self.db.transaction() as tx:
            if ahead:
                async with self.deciding:
                    plan = await self.ledger.plan(tx, self.book, postings, now=now)
            async with self.writing:
                if plan is not None:
                    return await self.ledger.carry_out(tx, plan)
                return await self.ledger.post(tx, postings, now=now)
