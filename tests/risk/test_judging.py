"""Verdicts on withdrawals: limits per person and day, serial under parallel requests, stored once and for ever."""

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta

import msgspec
import pytest

from risk.conftest import BOOK, MORNING, PERSON, asks, judge, patiently
from tael.base.db import Database
from tael.risk import Question, Risk, RiskNumberReused, RiskOutcome, RiskRefused, freeze, require_allowed

PASS, REVIEW, REFUSE = RiskOutcome.PASS, RiskOutcome.REVIEW, RiskOutcome.REFUSE
EVENING = MORNING.replace(hour=15, minute=59)  # 23:59 in Shanghai


async def rows(db: Database, sql: str, *args: object) -> list[tuple[object, ...]]:
    async with db.transaction() as tx:
        return [tuple(row) for row in await tx.fetch(sql, *args)]


CASES: list[tuple[str, list[tuple[datetime, Question]], RiskOutcome, tuple[str, ...]]] = [
    ("the first", [(MORNING, asks(1))], PASS, ()),
    ("the third", [(MORNING, asks(n)) for n in (1, 2, 3)], PASS, ()),
    ("the fourth", [(MORNING, asks(n)) for n in (1, 2, 3, 4)], REFUSE, ("daily_count",)),
    ("over two accounts", [(MORNING, asks(n, account=n % 2 + 1)) for n in (1, 2, 3, 4)], REFUSE, ("daily_count",)),
    ("another person", [*((MORNING, asks(n)) for n in (1, 2, 3)), (MORNING, asks(4, person=7))], PASS, ()),
    ("another company", [*((MORNING, asks(n)) for n in (1, 2, 3)), (MORNING, asks(4, book=7))], PASS, ()),
    ("after midnight", [*((EVENING, asks(n)) for n in (1, 2, 3)), (EVENING + timedelta(minutes=1), asks(4))], PASS, ()),
    ("the limit", [(MORNING, asks(1, 1_000_000, payee=None))], PASS, ()),
    ("above it", [(MORNING, asks(1, 1_000_001, payee=None))], REFUSE, ("daily_amount",)),
    (
        "above it together", [(MORNING, asks(1, 400_000)), (MORNING, asks(2, 600_001, payee=None))], REFUSE,
        ("daily_amount",),
    ),
    (
        "what was refused does not count", [(MORNING, asks(1, 1_000_001)), (MORNING, asks(2, 400_000))], PASS, (),
    ),
    ("much to a new payee", [(MORNING, asks(1, 500_000))], REVIEW, ("first_payee",)),
    ("little less to a new payee", [(MORNING, asks(1, 499_999))], PASS, ()),
    (
        "a payee probed a moment ago", [(MORNING, asks(1, 100, payee="A")), (MORNING, asks(2, 500_000, payee="A"))],
        REVIEW, ("first_payee",),
    ),
    (
        "a payee of yesterday",
        [(MORNING, asks(1, 100, payee="A")), (MORNING + timedelta(days=1), asks(2, 500_000, payee="A"))], PASS, (),
    ),
    (
        "a payee of somebody else",
        [(MORNING, asks(1, payee="A", person=7)), (MORNING + timedelta(days=1), asks(2, 500_000, payee="A"))], REVIEW,
        ("first_payee",),
    ),
    ("all that object", [(MORNING, asks(1, 1_000_001))], REFUSE, ("daily_amount", "first_payee")),
    ("another currency", [(MORNING, asks(1, currency="USD"))], REVIEW, ("other_currency",)),
    ("the largest amount", [(MORNING, asks(1, 2**63 - 1, payee=None))], REFUSE, ("daily_amount",)),
    ("an operation without rules", [(MORNING, asks(1, operation="barter"))], REVIEW, ("no_rules",)),
]  # fmt: skip


