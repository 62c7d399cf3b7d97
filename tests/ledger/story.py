"""A small book in which everything has happened once, and shorthands for postings."""

from datetime import datetime, timedelta
from types import SimpleNamespace

from tael.ledger import (
    BALANCING_DEBIT,
    CLOSING_DEBIT,
    DEBITS_WITHIN_CREDITS,
    HOLD,
    LINKED,
    RELEASE,
    REVERSE,
    SETTLE,
    AccountId,
    NewAccount,
    Posting,
    Result,
    posting_id,
)

from .conftest import BOOK, START

BANK, ALICE, BOB, SHOP, FEE = (AccountId(number) for number in (101, 102, 103, 104, 105))
ACCOUNTS = [
    NewAccount(book=BOOK, id=BANK, subject="1002", currency="CNY", normal="debit"),
    NewAccount(
        book=BOOK, id=ALICE, subject="2001", currency="CNY", kind="customer", limits=DEBITS_WITHIN_CREDITS, owner=7
    ),
    NewAccount(book=BOOK, id=BOB, subject="2001", currency="CNY", kind="customer", limits=DEBITS_WITHIN_CREDITS),
    NewAccount(book=BOOK, id=SHOP, subject="2002", currency="CNY", kind="customer"),
    NewAccount(book=BOOK, id=FEE, subject="6001", currency="CNY"),
]  # fmt: skip


def pay(name: str, debit: int, credit: int, amount: int | None, flags: int = 0, **more: object) -> Posting:
    return Posting(
        book=BOOK, id=posting_id("test", name), debit=AccountId(debit), credit=AccountId(credit), amount=amount,
        currency="CNY", code=1, flags=flags, **more,
    )  # fmt: skip


def end(name: str, original: str, flags: int, amount: int | None = None) -> Posting:
    """Settle or release the hold, or reverse the posting, that is called `original`."""
    reference = posting_id("test", original)
    return Posting(book=BOOK, id=posting_id("test", name), amount=amount, flags=flags, reference=reference)


async def post(engine: SimpleNamespace, *postings: Posting, now: datetime = START) -> list[Result]:
    async with engine.transaction() as tx:
        return await engine.post(tx, postings, now=now)


async def outcomes(engine: SimpleNamespace, *postings: Posting, now: datetime = START) -> list[str]:
    return [str(result.outcome) for result in await post(engine, *postings, now=now)]


async def open_all(engine: SimpleNamespace) -> None:
    async with engine.transaction() as tx:
        await engine.open_accounts(tx, ACCOUNTS, now=START)


async def tell(engine: SimpleNamespace) -> None:
    """Recharge, pay, freeze, settle in part, release, expire, reverse, a group with a fee, a closed account."""
    await open_all(engine)
    done = await outcomes(
        engine,
        pay("recharge", BANK, ALICE, 10_000, order_no="RC0001"),
        pay("pay", ALICE, BOB, 2_500),
        pay("freeze", ALICE, SHOP, 3_000, HOLD),
        pay("freeze more", ALICE, SHOP, 500, HOLD, timeout_s=60, order_no="WD0007"),
        pay("brief", ALICE, SHOP, 200, HOLD, timeout_s=1),
        end("settle", "freeze", SETTLE, 1_200),
        pay("sale", BOB, SHOP, 1_000, LINKED),
        pay("fee", SHOP, FEE, 6, LINKED),
        pay("tip", BOB, SHOP, 1),
        end("undo", "pay", REVERSE, 300),
        pay("sweep", BOB, SHOP, 500, BALANCING_DEBIT),
        pay("another", BOB, FEE, 7, HOLD),
        end("let go", "another", RELEASE),
        pay("close", BOB, FEE, 0, HOLD | CLOSING_DEBIT),
    )
    assert done == ["posted"] * 14
    assert await outcomes(engine, pay("too much", ALICE, SHOP, 10**9)) == ["exceeds_credits"]
    later = START + timedelta(seconds=5)
    assert await outcomes(engine, pay("after", ALICE, SHOP, 1), now=later) == ["posted"]
