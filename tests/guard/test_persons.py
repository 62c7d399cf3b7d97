"""Keys that belong to people: who acts is the person, whatever key; a key of nobody stands for itself."""

import asyncpg
import pytest

from tael.base.clock import SteppedClock
from tael.base.db import Database
from tael.guard import KeyRing, PersonRequired, keys
from tael.guard.caller import InsufficientScope
from tael.guard.keys import InvalidPerson

PEPPER = b"pepper" * 8


async def issued(db: Database, person: str | None, *, scopes: tuple[str, ...] = keys.SCOPES) -> str:
    async with db.transaction() as tx:
        return await keys.issue(
            tx, book=1, mode="test", pepper=PEPPER, scopes=scopes, now=SteppedClock().now(), person=person
        )


async def caller_of(db: Database, key: str):
    return await KeyRing(db, pepper=PEPPER, mode="test", now=SteppedClock().now).authenticate(f"Bearer {key}")


async def test_two_keys_of_one_person_are_one_person(db: Database) -> None:
    one, other = [await caller_of(db, await issued(db, "wang")) for _ in range(2)]
    assert one.key_id != other.key_id
    assert one.person == other.person == "wang"


async def test_a_key_of_nobody_is_somebody_of_its_own(db: Database) -> None:
    one, other = [await caller_of(db, await issued(db, None)) for _ in range(2)]
    assert (one.person, other.person) == (f"key:{one.key_id}", f"key:{other.key_id}")


NAMES = [
    ("wang", True), ("w", True), ("1042", True), ("wang.fang@example.com", True), ("a" * 64, True), ("li_4-b", True),
    ("", False), ("a" * 65, False), ("Wang", False), ("王芳", False), ("key:abcdefgh", False), (" wang", False),
    ("wang\n", False), (".wang", False), ("wang fang", False),
]  # fmt: skip


@pytest.mark.parametrize(("name", "good"), NAMES)
async def test_names(db: Database, name: str, good: bool) -> None:
    if good:
        assert (await caller_of(db, await issued(db, name))).person == name
        return
    with pytest.raises(InvalidPerson):
        await issued(db, name)


async def test_the_database_knows_no_other_names(db: Database) -> None:
    await issued(db, "wang")
    with pytest.raises(asyncpg.CheckViolationError):
        async with db.transaction() as tx:
            await tx.execute("update api_key set person = 'key:abcdefgh'")


async def test_persons_are_listed(db: Database) -> None:
    for person in ("wang", None):
        await issued(db, person)
    async with db.transaction() as tx:
        assert {one.owner for one in await keys.listed(tx, book=1)} == {"wang", None}


async def test_what_a_key_may_not(db: Database) -> None:
    caller = await caller_of(db, await issued(db, "wang", scopes=("approvals:read",)))
    caller.require("approvals:read")
    with pytest.raises(InsufficientScope):
        caller.require("approvals:write")


@pytest.mark.parametrize(
    ("mode", "person", "checks"),
    [("test", "wang", True), ("test", None, True), ("live", "wang", True), ("live", None, False)],
)
async def test_who_may_check(db: Database, mode: str, person: str | None, checks: bool) -> None:
    now = SteppedClock().now
    async with db.transaction() as tx:
        key = await keys.issue(tx, book=1, mode=mode, pepper=PEPPER, now=now(), person=person)
    caller = await KeyRing(db, pepper=PEPPER, mode=mode, now=now).authenticate(f"Bearer {key}")
    if checks:
        assert caller.checker() == caller.person
        return
    with pytest.raises(PersonRequired):
        caller.checker()
