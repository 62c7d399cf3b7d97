"""Every statement that tells stories; private to this package, and all of them read.

A source is one statement over one sort of things and a function that makes an entry of a row. `$1` is the book, `$2`
the numbers of everything the story is about: orders, attempts, adjustments, transfers. Columns that hold secrets or
tell who somebody is are not named in any of them. Where one row leads to the next, `lateral` and `offset 0` keep the
planner from walking a table in the other direction.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tael.base.db import Record, Tx
from tael.lookup import entries as make
from tael.lookup.entries import Entry
from tael.lookup.kinds import APPROVALS, JUDGED, QUEUES

__all__ = [
    "SOURCES", "Entry", "Source", "adjustments_about", "attempts_of", "entries", "payment_of", "plan_afresh",
    "refunds_of",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Source:
    """A statement without its limit, and how its rows are read. `named` are the exact names it takes as $3."""

    sql: str
    read: Callable[[Record], Entry]
    named: tuple[str, ...] = ()


async def plan_afresh(tx: Tx) -> None:
    """Plan every statement for what the tables hold now, until the end of the transaction.

    A plan that was made while a table was empty may walk a whole book for a few numbers. People look things up rarely
    enough to plan each time.
    """
    await tx.execute("set local plan_cache_mode = force_custom_plan")


async def payment_of(tx: Tx, *, book: int, number: str) -> str | None:
    """The number of the payment that a refund gives back, or None when the number is no refund's."""
    found = await tx.fetchval("select payment_no from refund where book = $1 and order_no = $2", book, number)
    return None if found is None else str(found)


async def refunds_of(tx: Tx, *, book: int, payment_no: str, limit: int) -> list[str]:
    """The numbers of a payment's refunds, oldest first."""
    rows = await tx.fetch(
        "select order_no from refund where book = $1 and payment_no = $2 order by order_no limit $3",
        book, payment_no, limit,
    )  # fmt: skip
    return [row["order_no"] for row in rows]


async def adjustments_about(tx: Tx, *, book: int, numbers: Sequence[str], limit: int) -> list[str]:
    """The numbers of adjustments that were made because of orders."""
    rows = await tx.fetch(
        "select adjustment_no from adjustment where book = $1 and linked_order = any($2::text[]) limit $3",
        book, list(numbers), limit,
    )  # fmt: skip
    return [row["adjustment_no"] for row in rows]


async def attempts_of(tx: Tx, *, book: int, orders: Sequence[str], limit: int) -> list[str]:
    """The numbers of the attempts of orders."""
    rows = await tx.fetch(
        "select attempt_no from payment_attempt where book = $1 and order_no = any($2::text[]) limit $3",
        book, list(orders), limit,
    )  # fmt: skip
    return [row["attempt_no"] for row in rows]


async def entries(tx: Tx, source: Source, *, book: int, numbers: Sequence[str], limit: int) -> list[Entry]:
    """What one source has to tell, in no order."""
    named = (list(source.named),) if source.named else ()
    rows = await tx.fetch(f"{source.sql} limit {limit}", book, list(numbers), *named)
    return [source.read(row) for row in rows]


_POSTINGS = """
    with recursive mine as (
        select p.id, p.pos from posting p where p.book = $1 and p.order_no = any($2::text[]) and p.leg is null
        union all
        select p.id, p.pos from posting p where p.book = $1
            and p.id = any(array(select t.posting from transfer t where t.book = $1 and t.order_no = any($2::text[])))
        union all
        select p.id, p.pos from posting p where p.book = $1 and p.id = any(array(
            select h.posting from transfer t join fund_hold h on h.book = t.book and h.id = t.hold
            where t.book = $1 and t.order_no = any($2::text[])))),
    heads as (
        select pos from mine
        union all
        select e.pos from mine cross join lateral (
            select p.pos from posting p where p.book = $1 and p.reference = mine.id and p.kind in (2, 3, 4)
            offset 0) e
        union all
        select r.pos from mine cross join lateral (
            select p.pos from posting p where p.book = $1 and p.reference = mine.id and p.kind = 5 offset 0) r),
    grown as (  -- with the later legs of each group, which stand behind the first
        select pos from heads
        union
        select n.pos from grown g cross join lateral (
            select p.pos from posting p where p.book = $1 and p.pos = g.pos + 1 and p.leg is not null offset 0) n)
    select p.*, d.subject as from_subject, c.subject as to_subject, d.currency
    from grown g
        cross join lateral (
            select p.pos, p.id, p.at, p.debit, p.credit, p.amount, p.code, p.kind, p.order_no from posting p
            where p.book = $1 and p.pos = g.pos offset 0) p
        cross join lateral (select subject, currency from account where book = $1 and id = p.debit offset 0) d
        cross join lateral (select subject from account where book = $1 and id = p.credit offset 0) c
    where p.order_no is null or p.order_no = any($2::text[])
    order by p.pos"""
