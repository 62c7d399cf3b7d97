"""The ledger in memory: the same machine and the same interface without a database, for tests and simulations.

    async with memory.transaction() as tx: await memory.post(tx, [...], now=now)         raising takes everything back

Nothing survives the process. One transaction runs at a time.
"""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Literal
from uuid import UUID

from tael.base.clock import accounting_day
from tael.ledger import accounts
from tael.ledger.accounts import AccountOutcome, Balance, NewAccount, Side
from tael.ledger.machine import Decision, View, decide
from tael.ledger.outcome import Outcome
from tael.ledger.records import HOLD, Account, AccountId, BookId, Posting, Result, Row, State
from tael.ledger.refusals import AccountNotFound
from tael.ledger.statement import ENTRY_KINDS, PAGE, Entry, OpenHold
from tael.ledger.store import KIND_FLAGS, KINDS, UnknownBook


@dataclass(slots=True)
class _Book:
    """One book: facts about accounts, their states, every id used, and the log with both after-states of each row."""

    at: datetime
    day: date
    accounts: dict[AccountId, NewAccount] = field(default_factory=dict[AccountId, NewAccount])
    states: dict[AccountId, State] = field(default_factory=dict[AccountId, State])
    taken: dict[UUID, Row | Outcome] = field(default_factory=dict[UUID, "Row | Outcome"])
    resolved: dict[UUID, int] = field(default_factory=dict[UUID, int])
    reversed: dict[UUID, int] = field(default_factory=dict[UUID, int])
    log: list[tuple[Row, State, State]] = field(default_factory=list[tuple[Row, State, State]])

    open: dict[UUID, Row] = field(default_factory=dict[UUID, Row])

    def copy(self) -> "_Book":
        return _Book(
            self.at, self.day, self.accounts.copy(), self.states.copy(), self.taken.copy(), self.resolved.copy(),
            self.reversed.copy(), self.log.copy(), self.open.copy(),
        )  # fmt: skip


class MemoryTx:
    """A running transaction on a `MemoryLedger`."""


