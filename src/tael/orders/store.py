"""Rows and statements of orders and attempts; private to this package. Every statement works on a list.

Rows are found by `column = any(array)`, an index probe per element whatever the planner believes about the table: a
join with the array could be turned round into a scan of the whole table when it was planned while that was empty.
Where pairs are asked for, the arrays' cross product can only be larger, and the numbers are unique by themselves.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import msgspec

from tael.base.db import Record, Tx
from tael.base.errors import JsonValue
from tael.orders.states import AttemptState, OrderState


@dataclass(frozen=True, slots=True)
class Order:
    """A payment order. `account` is the ledger account that the money is for, `amount` in minor units.

    `events` counts the events told about this order; `request_key` is the idempotency key it was opened with.
    `refunded` has gone back to its source, `refund_pending` is on its way there; never more than `amount` together.
    """

    book: int
    order_no: str
    id: int
    kind: str
    mode: str
    state: OrderState
    account: int
    amount: int
    currency: str
    description: str
    business_order_no: str | None
    request_key: str
    metadata: dict[str, str]
    reason: str | None
    events: int
    created_at: datetime
    expires_at: datetime
    paid_at: datetime | None
    refund_pending: int = 0
    refunded: int = 0


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt to pay an order through one merchant account; `attempt_no` is our number at the channel."""

    book: int
    attempt_no: str
    order_no: str
    id: int
    state: AttemptState
    channel: str
    merchant_account: int
    method: str
    amount: int
    currency: str
    payer_id: str | None
    payer_ip: str | None
    channel_ref: str | None
    handoff: dict[str, JsonValue] | None
    error: str | None
    created_at: datetime
    ended_at: datetime | None
    return_url: str | None = None


@dataclass(frozen=True, slots=True)
class NewOrder:
    """An order to open."""

    book: int
    order_no: str
    id: int
    kind: str
    mode: str
    account: int
    amount: int
    currency: str
    description: str
    business_order_no: str | None
    request_key: str
    metadata: dict[str, str]
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class NewAttempt:
    """An attempt whose intent is to be committed before the channel is called."""

    book: int
    attempt_no: str
    order_no: str
    id: int
    channel: str
    merchant_account: int
    method: str
    amount: int
    currency: str
    payer_id: str | None
    payer_ip: str | None
    return_url: str | None = None


async def insert_orders(tx: Tx, orders: Sequence[NewOrder], *, now: datetime) -> set[str]:
    """Insert what conflicts with no earlier order; answers the order numbers that are in."""
    rows = await tx.fetch(
        """insert into payment_order (book, order_no, id, kind, mode, state, account, amount, currency, description,
               business_order_no, request_key, metadata, created_at, expires_at)
           select n.book, n.order_no, n.id, n.kind, n.mode, 'created', n.account, n.amount, n.currency, n.description,
               n.business_order_no, n.request_key, n.metadata, $14, n.expires_at
           from unnest($1::bigint[], $2::text[], $3::bigint[], $4::text[], $5::text[], $6::bigint[], $7::bigint[],
               $8::text[], $9::text[], $10::text[], $11::text[], $12::jsonb[], $13::timestamptz[]) as n(book, order_no,
               id, kind, mode, account, amount, currency, description, business_order_no, request_key, metadata,
               expires_at)
           on conflict do nothing returning order_no""",
        [order.book for order in orders], [order.order_no for order in orders], [order.id for order in orders],
        [order.kind for order in orders], [order.mode for order in orders], [order.account for order in orders],
        [order.amount for order in orders], [order.currency for order in orders],
        [order.description for order in orders], [order.business_order_no for order in orders],
        [order.request_key for order in orders],
        [msgspec.json.encode(order.metadata).decode() for order in orders],
        [order.expires_at for order in orders], now,
    )  # fmt: skip
    return {row["order_no"] for row in rows}


