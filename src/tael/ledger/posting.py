"""Posting on PostgreSQL: decide a batch at the end of the log, write it there.

    lock the book's head -> catch the memory up -> look the ids up, load what is missing -> decide -> write -> (commit)

The head row is the only lock and is taken last, one per book, several books in the order of their numbers: no deadlock
can form here. Any number of processes may post to one book; the head puts them in one order. What a process remembers
advances only when its transaction has committed.
"""

from collections.abc import Collection, Sequence
from datetime import datetime
from itertools import chain, pairwise
from typing import Final

from msgspec import Struct

from tael.base.db import Tx, UniqueViolation
from tael.base.errors import TaelError
from tael.ledger import store
from tael.ledger.cache import CATCH_UP, Shelf, Tip, next_head
from tael.ledger.machine import Decision, View, decide
from tael.ledger.records import LAST_ACCOUNT, LINKED, NO_ACCOUNT, AccountId, BookId, Posting, Result, Row, State
from tael.ledger.store import Head

_WARY: Final = 64


class LinkedAcrossBooks(TaelError):
    """Linked postings must be neighbours in one book.
    zh: 关联分录必须在同一账簿内且相邻。
    """

    status = 422


class Plan(Struct, eq=False):
    """A batch decided without the lock, assuming that everything decided before it will be committed."""

    book: BookId
    postings: Sequence[Posting]
    now: datetime
    at: Head
    tip: Tip


class _Base(Struct, eq=False):
    """Where a batch is decided: `head`, and what lies between the shelf, whose head is named `token`, and there:
    `own` batches of the same transaction, or the states that others have written since."""

    book: BookId
    shelf: Shelf
    head: Head
    token: int
    own: list[Tip]
    newer: dict[AccountId, State]

    @property
    def overlays(self) -> list[dict[AccountId, State]]:
        """What is newer than the shelf, the newest last."""
        return [self.newer, *(tip.states for tip in self.own)]

    @property
    def at(self) -> tuple[int]:
        """The head that the shelf must still have for the overlays to be right."""
        return (self.own[0].base if self.own else self.token,)


class Ledger:
    """The posting log of a database, for all books; one object per process. Remembers the accounts used lately."""

    def __init__(self, *, remember: int = 100_000) -> None:
        """`remember`: about how many accounts to keep per book (half a kilobyte each)."""
        self._remember = remember
        self._shelves: dict[BookId, Shelf] = {}

    async def post(self, tx: Tx, postings: Sequence[Posting], *, now: datetime) -> list[Result]:
        """Decide and write `postings` in order, as the transaction's last write; one result per posting, in order.

        Refusals are results, not exceptions: pass them to `require_posted` to turn them into one. An id that was used
        before with the same content answers `exists`. Raises `UnknownBook`, `LinkedAcrossBooks`.
        """
        books = {posting.book for posting in postings}
        if len(books) == 1:
            return await self._post(tx, books.pop(), postings, now)
        if any(one.flags & LINKED and one.book != other.book for one, other in pairwise(postings)):
            raise LinkedAcrossBooks
        results: dict[int, Result] = {}
        for book in sorted(books):
            places = [place for place, posting in enumerate(postings) if posting.book == book]
            answers = await self._post(tx, book, [postings[place] for place in places], now)
            results.update(zip(places, answers, strict=True))
        return [results[place] for place in range(len(postings))]

    async def expire_due(self, tx: Tx, book: BookId, *, now: datetime, limit: int = 500) -> int:
        """Write the expiry of open holds whose time is over, at most `limit`; answers how many. A periodic job."""
        base = await self._lock(tx, book)
        if base.head.next_expiry is None or base.head.next_expiry > now:
            return 0
        due = await store.due_in_book(tx, book, now, limit=limit)
        states = await _states(tx, base.book, base.shelf, base.overlays, _accounts((), due), at=base.at)
        await _write(tx, base, _decide(View(states=states, due=due), (), base.head, now), now)
        return len(due)

    async def plan(self, tx: Tx, book: BookId, postings: Sequence[Posting], *, now: datetime) -> Plan | None:
        """Decide without the lock, for `carry_out` to write. None: nothing to write, or `post` has to look closer.

        Ids are taken to be new unless this process knows better: the insert finds out.
        """
        shelf = self._shelf(book)
        head, tips = shelf.newest(), shelf.tips.copy()
        if (
            not shelf.known
            or not shelf.continued_by(tips)
            or (head.next_expiry is not None and head.next_expiry <= now)
        ):
            return None
        at = {shelf.head.token, *(tip.head.token for tip in tips)}
        look_up = shelf.wary > 0 or any(posting.reference is not None for posting in postings)
        shelf.wary = max(0, shelf.wary - 1)
        overlays = [tip.states for tip in tips]
        view = await _view(tx, book, shelf, overlays, tips, postings, at=at, look_up=look_up)
        decision = _decide(view, postings, head, now)
        if not decision.rows or shelf.newest() is not head or shelf.head.token not in at:
            return None
        tip = Tip(head.token, next_head(head, decision, max(now, head.at)), decision.states, decision, tx)
        shelf.tips.append(tip)
        return Plan(book, postings, now, head, tip)

    async def carry_out(self, tx: Tx, plan: Plan) -> list[Result]:
        """Write a plan, or decide again when the log has gone another way. Raises `UniqueViolation` when an id was
        used before; the transaction is then of no more use, and `post` in a new one gives the answers."""
        tip, shelf = plan.tip, self._shelf(plan.book)
        try:
            written = await store.write(tx, plan.book, tip.decision, expected=plan.at, head=tip.head)
        except UniqueViolation:
            shelf.drop(tip)
            shelf.wary = _WARY
            raise
        if not written:
            shelf.drop(tip)
            return await self._post(tx, plan.book, plan.postings, plan.now)
        await store.burn(tx, plan.book, tip.decision.burned, plan.now)
        tx.on_commit(lambda: shelf.promote(tip))
        return tip.decision.results

    async def _post(self, tx: Tx, book: BookId, postings: Sequence[Posting], now: datetime) -> list[Result]:
        base = await self._lock(tx, book)
        view = await _view(tx, book, base.shelf, base.overlays, (), postings, at=base.at)
        if base.head.next_expiry is not None and base.head.next_expiry <= now:
            await _add_due(tx, base, view, now)
        decision = _decide(view, postings, base.head, now)
        await _write(tx, base, decision, now)
        return decision.results

    def _shelf(self, book: BookId) -> Shelf:
        shelf = self._shelves.get(book)
        if shelf is None:
            shelf = self._shelves[book] = Shelf(self._remember)
        return shelf

    async def _lock(self, tx: Tx, book: BookId) -> _Base:
        """Lock the head and bring what is remembered up to it."""
        head, shelf = await store.lock_head(tx, book), self._shelf(book)
        base = _Base(book, shelf, head, head.token, [], {})
        chain_to_head = shelf.tips_to(head)
        shelf.tips = []
        if head.epoch != shelf.head.epoch:
            shelf.forget()
        elif chain_to_head is not None:
            # We hold the lock, so a batch that leads to the head is committed unless this transaction wrote it.
            for tip in chain_to_head:
                if tip.tx is tx:
                    base.own.append(tip)
                else:
                    shelf.promote(tip)
            shelf.tips = base.own.copy()
            return base
        elif 0 < head.pos - shelf.head.pos <= CATCH_UP:
            base.token = shelf.head.token
            base.newer = await store.newer(tx, book, shelf.head.pos, head.pos, shelf.account)
            return base
        else:
            shelf.forget()
        base.token = shelf.head.token
        return base


