"""The figures of the status page, read in one snapshot so that they agree with each other."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from tael.base.clock import ACCOUNTING_ZONE
from tael.base.db import Database, Tx
from tael.ledger import books
from tael.ledger.trial_balance import SubjectBalance, is_balanced, trial_balance

_LATEST = 20


@dataclass(frozen=True, slots=True)
class Total:
    """A sum in minor units of one currency."""

    amount: int
    currency: str


@dataclass(frozen=True, slots=True)
class OrderLine:
    """An order as a line of a table."""

    order_no: str
    state: str
    description: str
    amount: int
    currency: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class SuspenseLine:
    """Money in suspense as a line of a table."""

    order_no: str
    reason: str
    amount: int
    currency: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Figures:
    """Everything the page shows, over all books of this installation."""

    today: Sequence[Total]
    paid_today: int
    open_orders: int
    unknown_orders: int
    callbacks_waiting: int
    subjects: Sequence[SubjectBalance]
    balanced: bool
    suspense: Sequence[SuspenseLine]
    recent: Sequence[OrderLine]


async def figures(db: Database, *, today: date) -> Figures:
    """Read the figures; `today` is the accounting day."""
    midnight = datetime(today.year, today.month, today.day, tzinfo=ACCOUNTING_ZONE)
    day = midnight, midnight + timedelta(days=1)
    async with db.report() as tx:
        totals = await tx.fetch(_TODAY, *day)
        counts = await tx.fetchrow(_COUNTS)
        assert counts is not None
        lines = await _subjects(tx)
        suspense = await tx.fetch(_SUSPENSE, _LATEST)
        recent = await tx.fetch(_RECENT, _LATEST)
    return Figures(
        today=[Total(row["amount"], row["currency"]) for row in totals] or [Total(0, "CNY")],
        paid_today=sum(row["orders"] for row in totals), open_orders=counts["open_orders"],
        unknown_orders=counts["unknown_orders"], callbacks_waiting=counts["callbacks_waiting"],
        subjects=lines, balanced=is_balanced(lines),
        suspense=[SuspenseLine(*row) for row in suspense], recent=[OrderLine(*row) for row in recent],
    )  # fmt: skip


async def _subjects(tx: Tx) -> list[SubjectBalance]:
    return [line for book in await books(tx) for line in await trial_balance(tx, book)]


_TODAY = """
    select currency, sum(amount)::bigint as amount, count(*)::int as orders from payment_order
    where kind = 'recharge' and paid_at >= $1 and paid_at < $2 group by currency order by currency"""
_COUNTS = """
    select (select count(*) from payment_order where state in ('created', 'paying'))::int as open_orders,
           (select count(*) from payment_order where state = 'unknown')::int as unknown_orders,
           (select count(*) from callback_delivery where status = 'waiting')::int as callbacks_waiting"""
_SUSPENSE = """
    select order_no, reason, amount, currency, created_at from suspense_item where state = 'proposed'
    order by id desc limit $1"""
_RECENT = """
    select order_no, state, description, amount, currency, created_at from payment_order order by id desc limit $1"""
