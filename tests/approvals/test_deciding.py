"""Four eyes: who may decide, how often, in which state, and that the database holds the same rules."""

import asyncio

import asyncpg
import pytest

from tael import approvals
from tael.approvals import (
    AlreadyDecided,
    ApprovalNotFound,
    ApprovalNotPending,
    ApprovalPending,
    NewDecision,
    PayloadChanged,
    SelfApproval,
)
from tael.base.clock import SteppedClock
from tael.base.db import Database
from tael.base.errors import TaelError, code
from tael.base.ids import Ids

from .conftest import BOOK, KIND, Ask, Decide, proposal

ONE, TWO, THREE = 100, 5_000_000, 50_000_000
# What people do in turn (a sign and a name), and what each is answered.
TURNS = [
    (ONE, ["+li"], ["approved"]),
    (ONE, ["-li"], ["rejected"]),
    (ONE, ["+wang", "+li"], ["self_approval", "approved"]),
    (ONE, ["-wang", "+li"], ["self_approval", "approved"]),
    (ONE, ["+li", "+li", "+zhao", "-zhao"], ["approved", "already_decided", *["approval_not_pending"] * 2]),
    (ONE, ["-li", "+zhao", "+li"], ["rejected", "approval_not_pending", "already_decided"]),
    (TWO, ["+li", "+zhao"], ["pending", "approved"]),
    (TWO, ["+li", "+li", "-li", "+zhao"], ["pending", *["already_decided"] * 2, "approved"]),
    (TWO, ["+li", "-zhao", "+qian"], ["pending", "rejected", "approval_not_pending"]),
    (TWO, ["+li", "+wang", "+zhao"], ["pending", "self_approval", "approved"]),
    (THREE, ["+li", "+zhao", "+qian"], ["pending", "pending", "approved"]),
    (ONE, ["x", "x", "+li"], ["cancelled", "cancelled", "approval_not_pending"]),
    (TWO, ["+li", "x", "+zhao"], ["pending", "cancelled", "approval_not_pending"]),
    (ONE, ["+li", "x"], ["approved", "approval_not_pending"]),
    (ONE, ["-li", "x"], ["rejected", "approval_not_pending"]),
]


@pytest.mark.parametrize(("amount", "turns", "answers"), TURNS)
async def test_turns(
    db: Database, clock: SteppedClock, ask: Ask, decide: Decide, amount: int, turns: list[str], answers: list[str]
) -> None:
    await ask(amount=amount)
    said: list[str] = []
    for turn in turns:
        try:
            if turn == "x":
                async with db.transaction() as tx:
                    done = await approvals.cancel(tx, book=BOOK, kind=KIND, subject="WD1", now=clock.now())
            else:
                done = await decide(turn[1:], approve=turn[0] == "+")
            said.append(done.state)
        except TaelError as refusal:
            said.append(code(type(refusal)))
    assert said == answers
    async with db.transaction() as tx:
        found = await approvals.find(tx, book=BOOK, kind=KIND, subject="WD1")
    assert found is not None
    accepted = [turn for turn, answer in zip(turns, said, strict=True) if turn != "x" and "_" not in answer]
    shown = [("+" if one.decision == "approve" else "-") + one.checker for one in found.decisions]
    assert sorted(shown) == sorted(accepted)


@pytest.mark.parametrize(("amount", "turns", "answers"), [turns for turns in TURNS if "x" not in turns[1]])
async def test_turns_in_one_batch(
    db: Database, clock: SteppedClock, ask: Ask, amount: int, turns: list[str], answers: list[str]
) -> None:
    """One after the other, as if each came alone, and the neighbours in the batch notice nothing."""
    asked = await ask(amount=amount)
    await ask("WD2")
    batch = [
        NewDecision(BOOK, KIND, subject, turn[1:], turn[0] == "+", None, None)
        for turn, subject in [("+li", "WD2"), *((turn, "WD1") for turn in turns), ("+li", "WD3"), ("-li", "WD2")]
    ]
    async with db.transaction() as tx:
        said = await approvals.decide_all(tx, batch, now=clock.now())
    words = [code(type(one)) if isinstance(one, TaelError) else one.state for one in said]
    assert words == ["approved", *answers, "approval_not_found", "already_decided"]
    async with db.transaction() as tx:
        found = await approvals.find_all(tx, book=BOOK, kind=KIND, subjects=["WD1", "WD2"])
    assert found["WD2"] == said[0]
    last = [one for one in said if not isinstance(one, TaelError) and one.id == asked.id][-1]
    assert found["WD1"] == last, "the answer is what is stored"


