"""A plan made while a table was empty must still find rows by index when the table has grown."""

from datetime import UTC, datetime

import pytest

from grown_tables import Growing, Statement, rows_read
from tael.base.db import Database
from tael.withdrawals import store
from tael.withdrawals.lookup import details_of

NOW = datetime(2026, 1, 5, tzinfo=UTC)
KEYS = [(1, f"WD{number:030d}") for number in range(100, 110)]
LOAD = [
    """insert into payee (book, id, owner, kind, space, sealed, fingerprint, content, masked, holder, state, created_at)
       select 1, n, n, 'bank_card', '', '', lpad(n::text, 64, '0'), lpad(n::text, 64, '0'), '', '', 'active', $1
       from generate_series(1, $2::int) n""",
    """insert into withdrawal (book, order_no, owner, payee, maker, review)
       select 1, 'WD' || lpad(n::text, 30, '0'), n, n, 'wang', '' from generate_series(1, $2::int) n
       where $1::timestamptz is not null""",
]
GROWING = Growing(("payee", "withdrawal"), LOAD, NOW)
STATEMENTS: dict[str, Statement] = {
    "details": lambda tx: details_of(tx, KEYS),
    "payees": lambda tx: store.payees(tx, [(1, number) for number in range(100, 110)]),
    "by_fingerprint": lambda tx: store.payee_by_fingerprint(tx, book=1, owner=100, fingerprint=f"{100:064d}"),
    "page": lambda tx: store.page_of_payees(tx, book=1, owner=100, state=None, limit=10, older_than=None),
    "called_back": lambda tx: store.called_back(tx, KEYS),
    "call_back": lambda tx: store.call_back(tx, book=1, order_no=KEYS[0][1], person="wang"),
    "unbind": lambda tx: store.unbind_payee(tx, book=1, id=100, now=NOW),
}


@pytest.mark.parametrize("name", STATEMENTS)
async def test_a_plan_made_on_an_empty_table_still_probes_an_index(single: Database, db: Database, name: str) -> None:
    assert await rows_read(single, db, STATEMENTS[name], GROWING) < 500


async def test_what_was_asked_for_and_sealed_is_never_edited(db: Database) -> None:
    async with db.transaction() as tx:
        await GROWING.grow(tx, 1)
        await tx.execute("update withdrawal set called_back = 'wang'")
    for change in (
        "withdrawal set payee = 2", "withdrawal set maker = 'li'", "withdrawal set called_back = 'li'",
        "withdrawal set called_back = null", "payee set sealed = 'x'", "payee set owner = 2",
    ):  # fmt: skip
        with pytest.raises(Exception, match="never edited"):
            async with db.transaction() as tx:
                await tx.execute(f"update {change}")
