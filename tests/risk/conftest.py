"""Withdrawals of a person, judged at a moment of one's choice."""

from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime

import pytest

from tael.base.db import Database, DatabaseUnavailable
from tael.base.errors import JsonValue
from tael.ledger import AccountId, BookId, NewAccount, open_accounts, open_book
from tael.risk import Judgement, Question, Risk
from tael.risk.rule_sets import shipped_files

BOOK = 1
PERSON = 1001
MORNING = datetime(2026, 1, 5, 2, tzinfo=UTC)  # 10 o'clock in Shanghai


@pytest.fixture
def risk() -> Risk:
    return Risk()


def asks(number: object, amount: int = 10_000, **more: object) -> Question:
    """A withdrawal to a payee that nobody used before."""
    given: dict[str, object] = {
        "book": BOOK, "operation": "withdrawal", "number": f"WD{number}", "person": PERSON, "account": 1,
        "amount": amount, "currency": "CNY", "payee": f"card {number}",
    } | more  # fmt: skip
    return Question(**given)  # type: ignore[arg-type]


async def judge(db: Database, risk: Risk, questions: Sequence[Question], now: datetime = MORNING) -> list[Judgement]:
    async with db.transaction() as tx:
        return await risk.judge(tx, questions, now=now)


async def patiently(db: Database, risk: Risk, questions: Sequence[Question]) -> list[Judgement]:
    """Whoever waited too long for his turn behind a crowd is told that nothing was done, and asks again."""
    while True:
        with suppress(DatabaseUnavailable):
            return await judge(db, risk, questions)


def shipped() -> dict[str, JsonValue]:
    """A copy of the shipped rules for withdrawals."""
    (written,) = [one for one in shipped_files() if one.operation == "withdrawal"]
    return written.content


def table(
    *rows: tuple[str, str, str], policy: str = "collect", field: str = "", last: str = "pass", **more: object
) -> dict[str, JsonValue]:
    """A rule set of (condition, rule, outcome) with one column."""
    written: list[JsonValue] = [
        {"_id": rule, "c": cell, "rule": f'"{rule}"', "outcome": f'"{outcome}"'} for cell, rule, outcome in rows
    ]
    written.append({"_id": "otherwise", "c": "", "rule": '"otherwise"', "outcome": f'"{last}"'})
    content: dict[str, JsonValue] = {
        "hitPolicy": policy, "inputs": [{"id": "c", "name": "condition", "field": field}],
        "outputs": [{"id": "rule", "field": "rule"}, {"id": "outcome", "field": "outcome"}], "rules": written,
    }  # fmt: skip
    content |= more  # type: ignore[arg-type]
    return {
        "nodes": [
            {"id": "a", "type": "inputNode", "name": "in"},
            {"id": "b", "type": "decisionTableNode", "name": "table", "content": content},
            {"id": "c", "type": "outputNode", "name": "out"},
        ],
        "edges": [{"id": "x", "sourceId": "a", "targetId": "b"}, {"id": "y", "sourceId": "b", "targetId": "c"}],
    }


@pytest.fixture
async def accounts(db: Database) -> tuple[int, int]:
    """Two accounts of the person, opened a year before the morning; account 9 is the company's own."""
    a_year_ago = MORNING.replace(year=2025)
    async with db.transaction() as tx:
        await open_book(tx, BookId(BOOK), name="company", now=a_year_ago)
        new = [
            NewAccount(book=BookId(BOOK), id=AccountId(one), subject=subject, currency="CNY", kind=kind, owner=owner)
            for one, subject, kind, owner in (
                (1, "customer.balance", "customer", PERSON), (2, "customer.balance", "customer", PERSON),
                (9, "bank", "internal", None),
            )
        ]  # fmt: skip
        await open_accounts(tx, new, now=a_year_ago)
    return 1, 2
