"""Rows and statements of transfers, batches and holds; private to this package. Every statement works on a list.

Rows are found by `column = any(array)`, an index probe per element whatever the planner believes about the table.
Transfers are msgspec structs, not dataclasses: one is made for every transfer, and a frozen dataclass takes ten times
as long to make.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal
from uuid import UUID

import msgspec

from tael.base.db import Record, Tx
from tael.base.errors import JsonValue

HoldState = Literal["open", "used", "released"]


class Transfer(msgspec.Struct, frozen=True, gc=False):
    """A transfer that is done, or that is about to be written as done. `hold`: the hold it was paid from."""

    book: int
    order_no: str
    id: int
    debit: int
    credit: int
    amount: int
    currency: str
    note: str
    business_transfer_no: str | None
    request_key: str | None
    batch_no: str | None
    place: int | None
    hold: int | None
    posting: UUID
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Batch:
    """A request for many transfers."""

    book: int
    batch_no: str
    id: int
    request_key: str
    fingerprint: bytes
    atomic: bool
    size: int
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Refusal:
    """What a batch asked for in vain."""

    book: int
    batch_no: str
    place: int
    problem: dict[str, JsonValue]


@dataclass(frozen=True, slots=True)
class Hold:
    """Funds kept frozen: `amount` of `account`, until released, used by a transfer, or `expires_at`."""

    book: int
    id: int
    account: int
    amount: int
    currency: str
    reason: str
    request_key: str
    posting: UUID
    state: HoldState
    used_by: str | None
    created_at: datetime
    expires_at: datetime | None
    ended_at: datetime | None


_TRANSFER: Final = """book, order_no, id, debit, credit, amount, currency, note, business_transfer_no, request_key,
    batch_no, place, hold, posting, created_at"""
_BATCH: Final = "book, batch_no, id, request_key, fingerprint, atomic, size, created_at"
_HOLD: Final = """book, id, account, amount, currency, reason, request_key, posting, state, used_by, created_at,
    expires_at, ended_at"""

# Ordered, so that two transactions that wait for each other's business numbers wait in one direction.
_INSERT: Final = f"""
    insert into transfer ({_TRANSFER}, state)
    select {_TRANSFER}, 'done' from unnest($1::bigint[], $2::text[], $3::bigint[], $4::bigint[], $5::bigint[],
        $6::bigint[], $7::text[], $8::text[], $9::text[], $10::text[], $11::text[], $12::int[], $13::bigint[],
        $14::uuid[], $15::timestamptz[]) as t({_TRANSFER})
    order by book, request_key, business_transfer_no
    on conflict do nothing returning order_no"""  # noqa: S608 (our own columns)
_EARLIER: Final = f"""
    select {_TRANSFER} from transfer where request_key is not null and book = any($1::bigint[])
        and request_key = any($2::text[])
    union all
    select {_TRANSFER} from transfer where business_transfer_no is not null and book = any($1::bigint[])
        and business_transfer_no = any($3::text[])"""  # noqa: S608 (our own columns)
_ONE: Final = f"select {_TRANSFER} from transfer where book = $1 and order_no = any($2::text[])"  # noqa: S608 (our own columns)
_OF_BATCHES: Final = f"""
    select {_TRANSFER} from transfer where batch_no is not null and book = any($1::bigint[])
        and batch_no = any($2::text[]) order by book, batch_no, place"""  # noqa: S608 (our own columns)


def _page(side: Literal["debit", "credit"], direction: Literal["older", "newer"]) -> str:
    beyond, order = ("<", "desc") if direction == "older" else (">", "asc")
    return f"""select {_TRANSFER} from transfer where book = $1 and {side} = $2 and id {beyond} $3
        order by id {order} limit $4"""  # noqa: S608 (our own columns)


_PAGES: Final = {
    (side, direction): _page(side, direction) for side in ("debit", "credit") for direction in ("older", "newer")
}


async def insert_transfers(tx: Tx, transfers: Sequence[Transfer]) -> set[str]:
    """Write transfers; answers the numbers of those that nothing stood in the way of."""
    if not transfers:
        return set()
    rows = await tx.fetch(
        _INSERT,
        [one.book for one in transfers], [one.order_no for one in transfers], [one.id for one in transfers],
        [one.debit for one in transfers], [one.credit for one in transfers], [one.amount for one in transfers],
        [one.currency for one in transfers], [one.note for one in transfers],
        [one.business_transfer_no for one in transfers], [one.request_key for one in transfers],
        [one.batch_no for one in transfers], [one.place for one in transfers], [one.hold for one in transfers],
        [one.posting for one in transfers], [one.created_at for one in transfers],
    )  # fmt: skip
    return {row["order_no"] for row in rows}


async def earlier_transfers(tx: Tx, transfers: Sequence[Transfer]) -> list[Transfer]:
    """Transfers that stand in the way of these: same request key, or same business transfer number."""
    rows = await tx.fetch(
        _EARLIER, [one.book for one in transfers], [one.request_key for one in transfers],
        [one.business_transfer_no for one in transfers],
    )  # fmt: skip
    return [_read_transfer(row) for row in rows]


async def find_transfer(tx: Tx, *, book: int, order_no: str) -> Transfer | None:
    """One transfer."""
    row = await tx.fetchrow(_ONE, book, [order_no])
    return None if row is None else _read_transfer(row)


async def page(
    tx: Tx, *, book: int, account: int, side: Literal["debit", "credit"], limit: int, older_than: int | None,
    newer_than: int | None,
) -> list[Transfer]:  # fmt: skip
    """Transfers out of an account (`debit`) or into it (`credit`), newest first."""
    if newer_than is not None:
        rows = await tx.fetch(_PAGES[side, "newer"], book, account, newer_than, limit)
        return [_read_transfer(row) for row in reversed(rows)]
    start = 2**63 - 1 if older_than is None else older_than
    return [_read_transfer(row) for row in await tx.fetch(_PAGES[side, "older"], book, account, start, limit)]


async def insert_batches(tx: Tx, batches: Sequence[Batch]) -> set[str]:
    """Write batches; answers the numbers of those whose request key was free."""
    if not batches:
        return set()
    rows = await tx.fetch(
        f"""insert into transfer_batch ({_BATCH})
            select * from unnest($1::bigint[], $2::text[], $3::bigint[], $4::text[], $5::bytea[], $6::boolean[],
                $7::int[], $8::timestamptz[]) as b({_BATCH})
            order by book, request_key on conflict do nothing returning batch_no""",  # noqa: S608 (our own columns)
        [one.book for one in batches], [one.batch_no for one in batches], [one.id for one in batches],
        [one.request_key for one in batches], [one.fingerprint for one in batches],
        [one.atomic for one in batches], [one.size for one in batches], [one.created_at for one in batches],
    )  # fmt: skip
    return {row["batch_no"] for row in rows}


async def earlier_batches(tx: Tx, batches: Sequence[Batch]) -> list[Batch]:
    """The batches that these requests' keys opened before."""
    rows = await tx.fetch(
        f"""select {_BATCH} from transfer_batch
            where book = any($1::bigint[]) and request_key = any($2::text[])""",  # noqa: S608 (our own columns)
        [one.book for one in batches], [one.request_key for one in batches],
    )  # fmt: skip
    return [Batch(*row) for row in rows]