@pytest.mark.parametrize(("questions", "outcome", "rules"), [case[1:] for case in CASES], ids=[one[0] for one in CASES])
async def test_the_shipped_rules(
    questions: list[tuple[datetime, Question]], outcome: RiskOutcome, rules: tuple[str, ...], db: Database, risk: Risk
) -> None:
    for now, question in questions:
        (last,) = await judge(db, risk, [question], now)
    assert (last.outcome, last.rules) == (outcome, rules)
    assert bool(last.reason) == (outcome is not PASS)


@pytest.mark.parametrize("questions", [[one for _, one in case[1]] for case in CASES], ids=[one[0] for one in CASES])
async def test_a_batch_is_judged_as_one_after_the_other(questions: list[Question], db: Database, risk: Risk) -> None:
    together = await judge(db, risk, questions)
    apart = [(await judge(db, risk, [replace(one, book=one.book + 100)]))[0] for one in questions]
    assert [(one.outcome, one.rules) for one in together] == [(one.outcome, one.rules) for one in apart]


async def test_exactly_three_of_a_hundred_at_once_pass(dsn: str) -> None:
    """Four processes' worth of judges, a connection for each request, one person, two accounts."""
    judges = [Risk() for _ in range(4)]
    async with await Database.connect(dsn, min_size=0, max_size=100) as db:

        async def ask(number: int) -> RiskOutcome:
            (one,) = await patiently(db, judges[number % 4], [asks(number, account=number % 2 + 1)])
            return one.outcome

        outcomes = await asyncio.gather(*(ask(number) for number in range(100)))
        assert sorted(outcomes) == sorted([PASS] * 3 + [REFUSE] * 97)
        counted = await rows(db, "select count(*), count(distinct number) from risk_usage where state = 'counted'")
    assert counted == [(3, 3)]


async def test_the_daily_amount_holds_at_once(dsn: str, risk: Risk) -> None:
    async with await Database.connect(dsn, min_size=0, max_size=40) as db:
        asked = [asks(number, 400_001, account=number % 2 + 1) for number in range(40)]
        found = await asyncio.gather(*(patiently(db, risk, [one]) for one in asked))
    assert sorted(one.outcome for (one,) in found) == sorted([PASS] * 2 + [REFUSE] * 38)


async def test_batches_of_the_same_persons_in_any_order_neither_block_nor_overshoot(dsn: str) -> None:
    risk = Risk()
    async with await Database.connect(dsn, min_size=0, max_size=30) as db:

        async def ask(batch: int) -> list[RiskOutcome]:
            persons = [(batch * 7 + place * 3) % 10 for place in range(10)]
            asked = [asks(f"{batch}-{person}", person=person) for person in persons]
            return [one.outcome for one in await patiently(db, risk, asked)]

        outcomes = await asyncio.gather(*(ask(batch) for batch in range(30)))
    assert sum(batch.count(PASS) for batch in outcomes) == 30
    assert sum(batch.count(REFUSE) for batch in outcomes) == 270


async def test_asking_twice_gives_the_stored_verdict(db: Database, risk: Risk) -> None:
    first = await judge(db, risk, [asks(1), asks(1)])
    await judge(db, risk, [asks(2), asks(3)])
    again = await judge(db, Risk(), [asks(1), asks(4), asks(1)], MORNING + timedelta(hours=1))
    assert first == [again[0], again[2]]
    assert [one.outcome for one in again] == [PASS, REFUSE, PASS]
    assert await rows(db, "select count(*) from risk_verdict") == [(4,)]
    assert await rows(db, "select count(*) from risk_usage") == [(3,)]


@pytest.mark.parametrize(
    "other", [{"person": 7}, {"account": 2}, {"amount": 1}, {"currency": "USD"}, {"payee": "somebody else"}], ids=str
)
async def test_a_number_is_for_one_operation(other: dict[str, object], db: Database, risk: Risk) -> None:
    await judge(db, risk, [asks(1)])
    with pytest.raises(RiskNumberReused):
        await judge(db, risk, [asks(1, **other)])
    with pytest.raises(RiskNumberReused):
        await judge(db, risk, [asks(2), asks(2, **other)])