async def insert_attempts(tx: Tx, attempts: Sequence[NewAttempt], *, now: datetime) -> set[str]:
    """Insert the attempts of orders that have no open one; answers the attempt numbers that are in."""
    rows = await tx.fetch(
        """insert into payment_attempt (book, attempt_no, order_no, id, state, channel, merchant_account, method,
               amount, currency, payer_id, payer_ip, return_url, created_at)
           select n.book, n.attempt_no, n.order_no, n.id, 'created', n.channel, n.merchant_account, n.method, n.amount,
               n.currency, n.payer_id, n.payer_ip, n.return_url, $13
           from unnest($1::bigint[], $2::text[], $3::text[], $4::bigint[], $5::text[], $6::bigint[], $7::text[],
               $8::bigint[], $9::text[], $10::text[], $11::text[], $12::text[]) as n(book, attempt_no, order_no, id,
               channel, merchant_account, method, amount, currency, payer_id, payer_ip, return_url)
           on conflict do nothing returning attempt_no""",
        [attempt.book for attempt in attempts], [attempt.attempt_no for attempt in attempts],
        [attempt.order_no for attempt in attempts], [attempt.id for attempt in attempts],
        [attempt.channel for attempt in attempts], [attempt.merchant_account for attempt in attempts],
        [attempt.method for attempt in attempts], [attempt.amount for attempt in attempts],
        [attempt.currency for attempt in attempts], [attempt.payer_id for attempt in attempts],
        [attempt.payer_ip for attempt in attempts],
        [attempt.return_url for attempt in attempts], now,
    )  # fmt: skip
    return {row["attempt_no"] for row in rows}


async def delete_orders(tx: Tx, keys: Sequence[tuple[int, str]]) -> None:
    """Take back orders that this very transaction inserted."""
    if keys:
        await tx.execute(
            """delete from payment_order where state = 'created' and book = any($1::bigint[])
                   and order_no = any($2::text[])""",
            [book for book, _ in keys], [number for _, number in keys],
        )  # fmt: skip


async def earlier_orders(tx: Tx, orders: Sequence[NewOrder]) -> list[Order]:
    """Orders that stand in the way of `orders`: same request key, or same business order number (of any kind).

    One that stands in both ways comes twice: `union` without `all` would sort, and to save the sort the planner would
    walk the primary key through the whole book.
    """
    rows = await tx.fetch(
        """select * from payment_order where book = any($1::bigint[]) and request_key = any($2::text[])
           union all
           select * from payment_order where business_order_no is not null and book = any($1::bigint[])
               and business_order_no = any($3::text[])""",
        [order.book for order in orders], [order.request_key for order in orders],
        [order.business_order_no for order in orders],
    )  # fmt: skip
    return [read_order(row) for row in rows]


async def take_submissions(
    tx: Tx, digests: Sequence[tuple[int, bytes, str]], *, now: datetime, until: datetime
) -> dict[tuple[int, bytes], str]:
    """Note (book, digest, order_no); answers the order number that holds each digest now, perhaps an earlier one."""
    rows = await tx.fetch(
        """with asked as (
               select * from unnest($1::bigint[], $2::bytea[], $3::text[]) as a(book, digest, order_no)
               order by book, digest),
           taken as (
               insert into order_submission as s (book, digest, order_no, expires_at)
               select book, digest, order_no, $5 from asked
               on conflict (book, digest) do update set order_no = excluded.order_no, expires_at = excluded.expires_at
                   where s.expires_at <= $4
               returning book, digest, order_no)
           select * from taken
           union all
           select s.book, s.digest, s.order_no from order_submission s
           where s.book = any($1::bigint[]) and s.digest = any($2::bytea[])
               and not exists (select 1 from taken t where t.book = s.book and t.digest = s.digest)""",
        [book for book, _, _ in digests], [digest for _, digest, _ in digests], [number for _, _, number in digests],
        now, until,
    )  # fmt: skip
    held = {(row["book"], row["digest"]): row["order_no"] for row in rows}
    missing = [(book, digest) for book, digest, _ in digests if (book, digest) not in held]
    if missing:  # taken by a transaction that committed meanwhile: only a later statement sees its row
        rows = await tx.fetch(
            """select book, digest, order_no from order_submission
               where book = any($1::bigint[]) and digest = any($2::bytea[])""",
            [book for book, _ in missing], [digest for _, digest in missing],
        )  # fmt: skip
        held |= {(row["book"], row["digest"]): row["order_no"] for row in rows}
    return held


async def forget_submissions(tx: Tx, *, now: datetime, limit: int = 5000) -> int:
    """Delete submissions whose guard is over, `limit` at most; answers how many."""
    tag = await tx.execute(
        """delete from order_submission where (book, digest) in
               (select book, digest from order_submission where expires_at <= $1 order by expires_at limit $2
                for update skip locked)""",
        now, limit,
    )  # fmt: skip
    return int(tag.split()[-1])


