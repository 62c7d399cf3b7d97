"""A book in which everything has happened verifies; one changed value anywhere is found and named."""

from types import SimpleNamespace

import pytest

from tael.base.db import Database
from tael.ledger.store import UnknownBook
from tael.ledger.verify import Finding, verify

from .conftest import BOOK, START, on_postgres
from .story import tell

# Every column of a row, with another value of its type. The row is number 5 of the story: a hold that expired.
COLUMNS = {
    "book": "2", "pos": "1000", "id": "gen_random_uuid()", "at": "at + interval '1 microsecond'", "debit": "999",
    "credit": "998", "amount": "amount + 1", "debit_seq": "debit_seq + 100", "debit_debits": "debit_debits + 1",
    "debit_credits": "debit_credits - 1", "credit_seq": "credit_seq + 100", "credit_debits": "credit_debits + 1",
    "credit_credits": "credit_credits + 1", "day": "day - 1", "checksum": "checksum + 1", "code": "2", "kind": "0",
    "flags": "1", "leg": "1", "timeout_s": "null", "debit_debits_held": "debit_debits_held - 1",
    "debit_credits_held": "5", "credit_debits_held": "5", "credit_credits_held": "null",
    "reference": "gen_random_uuid()", "order_no": "'RC0002'",
}  # fmt: skip
OTHERS = [
    ("account", "subject = '9999' where id = 102", Finding("accounts", "account 102", "differs from its checksum")),
    ("account", "limits = 0 where id = 102", Finding("accounts", "account 102", "differs from its checksum")),
    ("account", "currency = 'USD' where id = 105", Finding("accounts", "account 105", "differs from its checksum")),
    ("account", "owner = 8 where id = 102", Finding("accounts", "account 102", "differs from its checksum")),
    ("account", "status = 'frozen' where id = 102", Finding("accounts", "account 102", "differs from its checksum")),
    ("book_head", "pos = pos + 1", Finding("head", "head", "is not at the end of the log")),
    ("book_head", "at = at - interval '1 s'", Finding("head", "head", "is not at the end of the log")),
    ("book_head", "next_expiry = null", Finding("head", "head", "is not at the end of the log")),
    ("open_hold", "amount = amount + 1 where amount = 500", "is listed differently"),
    ("open_hold", "expires_at = now() where amount = 500", "is listed differently"),
    ("open_hold", "id = gen_random_uuid() where amount = 500", "is open but not listed"),
]


@pytest.fixture
async def told(db: Database) -> SimpleNamespace:
    engine = on_postgres(db)
    async with db.transaction() as tx:
        await engine.open_book(tx, BOOK, name="test", now=START)
    await tell(engine)
    return engine


async def behind(db: Database, sql: str) -> None:
    """Change data as somebody would who switches the guards off first."""
    async with db.transaction() as tx:
        await tx.execute("set local session_replication_role = replica")
        for constraint in await tx.fetch(
            "select conname from pg_constraint where conrelid = 'posting'::regclass and contype = 'c'"
        ):
            await tx.execute(f"alter table posting drop constraint {constraint['conname']}")
        await tx.execute(sql)


async def test_an_honest_book(told: SimpleNamespace, db: Database) -> None:
    report = await verify(db, BOOK)
    assert report.findings == []
    assert (report.ok, report.postings, report.accounts) == (True, 16, 5)


def test_every_column_is_tampered_with() -> None:
    from pathlib import Path

    import tael

    schema = (Path(tael.__file__).parent / "migrations" / "0002_ledger.sql").read_text()
    table = schema.partition("create table posting (")[2].partition("primary key")[0]
    assert [line.split()[0] for line in table.splitlines() if line.strip()] == list(COLUMNS)


@pytest.mark.parametrize("column", COLUMNS)
async def test_a_changed_column(told: SimpleNamespace, db: Database, column: str) -> None:
    await behind(db, f"update posting set {column} = {COLUMNS[column]} where book = 1 and pos = 5")
    report = await verify(db, BOOK)
    where = {"book": "posting 6", "pos": "posting 1000"}.get(column, "posting 5")
    assert where in [finding.where for finding in report.findings]


async def test_a_missing_row(told: SimpleNamespace, db: Database) -> None:
    await behind(db, "delete from posting where pos = 7")
    assert Finding("positions", "posting 8", "follows 6") in (await verify(db, BOOK)).findings


async def test_a_row_forged_with_its_checksum(told: SimpleNamespace, db: Database) -> None:
    """Whoever recomputes the checksum still has the chain against him."""
    await behind(
        db, "update posting set amount = amount + 5, credit_credits = credit_credits + 5, "
        "debit_debits = debit_debits + 5 where pos = 2"
    )  # fmt: skip
    await behind(db, "update posting set checksum = posting_checksum(posting) where pos = 2")
    report = await verify(db, BOOK)
    assert report.counts["altered"] == 0
    assert report.counts["chains"] > 0


@pytest.mark.parametrize(("table", "change", "expected"), OTHERS, ids=[f"{o[0]} {o[1]}" for o in OTHERS])
async def test_other_tables(
    told: SimpleNamespace, db: Database, table: str, change: str, expected: Finding | str
) -> None:
    await behind(db, f"update {table} set {change}")
    findings = (await verify(db, BOOK)).findings
    assert expected in (findings if isinstance(expected, Finding) else [finding.what for finding in findings])


async def test_a_listed_hold_that_is_gone(told: SimpleNamespace, db: Database) -> None:
    await behind(db, "delete from open_hold where amount = 500")
    assert "is open but not listed" in [finding.what for finding in (await verify(db, BOOK)).findings]


async def test_an_unknown_book(db: Database) -> None:
    with pytest.raises(UnknownBook):
        await verify(db, BOOK)
