"""The facts that rules may ask about, gathered for many questions at once.

    of the question    amount, currency, payee, extra
    of the account     account_days (since it was opened), account_frozen
    of the time        hour (0..23, Asia/Shanghai)
    of the person      count and amount today, of 7 and of 30 calendar days (today included), count of the last hour,
                       first_payee: this payee was not used by this person on an earlier day

What counts is what was judged before and not refused, over all accounts of the person, unless it did not happen in the
end; the question itself is not in it. Amounts are minor units of the question's currency. Whole numbers never leave 64
bits: what is larger counts as the largest.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from tael.base.clock import ACCOUNTING_ZONE, accounting_day
from tael.base.db import Tx
from tael.base.errors import JsonValue
from tael.base.money import MAX_MINOR
from tael.ledger.directory import AccountFacts, find_accounts
from tael.risk import store
from tael.risk.store import Use

_NUMBER: Final = (0, MAX_MINOR)
FACTS: Final[dict[str, tuple[JsonValue, ...]]] = {
    "amount": _NUMBER, "currency": ("CNY", "USD"), "payee": (None, "6222020200012345678"),
    "count_today": _NUMBER, "amount_today": _NUMBER, "count_7_days": _NUMBER, "amount_7_days": _NUMBER,
    "count_30_days": _NUMBER, "amount_30_days": _NUMBER, "count_hour": _NUMBER, "first_payee": (False, True),
    "account_days": _NUMBER, "account_frozen": (False, True), "hour": (0, 23), "extra": ({},),
}  # fmt: skip
"""Every fact by name, with the values that a rule set is tried with before it is put into service."""


@dataclass(frozen=True, slots=True)
class Question:
    """May this person do this? `number` is the operation's own number and asks once; `extra` are further facts.

    Facts are kept and shown: `payee` names the payee without a secret, by its id or a digest of its card.
    """

    book: int
    operation: str
    number: str
    person: int
    account: int
    amount: int
    currency: str
    payee: str | None = None
    extra: dict[str, JsonValue] = field(default_factory=dict[str, JsonValue])


@dataclass(slots=True)
class Known:
    """What is known about the persons of a batch: read once, then kept up as the batch is judged one by one."""

    now: datetime
    uses: dict[tuple[int, int, str], list[Use]]
    payees: set[tuple[int, int, str, str]]
    accounts: dict[tuple[int, int], AccountFacts]

    def facts(self, question: Question) -> dict[str, JsonValue]:
        """The facts of one question."""
        today = accounting_day(self.now)
        uses = self.uses.get((question.book, question.person, question.operation), [])
        account = self.accounts.get((question.book, question.account))
        used = (question.book, question.person, question.operation, question.payee or "") in self.payees
        facts: dict[str, JsonValue] = {
            "amount": question.amount, "currency": question.currency, "payee": question.payee,
            "count_hour": sum(use.last_hour for use in uses),
            "first_payee": question.payee is not None and not used,
            "account_days": 0 if account is None else max(0, (today - accounting_day(account.opened_at)).days),
            "account_frozen": account is not None and account.frozen,
            "hour": self.now.astimezone(ACCOUNTING_ZONE).hour, "extra": question.extra,
        }  # fmt: skip
        for name, days in (("today", 1), ("7_days", 7), ("30_days", 30)):
            since = today - timedelta(days=days - 1)
            recent = [use for use in uses if use.day >= since]
            facts[f"count_{name}"] = sum(use.count for use in recent)
            same = sum(use.amount for use in recent if use.currency == question.currency)
            facts[f"amount_{name}"] = min(same, MAX_MINOR)
        return facts

    def count(self, question: Question) -> None:
        """From now on, this question counts."""
        uses = self.uses.setdefault((question.book, question.person, question.operation), [])
        uses.append(Use(accounting_day(self.now), question.currency, 1, question.amount, 1))


async def gather(tx: Tx, questions: Sequence[Question], *, now: datetime) -> Known:
    """What the database knows about the persons, payees and accounts of these questions."""
    today = accounting_day(now)
    uses = await store.uses(tx, _persons(questions), since=today - timedelta(days=29), hour=now - timedelta(hours=1))
    asked = sorted({(one.book, one.person, one.operation, one.payee) for one in questions if one.payee is not None})
    payees = await store.used_payees(tx, asked, before=today) if asked else set[tuple[int, int, str, str]]()
    accounts = await find_accounts(tx, [(one.book, one.account) for one in questions])
    return Known(now, uses, payees, accounts)


def _persons(questions: Sequence[Question]) -> list[tuple[int, int, str]]:
    return sorted({(one.book, one.person, one.operation) for one in questions})
