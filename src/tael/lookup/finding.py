"""Find what a number belongs to: every table whose rows have numbers is probed once, by an exact index.

    "RC1..."  "4200..."  "S-1"  "1987..."  "0198a2..."  ->  hits, each with what it is about

A number may belong to several things (a business may count its orders as the ledger counts its entries), so all hits
are answered. Numbers of other books are found as little as numbers that nobody has.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

import msgspec

from tael.base.db import Record, Tx
from tael.base.errors import JsonValue, TaelError
from tael.lookup.kinds import ORDER_KINDS
from tael.lookup.store import plan_afresh

LONGEST = 128
"""Longer than every number there is."""


class NothingFound(TaelError):
    """Nothing in this book has such a number.
    zh: 本账簿中没有与该编号对应的记录。
    """

    status = 404


@dataclass(frozen=True, slots=True)
class Hit:
    """A thing that bears the number: `kind` says what it is, `by` which of its numbers it was.

    `about` is the order, transfer or adjustment that it is part of, when it is part of one.
    """

    kind: str
    by: str
    number: str
    about: str | None
    facts: Mapping[str, JsonValue]


async def find(tx: Tx, *, book: int, text: str) -> list[Hit]:
    """Everything in a book that bears the number `text`; nothing when there is none."""
    text = text.strip()
    if not 0 < len(text) <= LONGEST or not text.isprintable():
        return []
    await plan_afresh(tx)
    rows = await tx.fetch(_PROBES, book, text, _whole_number(text), _uuid(text), list(ORDER_KINDS))
    return [_hit(row) for row in rows]


def _hit(row: Record) -> Hit:
    return Hit(row["kind"], row["by"], row["number"], row["about"], msgspec.json.decode(row["facts"]))


def _whole_number(text: str) -> int | None:
    number = int(text) if text.isascii() and text.isdigit() else 2**63
    return number if number < 2**63 else None


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


# $1 book, $2 the text, $3 the same as a whole number or null, $4 as a uuid or null, $5 the kinds of orders. A
# comparison with null reads nothing. An index that begins with the merchant account is probed once for each of them.
_ACCOUNTS = "merchant_account = any(array(select id from merchant_account where book = $1))"
_ORDER = "jsonb_build_object('kind', kind, 'state', state, 'amount', amount, 'currency', currency)"
_ATTEMPT = "jsonb_build_object('channel', channel, 'state', state, 'amount', amount, 'currency', currency)"
_SUSPENSE = "jsonb_build_object('reason', reason, 'state', state, 'amount', amount, 'currency', currency)"
_TRANSFER = "jsonb_build_object('state', state, 'amount', amount, 'currency', currency)"
_POSTING = """select 'posting', {by}, p.id::text, coalesce(p.order_no,
        (select h.order_no from posting h where h.book = p.book and h.id = p.reference)),
        jsonb_build_object('pos', p.pos, 'debit', p.debit::text, 'credit', p.credit::text, 'amount', p.amount,
            'code', p.code)
    from posting p where p.book = $1 and p.{column}"""
_PROBES = f"""
    select 'order' as kind, 'order number' as by, order_no as number, order_no as about, {_ORDER} as facts
        from payment_order where book = $1 and order_no = $2
    union all select 'order', 'id', order_no, order_no, {_ORDER}
        from payment_order where book = $1 and kind = any($5::text[]) and id = $3
    union all select 'order', 'business number', order_no, order_no, {_ORDER}
        from payment_order where book = $1 and business_order_no = $2
    union all select 'order', 'idempotency key', order_no, order_no, {_ORDER}
        from payment_order where book = $1 and request_key = $2
    union all select 'attempt', 'attempt number', attempt_no, order_no, {_ATTEMPT}
        from payment_attempt where book = $1 and attempt_no = $2
    union all select 'attempt', 'channel number', attempt_no, order_no, {_ATTEMPT}
        from payment_attempt where book = $1 and {_ACCOUNTS} and channel_ref = $2
    union all select 'suspense_item', 'id', id::text, order_no, {_SUSPENSE}
        from suspense_item where book = $1 and id = $3
    union all select 'suspense_item', 'channel number', id::text, order_no, {_SUSPENSE}
        from suspense_item where book = $1 and {_ACCOUNTS} and channel_ref = $2
    union all select 'event', 'id', id::text, subject, jsonb_build_object('topic', topic)
        from event where book = $1 and id = $3
    union all select 'notice', 'id', n.id::text, coalesce(a.order_no, n.attempt_no),
            jsonb_build_object('state', n.state, 'verdict', n.verdict)
        from channel_notice n left join payment_attempt a on a.book = n.book and a.attempt_no = n.attempt_no
        where n.book = $1 and n.id = $3
    union all select 'exchange', 'id', x.id::text, coalesce(a.order_no, x.attempt_no),
            jsonb_build_object('operation', x.operation, 'outcome', x.outcome)
        from channel_exchange x left join payment_attempt a on a.book = x.book and a.attempt_no = x.attempt_no
        where x.book = $1 and x.id = $3
    union all select 'transfer', 'order number', order_no, order_no, {_TRANSFER}
        from transfer where book = $1 and order_no = $2
    union all select 'transfer', 'business number', order_no, order_no, {_TRANSFER}
        from transfer where book = $1 and business_transfer_no = $2
    union all select 'transfer', 'idempotency key', order_no, order_no, {_TRANSFER}
        from transfer where book = $1 and request_key = $2
    union all select 'transfer_batch', 'order number', b.batch_no, null, jsonb_build_object('size', b.size, 'transfers',
            array(select t.order_no from transfer t where t.book = b.book and t.batch_no = b.batch_no
                  order by t.place limit 100))
        from transfer_batch b where b.book = $1 and b.batch_no = $2
    union all select 'hold', 'id', id::text, used_by, jsonb_build_object('account', account::text, 'reason', reason,
            'state', state, 'amount', amount, 'currency', currency)
        from fund_hold where book = $1 and id = $3
    union all select 'adjustment', 'adjustment number', adjustment_no, adjustment_no, {_TRANSFER}
        from adjustment where book = $1 and adjustment_no = $2
    union all select 'adjustment', 'id', adjustment_no, adjustment_no, {_TRANSFER}
        from adjustment where book = $1 and id = $3
    union all select 'approval', 'id', id::text, subject, jsonb_build_object('kind', kind, 'state', state)
        from approval where book = $1 and id = $3
    union all {_POSTING.format(by="'id'", column="id = $4")}
    union all {_POSTING.format(by="'position'", column="pos = $3")}
    union all select 'account', 'id', a.id::text, null, jsonb_build_object('kind', a.kind, 'subject', a.subject,
            'currency', a.currency, 'owner', a.owner::text, 'status', a.status, 'newest_orders',
            array(select o.order_no from payment_order o where o.book = a.book and o.account = a.id
                  order by o.id desc limit 20))
        from account a where a.book = $1 and a.id = $3
    union all select 'payee', 'id', p.id::text, null, jsonb_build_object('kind', p.kind, 'masked', p.masked,
            'state', p.state, 'newest_withdrawals',
            array(select w.order_no from withdrawal w where w.book = p.book and w.payee = p.id
                  order by w.order_no desc limit 20))
        from payee p where p.book = $1 and p.id = $3
    union all select 'merchant_account', 'id', id::text, null, jsonb_build_object('name', name, 'channel', channel,
            'mode', mode, 'state', state)
        from merchant_account where book = $1 and id = $3
"""  # noqa: S608 - made of constants of this file
