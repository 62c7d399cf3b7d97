"""Freeze a customer's account for risk control (风控冻结), and lift the freeze: nothing new is debited in between.

    free -> frozen (reason, by) -> free (reason, by)          every freeze stays on record

Freezing twice is once. Money on its way is not stopped: what is held may still be settled or released.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from tael.base.db import Record, Tx
from tael.ledger import AccountId, AccountNotFound, BookId, set_frozen
from tael.ledger.directory import find_accounts

_MOST_LISTED = 100


@dataclass(frozen=True, slots=True)
class Freeze:
    """One freeze of an account; it is in force until it is lifted."""

    account: int
    number: int
    reason: str
    frozen_by: str
    frozen_at: datetime
    lifted_reason: str | None
    lifted_by: str | None
    lifted_at: datetime | None


async def freeze(tx: Tx, *, book: int, account: int, reason: str, by: str, now: datetime) -> Freeze:
    """Freeze an account; the freeze in force when it is frozen already. Raises `AccountNotFound`."""
    await _customer(tx, book, account)
    done = await tx.execute(
        """insert into risk_freeze (book, account, number, reason, frozen_by, frozen_at)
           select $1, $2, coalesce(max(number), 0) + 1, $3, $4, $5 from risk_freeze where book = $1 and account = $2
           on conflict do nothing""",
        book, account, reason, by, now,
    )  # fmt: skip
    if done == "INSERT 0 1":
        await set_frozen(tx, BookId(book), AccountId(account), frozen=True)
    return (await history(tx, book=book, account=account))[0]


async def unfreeze(tx: Tx, *, book: int, account: int, reason: str, by: str, now: datetime) -> Freeze | None:
    """Lift the freeze of an account; answers the newest freeze, None when it never had one. Raises
    `AccountNotFound`."""
    await _customer(tx, book, account)
    done = await tx.execute(
        """update risk_freeze set lifted_reason = $3, lifted_by = $4, lifted_at = $5
           where book = $1 and account = $2 and lifted_at is null""",
        book, account, reason, by, now,
    )  # fmt: skip
    if done == "UPDATE 1":
        await set_frozen(tx, BookId(book), AccountId(account), frozen=False)
    return next(iter(await history(tx, book=book, account=account)), None)


async def history(tx: Tx, *, book: int, account: int) -> Sequence[Freeze]:
    """The freezes of an account, newest first."""
    rows = await tx.fetch(
        """select account, number, reason, frozen_by, frozen_at, lifted_reason, lifted_by, lifted_at from risk_freeze
           where book = $1 and account = $2 order by book, account, number desc limit $3""",
        book, account, _MOST_LISTED,
    )  # fmt: skip
    return [_freeze(row) for row in rows]


async def _customer(tx: Tx, book: int, account: int) -> None:
    """The company's own accounts are not for risk control to freeze: that would stop the company."""
    known = (await find_accounts(tx, [(book, account)])).get((book, account))
    if known is None or known.kind != "customer":
        raise AccountNotFound


def _freeze(row: Record) -> Freeze:
    return Freeze(
        row["account"], row["number"], row["reason"], row["frozen_by"], row["frozen_at"], row["lifted_reason"],
        row["lifted_by"], row["lifted_at"],
    )  # fmt: skip
