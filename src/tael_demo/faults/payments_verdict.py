"""The verdict on a payments fault run: our books, the channels' own books and the customers' diary tell one story.

    lost         acknowledged, or done at a channel, and not here
    doubled      two effects of one cause
    unexplained  the rest: an answer that is no longer true, books that do not agree, something unfinished

Everything is read from outside: SQL over what was committed, the channels' journals, the diary, the receiver's mail.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise

from tael.base.db import Tx
from tael.ledger import AccountId, balance
from tael.ledger.directory import named_account
from tael.ledger.trial_balance import is_balanced, trial_balance
from tael.ledger.verify import verify
from tael.orders import ORDER_MOVES, OrderState
from tael.payments.chart import CHANNEL_RECEIVABLE
from tael_demo.faults import payments_world as world
from tael_demo.faults.payments_crowd import Crowd
from tael_demo.faults.payments_stage import CURRENCY
from tael_demo.faults.payments_world import Told
from tael_demo.faults.stage import BOOK, RECEIVER_PATH
from tael_demo.faults.verdict import Findings

PAID_IN, REFUNDED, PAID_OUT, RETURNED = (101, 102, 103), (121, 123), (111, 112), (113,)
"""Transaction codes: money from payers, back to payers, out to payees, and back from their banks."""


async def examine(crowd: Crowd) -> Findings:
    """Compare everything with everything; what must have ended has been waited for with `finish`."""
    await _again(crowd)
    findings = Findings(unexplained=list(crowd.diary.strange))
    books = await verify(crowd.stage.db, BOOK)
    findings.unexplained += [f"ledger: {one.check} {one.where} {one.what}" for one in books.findings]
    told = await world.read(crowd.stage)
    async with crowd.stage.db.report() as tx:
        await judge(tx, crowd, told, findings)
    return findings


async def judge(tx: Tx, crowd: Crowd, told: Told, findings: Findings) -> None:
    """Compare what one transaction sees with what the channels have done and the customers were told."""
    if not is_balanced(await trial_balance(tx, BOOK)):
        findings.unexplained.append("the trial balance is off")
    await _against_channels(tx, told, findings)
    await _against_channels_books(tx, crowd, told, findings)
    await _against_diary(tx, crowd, findings)
    await _against_mail(tx, crowd, findings)
    for what, statement in _INVARIANTS.items():
        findings.unexplained += [f"{what}: {row['what']}" for row in await tx.fetch(statement, BOOK)]


async def _against_channels(tx: Tx, told: Told, findings: Findings) -> None:
    """Per order: what the channels did is what is booked, no more and no less, and no payee or payer got it twice."""
    attempts = await tx.fetch(_ATTEMPTS, BOOK)
    orders = {str(row["attempt_no"]): str(row["order_no"]) for row in attempts}
    findings.unexplained += [f"a channel has {one}, we have no such attempt" for one in told.asked - orders.keys()]
    # A bank that had sent the money back before we heard that it was paid: for us the payout has failed, once.
    unheard = {str(row["attempt_no"]) for row in attempts if row["state"] == "failed"} & told.returned.keys()
    rows = await tx.fetch(_BOOKED, BOOK)
    for what, codes, done in (
        ("paid", PAID_IN, told.paid), ("refunded", REFUNDED, told.refunded), ("paid out", PAID_OUT, told.paid_out),
        ("returned", RETURNED, told.returned),
    ):  # fmt: skip
        there: defaultdict[str, list[int]] = defaultdict(list)
        for number, amounts in done.items():
            if number in orders and (number not in unheard or codes in {PAID_IN, REFUNDED}):
                there[orders[number]] += amounts
        here: defaultdict[str, list[int]] = defaultdict(list)
        for row in rows:
            if row["code"] in codes:
                here[str(row["order_no"])].append(int(row["amount"]))
        for order in there.keys() | here.keys():
            _compare(f"{order} {what}", sorted(there[order]), sorted(here[order]), findings)
            if codes != PAID_IN and len(there[order]) > 1:
                findings.doubled.append(f"{order}: {what} {len(there[order])} times by channels")


def _compare(what: str, there: list[int], here: list[int], findings: Findings) -> None:
    if len(here) < len(there):
        findings.lost.append(f"{what}: at the channel {there}, booked {here}")
    elif len(here) > len(there) > 0:
        findings.doubled.append(f"{what}: at the channel {there}, booked {here}")
    elif here != there:
        findings.unexplained.append(f"{what}: at the channel {there}, booked {here}")


async def _against_channels_books(tx: Tx, crowd: Crowd, told: Told, findings: Findings) -> None:
    """What each channel owes us by our books is what it has by its own."""
    for channel, account in crowd.channels.accounts.items():
        ours = named_account(BOOK, subject=CHANNEL_RECEIVABLE, owner=account, currency=CURRENCY)
        known = await tx.fetchval("select count(*) from account where book = $1 and id = $2", BOOK, ours)
        # A debit account's total is what it holds; it counts down for us when it is in credit.
        here = (await balance(tx, BOOK, AccountId(ours))).total if known else 0
        there = told.net[crowd.channels.at_channel[channel]]
        if here != there:
            findings.unexplained.append(f"{channel}: its book says {there}, ours says {here}")


async def _against_diary(tx: Tx, crowd: Crowd, findings: Findings) -> None:
    """Every 2xx is still true, a key has one order, and a decision that was acknowledged has held."""
    kept = {str(row["order_no"]): row for row in await tx.fetch(_ORDERS, BOOK)}
    moved = {str(row["order_no"]): row for row in await tx.fetch(_TRANSFERS, BOOK)}
    keys = Counter(str(row["request_key"]) for row in [*kept.values(), *moved.values()])
    findings.doubled += [f"{key}: {count} orders" for key, count in keys.items() if count > 1]
    for key, told in crowd.diary.told.items():
        seen = told.seen
        row = moved.get(seen.number) if told.ask.path == "/v1/transfers" else kept.get(seen.number)
        if row is None:
            findings.lost.append(f"{key}: acknowledged {seen.number} is gone")
        elif row["amount"] != seen.amount or str(row["request_key"]) != key:
            findings.unexplained.append(f"{seen.number} is not what was acknowledged for {key}")
        elif seen.state in _STAYS and row["state"] not in _STAYS[seen.state]:
            findings.unexplained.append(f"{seen.number} was {seen.state} and is {row['state']}")
    for number, decisions in crowd.diary.decided.items():
        # What is approved may still be cancelled, as long as no channel was asked; never the other way round.
        state = str(kept[number]["state"]) if number in kept else "gone"
        if ("end" in decisions) != (state == "invalid") or state in {"reviewing", "gone"}:
            findings.unexplained.append(f"{number}: {sorted(decisions)} were acknowledged, and it is {state}")


async def _against_mail(tx: Tx, crowd: Crowd, findings: Findings) -> None:
    """Every event was delivered, an order's events are numbered without gaps, and they tell of legal moves only."""
    mail = crowd.stage.receiver.kept[RECEIVER_PATH]
    told: defaultdict[str, list[int]] = defaultdict(list)
    states: defaultdict[str, list[OrderState]] = defaultdict(list)
    for row in await tx.fetch(_EVENTS, BOOK):
        number = str(row["subject"])
        told[number].append(int(row["sequence"]))
        if row["state"] in _STATES:
            states[number].append(OrderState(str(row["state"])))
        if str(row["id"]) not in mail:
            findings.lost.append(f"event {row['id']} ({row['topic']}) was never delivered")
    for row in await tx.fetch(_ORDERS, BOOK):
        number = str(row["order_no"])
        if told[number] != list(range(1, int(row["events"]) + 1)):
            findings.unexplained.append(f"{number}: events {told[number]} of {row['events']}")
        _check_path(number, [OrderState.CREATED, *states[number], OrderState(str(row["state"]))], findings)


