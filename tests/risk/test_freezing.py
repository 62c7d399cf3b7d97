"""Risk freezes: nothing is debited, every freeze stays on record, and twice is once."""

import asyncio

import pytest

from risk.conftest import BOOK, MORNING
from tael.base.db import Database
from tael.ledger import AccountId, AccountNotFound, AccountUnusable, BookId, Ledger, Posting, posting_id, require_posted
from tael.risk import Freeze, freeze, freezing, unfreeze


async def pay(db: Database, ledger: Ledger, key: str, *, debit: int, credit: int) -> None:
    posting = Posting(
        book=BookId(BOOK), id=posting_id("test", key), debit=AccountId(debit), credit=AccountId(credit), amount=1,
        currency="CNY", code=1,
    )  # fmt: skip
    async with db.transaction() as tx:
        require_posted(await ledger.post(tx, [posting], now=MORNING))


async def put(db: Database, account: int, *, frozen: bool, reason: str = "why") -> Freeze | None:
    async with db.transaction() as tx:
        act = freeze if frozen else unfreeze
        return await act(tx, book=BOOK, account=account, reason=reason, by="ops", now=MORNING)


async def test_a_frozen_account_takes_money_and_pays_none(db: Database, accounts: tuple[int, int]) -> None:
    ledger = Ledger()
    await pay(db, ledger, "in", debit=9, credit=1)
    await put(db, 1, frozen=True)
    await pay(db, ledger, "in again", debit=9, credit=1)
    with pytest.raises(AccountUnusable):
        await pay(db, ledger, "out", debit=1, credit=2)
    await put(db, 1, frozen=False)
    await pay(db, ledger, "out", debit=1, credit=2)


async def test_twice_is_once_and_every_freeze_is_on_record(db: Database, accounts: tuple[int, int]) -> None:
    assert await put(db, 1, frozen=False) is None
    first = await put(db, 1, frozen=True, reason="first")
    assert await put(db, 1, frozen=True, reason="again") == first
    lifted = await put(db, 1, frozen=False, reason="solved")
    assert await put(db, 1, frozen=False, reason="once more") == lifted
    await put(db, 1, frozen=True, reason="second")
    async with db.transaction() as tx:
        found = await freezing.history(tx, book=BOOK, account=1)
        assert await freezing.history(tx, book=BOOK, account=2) == []
    assert [(one.number, one.reason, one.lifted_reason) for one in found] == [
        (2, "second", None), (1, "first", "solved"),
    ]  # fmt: skip


async def test_freezes_at_once_are_one(db: Database, accounts: tuple[int, int]) -> None:
    for turn in range(1, 4):
        frozen = await asyncio.gather(*(put(db, 1, frozen=True, reason=str(n)) for n in range(10)))
        assert {one and one.number for one in frozen} == {turn}
        await asyncio.gather(*(put(db, 1, frozen=False) for _ in range(10)))


@pytest.mark.parametrize("account", [9, 5, 2**63 - 1])
@pytest.mark.parametrize("frozen", [True, False])
async def test_only_customers_accounts_are_frozen(
    account: int, frozen: bool, db: Database, accounts: tuple[int, int]
) -> None:
    with pytest.raises(AccountNotFound):
        await put(db, account, frozen=frozen)
