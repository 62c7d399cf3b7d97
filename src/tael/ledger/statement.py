"""What happened on an account: its statement, its balance at a past instant, its open holds.

Every row of the log is an entry of two accounts; an account's entries are numbered 1, 2, 3 ... without a gap, and the
opening balance of each equals the closing balance of the one before. Reads follow these numbers, so two entries of
the same instant are never confused.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final, Literal
from uuid import UUID

from tael.base.db import Record, Tx
from tael.ledger import store
from tael.ledger.accounts import BY_ID, Balance, Side
from tael.ledger.records import AccountId, BookId, Row
from tael.ledger.refusals import AccountNotFound

EntryKind = Literal["post", "hold", "settle", "release", "expire", "reverse"]
ENTRY_KINDS: Final[tuple[EntryKind, ...]] = ("post", "hold", "settle", "release", "expire", "reverse")
PAGE: Final = 1_000
"""The most entries of one page."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One side of a row of the log. `amount` was moved or reserved on `side`; the sums are those after the entry."""

    account: AccountId
    seq: int
    side: Side
    pos: int
    id: UUID
    at: datetime
    day: date
    kind: EntryKind
    amount: int
    code: int
    counterpart: AccountId
    reference: UUID | None
    order_no: str | None
    closing: Balance

    @property
    def opening(self) -> int:
        """The booked balance before this entry, positive on the account's normal side."""
        moved = self.amount if self.kind in ("post", "settle", "reverse") else 0
        return self.closing.total - (moved if self.side == self.closing.normal else -moved)


@dataclass(frozen=True, slots=True)
class OpenHold:
    """A hold that reserves `amount` of `debit` for `credit` until it is settled, released or expires."""

    id: UUID
    pos: int
    debit: AccountId
    credit: AccountId
    amount: int
    expires_at: datetime | None


def _side_columns(side: Side, other: Side) -> str:
    return f"""p.{side}_seq as seq, '{side}' as side, p.pos, p.id, p.at, p.day, p.kind, p.amount, p.code, p.{other},
        p.reference, p.order_no, p.{side}_debits, p.{side}_credits, coalesce(p.{side}_debits_held, 0),
        coalesce(p.{side}_credits_held, 0), coalesce(p.flags & {1024 if side == "debit" else 2048} <> 0, false)"""


_DEBITS: Final = _side_columns("debit", "credit")
_CREDITS: Final = _side_columns("credit", "debit")


def _page(order: Literal["asc", "desc"]) -> str:
    beyond = ">" if order == "asc" else "<"
    return f"""
        select e.*, a.currency, a.normal from (
            (select {_DEBITS} from posting p where $4 and book = $1 and debit = $2 and debit_seq {beyond} $3
                and ($6::smallint = 0 or code = $6) order by debit_seq {order} limit $7)
            union all
            (select {_CREDITS} from posting p where $5 and book = $1 and credit = $2 and credit_seq {beyond} $3
                and ($6::smallint = 0 or code = $6) order by credit_seq {order} limit $7)
        ) e cross join (select $2::bigint as k) asked {BY_ID}
        order by e.seq {order} limit $7"""  # noqa: S608 (our own columns)


_PAGES: Final = {False: _page("asc"), True: _page("desc")}
# A binary search over the account's own numbers: twenty probes for a million entries.
_BALANCE_AT: Final = f"""
    with recursive search(low, high) as (
        select 0::bigint, greatest(
            (select debit_seq from posting where book = $1 and debit = $2 order by debit_seq desc limit 1),
            (select credit_seq from posting where book = $1 and credit = $2 order by credit_seq desc limit 1), 0)
        union all
        select case when probe.at <= $3 then probe.middle else low end,
            case when probe.at <= $3 then high else probe.middle - 1 end
        from (select low, high, (low + high + 1) / 2 as middle from search where low < high) s
        cross join lateral (
            (select s.middle, at from posting where book = $1 and debit = $2 and debit_seq >= s.middle
                and debit_seq <= s.middle order by debit_seq limit 1)
            union all
            (select s.middle, at from posting where book = $1 and credit = $2 and credit_seq >= s.middle
                and credit_seq <= s.middle order by credit_seq limit 1)) probe
    ), last as (select low as seq from search where low = high)
    select e.*, a.currency, a.normal
    from (select $2::bigint as k) asked {BY_ID} left join last on true left join lateral (
        (select {_DEBITS} from posting p where book = $1 and debit = $2 and debit_seq >= last.seq
            and debit_seq <= last.seq order by debit_seq limit 1)
        union all
        (select {_CREDITS} from posting p where book = $1 and credit = $2 and credit_seq >= last.seq
            and credit_seq <= last.seq order by credit_seq limit 1)) e on true"""  # noqa: S608 (our own columns)
# The inner order is that of the indexes; see `store` for why an equality is written like this.
_HOLDS: Final = """
    select id, pos, debit, credit, amount, expires_at from (
        (select * from open_hold where book = $1 and debit >= $2 and debit <= $2 order by debit, expires_at offset 0)
        union all
        (select * from open_hold where book = $1 and credit >= $2 and credit <= $2 order by credit, expires_at offset 0)
    ) h where pos > $3 order by pos limit $4"""


async def statement(
    tx: Tx, book: BookId, account: AccountId, *, side: Side | Literal["both"] = "both", code: int = 0,
    newest_first: bool = False, beyond: int | None = None, limit: int = 100,
) -> list[Entry]:  # fmt: skip
    """A page of an account's entries, at most `PAGE`. `code` 0 = all; `beyond`: the `seq` of the last entry seen."""
    start = beyond if beyond is not None else (2**63 - 1 if newest_first else 0)
    records = await tx.fetch(
        _PAGES[newest_first], book, account, start, side != "credit", side != "debit", code, min(limit, PAGE)
    )
    return [_entry(account, record) for record in records]


async def balance_at(tx: Tx, book: BookId, account: AccountId, instant: datetime) -> Balance:
    """What an account held at a past instant, entries of that very instant included. Raises `AccountNotFound`."""
    record = await tx.fetchrow(_BALANCE_AT, book, account, instant)
    if record is None:
        raise AccountNotFound(str(account))
    if record["seq"] is None:
        return Balance(account, record["currency"], record["normal"], 0, 0, 0, 0, 0, False)
    return _entry(account, record).closing


async def holds(tx: Tx, book: BookId, account: AccountId, *, after: int = 0, limit: int = 100) -> list[OpenHold]:
    """The open holds of an account on either side, in the order they were made; `after`: the last `pos` seen."""
    return [OpenHold(*record) for record in await tx.fetch(_HOLDS, book, account, after, min(limit, PAGE))]


async def find(tx: Tx, book: BookId, ids: Sequence[UUID]) -> dict[UUID, Row]:
    """Those of `ids` that are in the log; the way to learn what became of a posting whose answer was lost."""
    taken = await store.find(tx, book, ids)
    return {identity: row for identity, row in taken.items() if isinstance(row, Row)}


def _entry(account: AccountId, record: Record) -> Entry:
    (seq, side, pos, identity, at, day, kind, amount, code, counterpart, reference, order_no, *closing) = record
    debits, credits, debits_held, credits_held, closed, currency, normal = closing
    after = Balance(account, currency, normal, seq, debits, credits, debits_held, credits_held, closed)
    word = ENTRY_KINDS[int(kind)]
    return Entry(
        account, seq, side, pos, identity, at, day, word, amount, code, counterpart, reference, order_no, after
    )  # fmt: skip