def _check_path(number: str, path: Sequence[OrderState], findings: Findings) -> None:
    for was, becomes in pairwise(path):
        if becomes not in _REACHABLE[was]:
            findings.unexplained.append(f"{number}: {was} cannot have become {becomes}")


def _closure() -> Mapping[OrderState, frozenset[OrderState]]:
    """The states that can come after each state, itself included: not every move tells an event."""
    found = {state: {state, *after} for state, after in ORDER_MOVES.items()}
    for _ in ORDER_MOVES:
        for reached in found.values():
            reached |= {further for state in tuple(reached) for further in ORDER_MOVES[state]}
    return {state: frozenset(reached) for state, reached in found.items()}


async def _again(crowd: Crowd) -> None:
    """Every acknowledged request once more; the diary notes an answer that is not the first one's bytes."""
    for told in list(crowd.diary.told.values()):
        if await crowd.ask(replace(told.ask, repeats=True)) is None:
            crowd.diary.strange.append(f"{told.ask.key}: was acknowledged, and is refused now")


_STATES = frozenset(OrderState)
_REACHABLE = _closure()
_STAYS: dict[str, frozenset[str]] = {
    "paid": frozenset({"paid", "refunding", "refunded", "returned"}), "closed": frozenset({"closed"}),
    "done": frozenset({"done"}),
}  # fmt: skip
UNFINISHED = """
    select 'order ' || kind || ' ' || order_no || ' ' || state || coalesce(' ' || reason, '') as what
    from payment_order
    where state in ('created', 'paying', 'unknown', 'reviewing', 'approved', 'refunding') or refund_pending > 0
    union all select 'attempt ' || attempt_no || ' ' || state from payment_attempt
              where state in ('created', 'paying', 'unknown')
    union all select 'task ' || queue || ' ' || key || coalesce(' ' || last_error, '') from task
              where due_at < clock_timestamp() + interval '2 hours'
    union all select 'suspense ' || id || ' ' || state from suspense_item
              where state = 'refunding' or state = 'proposed' and reason in ('late_payment', 'paid_twice')
                    and not exists (select from refund r where r.book = suspense_item.book
                                    and r.suspense_item = suspense_item.id and r.abandoned)
    union all select 'event ' || id from event where published_at is null
    union all select 'delivery of ' || event_id from callback_delivery where status <> 'delivered'"""
