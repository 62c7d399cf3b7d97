"""The trial balance (试算平衡): per subject and currency what its accounts hold; debits and credits must be equal."""

from dataclasses import dataclass

from tael.base.db import Tx
from tael.ledger.records import BookId


@dataclass(frozen=True, slots=True)
class SubjectBalance:
    """The net of a subject's accounts in one currency: exactly one of the two is above zero, or both are zero."""

    subject: str
    currency: str
    accounts: int
    debits: int
    credits: int


async def trial_balance(tx: Tx, book: BookId) -> list[SubjectBalance]:
    """One line per subject and currency, from each account's newest entry. Use a reporting transaction."""
    rows = await tx.fetch(_TRIAL_BALANCE, book)
    return [
        SubjectBalance(row["subject"], row["currency"], row["accounts"], max(0, row["net"]), max(0, -row["net"]))
        for row in rows
    ]


def is_balanced(lines: list[SubjectBalance]) -> bool:
    """Whether debits equal credits in every currency."""
    currencies = {line.currency for line in lines}
    return all(sum(line.debits - line.credits for line in lines if line.currency == one) == 0 for one in currencies)


_TRIAL_BALANCE = """
    with entries as (
        select debit as account, debit_seq as seq, debit_debits as debits, debit_credits as credits
        from posting where book = $1
        union all
        select credit, credit_seq, credit_debits, credit_credits from posting where book = $1
    ), newest as (
        select distinct on (account) account, debits - credits as net from entries order by account, seq desc
    )
    select a.subject, a.currency, count(*)::int as accounts, sum(coalesce(n.net, 0))::bigint as net
    from account a left join newest n on n.account = a.id
    where a.book = $1 group by 1, 2 order by 1, 2"""
