"""PostgreSQL and memory, driven by the same random history, answer the same; so do the fast and the careful path.

Histories are drawn by hypothesis: postings of every kind in batches, through several processes' memories, with time
passing, transactions that roll back, and accounts that are closed and reopened.
"""

import asyncio
from collections.abc import Coroutine
from datetime import timedelta
from typing import TypeVar
from unittest.mock import patch

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tael.base.db import Database
from tael.ledger import (
    BALANCING_CREDIT,
    BALANCING_DEBIT,
    CLOSING_DEBIT,
    HOLD,
    LINKED,
    RELEASE,
    REVERSE,
    SETTLE,
    AccountId,
    BookId,
    Ledger,
    NewAccount,
    Posting,
    posting_id,
)
from tael.ledger.machine import View, decide
from tael.ledger.records import MAX, Account, State
from tael.ledger.verify import verify

from .conftest import START, in_memory, on_postgres

T = TypeVar("T")
ACCOUNTS = [AccountId(number) for number in range(1, 6)]
LIMITS = [0, 1, 1, 2, 0]
KEYS = [f"k{number}" for number in range(12)]
identities = st.sampled_from(KEYS).map(lambda key: posting_id("any", key))
accounts = st.sampled_from([*ACCOUNTS, AccountId(9)])
amounts = st.one_of(st.integers(0, 20), st.sampled_from([MAX, MAX - 3]))
new_flags = st.sampled_from([0, 0, 0, HOLD, HOLD, BALANCING_DEBIT, BALANCING_CREDIT | HOLD, HOLD | CLOSING_DEBIT])
news = st.builds(
    lambda book, link, flags, **rest: Posting(book=book, flags=flags | link, **rest),
    book=st.just(BookId(1)), id=identities, debit=accounts, credit=accounts, amount=amounts,
    currency=st.sampled_from(["CNY", "CNY", "CNY", "USD"]), code=st.integers(0, 2), flags=new_flags,
    link=st.sampled_from([0, 0, 0, LINKED]), timeout_s=st.sampled_from([0, 0, 2]),
    order_no=st.sampled_from([None, None, "A1"]),
)  # fmt: skip
ends = st.builds(
    lambda link, flags, **rest: Posting(book=BookId(1), flags=flags | link, **rest),
    id=identities, reference=identities, flags=st.sampled_from([SETTLE, RELEASE, REVERSE]),
    amount=st.one_of(st.none(), st.integers(0, 20)), link=st.sampled_from([0, 0, LINKED]),
)  # fmt: skip
batches = st.lists(st.one_of(news, news, ends), min_size=1, max_size=6)
steps = st.one_of(
    st.tuples(st.just("post"), batches),
    st.tuples(st.just("post"), batches),
    st.tuples(st.just("roll back"), batches),
    st.tuples(st.just("wait"), st.integers(1, 3)),
    st.tuples(st.just("expire"), st.integers(1, 3)),
)


class RolledBack(Exception):
    """Not an error: the transaction is taken back on purpose."""


@pytest.mark.slow
async def test_both_engines_answer_the_same(dsn: str) -> None:
    loop = asyncio.get_running_loop()
    numbers = iter(range(1, 10**6))

    @settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))
    @given(history=st.lists(steps, min_size=1, max_size=14))
    def play(history: list[tuple[str, object]]) -> None:
        wait(_play(db, BookId(next(numbers)), history))

    def wait(work: Coroutine[object, object, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, loop).result()

    async with await Database.connect(dsn, min_size=1, max_size=2) as db:
        await asyncio.to_thread(play)


async def _play(db: Database, book: BookId, history: list[tuple[str, object]]) -> None:
    """One history, on a fresh book of PostgreSQL, through two processes' memories in turn, and in memory."""
    disk, memory = on_postgres(db), in_memory()
    processes = [Ledger(), Ledger(remember=1)]
    for engine in (disk, memory):
        async with engine.transaction() as tx:
            await engine.open_book(tx, book, name="any", now=START)
            wanted = [
                NewAccount(book=book, id=account, subject="1", currency="USD" if account == 5 else "CNY", limits=limits)
                for account, limits in zip(ACCOUNTS, LIMITS, strict=True)
            ]
            await engine.open_accounts(tx, wanted, now=START)
    now = START
    for turn, (action, detail) in enumerate(history):
        disk.post, disk.expire_due = processes[turn % 2].post, processes[turn % 2].expire_due
        if action == "wait":
            now += timedelta(seconds=detail)
            continue
        answers = [await _act(engine, book, action, detail, now) for engine in (disk, memory)]
        assert answers[0] == answers[1]
    assert await _everything(disk, book) == await _everything(memory, book)
    report = await verify(db, book)
    assert report.ok, report.findings


async def _act(engine: object, book: BookId, action: str, detail: object, now: object) -> object:
    try:
        async with engine.transaction() as tx:
            if action == "expire":
                return await engine.expire_due(tx, book, now=now, limit=detail)
            postings = [Posting(**{**_fields(posting), "book": book}) for posting in detail]
            results = await engine.post(tx, postings, now=now)
            found = [(result.outcome, result.amount, result.row and result.row.pos) for result in results]
            if action == "roll back":
                raise RolledBack
            return found
    except RolledBack:
        return found


def _fields(posting: Posting) -> dict[str, object]:
    return {name: getattr(posting, name) for name in posting.__struct_fields__}


async def _everything(engine: object, book: BookId) -> object:
    async with engine.transaction() as tx:
        found = await engine.balances(tx, book, ACCOUNTS)
        entries = [await engine.statement(tx, book, account, limit=1_000) for account in ACCOUNTS]
        holds = [await engine.holds(tx, book, account, limit=1_000) for account in ACCOUNTS]
        rows = await engine.find(tx, book, [posting_id("any", key) for key in KEYS])
    return found, entries, holds, {identity: (row.pos, row.leg, row.amount, row.at) for identity, row in rows.items()}


@settings(max_examples=300, deadline=None)
@given(batch=st.lists(news, min_size=1, max_size=12))
def test_the_fast_path_decides_like_the_careful_one(batch: list[Posting]) -> None:
    facts = [Account(BookId(1), number, "CNY", limit) for number, limit in zip(ACCOUNTS, LIMITS, strict=True)]
    view = View(states={account.id: State(account, 3, 10, 15, 2, 1) for account in facts})
    fast = decide(view, batch, pos=7, now=START, day=START.date())
    with patch("tael.ledger.machine._Run.plain", lambda _run, _posting: None):
        careful = decide(view, batch, pos=7, now=START, day=START.date())
    assert fast.results == careful.results
    assert fast.states == careful.states
    assert (fast.rows, fast.debits, fast.credits) == (careful.rows, careful.debits, careful.credits)
    assert view.states == {account.id: State(account, 3, 10, 15, 2, 1) for account in facts}
