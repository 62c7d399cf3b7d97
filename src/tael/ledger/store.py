"""Every SQL statement that writes the posting log, and those that read what a batch needs. Private to the package.

All statements name their book and find their rows by an index. The insert takes the head row's lock, checks that
nobody has moved the head since the batch was decided, moves it and writes all rows: one round trip.
"""

from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import date, datetime
from typing import Final
from uuid import UUID

from msgspec import Struct

from tael.base.db import Record, Tx
from tael.base.errors import TaelError
from tael.ledger.machine import Decision
from tael.ledger.outcome import Outcome
from tael.ledger.records import (
    CREDIT_CLOSED,
    DEBIT_CLOSED,
    EXPIRE,
    HOLD,
    RELEASE,
    REVERSE,
    SETTLE,
    Account,
    AccountId,
    BookId,
    Posting,
    Row,
    State,
)

KINDS: Final = (0, HOLD, SETTLE, RELEASE, EXPIRE, REVERSE)
"""Flag of each kind, by its number in the column `kind`."""
KIND_FLAGS: Final = HOLD | SETTLE | RELEASE | EXPIRE | REVERSE
_NUMBER: Final = {flag: number for number, flag in enumerate(KINDS)}
_DUE_PER_ACCOUNT: Final = 64


class UnknownBook(TaelError):
    """There is no such book.
    zh: 账簿不存在。
    """

    status = 404


class Head(Struct, frozen=True, gc=False):
    """The end of a book's log; `token` names the batch that ended there."""

    pos: int
    token: int
    epoch: int
    at: datetime
    day: date
    next_expiry: datetime | None


_LOCK_HEAD: Final = "select pos, token, epoch, at, day, next_expiry from book_head where book = $1 for update"

_ROW: Final = """p.pos, p.id, p.at, p.day, p.debit, p.credit, p.amount, p.code, p.kind, p.flags, p.leg, p.timeout_s,
    p.reference, p.order_no"""

# A plan may be made while the tables are empty and is then kept. Every index leads with `book`, so to an empty table
# they all look alike; `x >= k and x <= k order by x` is an equality that only the index on x answers without a sort.
_BY_ID: Final = f"""cross join lateral (
    select {_ROW} from posting p where p.book = $1 and p.id >= k and p.id <= k order by p.id limit 1) f"""  # noqa: S608 (our own columns)

_FIND: Final = f"""
    select f.* from unnest($2::uuid[]) k {_BY_ID}
    union all
    select null, r.id, null, null, null, null, null, null, null, null, null, null, null, null
    from unnest($2::uuid[]) k join refused_posting r on r.book = $1 and r.id = k"""  # noqa: S608 (our own columns)

_REFERRED: Final = """
    select k as id,
        (select p.kind from posting p where p.book = $1 and p.reference >= k and p.reference <= k
            and p.kind in (2, 3, 4) order by p.reference limit 1) as ended,
        (select sum(r.amount)::bigint from (select p.amount from posting p where p.book = $1 and p.reference >= k
            and p.reference <= k and p.kind = 5 order by p.reference offset 0) r) as reversed
    from unnest($2::uuid[]) k"""

_ACCOUNTS: Final = """
    select a.id, a.currency, a.limits, a.status, d.*, c.*
    from unnest($2::bigint[]) k
    cross join lateral (
        select id, currency, limits, status from account where book = $1 and id >= k and id <= k order by id limit 1) a
    left join lateral (
        select debit_seq, debit_debits, debit_credits, debit_debits_held, debit_credits_held, flags as debit_flags
        from posting where book = $1 and debit = k order by debit_seq desc limit 1) d on true
    left join lateral (
        select credit_seq, credit_debits, credit_credits, credit_debits_held, credit_credits_held, flags as credit_flags
        from posting where book = $1 and credit = k order by credit_seq desc limit 1) c on true"""

_AFTER: Final = """
    select debit, credit, debit_seq, debit_debits, debit_credits, debit_debits_held, debit_credits_held,
        credit_seq, credit_debits, credit_credits, credit_debits_held, credit_credits_held,
        flags as debit_flags, flags as credit_flags
    from posting where book = $1 and pos > $2 and pos <= $3 order by pos"""

