"""Find withdrawals: the order, its attempts, what was asked for, and who decided about it."""

from collections.abc import Sequence
from dataclasses import dataclass

from tael import approvals, orders
from tael.approvals import Approval
from tael.base.db import Tx
from tael.base.errors import JsonValue
from tael.orders import Attempt, Filter, Order, OrderNotFound, attempts_of, find_order
from tael.withdrawals import store
from tael.withdrawals.store import BoundPayee, Key, Withdrawal

KIND = "withdrawal"
"""What withdrawals are called as orders, as approvals and by risk control."""


@dataclass(frozen=True, slots=True)
class Details:
    """What a withdrawal order says beyond every order, and its payee."""

    withdrawal: Withdrawal
    payee: BoundPayee


@dataclass(frozen=True, slots=True)
class Found:
    """Everything about a withdrawal; the attempts oldest first. `approval` is None when nobody had to decide."""

    order: Order
    attempts: Sequence[Attempt]
    details: Details
    approval: Approval | None


async def find_withdrawal(tx: Tx, *, book: int, order_no: str) -> Found:
    """One withdrawal. Raises `OrderNotFound`."""
    order = await find_order(tx, book=book, order_no=order_no)
    if order is None or order.kind != KIND:
        raise OrderNotFound
    return (await all_about(tx, [order]))[0]


async def page(
    tx: Tx, *, book: int, only: Filter, limit: int, older_than: int | None = None, newer_than: int | None = None
) -> list[Found]:
    """Withdrawals, newest first (keyset)."""
    found = await orders.page(
        tx, book=book, kind=KIND, only=only, limit=limit, older_than=older_than, newer_than=newer_than
    )
    return await all_about(tx, found)


async def all_about(tx: Tx, found: Sequence[Order]) -> list[Found]:
    """Everything about these orders, in their order."""
    keys = [(order.book, order.order_no) for order in found]
    attempts, details = await attempts_of(tx, found), await details_of(tx, keys)
    asked = await approvals_of(tx, keys)
    return [
        Found(order, attempts[order.order_no], details[key], asked.get(key))
        for order, key in zip(found, keys, strict=True)
    ]


async def details_of(tx: Tx, keys: Sequence[Key]) -> dict[Key, Details]:
    """Details by (book, order number)."""
    found = await store.withdrawals(tx, keys)
    payees = await store.payees(tx, [(one.book, one.payee) for one in found.values()])
    return {key: Details(one, payees[one.book, one.payee]) for key, one in found.items()}


async def approvals_of(tx: Tx, keys: Sequence[Key]) -> dict[Key, Approval]:
    """Approvals by (book, order number), for those that needed one."""
    found: dict[Key, Approval] = {}
    for book in {book for book, _ in keys}:
        numbers = [number for of, number in keys if of == book]
        asked = await approvals.find_all(tx, book=book, kind=KIND, subjects=numbers)
        found |= {(book, number): one for number, one in asked.items()}
    return found


def content_of(order: Order, details: Details) -> JsonValue:
    """What an approval of this withdrawal covers, and what alone is executed."""
    payee = details.payee
    return {
        "order_no": order.order_no, "account_id": str(order.account), "owner": str(details.withdrawal.owner),
        "amount": order.amount, "currency": order.currency, "description": order.description,
        "payee": {
            "id": str(payee.id), "kind": payee.kind, "masked": payee.masked, "holder": payee.holder,
            "content": payee.content,
        },
        "review": details.withdrawal.review,
    }  # fmt: skip
