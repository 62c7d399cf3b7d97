"""Count what was lost on the way, outside and inside.

    outside   the channel's notice never came or came too late: the order was settled because we asked (掉单)
    inside    it is settled, but the business does not know yet, or has not made yet what was paid for

Orders and events are counted by when they were made, which their ids tell.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from tael.base.clock import milliseconds
from tael.base.db import Database
from tael.lookup.kinds import MONEY_IN


@dataclass(frozen=True, slots=True)
class External:
    """Orders paid through a channel: all of them, and those that were settled by recovery."""

    paid: int
    recovered: int


@dataclass(frozen=True, slots=True)
class Internal:
    """Events not published (`parked`: given up), deliveries not arrived (`dead`: given up), products not made in time.

    `orders` counts each order, transfer or adjustment that any of this is true of once.
    """

    orders: int
    unpublished: int
    parked: int
    undelivered: int
    dead: int
    unfulfilled: int


@dataclass(frozen=True, slots=True)
class Losses:
    """What was lost of the orders and events made from `since` until before `until`."""

    since: datetime
    until: datetime
    external: Mapping[str, External]
    internal: Internal

    @property
    def recovered(self) -> int:
        """External losses of all channels."""
        return sum(one.recovered for one in self.external.values())


async def count_losses(db: Database, *, book: int, since: datetime, until: datetime, now: datetime) -> Losses:
    """Count losses in one snapshot; products are late or not at `now`."""
    first, beyond = _first_id(since), _first_id(until)
    async with db.report() as tx:
        channels = await tx.fetch(_EXTERNAL, book, list(MONEY_IN), first, beyond)
        inside = await tx.fetchrow(_INTERNAL, book, list(MONEY_IN), first, beyond, now)
    assert inside is not None, "an aggregate has one row"
    return Losses(
        since, until, {row["channel"]: External(row["paid"], row["recovered"]) for row in channels},
        Internal(
            inside["orders"], inside["unpublished"], inside["parked"], inside["undelivered"], inside["dead"],
            inside["unfulfilled"],
        ),
    )  # fmt: skip


def _first_id(at: datetime) -> int:
    """Smaller than every id that is made from this time on."""
    return min(milliseconds(at) << 21, 2**63 - 1)


# What is paid from a balance goes through no channel, and its merchant account is 0.
_EXTERNAL = """
    select a.channel, count(*) as paid, count(*) filter (where not exists (
        select from channel_notice n
        where n.book = a.book and n.attempt_no = a.attempt_no and n.verdict = 'paid')) as recovered
    from payment_order o join payment_attempt a on a.book = o.book and a.order_no = o.order_no
    where o.book = $1 and o.kind = any($2::text[]) and o.id >= $3 and o.id < $4
        and a.state = 'paid' and a.merchant_account <> 0
    group by a.channel order by a.channel"""
_INTERNAL = """
    with lost as (
        select e.subject, case when e.failures < 8 then 'unpublished' else 'parked' end as how from event e
        where e.book = $1 and e.id >= $3 and e.id < $4 and e.published_at is null
        union all
        select e.subject, case d.status when 'dead' then 'dead' else 'undelivered' end
        from callback_delivery d join event e on e.book = d.book and e.id = d.event_id
        where d.book = $1 and d.status <> 'delivered' and d.event_id >= $3 and d.event_id < $4
        union all
        select o.order_no, 'unfulfilled' from payment_order o
            join payment_fulfilment f on f.book = o.book and f.order_no = o.order_no
        where o.book = $1 and o.kind = any($2::text[]) and o.id >= $3 and o.id < $4
            and f.state = 'expected' and o.paid_at + f.within_s * interval '1 second' < $5)
    select count(distinct subject) as orders,
        count(*) filter (where how = 'unpublished') as unpublished, count(*) filter (where how = 'parked') as parked,
        count(*) filter (where how = 'undelivered') as undelivered, count(*) filter (where how = 'dead') as dead,
        count(*) filter (where how = 'unfulfilled') as unfulfilled
    from lost"""