_DUE: Final = f"""
    select f.* from (select distinct h.id as k, h.expires_at from unnest($2::bigint[]) k cross join lateral (
        (select id, expires_at from open_hold where book = $1 and debit = k and expires_at <= $3
            order by expires_at limit {_DUE_PER_ACCOUNT})
        union all
        (select id, expires_at from open_hold where book = $1 and credit = k and expires_at <= $3
            order by expires_at limit {_DUE_PER_ACCOUNT})) h) due {_BY_ID}
    order by due.expires_at, f.pos"""  # noqa: S608 (our own columns)

_DUE_IN_BOOK: Final = f"""
    select f.* from (select id as k, expires_at from open_hold where book = $1 and expires_at <= $2
        order by expires_at limit $3) due {_BY_ID} order by due.expires_at, f.pos"""  # noqa: S608 (our own columns)

_MOVE: Final = """
    with moved as (
        update book_head set
            pos = case when token = $2::bigint then $3::bigint else pos end,
            at = case when token = $2 then $5::timestamptz else at end,
            next_expiry = case when token = $2 then $6::timestamptz else next_expiry end,
            token = case when token = $2::bigint then $4::bigint else token end
        where book = $1::bigint returning token)"""

# The row that the checksum covers must list the columns as posting_checksum() does.
_INSERT_PLAIN: Final = f"""{_MOVE}
    insert into posting (book, pos, id, at, debit, credit, amount, debit_seq, debit_debits, debit_credits, credit_seq,
        credit_debits, credit_credits, day, checksum, code, kind)
    select $1, pos, id, $5, debit, credit, amount, debit_seq, debit_debits, debit_credits, credit_seq,
        credit_debits, credit_credits, $7::date,
        hash_record(row($1::bigint, pos, id, $5::timestamptz, debit, credit, amount, debit_seq, debit_debits,
            debit_credits, credit_seq, credit_debits, credit_credits, $7::date, code, 0::smallint, null::smallint,
            null::smallint, null::int, null::bigint, null::bigint, null::bigint, null::bigint, null::uuid, null::text)),
        code, 0
    from moved, unnest($8::plain_posting[]) where moved.token = $4::bigint and not exists (
        select from unnest($8::plain_posting[]) n join refused_posting r on r.book = $1 and r.id = n.id)"""  # noqa: S608 (our own columns)

_INSERT_FULL: Final = f"""{_MOVE}
    insert into posting (book, pos, id, at, debit, credit, amount, debit_seq, debit_debits, debit_credits, credit_seq,
        credit_debits, credit_credits, day, checksum, code, kind, flags, leg, timeout_s, debit_debits_held,
        debit_credits_held, credit_debits_held, credit_credits_held, reference, order_no)
    select $1, pos, id, $5, debit, credit, amount, debit_seq, debit_debits, debit_credits, credit_seq,
        credit_debits, credit_credits, $7::date,
        hash_record(row($1::bigint, pos, id, $5::timestamptz, debit, credit, amount, debit_seq, debit_debits,
            debit_credits, credit_seq, credit_debits, credit_credits, $7::date, code, kind, flags, leg, timeout_s,
            debit_debits_held, debit_credits_held, credit_debits_held, credit_credits_held, reference, order_no)),
        code, kind, flags, leg, timeout_s, debit_debits_held, debit_credits_held, credit_debits_held,
        credit_credits_held, reference, order_no
    from moved, unnest($8::full_posting[]) where moved.token = $4::bigint and not exists (
        select from unnest($8::full_posting[]) n join refused_posting r on r.book = $1 and r.id = n.id)"""  # noqa: S608 (our own columns)

_OPEN_HOLDS: Final = """
    insert into open_hold (book, id, pos, debit, credit, amount, expires_at)
    select $1::bigint, * from unnest($2::uuid[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[],
        $7::timestamptz[])"""
_END_HOLDS: Final = """
    delete from open_hold where ctid = any(array(select h.ctid from unnest($2::uuid[]) k cross join lateral (
        select ctid from open_hold where book = $1 and id >= k and id <= k order by id limit 1) h))"""
_BURN: Final = """
    insert into refused_posting (book, id, outcome, at) select $1::bigint, k, o, $4::timestamptz
    from unnest($2::uuid[], $3::text[]) r(k, o)"""
