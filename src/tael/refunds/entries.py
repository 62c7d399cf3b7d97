"""The postings of a refund. Their ids follow from its order number, so each is booked once, whoever comes twice.

held       hold Dr the account that was paid Cr refunds payable       120, out of suspense 150
refunded   settle of the hold, then Dr refunds payable Cr channel receivable       121, both or neither
failed     release of the hold
in error   Dr suspense refunds Cr channel receivable       123: it went back although it had failed
balance    Dr the account that was paid Cr the payer's account       124
"""

from tael.ledger import HOLD, LINKED, RELEASE, SETTLE, AccountId, BookId, Posting, posting_id
from tael.orders import Order
from tael.refunds.store import Refund, Source

HOLD_CODE = 120
REFUND_CODE = 121
IN_ERROR_CODE = 123
BALANCE_CODE = 124
SUSPENSE_HOLD_CODE = 150


def held(order: Order, refund: Refund, *, payable: AccountId) -> Posting:
    """Reserve the money that is to go back; refused when the account does not have it any more."""
    return Posting(
        book=BookId(order.book), id=posting_id("refund", order.order_no, at=order.created_at),
        debit=AccountId(refund.held_from), credit=payable, amount=order.amount, currency=order.currency, flags=HOLD,
        code=SUSPENSE_HOLD_CODE if refund.source is Source.SUSPENSE else HOLD_CODE, order_no=order.order_no,
    )  # fmt: skip


def refunded(order: Order, *, payable: AccountId, receivable: AccountId) -> list[Posting]:
    """The money has gone back."""
    book, at = BookId(order.book), order.created_at
    return [
        Posting(
            book=book, id=posting_id("refund.settle", order.order_no, at=at), flags=SETTLE | LINKED,
            reference=posting_id("refund", order.order_no, at=at),
        ),
        Posting(
            book=book, id=posting_id("refund.paid", order.order_no, at=at), debit=payable, credit=receivable,
            amount=order.amount, currency=order.currency, code=REFUND_CODE, order_no=order.order_no,
        ),
    ]  # fmt: skip


def released(order: Order) -> Posting:
    """The money stays where it is."""
    return Posting(
        book=BookId(order.book), id=posting_id("refund.release", order.order_no, at=order.created_at), flags=RELEASE,
        reference=posting_id("refund", order.order_no, at=order.created_at),
    )  # fmt: skip


def in_error(order: Order, *, lost: AccountId, receivable: AccountId) -> Posting:
    """The money has gone back after all, and the hold that was for it is gone."""
    return Posting(
        book=BookId(order.book), id=posting_id("refund.in_error", order.order_no, at=order.created_at), debit=lost,
        credit=receivable, amount=order.amount, currency=order.currency, code=IN_ERROR_CODE, order_no=order.order_no,
    )  # fmt: skip


def to_balance(order: Order, refund: Refund) -> Posting:
    """From the account that was paid to the account that had paid."""
    assert refund.returned_to is not None, "the payment came from a balance"
    return Posting(
        book=BookId(order.book), id=posting_id("refund", order.order_no, at=order.created_at),
        debit=AccountId(refund.held_from), credit=AccountId(refund.returned_to), amount=order.amount,
        currency=order.currency, code=BALANCE_CODE, order_no=order.order_no,
    )  # fmt: skip