async def test_a_batch_decides_the_newest_of_a_subject(
    db: Database, clock: SteppedClock, ask: Ask, decide: Decide
) -> None:
    old = await ask()
    await decide("li", approve=False)
    new = await ask()
    async with db.transaction() as tx:
        assert await approvals.decide_all(tx, [], now=clock.now()) == []
        (said,) = await approvals.decide_all(
            tx, [NewDecision(BOOK, KIND, "WD1", "li", True, "seen", new.payload_sha256)], now=clock.now()
        )
        before = await approvals.get(tx, book=BOOK, id=old.id)
    assert isinstance(said, approvals.Approval)
    assert (said.id, said.state, said.decided_at, said.decisions[0].note) == (new.id, "approved", clock.now(), "seen")
    assert (before.state, len(before.decisions)) == ("rejected", 1)


async def test_batches_of_the_same_approvals_at_once(db: Database, clock: SteppedClock, ask: Ask) -> None:
    """Whatever their turn in the batch, locks are taken in one order: nobody waits for ever, and all are decided."""
    subjects = [f"WD{n}" for n in range(20)]
    for subject in subjects:
        await ask(subject, amount=TWO)

    async def batch(checker: str, turn: list[str]) -> list[str]:
        wanted = [NewDecision(BOOK, KIND, subject, checker, True, None, None) for subject in turn]
        async with db.transaction() as tx:
            said = await approvals.decide_all(tx, wanted, now=clock.now())
        return [code(type(one)) if isinstance(one, TaelError) else one.state for one in said]

    said = await asyncio.gather(
        *(batch(f"checker{n}", subjects if n % 2 else subjects[::-1]) for n in range(4))
    )  # fmt: skip
    words = [word for one in said for word in one]
    assert {word: words.count(word) for word in set(words)} == {
        "pending": 20, "approved": 20, "approval_not_pending": 40,
    }  # fmt: skip


async def test_what_is_not_there(ask: Ask, decide: Decide) -> None:
    await ask()
    for other in ({"book": 2}, {"kind": "refund"}, {"subject": "WD2"}):
        with pytest.raises(ApprovalNotFound):
            await decide("li", **other)


async def test_the_content_that_was_shown(ask: Ask, decide: Decide) -> None:
    asked = await ask(payload={"b": 1, "a": {"d": "x", "c": [1, "二"]}})
    with pytest.raises(PayloadChanged):
        await decide("li", payload_sha256="0" * 64)
    assert asked.payload_sha256 == approvals.digest({"a": {"c": [1, "二"], "d": "x"}, "b": 1}), "order is no content"
    assert (await decide("li", payload_sha256=asked.payload_sha256)).payload == {
        "a": {"c": [1, "二"], "d": "x"},
        "b": 1,
    }


async def test_time_is_over_to_the_second(db: Database, clock: SteppedClock, ask: Ask, decide: Decide) -> None:
    await ask(amount=TWO)
    clock.advance(3599)
    await decide("li")
    clock.advance(1)
    with pytest.raises(ApprovalNotPending) as refused:
        await decide("zhao")
    assert refused.value.extra == {"state": "expired"}
    for expected in ([("WD1", "expired", 1)], []):
        async with db.transaction() as tx:
            ended = await approvals.expire_due(tx, now=clock.now(), limit=10)
        assert [(one.subject, one.state, len(one.decisions)) for one in ended] == expected
    with pytest.raises(ApprovalNotPending):
        await decide("zhao")


async def test_expiry_takes_the_oldest_first_and_no_more_than_asked(
    db: Database, clock: SteppedClock, ask: Ask, ids: Ids
) -> None:
    async with db.transaction() as tx:
        new = [proposal(clock, f"WD{n}", expires_at=clock.now().replace(minute=50 - n)) for n in range(5)]
        await approvals.ask(tx, new, ids=ids, now=clock.now())
    await ids.renew(db)
    clock.advance(3600)
    async with db.transaction() as tx:
        first = await approvals.expire_due(tx, now=clock.now(), limit=2)
        rest = await approvals.expire_due(tx, now=clock.now(), limit=10)
    assert {one.subject for one in first} == {"WD3", "WD4"}
    assert {one.subject for one in rest} == {"WD0", "WD1", "WD2"}


async def test_asking_twice_asks_once(db: Database, clock: SteppedClock, ask: Ask, decide: Decide, ids: Ids) -> None:
    first = await ask()
    assert (await ask()).id == first.id
    for other in ({"amount": 101}, {"maker": "li"}, {"payload": {}}, {"currency": "USD"}):
        with pytest.raises(ApprovalPending):
            await ask(**other)
    async with db.transaction() as tx:
        one, two, three = await approvals.ask(
            tx, [proposal(clock, subject) for subject in ("WD1", "WD2", "WD2")], ids=ids, now=clock.now()
        )
        assert (one.id, two.id) == (first.id, three.id)
    await decide("li")
    assert (await ask()).id != first.id, "what was decided can be asked for again"
    async with db.transaction() as tx:
        assert [one.state for one in await approvals.page(tx, book=BOOK, limit=9)] == ["pending", "pending", "approved"]
        assert [one.subject for one in await approvals.page(tx, book=BOOK, state="pending", limit=1)] == ["WD1"]
        assert await approvals.page(tx, book=BOOK, kind="refund", limit=9) == []
        assert [one.id for one in await approvals.page(tx, book=BOOK, older_than=two.id, limit=9)] == [first.id]


