"""Is the book still what was written? Every invariant, checked by PostgreSQL over all rows of a book.

    altered, positions, chains, limits, accounts, groups, holds, settlements, reversals, sums, head, refused

The check of a row against its checksum finds any change made behind the program's back, in any column; the others
recompute what a row must say from the rows before it. The checksum is no secret: it finds accidents and edits, not a
forger who recomputes it. Against a forger stands the chain: later rows of both accounts would have to be rewritten too.
"""

from dataclasses import dataclass
from typing import Final

from tael.base.db import Database
from tael.ledger.accounts import CHECKSUM
from tael.ledger.records import BookId
from tael.ledger.store import UnknownBook

SHOWN: Final = 20
"""The most findings that each check reports; the count is always complete."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is not as it was written: which `check`, which row or account (`where`), and what is wrong."""

    check: str
    where: str
    what: str


@dataclass(frozen=True, slots=True)
class Report:
    """The state of a book. `counts` has the number of findings of every check, `findings` the first of each."""

    book: BookId
    postings: int
    accounts: int
    counts: dict[str, int]
    findings: list[Finding]

    @property
    def ok(self) -> bool:
        """Whether nothing was found."""
        return not any(self.counts.values())


# An entry is one side of a row: what the account's sums are after it, and what the row must have added to them.
_ENTRY: Final = """
    entry as (
        select p.pos, s.account, s.seq, s.debits, s.credits, s.debits_held, s.credits_held, s.closed,
            case when s.debit and p.kind in (0, 2, 5) then p.amount else 0 end as adds_debits,
            case when not s.debit and p.kind in (0, 2, 5) then p.amount else 0 end as adds_credits,
            case when not s.debit then 0 when p.kind = 1 then p.amount else coalesce(-h.amount, 0) end
                as adds_debits_held,
            case when s.debit then 0 when p.kind = 1 then p.amount else coalesce(-h.amount, 0) end
                as adds_credits_held
        from posting p left join posting h on h.book = $1 and h.id = p.reference and p.kind in (2, 3, 4)
        cross join lateral (values
            (true, p.debit, p.debit_seq, p.debit_debits, p.debit_credits, coalesce(p.debit_debits_held, 0),
                coalesce(p.debit_credits_held, 0), coalesce(p.flags & 1024 <> 0, false)),
            (false, p.credit, p.credit_seq, p.credit_debits, p.credit_credits, coalesce(p.credit_debits_held, 0),
                coalesce(p.credit_credits_held, 0), coalesce(p.flags & 2048 <> 0, false))
        ) s(debit, account, seq, debits, credits, debits_held, credits_held, closed)
        where p.book = $1),
    last as (select distinct on (account) * from entry order by account, seq desc)"""

