"""Opening books and accounts, many at once and by several callers at once."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace

import pytest

from tael.base.db import Database
from tael.ledger import AccountId, AccountNotFound, NewAccount, cut_day, set_frozen

from .conftest import BOOK, START, on_postgres
from .story import ALICE, BANK, open_all, pay, post

ACCOUNT = NewAccount(
    book=BOOK, id=AccountId(7), subject="2001", currency="CNY", kind="customer", limits=1, owner=3, parent=AccountId(6)
)
AGAIN = [
    ({}, "exists"),
    ({"limits": 0}, "exists_with_different_limits"),
    ({"limits": 3}, "exists_with_different_limits"),
    ({"kind": "product"}, "exists_with_different_kind"),
    ({"normal": "debit"}, "exists_with_different_kind"),
    ({"updating": "daily"}, "exists_with_different_kind"),
    ({"owner": 4}, "exists_with_different_owner"),
    ({"parent": None}, "exists_with_different_owner"),
    ({"currency": "USD", "subject": "1"}, "exists_with_different_currency"),
    ({"subject": ""}, "exists_with_different_subject"),
    ({"id": AccountId(0)}, "id_must_not_be_zero"),
    ({"id": AccountId(2**63 - 1)}, "id_must_not_be_max"),
    ({"id": AccountId(8), "limits": 3, "currency": ""}, "limits_are_mutually_exclusive"),
    ({"id": AccountId(8), "currency": ""}, "currency_must_be_set"),
    ({"id": AccountId(8)}, "opened"),
]


@pytest.mark.parametrize(("change", "expected"), AGAIN, ids=[str(row[0]) for row in AGAIN])
async def test_opening_again(engine: SimpleNamespace, change: dict[str, object], expected: str) -> None:
    async with engine.transaction() as tx:
        assert await engine.open_accounts(tx, [ACCOUNT], now=START) == ["opened"]
    async with engine.transaction() as tx:
        assert await engine.open_accounts(tx, [replace(ACCOUNT, **change)], now=START) == [expected]


async def test_several_in_one_call_are_opened_in_order(engine: SimpleNamespace) -> None:
    wanted = [
        ACCOUNT,
        replace(ACCOUNT, id=AccountId(8)),
        ACCOUNT,
        replace(ACCOUNT, subject="9"),
        replace(ACCOUNT, id=0),
    ]
    async with engine.transaction() as tx:
        found = await engine.open_accounts(tx, wanted, now=START)
    assert found == ["opened", "opened", "exists", "exists_with_different_subject", "id_must_not_be_zero"]


async def test_several_callers_open_the_same_accounts(db: Database) -> None:
    engine = on_postgres(db)
    async with db.transaction() as tx:
        await engine.open_book(tx, BOOK, name="test", now=START)
    wanted = [replace(ACCOUNT, id=AccountId(number)) for number in range(1, 101)]

    async def one(order: int) -> list[str]:
        async with db.transaction() as tx:
            return await engine.open_accounts(tx, wanted[::order], now=START)

    found = await asyncio.gather(*(one(order) for order in (1, -1, 1, -1)))
    assert sorted(outcome for answers in found for outcome in answers) == ["exists"] * 300 + ["opened"] * 100


async def test_a_book_is_opened_once(engine: SimpleNamespace) -> None:
    async with engine.transaction() as tx:
        assert not await engine.open_book(tx, BOOK, name="test", now=START)


async def test_the_accounting_day_is_cut_and_never_goes_back(db: Database) -> None:
    engine = on_postgres(db)
    async with db.transaction() as tx:
        await engine.open_book(tx, BOOK, name="test", now=START)
    await open_all(engine)
    (first,) = await post(engine, pay("1", BANK, ALICE, 1), now=START + timedelta(days=1))
    async with db.transaction() as tx:
        assert await cut_day(tx, BOOK, now=START + timedelta(days=1))
        assert not await cut_day(tx, BOOK, now=START + timedelta(days=1))
        assert not await cut_day(tx, BOOK, now=START)
    (second,) = await post(engine, pay("2", BANK, ALICE, 1), now=START + timedelta(days=1))
    assert [result.row.day.isoformat() for result in (first, second)] == ["2026-01-05", "2026-01-06"]


async def test_only_an_existing_account_can_be_frozen(db: Database) -> None:
    engine = on_postgres(db)
    async with db.transaction() as tx:
        await engine.open_book(tx, BOOK, name="test", now=START)
        with pytest.raises(AccountNotFound):
            await set_frozen(tx, BOOK, AccountId(5), frozen=True)