async def lock_by_attempt(tx: Tx, keys: Sequence[tuple[int, str]]) -> dict[tuple[int, str], tuple[Order, Attempt]]:
    """Lock the orders and attempts of (book, attempt_no), in order-number order, and answer what they are now."""
    numbers = await tx.fetch(
        """select book, order_no from payment_attempt
           where book = any($1::bigint[]) and attempt_no = any($2::text[])""",
        [book for book, _ in keys], [number for _, number in keys],
    )  # fmt: skip
    pairs = {(row["book"], row["order_no"]) for row in numbers}
    orders = {(order.book, order.order_no): order for order in await lock_orders(tx, sorted(pairs))}
    rows = await tx.fetch(
        "select * from payment_attempt where book = any($1::bigint[]) and attempt_no = any($2::text[])",
        [book for book, _ in keys], [number for _, number in keys],
    )  # fmt: skip
    attempts = [read_attempt(row) for row in rows]
    return {(one.book, one.attempt_no): (orders[one.book, one.order_no], one) for one in attempts}


async def lock_orders(tx: Tx, keys: Sequence[tuple[int, str]]) -> list[Order]:
    """Lock orders by (book, order_no) in that order; an order's lock also guards its attempts."""
    rows = await tx.fetch(
        """select * from payment_order where book = any($1::bigint[]) and order_no = any($2::text[])
           order by book, order_no for update""",
        [book for book, _ in keys], [number for _, number in keys],
    )  # fmt: skip
    return [read_order(row) for row in rows]


async def update_orders(tx: Tx, orders: Sequence[Order]) -> None:
    """Write the changed columns (state, reason, events, paid_at, refunds) of locked orders."""
    if orders:
        await tx.execute(
            """update payment_order o set state = n.state, reason = n.reason, events = n.events, paid_at = n.paid_at,
                   refund_pending = n.refund_pending, refunded = n.refunded
               from unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::int[], $6::timestamptz[],
                   $7::bigint[], $8::bigint[])
                   as n(book, order_no, state, reason, events, paid_at, refund_pending, refunded)
               where o.book = any($1::bigint[]) and o.order_no = any($2::text[])
                   and o.book = n.book and o.order_no = n.order_no""",
            [order.book for order in orders], [order.order_no for order in orders], [order.state for order in orders],
            [order.reason for order in orders], [order.events for order in orders],
            [order.paid_at for order in orders], [order.refund_pending for order in orders],
            [order.refunded for order in orders],
        )  # fmt: skip


async def update_attempts(tx: Tx, attempts: Sequence[Attempt]) -> None:
    """Write the changed columns (state, channel_ref, handoff, error, ended_at) of attempts of locked orders."""
    if attempts:
        await tx.execute(
            """update payment_attempt a set state = n.state, channel_ref = n.channel_ref, handoff = n.handoff,
                   error = n.error, ended_at = n.ended_at
               from unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::jsonb[], $6::text[],
                   $7::timestamptz[]) as n(book, attempt_no, state, channel_ref, handoff, error, ended_at)
               where a.book = any($1::bigint[]) and a.attempt_no = any($2::text[])
                   and a.book = n.book and a.attempt_no = n.attempt_no""",
            [attempt.book for attempt in attempts], [attempt.attempt_no for attempt in attempts],
            [attempt.state for attempt in attempts], [attempt.channel_ref for attempt in attempts],
            [_json(attempt.handoff) for attempt in attempts], [attempt.error for attempt in attempts],
            [attempt.ended_at for attempt in attempts],
        )  # fmt: skip


def read_order(row: Record) -> Order:
    """An order from its row."""
    return Order(
        row["book"], row["order_no"], row["id"], row["kind"], row["mode"], OrderState(row["state"]), row["account"],
        row["amount"], row["currency"], row["description"], row["business_order_no"], row["request_key"],
        msgspec.json.decode(row["metadata"]), row["reason"], row["events"], row["created_at"], row["expires_at"],
        row["paid_at"], row["refund_pending"], row["refunded"],
    )  # fmt: skip


def read_attempt(row: Record) -> Attempt:
    """An attempt from its row."""
    handoff = row["handoff"]
    return Attempt(
        row["book"], row["attempt_no"], row["order_no"], row["id"], AttemptState(row["state"]), row["channel"],
        row["merchant_account"], row["method"], row["amount"], row["currency"], row["payer_id"], row["payer_ip"],
        row["channel_ref"], None if handoff is None else msgspec.json.decode(handoff), row["error"],
        row["created_at"], row["ended_at"], row["return_url"],
    )  # fmt: skip


def _json(value: dict[str, JsonValue] | None) -> str | None:
    return None if value is None else msgspec.json.encode(value).decode()
