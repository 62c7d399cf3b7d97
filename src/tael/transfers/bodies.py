"""What a business sends to move money: the bodies of requests, and the commands that they become."""

from typing import Final

from pydantic import Field

from tael.base.http import Body
from tael.base.money import MAX_MINOR, Money
from tael.guard import Claim, claim_for
from tael.payments.parameters import BusinessNo, Number, as_id
from tael.transfers.transfer import MOST, Move, StartBatch, StartTransfer

ONE: Final = "/v1/transfers"
MANY: Final = "/v1/transfer_batches"


class NewTransfer(Body):
    """Move `amount` minor units (fen) from one account to another, from its available funds or from a hold."""

    from_account_id: Number
    to_account_id: Number
    amount: int = Field(ge=1, le=MAX_MINOR, description="Minor units: 100 is 1.00 CNY")
    currency: str = Field(pattern="^[A-Z]{3}$")
    note: str = Field(default="", max_length=127, description="Both sides see it")
    business_transfer_no: BusinessNo | None = Field(default=None, description="Your own number; it is good for one")
    from_hold: Number | None = Field(
        default=None, description="An open hold of the payer; what the transfer leaves of it is available again"
    )


class NewBatch(Body):
    """Many transfers in one request: all or nothing when `atomic`, else each for itself, in this order."""

    atomic: bool
    transfers: list[NewTransfer] = Field(min_length=1, max_length=MOST)


def transfer_command(body: NewTransfer, *, book: int, key: str, raw: bytes) -> StartTransfer:
    """The command of a request for one transfer. Raises what is wrong with its fields."""
    return StartTransfer(_claim(ONE, book, key, raw), _move(body))


def batch_command(body: NewBatch, *, book: int, key: str, raw: bytes) -> StartBatch:
    """The command of a request for a batch. Raises what is wrong with its fields."""
    return StartBatch(_claim(MANY, book, key, raw), [_move(one) for one in body.transfers], body.atomic)


def _claim(path: str, book: int, key: str, raw: bytes) -> Claim:
    return claim_for(book=book, key=key, endpoint=f"POST {path}", body=raw)


def _move(body: NewTransfer) -> Move:
    return Move(
        debit=as_id(body.from_account_id), credit=as_id(body.to_account_id),
        amount=Money(body.amount, body.currency), note=body.note, business_transfer_no=body.business_transfer_no,
        hold=None if body.from_hold is None else as_id(body.from_hold),
    )  # fmt: skip