_INVARIANTS = {
    "unfinished": f"select what from ({UNFINISHED}) left_over where $1 > 0",  # noqa: S608 (our own words)
    "a hold is open though nothing waits for it": """
        select id::text || ' ' || amount as what from open_hold where book = $1""",
    "quota is held though nothing waits for it": """
        select number as what from route_hold where book = $1 and state = 'held'""",
    "quota used is not what was paid out": """
        select coalesce(r.merchant_account, p.merchant_account) || ': used ' || coalesce(r.used, 0) || ', paid '
               || coalesce(p.paid, 0) as what
        from (select merchant_account, sum(amount) as used from route_hold
              where book = $1 and operation = 'payout' and state in ('used', 'returned') group by 1) r
        full join (select a.merchant_account, sum(a.amount) as paid from payment_attempt a
                   join payment_order o using (book, order_no)
                   where a.book = $1 and o.kind = 'withdrawal' and a.state in ('paid', 'returned') group by 1) p
             on p.merchant_account = r.merchant_account
        where r.used is distinct from p.paid""",
    "the quota's windows are not the sum of their uses": """
        select w.merchant_account || ' ' || w.starts || ': ' || w.used_amount || ', held ' || w.held_amount as what
        from quota_window w left join (
            select merchant_account, day, sum(amount) filter (where state = 'used') as used,
                   sum(amount) filter (where state = 'held') as held
            from route_hold where book = $1 and operation = 'payout' group by 1, 2) h
            on h.merchant_account = w.merchant_account and h.day = w.starts
        where w.book = $1 and w.operation = 'payout' and w.period = 'day' and w.payee = ''
              and (w.used_amount, w.held_amount) is distinct from (coalesce(h.used, 0), coalesce(h.held, 0))""",
    "what went back of a payment is not the sum of its refunds": """
        select o.order_no || ': ' || o.refunded || ' of ' || o.amount || ', refunds ' || coalesce(r.sum, 0) as what
        from payment_order o left join (
            select r.payment_no, sum(b.amount) as sum from refund r join payment_order b using (book, order_no)
            where r.book = $1 and r.source <> 'suspense' and b.state = 'paid' group by 1) r on r.payment_no = o.order_no
        where o.book = $1 and o.kind in ('recharge', 'payment')
              and (o.refunded <> coalesce(r.sum, 0) or o.refunded > o.amount)""",
    "paid at a channel and not here": """
        select o.order_no || ' ' || o.state as what from payment_order o
        where o.book = $1 and o.kind in ('recharge', 'payment') and o.state not in ('paid', 'refunded')
              and exists (select from posting p where p.book = o.book and p.order_no = o.order_no
                          and p.code in (101, 103))""",
    "paid out, and nobody else has approved it": """
        select o.order_no as what from payment_order o join withdrawal w using (book, order_no)
        where o.book = $1 and o.state in ('paid', 'returned') and not exists (
            select from approval a join approval_decision d on d.book = a.book and d.approval = a.id
            where a.book = o.book and a.kind = 'withdrawal' and a.subject = o.order_no and a.state = 'approved'
                  and d.decision = 'approve' and d.checker <> w.maker)""",
}
"""Statements that find nothing in a world that is in order."""
_ATTEMPTS = "select attempt_no, order_no, state from payment_attempt where book = $1"
_ORDERS = "select * from payment_order where book = $1 order by order_no"
_TRANSFERS = "select order_no, amount, request_key, 'done' as state from transfer where book = $1"
_EVENTS = """select id, topic, subject, sequence, payload ->> 'state' as state from event
             where book = $1 order by subject, sequence"""
_BOOKED = "select order_no, code, amount from posting where book = $1 and order_no is not null and kind in (0, 2)"