def _decide(view: View, postings: Sequence[Posting], head: Head, now: datetime) -> Decision:
    """Time in a book never goes back, whatever the clocks of its writers do."""
    return decide(view, postings, pos=head.pos, now=max(now, head.at), day=head.day)


async def _view(
    tx: Tx, book: BookId, shelf: Shelf, overlays: Sequence[dict[AccountId, State]], tips: Sequence[Tip],
    postings: Sequence[Posting], *, at: Collection[int], look_up: bool = True,
) -> View:  # fmt: skip
    """Everything the machine needs to know about `postings`. `tips` may not be visible to the statements here."""
    references = [posting.reference for posting in postings if posting.reference is not None]
    ids = [posting.id for posting in postings] + references
    view = View(taken=await store.find(tx, book, ids) if look_up else {})
    for tip in tips:
        view.taken |= {identity: tip.decision.taken[identity] for identity in ids if identity in tip.decision.taken}
    rows = [row for row in view.taken.values() if isinstance(row, Row)]
    if references and rows:
        view.resolved, view.reversed = await store.referred(tx, book, references)
        for tip in tips:
            view.resolved |= tip.decision.resolved
            view.reversed |= tip.decision.reversed
    view.states = await _states(tx, book, shelf, overlays, _accounts(postings, rows), at=at)
    return view


async def _add_due(tx: Tx, base: _Base, view: View, now: datetime) -> None:
    """Let the machine expire what is due on the accounts of this batch; they and their counterparts are loaded."""
    view.due = await store.due_on(tx, base.book, list(view.states), now)
    wanted = _accounts((), view.due) - view.states.keys()
    view.states |= await _states(tx, base.book, base.shelf, base.overlays, wanted, at=base.at)


async def _states(
    tx: Tx, book: BookId, shelf: Shelf, overlays: Sequence[dict[AccountId, State]], wanted: set[AccountId],
    *, at: Collection[int],
) -> dict[AccountId, State]:  # fmt: skip
    """The accounts that exist among `wanted`. The overlays were made for a shelf whose head is one of `at`; when a
    commit of somebody else has moved it since, everything is read from the log, which the lock keeps still."""
    states = shelf.states(wanted, overlays) if shelf.head.token in at else {}
    missing = [account for account in wanted - states.keys() if NO_ACCOUNT < account < LAST_ACCOUNT]
    if missing:
        states |= await store.accounts(tx, book, missing)
    return states


async def _write(tx: Tx, base: _Base, decision: Decision, now: datetime) -> None:
    """Write under the lock, and remember once it is committed."""
    end, shelf = base.head, base.shelf
    if decision.rows:
        end = next_head(base.head, decision, max(now, base.head.at))
        written = await store.write(tx, base.book, decision, expected=base.head, head=end)
        assert written, "the head moved although we hold its lock"
    await store.burn(tx, base.book, decision.burned, now)
    if base.head.next_expiry is not None and base.head.next_expiry <= now:
        await store.refresh_next_expiry(tx, base.book)
    if end is not base.head or base.token != base.head.token:
        tip = Tip(base.token, end, base.newer | decision.states, decision, tx)
        # Whatever was decided ahead in the meantime does not continue this batch.
        shelf.tips = [*base.own, tip]
        tx.on_commit(lambda: shelf.promote(tip))


def _accounts(postings: Sequence[Posting], rows: Sequence[Row]) -> set[AccountId]:
    asked = chain.from_iterable((posting.debit, posting.credit) for posting in postings)
    return set(chain(asked, chain.from_iterable((row.posting.debit, row.posting.credit) for row in rows)))
