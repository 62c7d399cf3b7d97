"""The ledger's records: account, state, posting, and the row a posting becomes.

    Posting (asked for)  ->  machine  ->  Row (written: position, leg, the posting with everything filled in)
    State (of an account, before)     ->  State (after: one sequence number on)

These are msgspec structs, not dataclasses: several are made for every posting, and a frozen dataclass takes ten
times as long to make. `flags` is a plain int for the same reason; the constructors below set it.
"""

import hashlib
from datetime import UTC, date, datetime, timedelta
from typing import Final, NewType
from uuid import UUID

from asyncpg.pgproto import pgproto
from msgspec import Struct

from tael.base.money import MAX_MINOR
from tael.ledger.outcome import DONE, Outcome

BookId = NewType("BookId", int)
AccountId = NewType("AccountId", int)

MAX: Final = MAX_MINOR
"""The largest amount an account's debits or credits can reach: 2^63-1 minor units."""
NO_ACCOUNT: Final = AccountId(0)
"""No account: refused on a posting, "as the hold has it" on a settlement or release."""
LAST_ACCOUNT: Final = AccountId(2**63 - 1)
NIL_ID: Final = UUID(int=0)
LAST_ID: Final = UUID(int=2**128 - 1)
MAX_TIMEOUT_S: Final = 2**31 - 1
MAX_CODE: Final = 2**15 - 1
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

LINKED: Final = 1
"""This posting and the next one succeed or fail together."""
BALANCING_DEBIT: Final = 2
"""`amount` is an upper bound: move no more than the debit account has."""
BALANCING_CREDIT: Final = 4
"""`amount` is an upper bound: move no more than the credit account owes."""
CLOSING_DEBIT: Final = 8
"""Close the debit account for as long as this hold is open."""
CLOSING_CREDIT: Final = 16
"""Close the credit account for as long as this hold is open."""
HOLD: Final = 32
"""Freeze (冻结): reserve the amount on both accounts."""
SETTLE: Final = 64
"""Settle a hold: post its amount or a part of it, return the rest."""
RELEASE: Final = 128
"""Release a hold (解冻): return the whole amount."""
REVERSE: Final = 256
"""Reverse a posting (冲正): a mirrored posting linked to the original."""
EXPIRE: Final = 512
"""Written by the ledger itself when a hold's time is over."""
DEBIT_CLOSED: Final = 1024
"""Written by the ledger itself: the debit account is closed after this row."""
CREDIT_CLOSED: Final = 2048
"""Written by the ledger itself: the credit account is closed after this row."""

ASKABLE: Final = 511
"""The flags a caller may set."""

DEBITS_WITHIN_CREDITS: Final = 1
"""Limit: debits posted and held never exceed credits posted (a customer's wallet: it cannot go below zero)."""
CREDITS_WITHIN_DEBITS: Final = 2
"""Limit: credits posted and held never exceed debits posted (an asset)."""


class Account(Struct, frozen=True, gc=False):
    """What an account is; its balance is a `State`. `limit` is 0 or one of the two limit constants."""

    book: BookId
    id: AccountId
    currency: str
    limit: int = 0
    frozen: bool = False


class State(Struct, frozen=True, gc=False):
    """An account after its entry number `seq` (0 = none yet): four sums in minor units, each only ever >= 0."""

    account: Account
    seq: int = 0
    debits_posted: int = 0
    credits_posted: int = 0
    debits_held: int = 0
    credits_held: int = 0
    closed: bool = False


class Posting(Struct, frozen=True, kw_only=True, gc=False):
    """One movement asked for: `amount` minor units of `currency` from `debit` to `credit`.

    `id` is the idempotency key, unique in the book for ever (see `posting_id`); `code` the transaction code, 1..32767;
    `reference` the hold or the reversed posting; `timeout_s` how long a hold lasts (0 = until resolved). `amount` may
    be None on a settlement, release or reversal: all of it; there `debit`, `credit`, `currency`, `code` and
    `order_no` may be left out too and are taken from the original.
    """

    book: BookId
    id: UUID
    debit: AccountId = NO_ACCOUNT
    credit: AccountId = NO_ACCOUNT
    amount: int | None = None
    currency: str = ""
    code: int = 0
    flags: int = 0
    reference: UUID | None = None
    timeout_s: int = 0
    order_no: str | None = None


class Row(Struct, frozen=True, gc=False):
    """A posting in the log, at position `pos` of its book, leg number `leg` of its group, with everything filled in."""

    pos: int
    leg: int
    at: datetime
    day: date
    posting: Posting
    amount: int
    """What was moved or reserved; for a balancing posting this is less than or equal to what was asked for."""

    @property
    def group(self) -> int:
        """The position of the first leg of the group this row succeeded with."""
        return self.pos - self.leg

    @property
    def expires_at(self) -> datetime | None:
        """When a hold ends by itself; None = never."""
        return self.at + timedelta(seconds=self.posting.timeout_s) if self.posting.timeout_s else None


class Result(Struct, frozen=True, gc=False):
    """The answer to one posting. `row` is the posting in the log when `ok`, else None."""

    outcome: Outcome
    row: Row | None = None

    @property
    def ok(self) -> bool:
        """Whether the money has moved, now or by an identical request before."""
        return self.outcome in DONE

    @property
    def amount(self) -> int:
        """The amount moved or reserved, in minor units; 0 when refused."""
        return self.row.amount if self.row else 0


def posting_id(purpose: str, key: str, *, at: datetime | None = None) -> UUID:
    """The idempotency key of a posting, derived from a business key: the same arguments give the same id for ever.

    `at` is an instant that belongs to the business object and never changes, such as the order's creation: it leads
    the id, so that ids made together lie together in the index (a third less disk and cache than scattered ids).
    """
    assert purpose not in ("", "expire"), "the ledger names the expiry of a hold itself"
    return _derived(purpose, key, at)


def expiry_id(hold: UUID) -> UUID:
    """The id of the row that records the expiry of `hold`."""
    return _derived("expire", hold.hex, None)


def _derived(purpose: str, key: str, at: datetime | None) -> UUID:
    """A version 8 UUID (RFC 9562): 48 bits milliseconds and 10 bits microseconds, or hash; then hash."""
    digest = bytearray(hashlib.blake2b(f"{purpose}\0{key}".encode(), digest_size=16).digest())
    if at is not None:
        past = at - _EPOCH
        ms, micros = divmod(past.microseconds, 1_000)
        digest[:6] = ((past.days * 86_400 + past.seconds) * 1_000 + ms).to_bytes(6, "big")
        digest[6] = micros >> 6
        digest[7] = micros << 2 & 0xFF | digest[7] & 3
    digest[6] = digest[6] & 0x0F | 0x80
    digest[8] = digest[8] & 0x3F | 0x80
    return pgproto.UUID(bytes(digest))
