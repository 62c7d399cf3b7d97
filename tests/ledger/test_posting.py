"""Posting inside the caller's transaction: commit, rollback, several posts, several books, what a process remembers."""

import asyncio
from datetime import timedelta
from types import SimpleNamespace

import pytest

from tael.base.db import Database
from tael.base.errors import code
from tael.ledger import (
    BALANCING_CREDIT,
    HOLD,
    LINKED,
    RELEASE,
    REVERSE,
    SETTLE,
    AccountId,
    BookId,
    InsufficientBalance,
    Ledger,
    LinkedAcrossBooks,
    NewAccount,
    Posting,
    PostingRefused,
    Result,
    UnknownBook,
    balance,
    balances,
    open_accounts,
    open_book,
    posting_id,
    require_posted,
    set_frozen,
)
from tael.ledger.outcome import Outcome
from tael.ledger.records import MAX, expiry_id
from tael.ledger.verify import verify

from .conftest import BOOK, START, on_postgres
from .story import ALICE, BANK, BOB, FEE, SHOP, end, open_all, outcomes, pay, post, tell

SECOND = timedelta(seconds=1)


@pytest.fixture
async def ready(engine: SimpleNamespace) -> SimpleNamespace:
    await open_all(engine)
    return engine


@pytest.fixture
async def on_disk(db: Database) -> SimpleNamespace:
    engine = on_postgres(db)
    async with db.transaction() as tx:
        await engine.open_book(tx, BOOK, name="test", now=START)
    await open_all(engine)
    return engine


async def total(engine: SimpleNamespace, account: AccountId) -> int:
    async with engine.transaction() as tx:
        return (await engine.balance(tx, BOOK, account)).total


async def twice(engine: SimpleNamespace, *postings: Posting) -> None:
    async with engine.transaction() as tx:
        for posting in postings:
            require_posted(await engine.post(tx, [posting], now=START))


async def test_a_rolled_back_post_leaves_nothing(ready: SimpleNamespace) -> None:
    await post(ready, pay("1", BANK, ALICE, 100))
    with pytest.raises(InsufficientBalance) as refused:
        await twice(ready, pay("2", ALICE, BOB, 60), pay("3", ALICE, BOB, 60))
    assert code(type(refused.value)) == "insufficient_balance"
    assert refused.value.extra == {"outcome": "exceeds_credits"}
    assert await total(ready, ALICE) == 100
    # The refusal was rolled back too, so the id is free; and what the process remembers has not gone ahead.
    await post(ready, pay("4", BANK, ALICE, 20))
    assert await outcomes(ready, pay("3", ALICE, BOB, 60), pay("2", ALICE, BOB, 61)) == ["posted", "exceeds_credits"]


async def test_several_posts_in_one_transaction(ready: SimpleNamespace) -> None:
    async with ready.transaction() as tx:
        first = await ready.post(tx, [pay("1", BANK, ALICE, 100)], now=START)
        second = await ready.post(tx, [pay("2", ALICE, BOB, 70), pay("1", BANK, ALICE, 100)], now=START)
        third = await ready.post(tx, [pay("3", ALICE, BOB, 31)], now=START)
    found = [result.outcome.value for result in (*first, *second, *third)]
    assert found == ["posted", "posted", "exists", "exceeds_credits"]
    assert await outcomes(ready, pay("4", ALICE, BOB, 30)) == ["posted"]
    assert (await total(ready, ALICE), await total(ready, BOB)) == (0, 100)


async def test_a_lost_result_is_found_by_id(ready: SimpleNamespace) -> None:
    await post(ready, pay("1", BANK, ALICE, 100, order_no="RC1"))
    async with ready.transaction() as tx:
        found = await ready.find(tx, BOOK, [posting_id("test", "1"), posting_id("test", "2")])
    (row,) = found.values()
    assert (row.pos, row.amount, row.posting.order_no, row.posting.debit) == (1, 100, "RC1", BANK)


async def test_time_in_a_book_never_goes_back(ready: SimpleNamespace) -> None:
    await post(ready, pay("1", BANK, ALICE, 1), now=START + SECOND)
    (result,) = await post(ready, pay("2", BANK, ALICE, 1), now=START)
    assert result.row is not None
    assert result.row.at == START + SECOND