_NEXT_EXPIRY: Final = """
    update book_head set next_expiry = (select expires_at from open_hold
        where book = $1 and expires_at is not null order by expires_at limit 1) where book = $1"""


async def lock_head(tx: Tx, book: BookId) -> Head:
    """Wait for the book's other writers, then read the end of its log. Raises `UnknownBook`."""
    record = await tx.fetchrow(_LOCK_HEAD, book)
    if record is None:
        raise UnknownBook(str(book))
    return Head(*record)


async def find(tx: Tx, book: BookId, ids: Sequence[UUID]) -> dict[UUID, Row | Outcome]:
    """Those of `ids` that were used: the row, or `ID_ALREADY_REFUSED`."""
    taken: dict[UUID, Row | Outcome] = {}
    for record in await tx.fetch(_FIND, book, ids):
        taken[record["id"]] = Outcome.ID_ALREADY_REFUSED if record["pos"] is None else as_row(book, record)
    return taken


async def referred(tx: Tx, book: BookId, ids: Collection[UUID]) -> tuple[dict[UUID, int], dict[UUID, int]]:
    """How holds among `ids` ended (SETTLE, RELEASE, EXPIRE), and how much of each posting was reversed."""
    resolved: dict[UUID, int] = {}
    reversed_minor: dict[UUID, int] = {}
    for record in await tx.fetch(_REFERRED, book, ids):
        if record["ended"] is not None:
            resolved[record["id"]] = KINDS[record["ended"]]
        if record["reversed"] is not None:
            reversed_minor[record["id"]] = record["reversed"]
    return resolved, reversed_minor


async def accounts(tx: Tx, book: BookId, ids: Collection[AccountId]) -> dict[AccountId, State]:
    """The accounts among `ids` that exist, each as its newest row left it."""
    return {
        AccountId(record["id"]): newest_state(book, record)
        for record in await tx.fetch(_ACCOUNTS, book, ids)
    }  # fmt: skip


async def due_on(tx: Tx, book: BookId, ids: Collection[AccountId], now: datetime) -> list[Row]:
    """Open holds on these accounts whose time is over, the earliest first; at most 64 per account and side."""
    return [as_row(book, record) for record in await tx.fetch(_DUE, book, ids, now)]


async def due_in_book(tx: Tx, book: BookId, now: datetime, *, limit: int) -> list[Row]:
    """Open holds of the book whose time is over, the earliest first."""
    return [as_row(book, record) for record in await tx.fetch(_DUE_IN_BOOK, book, now, limit)]


async def newer(
    tx: Tx, book: BookId, after: int, upto: int, known: Callable[[AccountId], Account | None]
) -> dict[AccountId, State]:
    """The newest states of those accounts, if `known`, that rows `after` < pos <= `upto` have touched."""
    states: dict[AccountId, State] = {}
    for record in await tx.fetch(_AFTER, book, after, upto):
        for side, closed in (("debit", DEBIT_CLOSED), ("credit", CREDIT_CLOSED)):
            if (account := known(AccountId(record[side]))) is not None:
                states[account.id] = _state(account, record, side, closed)
    return states


async def write(tx: Tx, book: BookId, decision: Decision, *, expected: Head, head: Head) -> bool:
    """Write what was decided at `expected` and move the head. False: nothing written, because the head was elsewhere
    or an id was refused before. Raises `UniqueViolation` (constraint `posting_id`) when an id was used before."""
    sql, rows = (_INSERT_PLAIN, _plain_rows(decision)) if decision.plain else (_INSERT_FULL, _full_rows(decision))
    done = await tx.execute(
        sql, book, expected.token, head.pos, head.token, head.at, head.next_expiry, head.day, rows
    )  # fmt: skip
    if done != f"INSERT 0 {len(decision.rows)}":
        return False
    if not decision.plain:
        await _write_holds(tx, book, decision.rows)
    return True


async def burn(tx: Tx, book: BookId, refused: Sequence[tuple[UUID, Outcome]], now: datetime) -> None:
    """Remember refused ids for ever."""
    if not refused:
        return
    await tx.execute(_BURN, book, [identity for identity, _ in refused], [str(outcome) for _, outcome in refused], now)


