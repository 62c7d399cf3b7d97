"""Statements page by entry number; a past balance is the last entry at or before the instant."""

from datetime import timedelta
from types import SimpleNamespace

import pytest

from tael.ledger import HOLD, AccountId, AccountNotFound

from .conftest import BOOK, START
from .story import ALICE, BANK, BOB, FEE, open_all, pay, post, tell

SECOND = timedelta(seconds=1)


async def test_each_opening_balance_is_the_closing_balance_before(engine: SimpleNamespace) -> None:
    await tell(engine)
    for account in (BANK, ALICE, BOB, FEE):
        async with engine.transaction() as tx:
            entries = await engine.statement(tx, BOOK, account)
        assert [entry.seq for entry in entries] == list(range(1, len(entries) + 1))
        closings = [0, *(entry.closing.total for entry in entries)]
        assert [entry.opening for entry in entries] == closings[:-1]


async def test_pages(engine: SimpleNamespace) -> None:
    await open_all(engine)
    await post(engine, *(pay(f"{n}", BANK, ALICE, n) for n in range(1, 8)))
    seen: list[int] = []
    beyond = None
    while True:
        async with engine.transaction() as tx:
            page = await engine.statement(tx, BOOK, ALICE, newest_first=True, beyond=beyond, limit=3)
        if not page:
            break
        seen += [entry.amount for entry in page]
        beyond = page[-1].seq
    assert seen == [7, 6, 5, 4, 3, 2, 1]
    async with engine.transaction() as tx:
        rest = await engine.statement(tx, BOOK, ALICE, beyond=5, limit=10)
    assert [entry.amount for entry in rest] == [6, 7]


INSTANTS = [(-1, 0, 0), (0, 10, 0), (1, 30, 0), (2, 30, 5), (3, 30, 5), (100, 30, 5)]


@pytest.mark.parametrize(("seconds", "total", "held"), INSTANTS)
async def test_balance_at(engine: SimpleNamespace, seconds: int, total: int, held: int) -> None:
    await open_all(engine)
    await post(engine, pay("1", BANK, ALICE, 10))
    await post(engine, pay("2", BANK, ALICE, 15), pay("3", BANK, ALICE, 5), now=START + SECOND)
    await post(engine, pay("4", ALICE, BOB, 5, HOLD), now=START + 2 * SECOND)
    async with engine.transaction() as tx:
        found = await engine.balance_at(tx, BOOK, ALICE, START + seconds * SECOND)
    assert (found.total, found.held) == (total, held)


async def test_balance_at_every_instant_of_a_long_history(engine: SimpleNamespace) -> None:
    await open_all(engine)
    for n in range(50):
        way = (BANK, ALICE) if n % 3 else (BOB, BANK)
        await post(engine, pay(f"{n}", BANK, BOB, 100), pay(f"x{n}", *way, 1), now=START + n * SECOND)
    async with engine.transaction() as tx:
        entries = await engine.statement(tx, BOOK, BANK, limit=1_000)
        for n in range(-1, 51):
            found = await engine.balance_at(tx, BOOK, BANK, START + n * SECOND)
            expected = [entry.closing for entry in entries if entry.at <= START + n * SECOND][-1:]
            assert [found][: len(expected)] == expected
            assert found.seq == 2 * (min(n, 49) + 1)


async def test_nothing_is_known_of_an_account_that_does_not_exist(engine: SimpleNamespace) -> None:
    nobody = AccountId(4_711)
    async with engine.transaction() as tx:
        assert await engine.statement(tx, BOOK, nobody) == []
        assert await engine.holds(tx, BOOK, nobody) == []
        with pytest.raises(AccountNotFound):
            await engine.balance(tx, BOOK, nobody)
        with pytest.raises(AccountNotFound):
            await engine.balance_at(tx, BOOK, nobody, START)