async def test_an_expired_hold_frees_funds_for_the_next_posting(ready: SimpleNamespace) -> None:
    """No job has run; the expiry is a row of the log before the posting that profits from it."""
    await post(ready, pay("1", BANK, ALICE, 100), pay("2", ALICE, BOB, 100, HOLD, timeout_s=10))
    almost, later = START + 9 * SECOND, START + 10 * SECOND
    assert await outcomes(ready, pay("3", ALICE, SHOP, 1), now=almost) == ["exceeds_credits"]
    (result,) = await post(ready, pay("4", ALICE, SHOP, 100), now=later)
    assert result.ok
    async with ready.transaction() as tx:
        entries = await ready.statement(tx, BOOK, ALICE)
        assert await ready.holds(tx, BOOK, ALICE) == []
    assert [(entry.kind, entry.amount, entry.seq) for entry in entries] == [
        ("post", 100, 1), ("hold", 100, 2), ("expire", 100, 3), ("post", 100, 4),
    ]  # fmt: skip
    assert entries[2].id == expiry_id(posting_id("test", "2"))
    assert await outcomes(ready, end("5", "2", SETTLE), now=later) == ["hold_expired"]


async def test_the_job_expires_what_is_due_and_no_more_than_asked(ready: SimpleNamespace) -> None:
    await post(ready, pay("1", BANK, ALICE, 100))
    await post(ready, *(pay(f"h{n}", ALICE, BOB, 10, HOLD, timeout_s=n) for n in (3, 1, 2, 50)))
    now = START + 5 * SECOND
    async with ready.transaction() as tx:
        assert await ready.expire_due(tx, BOOK, now=START, limit=2) == 0
        assert await ready.expire_due(tx, BOOK, now=now, limit=2) == 2
    async with ready.transaction() as tx:
        assert [hold.id for hold in await ready.holds(tx, BOOK, BOB)] == [
            posting_id("test", "h3"), posting_id("test", "h50"),
        ]  # fmt: skip
        assert await ready.expire_due(tx, BOOK, now=now, limit=2) == 1
        assert await ready.expire_due(tx, BOOK, now=now, limit=2) == 0
    async with ready.transaction() as tx:
        held = await ready.balance(tx, BOOK, ALICE)
    assert (held.held, held.available, held.total) == (10, 90, 100)


REVERSALS = [
    ("whole", [("r1", None)], ["posted"], 0),
    ("twice", [("r1", None), ("r2", None)], ["posted", "posted"], 0),
    ("in parts", [("r1", 30), ("r2", 70), ("r3", 1)], ["posted", "posted", "exceeds_reversible_amount"], 0),
    ("too much", [("r1", 101)], ["exceeds_reversible_amount"], 100),
    ("again", [("r1", 40), ("r1", 40), ("r1", 41)], ["posted", "exists", "exists_with_different_amount"], 60),
]


@pytest.mark.parametrize(("name", "tries", "expected", "left"), REVERSALS, ids=[row[0] for row in REVERSALS])
async def test_reversal(
    ready: SimpleNamespace, name: str, tries: list[tuple[str, int | None]], expected: list[str], left: int
) -> None:
    await post(ready, pay("1", BANK, ALICE, 100, order_no="RC1"))
    found = [(await outcomes(ready, end(key, "1", REVERSE, amount)))[0] for key, amount in tries]
    assert found == expected
    assert await total(ready, ALICE) == left
    async with ready.transaction() as tx:
        entries = await ready.statement(tx, BOOK, ALICE, side="debit")
    assert {(entry.kind, entry.order_no, entry.reference) for entry in entries} <= {
        ("reverse", "RC1", posting_id("test", "1"))
    }


async def test_a_reversal_obeys_the_rules_of_any_movement(ready: SimpleNamespace) -> None:
    await post(ready, pay("1", BANK, ALICE, 100), pay("2", ALICE, BOB, 80), pay("3", BANK, BOB, 5, HOLD))
    assert await outcomes(
        ready,
        end("a", "1", REVERSE),
        end("b", "3", REVERSE),
        end("c", "nothing", REVERSE),
        end("d", "2", REVERSE | HOLD),
        pay("e", ALICE, BOB, 1, REVERSE, reference=posting_id("test", "2")),
        end("f", "2", REVERSE, 80),
        end("g", "f", REVERSE),
        end("h", "1", REVERSE),
    ) == [
        "exceeds_credits", "not_reversible", "reversed_posting_not_found", "flags_are_mutually_exclusive",
        "reversal_must_mirror", "posted", "not_reversible", "posted",
    ]  # fmt: skip


async def test_a_group_undoes_settlements_and_reversals(ready: SimpleNamespace) -> None:
    await post(ready, pay("1", BANK, ALICE, 100), pay("2", ALICE, BOB, 10, HOLD))
    fails = pay("x", BOB, ALICE, 10**6)
    undone = [end("s", "2", SETTLE | LINKED), end("r", "1", REVERSE | LINKED, 50), fails]
    assert await outcomes(ready, *undone) == ["linked_posting_refused"] * 2 + ["exceeds_credits"]
    assert await outcomes(ready, end("s", "2", SETTLE), end("r", "1", REVERSE, 90)) == ["posted", "posted"]


