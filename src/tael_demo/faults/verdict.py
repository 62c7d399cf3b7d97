"""The verdict on a fault run: our books, the channel's journal and the customers' diary must tell the same story.

    lost         acknowledged or paid at the channel, and not here
    doubled      two effects of one cause
    unexplained  money here that nobody paid, an answer that is no longer true, a broken chain, something unfinished

Everything is read from outside: SQL over what was committed, the channel's journal, the diary, the receiver's mail.
"""

import asyncio
import time
from collections import Counter, defaultdict
from dataclasses import dataclass, field, replace

from tael.base.db import Tx
from tael.ledger.trial_balance import is_balanced, trial_balance
from tael.ledger.verify import verify
from tael_demo.faults.clients import PATIENCE_S, Impatient
from tael_demo.faults.customers import Customers
from tael_demo.faults.stage import BOOK, RECEIVER_PATH
from tael_sandbox import OrderView


@dataclass(slots=True)
class Findings:
    """What is wrong, in words; nothing is, when all three are empty."""

    lost: list[str] = field(default_factory=list[str])
    doubled: list[str] = field(default_factory=list[str])
    unexplained: list[str] = field(default_factory=list[str])

    @property
    def all(self) -> list[str]:
        """Everything that is wrong."""
        return [*self.lost, *self.doubled, *self.unexplained]


async def finish(customers: Customers) -> None:
    """Let everything end: orders that nobody pays are closed, the rest is waited for. Raises `Impatient`."""
    until = time.monotonic() + PATIENCE_S
    while True:
        paid = {order.out_trade_no for order in await customers.stage.sandbox.orders() if order.payments}
        async with customers.stage.db.transaction() as tx:
            left = [str(row["what"]) for row in await tx.fetch(_UNFINISHED)]
            rows = await tx.fetch(_OPEN)
        for row in rows:
            if row["attempt_no"] not in paid:
                await customers.close(str(row["order_no"]))
        if not left:
            return
        if time.monotonic() > until:
            raise Impatient(f"unfinished: {left[:5]}")
        await asyncio.sleep(0.1)


async def examine(customers: Customers) -> Findings:
    """Compare everything with everything; what must have ended has been waited for with `finish`."""
    await _again(customers)
    findings = Findings(unexplained=list(customers.diary.strange))
    books = await verify(customers.stage.db, BOOK)
    findings.unexplained += [f"ledger: {one.check} {one.where} {one.what}" for one in books.findings]
    channel = await customers.stage.sandbox.orders()
    async with customers.stage.db.report() as tx:
        if not is_balanced(await trial_balance(tx, BOOK)):
            findings.unexplained.append("the trial balance is off")
        await _against_channel(tx, channel, findings)
        await _against_diary(tx, customers, findings)
        await _against_mail(tx, customers, findings)
        findings.unexplained += [f"unfinished: {row['what']}" for row in await tx.fetch(_UNFINISHED)]
    return findings


async def _against_channel(tx: Tx, channel: list[OrderView], findings: Findings) -> None:
    """Per order: as many bookings as payments, of the same amounts, and one order at the channel."""
    orders = {str(row["attempt_no"]): str(row["order_no"]) for row in await tx.fetch(_ATTEMPTS, BOOK)}
    paid: defaultdict[str, list[int]] = defaultdict(list)
    for order in channel:
        if order.out_trade_no not in orders:
            findings.unexplained.append(f"the channel has {order.out_trade_no}, we have no such attempt")
            continue
        paid[orders[order.out_trade_no]] += [payment.total_minor for payment in order.payments]
    for number, count in Counter(orders.get(order.out_trade_no, "") for order in channel).items():
        if count > 1:
            findings.doubled.append(f"{number}: {count} orders at the channel")
    booked: defaultdict[str, list[int]] = defaultdict(list)
    for row in await tx.fetch(_BOOKED, BOOK):
        booked[str(row["order_no"])].append(int(row["amount"]))
    for number in paid.keys() | booked.keys():
        _compare(number, sorted(paid[number]), sorted(booked[number]), findings)


def _compare(number: str, paid: list[int], booked: list[int], findings: Findings) -> None:
    if len(booked) < len(paid):
        findings.lost.append(f"{number}: paid {paid}, booked {booked}")
    elif len(booked) > len(paid) > 0:
        findings.doubled.append(f"{number}: paid {paid}, booked {booked}")
    elif booked != paid:
        findings.unexplained.append(f"{number}: paid {paid}, booked {booked}")


async def _against_diary(tx: Tx, customers: Customers, findings: Findings) -> None:
    """Every 2xx is still true, and a key has one order."""
    kept = {str(row["order_no"]): row for row in await tx.fetch(_ORDERS, BOOK)}
    for key, count in Counter(str(row["request_key"]) for row in kept.values()).items():
        if count > 1:
            findings.doubled.append(f"{key}: {count} orders")
    for told in customers.diary.told.values():
        order, row = told.order, kept.get(told.order.order_no)
        if row is None:
            findings.lost.append(f"{told.plan.key}: acknowledged {order.order_no} is gone")
        elif (str(row["account"]), row["amount"]) != (told.plan.account, told.plan.amount):
            findings.unexplained.append(f"{order.order_no} has another account or amount than acknowledged")
        elif order.state in {"paid", "closed"} and row["state"] != order.state:
            findings.unexplained.append(f"{order.order_no} was {order.state} and is {row['state']}")


async def _against_mail(tx: Tx, customers: Customers, findings: Findings) -> None:
    """Every event was delivered at least once under one id, and an order's events are numbered without gaps."""
    mail = customers.stage.receiver.kept[RECEIVER_PATH]
    told: defaultdict[str, list[int]] = defaultdict(list)
    for row in await tx.fetch(_EVENTS, BOOK):
        told[str(row["subject"])].append(int(row["sequence"]))
        if str(row["id"]) not in mail:
            findings.lost.append(f"event {row['id']} ({row['topic']}) was never delivered")
    for row in await tx.fetch(_ORDERS, BOOK):
        if sorted(told[str(row["order_no"])]) != list(range(1, int(row["events"]) + 1)):
            findings.unexplained.append(f"{row['order_no']}: events {told[str(row['order_no'])]} of {row['events']}")


async def _again(customers: Customers) -> None:
    """Every acknowledged request once more; the diary notes an answer that is not the first one's bytes."""
    for told in list(customers.diary.told.values()):
        await customers.ask(replace(told.plan, repeats=True))


_OPEN = """select o.order_no, a.attempt_no from payment_order o join payment_attempt a using (book, order_no)
           where o.state in ('created', 'paying', 'unknown') and a.state in ('created', 'paying', 'unknown')"""
_UNFINISHED = """
    select 'order ' || order_no || ' ' || state as what from payment_order
    where state in ('created', 'paying', 'unknown')
    union all select 'attempt ' || attempt_no || ' ' || state from payment_attempt
              where state in ('created', 'paying', 'unknown')
    union all select 'task ' || queue || ' ' || key from task where queue = 'recover'
    union all select 'event ' || id from event where published_at is null
    union all select 'delivery of ' || event_id from callback_delivery where status <> 'delivered'"""
_ATTEMPTS = "select attempt_no, order_no from payment_attempt where book = $1"
_ORDERS = "select * from payment_order where book = $1"
_EVENTS = "select id, topic, subject, sequence from event where book = $1 and topic like 'recharge.%'"
_BOOKED = "select order_no, amount from posting where book = $1 and order_no is not null"