async def find_batch(tx: Tx, *, book: int, batch_no: str) -> Batch | None:
    """One batch."""
    row = await tx.fetchrow(
        f"select {_BATCH} from transfer_batch where book = $1 and batch_no = any($2::text[])",  # noqa: S608 (our own columns)
        book, [batch_no],
    )  # fmt: skip
    return None if row is None else Batch(*row)


async def members_of(tx: Tx, batches: Sequence[Batch]) -> list[Transfer]:
    """The transfers of batches, by place."""
    rows = await tx.fetch(_OF_BATCHES, [one.book for one in batches], [one.batch_no for one in batches])
    return [_read_transfer(row) for row in rows]


async def insert_refusals(tx: Tx, refusals: Sequence[Refusal]) -> None:
    """Keep what batches asked for in vain."""
    if refusals:
        await tx.execute(
            """insert into transfer_refusal (book, batch_no, place, problem)
               select * from unnest($1::bigint[], $2::text[], $3::int[], $4::jsonb[])""",
            [one.book for one in refusals], [one.batch_no for one in refusals], [one.place for one in refusals],
            [msgspec.json.encode(one.problem).decode() for one in refusals],
        )  # fmt: skip


async def refusals_of(tx: Tx, batches: Sequence[Batch]) -> list[Refusal]:
    """What these batches asked for in vain, by place."""
    rows = await tx.fetch(
        """select book, batch_no, place, problem from transfer_refusal
           where book = any($1::bigint[]) and batch_no = any($2::text[]) order by book, batch_no, place""",
        [one.book for one in batches], [one.batch_no for one in batches],
    )  # fmt: skip
    return [Refusal(row["book"], row["batch_no"], row["place"], msgspec.json.decode(row["problem"])) for row in rows]