async def refresh_next_expiry(tx: Tx, book: BookId) -> None:
    """Make the head's `next_expiry` exact again; the caller holds the head's lock."""
    await tx.execute(_NEXT_EXPIRY, book)


def as_row(book: BookId, record: Record) -> Row:
    """A row of the log. The currency is left empty: it is the accounts'."""
    options: int = (record["flags"] or 0) & ~(DEBIT_CLOSED | CREDIT_CLOSED)
    kind = KINDS[int(record["kind"])]
    posting = Posting(
        book=book, id=record["id"], debit=AccountId(record["debit"]), credit=AccountId(record["credit"]),
        amount=record["amount"], code=record["code"], flags=options | kind,
        reference=record["reference"], timeout_s=record["timeout_s"] or 0, order_no=record["order_no"],
    )  # fmt: skip
    return Row(record["pos"], record["leg"] or 0, record["at"], record["day"], posting, record["amount"])


def newest_state(book: BookId, record: Record) -> State:
    """The later of an account's last debit entry and last credit entry."""
    account = Account(book, AccountId(record["id"]), record["currency"], record["limits"], record["status"] == "frozen")
    debit_seq, credit_seq = record["debit_seq"] or 0, record["credit_seq"] or 0
    if debit_seq > credit_seq:
        return _state(account, record, "debit", DEBIT_CLOSED)
    return _state(account, record, "credit", CREDIT_CLOSED) if credit_seq else State(account)


def _state(account: Account, record: Record, side: str, closed: int) -> State:
    return State(
        account, record[f"{side}_seq"], record[f"{side}_debits"], record[f"{side}_credits"],
        record[f"{side}_debits_held"] or 0, record[f"{side}_credits_held"] or 0,
        bool((record[f"{side}_flags"] or 0) & closed),
    )  # fmt: skip


def _plain_rows(decision: Decision) -> list[tuple[object, ...]]:
    rows = decision.rows
    return [
        (
            row.pos, posting.id, posting.debit, posting.credit, row.amount, debit.seq, debit.debits_posted,
            debit.credits_posted, credit.seq, credit.debits_posted, credit.credits_posted, posting.code,
        )
        for row, posting, debit, credit in zip(
            rows, [row.posting for row in rows], decision.debits, decision.credits, strict=True
        )
    ]  # fmt: skip


def _full_rows(decision: Decision) -> list[tuple[object, ...]]:
    return [
        (
            *basic, _NUMBER[posting.flags & KIND_FLAGS], _stored_flags(posting, debit, credit) or None,
            row.leg or None, posting.timeout_s or None, debit.debits_held or None, debit.credits_held or None,
            credit.debits_held or None, credit.credits_held or None, posting.reference, posting.order_no or None,
        )
        for basic, row, posting, debit, credit in zip(
            _plain_rows(decision), decision.rows, [row.posting for row in decision.rows], decision.debits,
            decision.credits, strict=True,
        )
    ]  # fmt: skip


def _stored_flags(posting: Posting, debit: State, credit: State) -> int:
    marks = (DEBIT_CLOSED if debit.closed else 0) | (CREDIT_CLOSED if credit.closed else 0)
    return posting.flags & ~KIND_FLAGS | marks


async def _write_holds(tx: Tx, book: BookId, rows: Iterable[Row]) -> None:
    """Keep the list of open holds. One that begins and ends in the same batch never enters it."""
    opened: dict[UUID, Row] = {}
    ended: list[UUID] = []
    for row in rows:
        reference = row.posting.reference
        if row.posting.flags & HOLD:
            opened[row.posting.id] = row
        elif row.posting.flags & (SETTLE | RELEASE | EXPIRE) and reference and not opened.pop(reference, None):
            ended.append(reference)
    if opened:
        holds = opened.values()
        await tx.execute(
            _OPEN_HOLDS, book, list(opened), [row.pos for row in holds], [row.posting.debit for row in holds],
            [row.posting.credit for row in holds], [row.amount for row in holds], [row.expires_at for row in holds],
        )  # fmt: skip
    if ended:
        await tx.execute(_END_HOLDS, book, ended)