SHAPES = [
    (pay("1", BANK, ALICE, -1), "amount_out_of_range"),
    (pay("1", BANK, ALICE, MAX + 1), "amount_out_of_range"),
    (pay("1", BANK, ALICE, None), "amount_out_of_range"),
    (pay("1", BANK, ALICE, 1.0), "amount_out_of_range"),
    (pay("1", BANK, ALICE, True), "amount_out_of_range"),
    (pay("1", -5, ALICE, 1), "debit_account_must_not_be_zero"),
    (pay("1", BANK, 2**63, 1), "credit_account_must_not_be_max"),
    (pay("1", BANK, ALICE, 1, 512), "reserved_flag"),
    (pay("1", BANK, ALICE, 1, 1024), "reserved_flag"),
    (pay("1", BANK, ALICE, 1, -2), "reserved_flag"),
    (pay("1", BANK, ALICE, 1, HOLD, timeout_s=2**31), "overflows_timeout"),
    (pay("1", BANK, ALICE, 1, HOLD, timeout_s=-1), "overflows_timeout"),
    (pay("1", BANK, ALICE, 1, reference=posting_id("test", "2")), "reference_must_be_empty"),
    (Posting(book=BOOK, id=posting_id("test", "1"), debit=BANK, credit=ALICE, amount=1, currency="CNY", code=32768),
     "code_must_be_set"),
    (pay("1", BANK, ALICE, 1, BALANCING_CREDIT), "posted"),
    (pay("1", BANK, ALICE, MAX), "posted"),
]  # fmt: skip


@pytest.mark.parametrize(("posting", "expected"), SHAPES, ids=range(len(SHAPES)))
async def test_shape(ready: SimpleNamespace, posting: Posting, expected: str) -> None:
    assert await outcomes(ready, posting) == [expected]
    assert await outcomes(ready, pay("1", BANK, ALICE, 1)) != ["id_already_refused"]


REQUIRED = [
    ([], None),
    ([Outcome.POSTED, Outcome.EXISTS], None),
    ([Outcome.LINKED_POSTING_REFUSED, Outcome.EXCEEDS_CREDITS], "insufficient_balance"),
    ([Outcome.POSTED, Outcome.DEBIT_ACCOUNT_NOT_FOUND], "account_not_found"),
    ([Outcome.EXISTS_WITH_DIFFERENT_AMOUNT], "posting_id_reused"),
    ([Outcome.EXISTS, Outcome.LINKED_POSTING_REFUSED], "posting_id_reused"),
    ([Outcome.ID_ALREADY_REFUSED], "posting_id_refused"),
    ([Outcome.HOLD_EXPIRED], "hold_not_open"),
    ([Outcome.CODE_MUST_BE_SET], "posting_refused"),
]


@pytest.mark.parametrize(("found", "expected"), REQUIRED)
def test_require_posted(found: list[Outcome], expected: str | None) -> None:
    results = [Result(outcome) for outcome in found]
    if expected is None:
        require_posted(results)
        return
    with pytest.raises(PostingRefused) as refused:
        require_posted(results)
    assert code(type(refused.value)) == expected


async def test_unknown_book(engine: SimpleNamespace) -> None:
    with pytest.raises(UnknownBook):
        await post(engine, Posting(book=BookId(9), id=posting_id("test", "1"), amount=1))


async def test_several_books_in_one_transaction(on_disk: SimpleNamespace) -> None:
    other = BookId(2)
    async with on_disk.transaction() as tx:
        await open_book(tx, other, name="other", now=START)
        wanted = [NewAccount(book=other, id=account, subject="1", currency="CNY") for account in (BANK, ALICE)]
        await open_accounts(tx, wanted, now=START)
    there = Posting(book=other, id=posting_id("test", "1"), debit=BANK, credit=ALICE, amount=7, currency="CNY", code=1)
    results = await post(on_disk, there, pay("1", BANK, ALICE, 5), pay("2", ALICE, BOB, 6))
    assert [(result.outcome.value, result.row and result.row.pos) for result in results] == [
        ("posted", 1), ("posted", 1), ("exceeds_credits", None),
    ]  # fmt: skip
    async with on_disk.transaction() as tx:
        assert (await balance(tx, other, ALICE)).total == 7
    with pytest.raises(LinkedAcrossBooks):
        await post(on_disk, pay("3", BANK, ALICE, 5, LINKED), there)


