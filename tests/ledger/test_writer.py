"""Group commit: concurrent callers, groups, and a second batch decided while the first is being written."""

import asyncio
from collections.abc import AsyncIterator
from types import SimpleNamespace

import pytest

from tael.base.batch import Overloaded
from tael.base.db import Database
from tael.ledger import (
    HOLD,
    SETTLE,
    AccountId,
    Ledger,
    LedgerWriter,
    NewAccount,
    Posting,
    Result,
    UnknownBook,
    balances,
)
from tael.ledger.verify import verify

from .conftest import BOOK, START, on_postgres
from .story import ALICE, BANK, BOB, FEE, SHOP, end, open_all, pay, post


@pytest.fixture
async def ready(db: Database) -> SimpleNamespace:
    engine = on_postgres(db)
    async with db.transaction() as tx:
        await engine.open_book(tx, BOOK, name="test", now=START)
    await open_all(engine)
    return engine


@pytest.fixture
async def writer(db: Database, ready: SimpleNamespace) -> AsyncIterator[LedgerWriter]:
    front = LedgerWriter(db, ready.ledger, now=lambda: START)
    yield front
    await front.close()


async def patiently(front: LedgerWriter, posting: Posting) -> Result:
    """As a caller does who is told to come back: on a busy machine the queue refuses early, and does nothing then."""
    while True:
        try:
            return await front.post_one(posting)
        except Overloaded:
            await asyncio.sleep(0.05)


async def totals(db: Database) -> list[int]:
    async with db.transaction() as tx:
        return [found.total for found in await balances(tx, BOOK, [ALICE, BOB, SHOP, FEE])]


async def test_many_callers_share_batches_and_get_their_own_answers(db: Database, writer: LedgerWriter) -> None:
    await writer.post_one(pay("start", BANK, ALICE, 600))
    found = await asyncio.gather(*(patiently(writer, pay(f"{n}", ALICE, BOB, 1)) for n in range(1_000)))
    assert sum(result.ok for result in found) == 600
    assert {result.outcome.value for result in found} == {"posted", "exceeds_credits"}
    assert await totals(db) == [0, 600, 0, 0]
    assert (await verify(db, BOOK)).ok


async def test_the_same_id_from_many_callers_posts_once(db: Database, writer: LedgerWriter) -> None:
    await writer.post_one(pay("start", BANK, ALICE, 10_000))
    found = await asyncio.gather(*(patiently(writer, pay(f"{n % 7}", ALICE, BOB, 1)) for n in range(700)))
    assert all(result.ok for result in found)
    assert [result.outcome.value for result in found].count("posted") == 7
    assert await totals(db) == [9_993, 7, 0, 0]


async def test_groups_stay_whole_among_other_callers(db: Database, writer: LedgerWriter) -> None:
    await writer.post_one(pay("start", BANK, ALICE, 1_000))

    async def sale(number: int) -> bool:
        results = await writer.post_group(
            [pay(f"{number}a", ALICE, SHOP, 30), pay(f"{number}b", SHOP, FEE, 1), pay(f"{number}c", SHOP, BOB, 29)]
        )
        return all(result.ok for result in results)

    done = await asyncio.gather(*(sale(number) for number in range(200)))
    assert sum(done) == 33
    assert await totals(db) == [10, 33 * 29, 0, 33]
    assert (await verify(db, BOOK)).ok


async def test_holds_across_batches_that_overlap(db: Database, writer: LedgerWriter) -> None:
    await writer.post_one(pay("start", BANK, ALICE, 1_000))

    async def reserve_and_settle(number: int) -> None:
        assert (await patiently(writer, pay(f"h{number}", ALICE, BOB, 2, HOLD))).ok
        results = await asyncio.gather(
            *(patiently(writer, end(f"s{number}-{n}", f"h{number}", SETTLE)) for n in range(3))
        )
        assert sorted(result.outcome.value for result in results) == ["hold_already_settled"] * 2 + ["posted"]

    await asyncio.gather(*(reserve_and_settle(number) for number in range(400)))
    assert await totals(db) == [200, 800, 0, 0]
    assert (await verify(db, BOOK)).ok


async def test_a_second_writer_and_plain_transactions_at_the_same_time(
    db: Database, ready: SimpleNamespace, writer: LedgerWriter
) -> None:
    """What was decided ahead is decided again whenever somebody else came first."""
    other = LedgerWriter(db, Ledger(remember=1), now=lambda: START)
    await writer.post_one(pay("start", BANK, ALICE, 500))

    async def plain(number: int) -> bool:
        return (await post(ready, pay(f"p{number}", ALICE, BOB, 1)))[0].ok

    found = await asyncio.gather(
        *(patiently(writer, pay(f"a{n}", ALICE, BOB, 1)) for n in range(400)),
        *(patiently(other, pay(f"b{n}", ALICE, BOB, 1)) for n in range(400)),
        *(plain(n) for n in range(10)),
    )
    assert sum(one if isinstance(one, bool) else one.ok for one in found) == 500
    assert await totals(db) == [0, 500, 0, 0]
    assert (await verify(db, BOOK)).ok
    await other.close()


async def test_an_unknown_book(db: Database, writer: LedgerWriter) -> None:
    stray = pay("1", BANK, ALICE, 1)
    with pytest.raises(UnknownBook):
        await writer.post_one(type(stray)(book=99, id=stray.id))


async def test_fronts_of_one_process_that_overtake_each_other(db: Database, ready: SimpleNamespace) -> None:
    """Four fronts share one memory and decide ahead without knowing of each other, from a cold start on."""
    ledger, many = Ledger(), [AccountId(1_000 + number) for number in range(300)]
    async with db.transaction() as tx:
        wanted = [NewAccount(book=BOOK, id=account, subject="2001", currency="CNY") for account in many]
        await ready.open_accounts(tx, wanted, now=START)
    fronts = [LedgerWriter(db, ledger, now=lambda: START) for _ in range(4)]

    async def caller(number: int) -> None:
        for turn in range(20):
            debit, credit = many[(number * 7 + turn * 13) % 300], many[(number * 11 + turn * 17 + 1) % 300]
            if debit != credit:
                assert (await patiently(fronts[number % 4], pay(f"{number}-{turn}", debit, credit, 1))).ok

    await asyncio.gather(*(caller(number) for number in range(200)))
    assert (await verify(db, BOOK)).findings == []
    for front in fronts:
        await front.close()