@pytest.mark.parametrize("needed", [1, 2])
async def test_all_approve_at_once(ask: Ask, decide: Decide, needed: int) -> None:
    await ask(amount=TWO if needed == 2 else ONE)
    barrier = asyncio.Barrier(8)

    async def approve(checker: str) -> str:
        await barrier.wait()
        try:
            return (await decide(checker)).state
        except TaelError as refusal:
            return code(type(refusal))

    said = sorted(await asyncio.gather(*(approve(f"checker{n % 4}") for n in range(8))))
    assert said.count("approved") == 1
    assert said.count("pending") == needed - 1
    assert set(said) - {"approved", "pending"} <= {"already_decided", "approval_not_pending"}


async def test_approve_reject_and_cancel_at_once(db: Database, clock: SteppedClock, ask: Ask, decide: Decide) -> None:
    async def cancel(subject: str) -> approvals.Approval:
        async with db.transaction() as tx:
            return await approvals.cancel(tx, book=BOOK, kind=KIND, subject=subject, now=clock.now())

    for n in range(20):
        await ask(f"WD{n}")
        turns = [decide("li", subject=f"WD{n}"), decide("zhao", approve=False, subject=f"WD{n}"), cancel(f"WD{n}")]
        said = await asyncio.gather(*turns, return_exceptions=True)
        assert sorted(type(one).__name__ for one in said) == ["Approval", "ApprovalNotPending", "ApprovalNotPending"]


DIRECT = [
    ("insert into approval_decision values (1, $1, 'wang', 'approve', null, $2)", "approval_decision_four_eyes"),
    ("update approval set state = 'approved', decided_at = $2 where id = $1", "approval_four_eyes"),
    ("update approval set state = 'rejected', decided_at = $2 where id = $1", "approval_four_eyes"),
    ("update approval set maker = 'li', decided_at = null where id = $1 and $2 > created_at", "approval_unchanged"),
    ("""update approval set payload = '{"to": "6333"}' where id = $1 and $2 > created_at""", "approval_unchanged"),
    ("update approval set needed = 0 where id = $1 and $2 > created_at", "approval_unchanged"),
    ("delete from approval where id = $1 and $2 > created_at", "approval_kept"),
    ("update approval_decision set checker = 'qian' where approval = $1 and $2 > at", "approval_decision_for_ever"),
    ("delete from approval_decision where approval = $1 and $2 > at", "approval_decision_for_ever"),
    ("""insert into approval select book, id + 1, kind, 'other', payload, payload_sha256, amount, currency, maker,
        needed, 'approved', expires_at, created_at, $2 from approval where id = $1""", "approval_four_eyes"),
    ("""insert into approval select book, id + 1, kind, 'other', payload, payload_sha256, amount, currency, maker,
        0, 'pending', expires_at, created_at, null from approval where id = $1 and $2 > created_at""",
     "approval_four_eyes"),
]  # fmt: skip


@pytest.mark.parametrize(("sql", "constraint"), DIRECT)
async def test_the_database_holds_the_rules_too(
    db: Database, clock: SteppedClock, ask: Ask, decide: Decide, sql: str, constraint: str
) -> None:
    asked = await ask(amount=TWO)
    await decide("li")
    clock.advance(1)
    with pytest.raises(asyncpg.CheckViolationError) as refused:
        async with db.transaction() as tx:
            await tx.execute(sql, asked.id, clock.now())
    assert refused.value.constraint_name == constraint


async def test_what_is_decided_stays_so_in_the_database(db: Database, clock: SteppedClock, ask: Ask, decide: Decide):
    asked = await ask()
    await decide("li")
    for sql in (
        "update approval set state = 'pending', decided_at = null where id = $1 and $2 > created_at",
        "update approval set state = 'cancelled', decided_at = $2 where id = $1",
        "insert into approval_decision values (1, $1, 'zhao', 'reject', null, $2)",
    ):
        clock.advance(1)
        with pytest.raises(asyncpg.CheckViolationError):
            async with db.transaction() as tx:
                await tx.execute(sql, asked.id, clock.now())


async def test_one_who_has_no_person_is_his_key(ask: Ask, decide: Decide) -> None:
    await ask(maker="key:abcdefgh")
    with pytest.raises(SelfApproval):
        await decide("key:abcdefgh")
    assert (await decide("key:ijklmnop")).state == "approved"
    with pytest.raises(AlreadyDecided):
        await decide("key:ijklmnop")