async def test_a_frozen_account_pays_nothing_new(on_disk: SimpleNamespace) -> None:
    other_process = Ledger()
    await post(on_disk, pay("1", BANK, ALICE, 100), pay("2", ALICE, BOB, 10, HOLD))
    async with on_disk.transaction() as tx:
        await other_process.post(tx, [pay("3", BANK, ALICE, 1)], now=START)
    async with on_disk.transaction() as tx:
        await set_frozen(tx, BOOK, ALICE, frozen=True)
    refused = ["debit_account_frozen", "posted", "posted"]
    assert await outcomes(on_disk, pay("4", ALICE, BOB, 1), end("5", "2", SETTLE), pay("6", BANK, ALICE, 1)) == refused
    async with on_disk.transaction() as tx:
        (seen,) = await other_process.post(tx, [pay("7", ALICE, BOB, 1)], now=START)
        assert seen.outcome == "debit_account_frozen"
    async with on_disk.transaction() as tx:
        await set_frozen(tx, BOOK, ALICE, frozen=False)
    assert await outcomes(on_disk, pay("8", ALICE, BOB, 1)) == ["posted"]


@pytest.mark.parametrize("remember", [1, 100_000])
async def test_two_processes_in_turn(on_disk: SimpleNamespace, db: Database, remember: int) -> None:
    """Each finds what the other wrote, whether it catches up or has forgotten."""
    ledgers = [Ledger(remember=remember), Ledger(remember=remember)]
    await post(on_disk, pay("start", BANK, ALICE, 1_000))
    for turn in range(40):
        async with db.transaction() as tx:
            (result,) = await ledgers[turn % 2].post(tx, [pay(f"{turn}", ALICE, BOB, 30)], now=START)
        assert result.ok == (turn < 33)
    async with db.transaction() as tx:
        assert [found.total for found in await balances(tx, BOOK, [ALICE, BOB])] == [10, 990]
    assert (await verify(db, BOOK)).ok


async def test_a_process_that_is_far_behind(on_disk: SimpleNamespace, db: Database) -> None:
    behind = Ledger()
    async with db.transaction() as tx:
        await behind.post(tx, [pay("start", BANK, ALICE, 10)], now=START)
    for batch in range(5):
        await post(on_disk, *(pay(f"{batch}-{n}", BANK, BOB, 1) for n in range(1_000)))
    await post(on_disk, pay("last", ALICE, FEE, 10))
    async with db.transaction() as tx:
        found = await behind.post(tx, [pay("x", ALICE, BOB, 1), pay("y", BOB, ALICE, 5_000)], now=START)
    assert [result.outcome.value for result in found] == ["exceeds_credits", "posted"]
    assert (await verify(db, BOOK)).ok


async def test_posts_that_run_at_once(on_disk: SimpleNamespace, db: Database) -> None:
    """One process, many transactions, some of which fail after posting: the memory never runs ahead of the log."""
    await post(on_disk, pay("start", BANK, ALICE, 500))

    async def one(number: int) -> bool:
        try:
            async with db.transaction() as tx:
                (result,) = await on_disk.post(tx, [pay(f"{number}", ALICE, BOB, 1)], now=START)
                if number % 3 == 0:
                    raise ZeroDivisionError
                return result.ok
        except ZeroDivisionError:
            return False

    done = await asyncio.gather(*(one(number) for number in range(120)))
    assert sum(done) == 80
    assert await total(on_disk, BOB) == 80
    assert (await verify(db, BOOK)).ok


async def test_everything_on_one_engine_looks_the_same_on_the_other(engine: SimpleNamespace) -> None:
    await tell(engine)
    async with engine.transaction() as tx:
        found = await engine.balances(tx, BOOK, [BANK, ALICE, BOB, SHOP, FEE, AccountId(77)])
    assert [(one.seq, one.total, one.held, one.available, one.closed) for one in found] == [
        (1, 10_000, 0, 10_000, False), (9, 6_599, 500, 6_099, False), (8, 699, 0, 699, True),
        (10, 2_696, 0, 2_696, False), (4, 6, 0, 6, False),
    ]  # fmt: skip


async def test_release_and_settle_of_the_same_hold_at_once(on_disk: SimpleNamespace, db: Database) -> None:
    await post(on_disk, pay("1", BANK, ALICE, 100), pay("2", ALICE, BOB, 60, HOLD))
    ledgers = [Ledger() for _ in range(6)]

    async def one(number: int) -> str:
        async with db.transaction() as tx:
            flags = SETTLE if number % 2 else RELEASE
            (result,) = await ledgers[number].post(tx, [end(f"e{number}", "2", flags)], now=START)
            return result.outcome.value

    found = await asyncio.gather(*(one(number) for number in range(6)))
    assert found.count("posted") == 1
    assert (await verify(db, BOOK)).ok
