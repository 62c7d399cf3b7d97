"""What transfers and holds are in the ledger.

    transfer             Dr the payer   Cr the receiver                                    code 130
    hold                 Dr the account, held for   Cr funds frozen (冻结资金)               code 131
    transfer from a hold   the hold is released and the transfer booked, as one linked group

A hold's counterpart is never paid: at the end of every hold its amount is the account's again, and what a transfer
uses of it leaves by the transfer's own entry. So the payer's statement shows whom the money went to.
"""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from msgspec.structs import replace

from tael.ledger import HOLD, LINKED, RELEASE, AccountId, BookId, Posting, posting_id
from tael.transfers.store import Hold, Transfer

PREFIX = "TR"
TRANSFER_CODE = 130
HOLD_CODE = 131
FUNDS_FROZEN = "funds.frozen"
"""Subject of the account that stands on the other side of holds; one per currency."""


def transfer_entries(transfer: Transfer, hold: Hold | None) -> list[Posting]:
    """The postings of a transfer; those of one from a hold are linked."""
    entry = Posting(
        book=BookId(transfer.book), id=transfer.posting, debit=AccountId(transfer.debit),
        credit=AccountId(transfer.credit), amount=transfer.amount, currency=transfer.currency, code=TRANSFER_CODE,
        order_no=transfer.order_no,
    )  # fmt: skip
    if hold is None:
        return [entry]
    return [replace(release_entry(hold, by=transfer.order_no), flags=RELEASE | LINKED), entry]


def linked(postings: Sequence[Posting]) -> list[Posting]:
    """The postings as one group: all of them or none."""
    return [*(replace(one, flags=one.flags | LINKED) for one in postings[:-1]), postings[-1]]


def hold_entry(hold: Hold, *, frozen_funds: AccountId, timeout_s: int) -> Posting:
    """Freeze."""
    return Posting(
        book=BookId(hold.book), id=hold.posting, debit=AccountId(hold.account), credit=frozen_funds,
        amount=hold.amount, currency=hold.currency, code=HOLD_CODE, flags=HOLD, timeout_s=timeout_s,
    )  # fmt: skip


def release_entry(hold: Hold, *, by: str | None = None) -> Posting:
    """Unfreeze, for the transfer `by` or for nobody."""
    return Posting(
        book=BookId(hold.book), id=posting_id("fund hold release", f"{hold.id} {by or ''}", at=hold.created_at),
        flags=RELEASE, reference=hold.posting, order_no=by,
    )  # fmt: skip


def transfer_posting_id(order_no: str, *, at: datetime) -> UUID:
    """The id of a transfer's own entry."""
    return posting_id("transfer", order_no, at=at)
