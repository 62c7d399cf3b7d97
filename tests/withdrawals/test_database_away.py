"""The database goes away right after a decision about a withdrawal was committed: the answer tells of the decision.

A second transaction for the answer would fail then, and say that nothing was changed.
"""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import cast

import pytest

from tael.base.db import Database, DatabaseUnavailable, Tx
from tael.ledger import Ledger
from tael.risk import Risk
from tael.withdrawals.approve import Decisions, Verdict

from .conftest import Company


class Once:
    """A database that is away after one transaction."""

    def __init__(self, db: Database) -> None:
        self._db, self._spent = db, False

    @asynccontextmanager
    async def transaction(self) -> AsyncGenerator[Tx]:
        if self._spent:
            raise DatabaseUnavailable
        self._spent = True
        async with self._db.transaction() as tx:
            yield tx


@pytest.mark.parametrize(("what", "state"), [("approve", "approved"), ("reject", "invalid"), ("cancel", "invalid")])
async def test_the_answer_needs_no_second_transaction(company: Company, what: str, state: str) -> None:
    account, payee = await company.open(), await company.bind()
    number = await company.asked(account, payee)
    platform = company.works.platform
    decisions = Decisions(cast("Database", Once(platform.db)), platform.ids, Ledger(), Risk(), platform.now)
    match what:
        case "approve":
            found = await decisions.approve(Verdict(1, number, "li"))
        case "reject":
            found = await decisions.reject(Verdict(1, number, "li"))
        case _:
            found = await decisions.cancel(book=1, order_no=number, person="wang")
    assert found.order.state == state == await company.state(number)
    assert found.approval is not None
    assert found.approval.state != "pending"