class MemoryLedger:
    """All books of one in-memory ledger. The methods are those of the package; see there for what they mean."""

    def __init__(self) -> None:
        self._books: dict[BookId, _Book] = {}
        self._one_at_a_time = asyncio.Lock()

    @asynccontextmanager
    async def transaction(self) -> AsyncGenerator[MemoryTx]:
        """Take everything back when the block raises."""
        async with self._one_at_a_time:
            before = {number: book.copy() for number, book in self._books.items()}
            try:
                yield MemoryTx()
            except BaseException:
                self._books = before
                raise

    async def open_book(self, _tx: MemoryTx, book: BookId, *, name: str, now: datetime) -> bool:
        """Like `tael.ledger.open_book`."""
        assert name
        if book in self._books:
            return False
        self._books[book] = _Book(at=now, day=accounting_day(now))
        return True

    async def open_accounts(
        self, _tx: MemoryTx, wanted: Sequence[NewAccount], *, now: datetime
    ) -> list[AccountOutcome]:
        """Like `tael.ledger.open_accounts`."""
        assert now.tzinfo is not None
        return [self._open(self._book(new.book), new) for new in wanted]

    async def post(self, _tx: MemoryTx, postings: Sequence[Posting], *, now: datetime) -> list[Result]:
        """Like `Ledger.post`."""
        results: dict[int, Result] = {}
        for number in sorted({posting.book for posting in postings}):
            places = [place for place, posting in enumerate(postings) if posting.book == number]
            answers = self._post(self._book(number), [postings[place] for place in places], now)
            results.update(zip(places, answers, strict=True))
        return [results[place] for place in range(len(postings))]

    async def expire_due(self, _tx: MemoryTx, book: BookId, *, now: datetime, limit: int = 500) -> int:
        """Like `Ledger.expire_due`."""
        found = self._book(book)
        due = _due(found, None, now)[:limit]
        view = View(states=found.states, resolved=found.resolved, reversed=found.reversed, due=due)
        self._apply(found, decide(view, (), pos=len(found.log), now=max(now, found.at), day=found.day))
        return len(due)

    async def balance(self, _tx: MemoryTx, book: BookId, account: AccountId) -> Balance:
        """Like `tael.ledger.balance`."""
        found = self._book(book)
        if account not in found.states:
            raise AccountNotFound(str(account))
        return _balance(found.accounts[account], found.states[account])

    async def balances(self, tx: MemoryTx, book: BookId, wanted: Sequence[AccountId]) -> list[Balance]:
        """Like `tael.ledger.balances`."""
        known = self._book(book).states
        return [await self.balance(tx, book, account) for account in wanted if account in known]

    async def balance_at(self, tx: MemoryTx, book: BookId, account: AccountId, instant: datetime) -> Balance:
        """Like `tael.ledger.balance_at`."""
        now = await self.balance(tx, book, account)
        past = [entry for entry in self._entries(book, account) if entry.at <= instant]
        return past[-1].closing if past else Balance(account, now.currency, now.normal, 0, 0, 0, 0, 0, False)

    async def statement(
        self, _tx: MemoryTx, book: BookId, account: AccountId, *, side: Side | Literal["both"] = "both", code: int = 0,
        newest_first: bool = False, beyond: int | None = None, limit: int = 100,
    ) -> list[Entry]:  # fmt: skip
        """Like `tael.ledger.statement`."""
        chosen = [
            entry for entry in self._entries(book, account)
            if side in ("both", entry.side) and code in (0, entry.code)
            and (beyond is None or (entry.seq < beyond if newest_first else entry.seq > beyond))
        ]  # fmt: skip
        return (chosen[::-1] if newest_first else chosen)[: min(limit, PAGE)]

    async def holds(
        self, _tx: MemoryTx, book: BookId, account: AccountId, *, after: int = 0, limit: int = 100
    ) -> list[OpenHold]:
        """Like `tael.ledger.holds`."""
        rows = [
            row for row in self._book(book).open.values()
            if account in (row.posting.debit, row.posting.credit) and row.pos > after
        ]  # fmt: skip
        return [
            OpenHold(row.posting.id, row.pos, row.posting.debit, row.posting.credit, row.amount, row.expires_at)
            for row in rows[: min(limit, PAGE)]
        ]

    async def find(self, _tx: MemoryTx, book: BookId, ids: Sequence[UUID]) -> dict[UUID, Row]:
        """Like `tael.ledger.find`."""
        taken = self._book(book).taken
        return {identity: row for identity in ids if isinstance(row := taken.get(identity), Row)}

    def _book(self, book: BookId) -> _Book:
        if book not in self._books:
            raise UnknownBook(str(book))
        return self._books[book]

    def _open(self, book: _Book, new: NewAccount) -> AccountOutcome:
        if outcome := accounts.unusable_id(new):
            return outcome
        if new.id in book.accounts:
            return accounts.compare(new, book.accounts[new.id])
        if outcome := accounts.refused(new):
            return outcome
        book.accounts[new.id] = new
        book.states[new.id] = State(Account(new.book, new.id, new.currency, new.limits))
        return AccountOutcome.OPENED

    def _post(self, book: _Book, postings: Sequence[Posting], now: datetime) -> list[Result]:
        ids = {posting.id for posting in postings} | {one.reference for one in postings if one.reference}
        view = View(taken={identity: book.taken[identity] for identity in ids if identity in book.taken})
        named = {account for posting in postings for account in (posting.debit, posting.credit)}
        for row in view.taken.values():
            if isinstance(row, Row):
                named |= {row.posting.debit, row.posting.credit}
        view.due = _due(book, named, now)
        view.states, view.resolved, view.reversed = book.states, book.resolved, book.reversed
        decision = decide(view, postings, pos=len(book.log), now=max(now, book.at), day=book.day)
        self._apply(book, decision)
        return decision.results

    def _apply(self, book: _Book, decision: Decision) -> None:
        book.states, book.resolved, book.reversed = decision.states, decision.resolved, decision.reversed
        book.log += zip(decision.rows, decision.debits, decision.credits, strict=True)
        for row in decision.rows:
            book.taken[row.posting.id] = row
            book.at = row.at
            if row.posting.flags & HOLD:
                book.open[row.posting.id] = row
            elif row.posting.reference:
                book.open.pop(row.posting.reference, None)
        book.taken |= dict.fromkeys([identity for identity, _ in decision.burned], Outcome.ID_ALREADY_REFUSED)

    def _entries(self, book: BookId, account: AccountId) -> list[Entry]:
        """All entries of an account, the oldest first."""
        found, entries = self._book(book), list[Entry]()
        for row, debit, credit in found.log:
            for side, state, other in (("debit", debit, credit), ("credit", credit, debit)):
                if state.account.id == account:
                    entries.append(_entry(found.accounts[account], side, row, state, other.account.id))
        return entries


def _due(book: _Book, named: set[AccountId] | None, now: datetime) -> list[Row]:
    rows = [
        row for row in book.open.values()
        if row.expires_at is not None and row.expires_at <= now
        and (named is None or row.posting.debit in named or row.posting.credit in named)
    ]  # fmt: skip
    return sorted(rows, key=lambda row: (row.expires_at, row.pos))


def _balance(account: NewAccount, state: State) -> Balance:
    return Balance(
        account.id, account.currency, account.normal, state.seq, state.debits_posted, state.credits_posted,
        state.debits_held, state.credits_held, state.closed,
    )  # fmt: skip


def _entry(account: NewAccount, side: str, row: Row, state: State, counterpart: AccountId) -> Entry:
    posting = row.posting
    return Entry(
        account.id, state.seq, "debit" if side == "debit" else "credit", row.pos, posting.id, row.at, row.day,
        ENTRY_KINDS[KINDS.index(posting.flags & KIND_FLAGS)], row.amount, posting.code, counterpart, posting.reference,
        posting.order_no, _balance(account, state),
    )  # fmt: skip