_CHECKS: Final = {
    "altered": """
        select 'posting ' || p.pos, 'differs from its checksum' from posting p
        where p.book = $1 and posting_checksum(p) <> p.checksum""",
    "positions": """
        select 'posting ' || pos,
            case when pos <> before + 1 then 'follows ' || before else 'is earlier than its predecessor' end
        from (select pos, at, day, lag(pos, 1, 0::bigint) over w as before, lag(at) over w as at_before,
            lag(day) over w as day_before from posting where book = $1 window w as (order by pos)) p
        where pos <> before + 1 or at < at_before or day < day_before""",
    "chains": f"""
        with {_ENTRY}, linked as (select *, lag(pos) over w as pos_before, lag(seq, 1, 0::bigint) over w as seq_before,
            lag(debits, 1, 0::bigint) over w as d, lag(credits, 1, 0::bigint) over w as c,
            lag(debits_held, 1, 0::bigint) over w as dh, lag(credits_held, 1, 0::bigint) over w as ch
            from entry window w as (partition by account order by seq))
        select 'posting ' || pos, 'account ' || account || ' entry ' || seq || case
            when seq <> seq_before + 1 then ' follows entry ' || seq_before
            when pos < pos_before then ' stands before its predecessor'
            else ' does not continue the balance of entry ' || seq_before end
        from linked
        where seq <> seq_before + 1 or pos < pos_before or debits <> d + adds_debits or credits <> c + adds_credits
            or debits_held <> dh + adds_debits_held or credits_held <> ch + adds_credits_held""",  # noqa: S608 (our own columns)
    "limits": f"""
        with {_ENTRY} select 'posting ' || e.pos, 'account ' || e.account || ' is beyond its limit'
        from entry e join account a on a.book = $1 and a.id = e.account
        where (a.limits = 1 and e.debits + e.debits_held > e.credits)
            or (a.limits = 2 and e.credits + e.credits_held > e.debits)""",  # noqa: S608 (our own columns)
    "accounts": f"""
        select 'account ' || id, 'differs from its checksum' from account where book = $1 and checksum <> {CHECKSUM}
        union all
        select 'posting ' || p.pos, case when d.id is null then 'account ' || p.debit || ' does not exist'
            when c.id is null then 'account ' || p.credit || ' does not exist'
            else 'its accounts differ in currency' end
        from posting p left join account d on d.book = $1 and d.id = p.debit
            left join account c on c.book = $1 and c.id = p.credit
        where p.book = $1 and (d.currency is distinct from c.currency or d.id is null)""",  # noqa: S608 (our own columns)
    "groups": """
        select 'posting ' || pos, 'its group is not complete'
        from (select pos, coalesce(leg, 0) as leg, coalesce(flags & 1 <> 0, false) as linked,
            lead(coalesce(leg, 0), 1, 0) over w as leg_after, lag(coalesce(leg, 0), 1, -1) over w as leg_before,
            lag(coalesce(flags & 1 <> 0, false), 1, false) over w as linked_before
            from posting where book = $1 window w as (order by pos)) p
        where (linked and leg_after <> leg + 1) or (leg > 0 and not (linked_before and leg_before = leg - 1))""",
    "holds": f"""
        with {_ENTRY}, logged as (
            select h.id, h.pos, h.debit, h.credit, h.amount, h.at + make_interval(secs => h.timeout_s) as expires_at
            from posting h where h.book = $1 and h.kind = 1 and not exists (
                select from posting e where e.book = $1 and e.reference = h.id and e.kind in (2, 3, 4))),
        held as (select account, sum(d)::bigint as d, sum(c)::bigint as c from (
            select debit as account, amount as d, 0 as c from logged
            union all select credit, 0, amount from logged) h group by account)
        select 'hold ' || coalesce(l.id, o.id), case when o.id is null then 'is open but not listed'
            when l.id is null then 'is listed but not open' else 'is listed differently' end
        from logged l full join (select * from open_hold where book = $1) o on o.id = l.id
        where (l.pos, l.debit, l.credit, l.amount, l.expires_at)
            is distinct from (o.pos, o.debit, o.credit, o.amount, o.expires_at)
        union all
        select 'account ' || coalesce(l.account, h.account), 'open holds differ from the held columns'
        from last l full join held h on h.account = l.account
        where (coalesce(l.debits_held, 0), coalesce(l.credits_held, 0)) <> (coalesce(h.d, 0), coalesce(h.c, 0))""",  # noqa: S608 (our own columns)
    "settlements": """
        select 'posting ' || p.pos, case when h.id is null then 'ends a hold that does not exist'
            when h.kind <> 1 then 'ends something that is no hold' when p.pos < h.pos then 'ends a later hold'
            when p.amount > h.amount then 'ends more than was held'
            else 'ends a hold that had ended, or its accounts differ' end
        from (select *, row_number() over (partition by reference order by pos) as time from posting
            where book = $1 and kind in (2, 3, 4)) p
        left join posting h on h.book = $1 and h.id = p.reference
        where h.id is null or h.kind <> 1 or p.pos < h.pos or p.amount > h.amount or p.time > 1
            or (p.debit, p.credit) <> (h.debit, h.credit) or (p.kind in (3, 4) and p.amount <> h.amount)""",
    "reversals": """
        select 'posting ' || p.pos, case when o.id is null then 'reverses nothing' when p.total > o.amount
            then 'reverses more than was posted' else 'does not mirror the original' end
        from (select *, sum(amount) over (partition by reference order by pos) as total from posting
            where book = $1 and kind = 5) p
        left join posting o on o.book = $1 and o.id = p.reference and o.kind in (0, 2)
        where o.id is null or p.total > o.amount or (p.debit, p.credit) <> (o.credit, o.debit)""",
    "sums": f"""
        with {_ENTRY} select 'currency ' || a.currency, 'debits and credits of all accounts differ by '
            || (sum(l.debits) - sum(l.credits)) || ', held by ' || (sum(l.debits_held) - sum(l.credits_held))
        from last l join account a on a.book = $1 and a.id = l.account group by a.currency
        having sum(l.debits) <> sum(l.credits) or sum(l.debits_held) <> sum(l.credits_held)""",  # noqa: S608 (our own columns)
    "head": """
        select 'head', 'is not at the end of the log'
        from book_head h left join lateral (
            select max(pos) as pos, max(at) as at, max(day) as day from posting where book = $1) p on true
        where h.book = $1 and (h.pos <> coalesce(p.pos, 0) or h.at < p.at or h.day < p.day or coalesce(
            h.next_expiry > (select min(expires_at) from open_hold where book = $1),
            h.next_expiry is null and exists (select from open_hold where book = $1 and expires_at is not null)))""",
    "refused": """
        select 'posting ' || p.pos, 'its id was refused' from posting p join refused_posting r
            on r.book = $1 and r.id = p.id where p.book = $1""",
}  # fmt: skip


async def verify(db: Database, book: BookId) -> Report:
    """Check every row of a book in one snapshot, while it is being written. Raises `UnknownBook`."""
    counts: dict[str, int] = {}
    findings: list[Finding] = []
    async with db.report() as tx:
        sizes = await tx.fetchrow(
            """select (select count(*) from posting where book = $1) as postings,
                (select count(*) from account where book = $1) as accounts from book where book = $1""",
            book,
        )
        if sizes is None:
            raise UnknownBook(str(book))
        for check, sql in _CHECKS.items():
            found = await tx.fetch(
                f"select *, count(*) over () from ({sql}) found(place, what) limit {SHOWN}",  # noqa: S608 (our own)
                book,
            )
            counts[check] = found[0]["count"] if found else 0
            findings += [Finding(check, record["place"], record["what"]) for record in found]
    return Report(book, sizes["postings"], sizes["accounts"], counts, findings)
