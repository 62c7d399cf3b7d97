"""What accounts are, for packages above: their static facts, and the id of an account that is known by what it is for.

named_account(book, subject, owner, currency) -> the same id for ever, in every process, without asking
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from tael.base.db import Tx
from tael.ledger.accounts import Kind, Side
from tael.ledger.records import AccountId, BookId


@dataclass(frozen=True, slots=True)
class AccountFacts:
    """The static side of an account; `frozen` is risk control's, and does not stop credits."""

    book: BookId
    id: AccountId
    kind: Kind
    subject: str
    currency: str
    normal: Side
    owner: int | None
    frozen: bool
    opened_at: datetime


def named_account(book: int, *, subject: str, owner: int | None, currency: str) -> AccountId:
    """The id of the one account of this subject, owner and currency; 63 bits of a hash, so nothing must be stored.

    Opening it twice answers `exists`; should two names ever share an id, opening answers `exists_with_different_...`.
    """
    name = f"{book}\0{subject}\0{'' if owner is None else owner}\0{currency}"
    digest = hashlib.blake2b(name.encode(), digest_size=8, person=b"tael account").digest()
    # The top bit is cleared to fit a bigint, the next is set so that every id has 19 digits.
    return AccountId(int.from_bytes(digest) & (2**62 - 1) | 2**62)


async def find_accounts(tx: Tx, keys: Sequence[tuple[int, int]]) -> dict[tuple[int, int], AccountFacts]:
    """The facts of accounts by (book, id); those that do not exist are left out."""
    rows = await tx.fetch(
        """select book, id, kind, subject, currency, normal, owner, status, opened_at from account
           where book = any($1::bigint[]) and id = any($2::bigint[])""",
        [book for book, _ in keys], [id for _, id in keys],
    )  # fmt: skip
    return {
        (row["book"], row["id"]): AccountFacts(
            row["book"], row["id"], row["kind"], row["subject"], row["currency"], row["normal"], row["owner"],
            row["status"] == "frozen", row["opened_at"],
        )
        for row in rows
    }  # fmt: skip


async def accounts_of(tx: Tx, *, book: int, owner: int | None, limit: int, after: int = 0) -> list[AccountFacts]:
    """Customer accounts of a book, of one owner or of all, by id (keyset)."""
    rows = await tx.fetch(
        """select id from account where book = $1 and kind = 'customer' and ($2::bigint is null or owner = $2)
               and id > $3 order by id limit $4""",
        book, owner, after, limit,
    )  # fmt: skip
    found = await find_accounts(tx, [(book, row["id"]) for row in rows])
    return [found[book, row["id"]] for row in rows]