async def test_two_persons_with_one_number_at_once(dsn: str, risk: Risk) -> None:
    async with await Database.connect(dsn, max_size=8) as db:
        found = await asyncio.gather(
            *(judge(db, risk, [asks(1, person=person)]) for person in range(1, 9)), return_exceptions=True
        )
        assert sum(isinstance(one, RiskNumberReused) for one in found) == 7
        assert await rows(db, "select count(*) from risk_usage") == [(1,)]


async def test_what_did_not_happen_does_not_count(db: Database, risk: Risk) -> None:
    await judge(db, risk, [asks(n) for n in (1, 2, 3)])
    for _ in range(2):
        async with db.transaction() as tx:
            await risk.void(tx, [(BOOK, "withdrawal", "WD2"), (BOOK, "transfer", "WD1"), (7, "withdrawal", "WD3")])
    after = await judge(db, risk, [asks(4), asks(5), asks(2)])
    assert [one.outcome for one in after] == [PASS, REFUSE, PASS]
    voided = await rows(db, "select number from risk_usage where state = 'void'")
    assert voided == [("WD2",)]
    async with db.transaction() as tx:
        await risk.void(tx, [])


async def test_a_refusal_rolls_back_nothing_that_was_stored_before(db: Database, risk: Risk) -> None:
    judged = await judge(db, risk, [asks(1, 1_000_001, payee=None)])
    with pytest.raises(RiskRefused) as refused:
        require_allowed(judged)
    assert refused.value.status == 422
    assert refused.value.extra["rules"] == ["daily_amount"]
    assert "10,000.00 元" in str(refused.value.extra["reason"])
    require_allowed(await judge(db, risk, [asks(2, currency="USD")]))


async def test_the_verdict_says_what_was_known_and_which_rows_held(
    db: Database, risk: Risk, accounts: tuple[int, int]
) -> None:
    async with db.transaction() as tx:
        await freeze(tx, book=BOOK, account=2, reason="stolen", by="ops", now=MORNING)
    ago = [MORNING - timedelta(**gap) for gap in ({"days": 30}, {"days": 29}, {"days": 6}, {"hours": 2})]
    for place, now in enumerate(ago):
        await judge(db, risk, [asks(f"old{place}", 10**place)], now)
    await judge(db, risk, [asks("now", 500_000, account=2, extra={"device": "new"})])
    ((facts, rules_of, version, outcome, rules, trace, shadow),) = await rows(
        db, "select facts, rules_of, version, outcome, rules, trace, shadow from risk_verdict where number = 'WDnow'"
    )
    assert msgspec.json.decode(str(facts)) == {
        "account": "2", "amount": 500_000, "currency": "CNY", "payee": "card now", "hour": 10, "account_days": 365,
        "account_frozen": True, "extra": {"device": "new"}, "count_hour": 0, "first_payee": True,
        "count_today": 1, "amount_today": 1000, "count_7_days": 2, "amount_7_days": 1100,
        "count_30_days": 3, "amount_30_days": 1110,
    }  # fmt: skip
    assert (rules_of, version, outcome, rules, shadow) == (0, 1, "review", ["first_payee"], None)
    held = msgspec.json.decode(str(trace))
    assert [one["rule"] for one in held] == ["first_payee", "otherwise"]
    assert held[0]["because"]["amount"] == 500_000


async def test_sums_never_leave_64_bits(db: Database, risk: Risk) -> None:
    asked = [asks(number, 2**63 - 1, currency="USD") for number in range(3)]
    for one in asked:
        await judge(db, risk, [one])
    found = await rows(db, "select facts ->> 'amount_today' from risk_verdict where number = 'WD2'")
    assert found == [(str(2**63 - 1),)]


async def test_an_hour_is_an_hour(db: Database, risk: Risk) -> None:
    for minutes in (61, 60, 59, 0):
        await judge(db, risk, [asks(minutes, person=PERSON)], MORNING - timedelta(minutes=minutes))
    assert await rows(db, "select facts ->> 'count_hour' from risk_verdict where number = 'WD0'") == [("1",)]