SOURCES = (
    Source(
        """select order_no, kind, state, mode, account, amount, currency, business_order_no, refund_pending, refunded,
               created_at, expires_at from payment_order where book = $1 and order_no = any($2::text[])""",
        make.opened,
    ),
    Source(
        """select order_no, state, reason, paid_at from payment_order
           where book = $1 and order_no = any($2::text[]) and paid_at is not null""",
        make.order_paid,
    ),
    Source(
        """select w.order_no, w.maker, w.review, p.id, p.kind, p.masked, o.created_at from withdrawal w
               join payment_order o on o.book = w.book and o.order_no = w.order_no
               join payee p on p.book = w.book and p.id = w.payee
           where w.book = $1 and w.order_no = any($2::text[])""",
        make.withdrawal,
    ),
    Source(
        """select r.order_no, r.payment_no, r.source, r.suspense_item, r.send_at, r.abandoned, o.created_at
           from refund r join payment_order o on o.book = r.book and o.order_no = r.order_no
           where r.book = $1 and r.order_no = any($2::text[])""",
        make.refund,
    ),
    Source(
        """select number, operation, outcome, rules, version, at
           from unnest($2::text[]) n cross join unnest($3::text[]) o cross join lateral (
               select * from risk_verdict where book = $1 and operation = o and number >= n and number <= n
               order by number limit 1) v""",
        make.verdict, JUDGED,
    ),
    Source(
        """select id, kind, subject, amount, currency, maker, needed, state, payload_sha256, created_at, decided_at
           from approval where book = $1 and kind = any($3::text[]) and subject = any($2::text[])""",
        make.approval, APPROVALS,
    ),
    Source(
        """select a.subject, d.checker, d.decision, d.note, d.at from approval a
               join approval_decision d on d.book = a.book and d.approval = a.id
           where a.book = $1 and a.kind = any($3::text[]) and a.subject = any($2::text[])""",
        make.decision, APPROVALS,
    ),
    Source(
        """select number, operation, channel, merchant_account, amount, currency, state, created_at from route_hold
           where book = $1 and number = any($2::text[])""",
        make.route,
    ),
    Source(
        """select number, channel, merchant_account, state, ended_at from route_hold
           where book = $1 and number = any($2::text[]) and ended_at is not null""",
        make.route_ended,
    ),
    Source(
        """select attempt_no, order_no, channel, merchant_account, method, amount, currency, created_at
           from payment_attempt where book = $1 and attempt_no = any($2::text[])""",
        make.attempt,
    ),
    Source(
        """select attempt_no, state, channel, channel_ref, error, ended_at from payment_attempt
           where book = $1 and attempt_no = any($2::text[]) and ended_at is not null""",
        make.attempt_ended,
    ),
    Source(
        """select id, attempt_no, operation, outcome, exchange, at from channel_exchange
           where book = $1 and attempt_no = any($2::text[]) order by id""",
        make.exchange,
    ),
    Source(
        """select id, attempt_no, merchant_account, event_id, state, sha256, verdict, received_at from channel_notice
           where book = $1 and attempt_no = any($2::text[]) order by id""",
        make.notice,
    ),
    Source(
        """select id, order_no, attempt_no, channel_ref, reason, amount, currency, proposal, state, refund_no,
               created_at from suspense_item where book = $1 and order_no = any($2::text[])""",
        make.suspense,
    ),
    Source(_POSTINGS, make.posting),
    Source(
        """select order_no, state, debit, credit, amount, currency, hold, batch_no, business_transfer_no, created_at
           from transfer where book = $1 and order_no = any($2::text[])""",
        make.transfer,
    ),
    Source(
        """select t.order_no, h.id, h.account, h.amount, h.currency, h.reason, h.state, h.created_at from transfer t
               join fund_hold h on h.book = t.book and h.id = t.hold
           where t.book = $1 and t.order_no = any($2::text[])""",
        make.hold,
    ),
    Source(
        """select adjustment_no, reason, linked_order, reverses, amount, currency, maker, created_at from adjustment
           where book = $1 and adjustment_no = any($2::text[])""",
        make.adjustment,
    ),
    Source(
        """select adjustment_no, state, ended_by, ended_at from adjustment
           where book = $1 and adjustment_no = any($2::text[]) and ended_at is not null""",
        make.adjustment_ended,
    ),
    Source(
        """select order_no, state, reference, times_asked, due_at, fulfilled_at from payment_fulfilment
           where book = $1 and order_no = any($2::text[]) and due_at is not null""",
        make.fulfilment,
    ),
    Source(
        """select id, topic, subject, sequence, failures, created_at, published_at from event
           where book = $1 and subject = any($2::text[]) order by subject, sequence""",
        make.event,
    ),
    Source(
        """select e.subject, d.* from unnest($2::text[]) n
               cross join lateral (select id, subject from event where book = $1 and subject = n offset 0) e
               cross join lateral (
                   select topic, endpoint_id, event_id, status, attempts, last_error, due_at, finished_at
                   from callback_delivery where book = $1 and event_id = e.id
                       and endpoint_id = any(array(select id from callback_endpoint where book = $1)) offset 0) d""",
        make.delivery,
    ),
    Source(
        """select e.subject, e.topic, t.*, encode(t.sha256, 'hex') as response_sha256 from unnest($2::text[]) n
               cross join lateral (select id, subject, topic from event where book = $1 and subject = n offset 0) e
               cross join lateral (
                   select endpoint_id, event_id, number, outcome, status, duration_ms, response_sha256 as sha256, at
                   from callback_attempt where book = $1 and event_id = e.id
                       and endpoint_id = any(array(select id from callback_endpoint where book = $1)) offset 0) t
           order by t.event_id, t.number""",
        make.delivery_attempt,
    ),
    Source(  # the work on a suspense item is called after the item
        """select queue, key, attempt, last_error, due_at, dead_at from task
           where book = $1 and queue = any($3::text[]) and key = any($2::text[] || array(
               select 'item:' || id from suspense_item where book = $1 and order_no = any($2::text[])))""",
        make.task, QUEUES,
    ),
)  # fmt: skip
"""In the order in which things follow each other when they have the same time."""
