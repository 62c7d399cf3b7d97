"""What a withdrawal books. Pure: a posting for each thing that can happen to it, with an id of its own.

start          hold     Dr the customer's account    Cr payouts payable        110
refused        release of that hold
paid           settle of that hold, and linked       Dr payouts payable        Cr channel receivable   111
contradicted   Dr suspense payouts                   Cr channel receivable     112   paid although it had failed
returned       Dr channel receivable                 Cr the account that bore it     113
"""

from uuid import UUID

from tael.ledger import HOLD, LINKED, RELEASE, SETTLE, AccountId, BookId, Posting, posting_id
from tael.orders import Attempt, Order

HOLD_CODE = 110
PAID_CODE = 111
CONTRADICTED_CODE = 112
RETURNED_CODE = 113


def hold(order: Order, *, payable: AccountId) -> Posting:
    """Freeze what is withdrawn, until the withdrawal ends."""
    return Posting(
        book=BookId(order.book), id=_id("withdrawal", order), debit=AccountId(order.account), credit=payable,
        amount=order.amount, currency=order.currency, code=HOLD_CODE, flags=HOLD, order_no=order.order_no,
    )  # fmt: skip


def release(order: Order) -> Posting:
    """Give the customer back what was frozen."""
    return Posting(
        book=BookId(order.book), id=_id("withdrawal-release", order), flags=RELEASE, reference=_id("withdrawal", order)
    )


def paid(order: Order, *, payable: AccountId, receivable: AccountId) -> list[Posting]:
    """The customer has paid with what was frozen, and the channel with what it owed us."""
    return [
        Posting(
            book=BookId(order.book), id=_id("withdrawal-settle", order), flags=SETTLE | LINKED,
            reference=_id("withdrawal", order),
        ),
        Posting(
            book=BookId(order.book), id=_id("payout", order), debit=payable, credit=receivable, amount=order.amount,
            currency=order.currency, code=PAID_CODE, order_no=order.order_no,
        ),
    ]  # fmt: skip


def contradicted(order: Order, attempt: Attempt, *, suspense: AccountId, receivable: AccountId) -> Posting:
    """The channel has paid an attempt that it had refused; whose loss that is, a person decides."""
    return Posting(
        book=BookId(order.book), id=posting_id("payout-contradiction", attempt.attempt_no, at=order.created_at),
        debit=suspense, credit=receivable, amount=attempt.amount, currency=attempt.currency, code=CONTRADICTED_CODE,
        order_no=order.order_no,
    )  # fmt: skip


def returned(order: Order, attempt: Attempt, *, receivable: AccountId, credit: AccountId) -> Posting:
    """A payout has come back to the channel."""
    return Posting(
        book=BookId(order.book), id=posting_id("payout-return", attempt.attempt_no, at=order.created_at),
        debit=receivable, credit=credit, amount=attempt.amount, currency=attempt.currency, code=RETURNED_CODE,
        order_no=order.order_no,
    )  # fmt: skip


def _id(purpose: str, order: Order) -> UUID:
    return posting_id(purpose, order.order_no, at=order.created_at)