async def insert_hold(tx: Tx, hold: Hold) -> bool:
    """Write an open hold; False when its request key was used before."""
    done = await tx.execute(
        f"""insert into fund_hold ({_HOLD}) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
            on conflict do nothing""",  # noqa: S608 (our own columns)
        hold.book, hold.id, hold.account, hold.amount, hold.currency, hold.reason, hold.request_key, hold.posting,
        hold.state, hold.used_by, hold.created_at, hold.expires_at, hold.ended_at,
    )  # fmt: skip
    return done == "INSERT 0 1"


async def hold_of_key(tx: Tx, *, book: int, request_key: str) -> Hold | None:
    """The hold that a request key opened."""
    row = await tx.fetchrow(
        f"select {_HOLD} from fund_hold where book = $1 and request_key = any($2::text[])",  # noqa: S608 (our own columns)
        book, [request_key],
    )  # fmt: skip
    return None if row is None else Hold(*row)


async def find_hold(tx: Tx, *, book: int, id: int) -> Hold | None:
    """One hold."""
    row = await tx.fetchrow(
        f"select {_HOLD} from fund_hold where book = $1 and id = any($2::bigint[])",  # noqa: S608 (our own columns)
        book, [id],
    )  # fmt: skip
    return None if row is None else Hold(*row)


async def lock_holds(tx: Tx, keys: Sequence[tuple[int, int]]) -> dict[tuple[int, int], Hold]:
    """Lock holds by (book, id), in that order."""
    if not keys:
        return {}
    rows = await tx.fetch(
        f"""select {_HOLD} from fund_hold where book = any($1::bigint[]) and id = any($2::bigint[])
            order by book, id for update""",  # noqa: S608 (our own columns)
        [book for book, _ in keys], [id for _, id in keys],
    )  # fmt: skip
    return {(hold.book, hold.id): hold for hold in (Hold(*row) for row in rows)}


async def end_holds(tx: Tx, ends: Sequence[tuple[int, int, str | None]], *, now: datetime) -> None:
    """End locked, open holds: (book, id, number of the transfer that used it, or None when it was released)."""
    if ends:
        await tx.execute(
            """update fund_hold h set state = case when e.used_by is null then 'released' else 'used' end,
                   used_by = e.used_by, ended_at = $4
               from unnest($1::bigint[], $2::bigint[], $3::text[]) as e(book, id, used_by)
               where h.book = any($1::bigint[]) and h.id = any($2::bigint[]) and h.book = e.book and h.id = e.id""",
            [book for book, _, _ in ends], [id for _, id, _ in ends], [used_by for _, _, used_by in ends], now,
        )  # fmt: skip


async def page_of_holds(tx: Tx, *, book: int, account: int, limit: int, older_than: int | None) -> list[Hold]:
    """The holds of an account, newest first."""
    rows = await tx.fetch(
        f"""select {_HOLD} from fund_hold where book = $1 and account = $2 and id < $3
            order by id desc limit $4""",  # noqa: S608 (our own columns)
        book, account, 2**63 - 1 if older_than is None else older_than, limit,
    )  # fmt: skip
    return [Hold(*row) for row in rows]


def _read_transfer(row: Record) -> Transfer:
    return Transfer(*row)
