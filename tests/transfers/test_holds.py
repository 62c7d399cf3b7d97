"""Freeze, unfreeze, unfreeze to used: every way a hold can end, each only once."""

import pytest

from .conftest import ALICE, BANK, BOB, BOOK, CAROL, DOLLARS, FROZEN, NOBODY, Company, asked, said

HOLDS = [
    ("a hold", {}, (201, "open")),
    ("everything", {"amount": 100_000}, (201, "open")),
    ("a fen too much", {"amount": 100_001}, (422, "insufficient_balance")),
    ("for a minute", {"expires_in_s": 60}, (201, "open")),
    ("for no time", {"expires_in_s": 0}, (422, "invalid_field")),
    ("of nobody", {"account_id": str(NOBODY)}, (404, "account_not_found")),
    ("of an internal account", {"account_id": str(BANK)}, (422, "account_cannot_be_held")),
    ("in another currency", {"account_id": str(DOLLARS)}, (422, "account_cannot_be_held")),
    ("of a frozen account", {"account_id": str(FROZEN)}, (409, "account_unusable")),
    ("of nothing", {"amount": 0}, (422, "invalid_amount")),
    ("without a reason", {"reason": ""}, (422, "invalid_field")),
]


@pytest.mark.parametrize(("what", "changes", "expected"), HOLDS, ids=[case[0] for case in HOLDS])
async def test_freeze_twice(company: Company, what: str, changes: dict[str, object], expected: tuple[int, str]) -> None:
    answers = [await company.hold(key="once", **changes) for _ in range(2)]
    assert [said(one) for one in answers] == [expected, expected], what
    (available,) = await company.available(ALICE)
    if expected[0] == 201:
        shown = answers[0].json()
        assert answers[0].content == answers[1].content
        assert available == 100_000 - shown["amount"]
        assert (await company.http.get(f"/v1/holds/{shown['id']}")).json() == shown
        listed = (await company.http.get("/v1/holds", params={"account_id": str(ALICE)})).json()
        assert listed["data"] == [shown]
        assert said(await company.hold(key="once", **changes | {"reason": "x"})) == (422, "idempotency_key_reused")
    else:
        assert available == 100_000
        assert said(await company.hold(key="once")) == (201, "open"), "a refused request leaves its key free"


# What happens to a hold of 1,000 of ALICE's 100,000, each step's answer, then what ALICE and BOB can spend and its end.
RELEASE, LATE = "release", "a minute later"
USE, PART, MORE = (asked(ALICE, BOB, amount) for amount in (1_000, 400, 1_001))
TO_ANOTHER, BY_ANOTHER = asked(ALICE, CAROL, 1_000), asked(BOB, CAROL, 1_000)
ENDS: list[tuple[str, list[object], list[tuple[int, str]], tuple[int, int], str]] = [
    ("kept", [], [], (99_000, 50_000), "open"),
    ("released twice", [RELEASE, RELEASE], [(200, "released")] * 2, (100_000, 50_000), "released"),
    ("used", [USE, USE], [(201, "done"), (409, "hold_not_open")], (99_000, 51_000), "used"),
    ("used in part, the rest returns", [PART, PART], [(201, "done"), (409, "hold_not_open")], (99_600, 50_400), "used"),
    ("used by two", [PART, TO_ANOTHER], [(201, "done"), (409, "hold_not_open")], (99_600, 50_400), "used"),
    ("used, then released", [USE, RELEASE], [(201, "done"), (409, "hold_not_open")], (99_000, 51_000), "used"),
    ("released, then used", [RELEASE, USE], [(200, "released"), (409, "hold_not_open")], (100_000, 50_000), "released"),
    ("too small", [MORE, USE], [(422, "exceeds_hold"), (201, "done")], (99_000, 51_000), "used"),
    ("another's", [BY_ANOTHER, USE], [(422, "exceeds_hold"), (201, "done")], (99_000, 51_000), "used"),
    ("too late", [LATE, USE, RELEASE], [(409, "hold_not_open")] * 2, (100_000, 50_000), "expired"),
]  # fmt: skip


@pytest.mark.parametrize(("what", "steps", "answers", "left", "state"), ENDS, ids=[case[0] for case in ENDS])
async def test_every_end(
    company: Company, what: str, steps: list[object], answers: list[tuple[int, str]], left: tuple[int, int], state: str
) -> None:
    hold = await company.held(expires_in_s=60)
    found: list[tuple[int, str]] = []
    for step in steps:
        if step == LATE:
            await company.advance(61)
        elif step == RELEASE:
            found.append(await company.release(hold))
        else:
            assert isinstance(step, dict)
            found.append(said(await company.post("/v1/transfers", step | {"from_hold": hold})))
    assert found == answers, what
    async with company.db.transaction() as tx:
        await company.platform.ledger.expire_due(tx, BOOK, now=company.clock.now())
    assert await company.available(ALICE, BOB) == left
    shown = (await company.http.get(f"/v1/holds/{hold}")).json()
    assert shown["state"] == state
    assert (shown["ended_at"] is None) == (state == "open")
    assert await company.counts() == (*[found.count((201, "done"))] * 3, 0, 0)


async def test_everything_frozen_can_be_used(company: Company) -> None:
    """F1, F2: money that is frozen whole is paid out without ever being available."""
    hold = await company.held(amount=100_000)
    assert said(await company.transfer(ALICE, BOB, 1)) == (422, "insufficient_balance")
    assert said(await company.transfer(ALICE, BOB, 100_000, from_hold=hold)) == (201, "done")
    assert await company.totals(ALICE, BOB) == (0, 150_000)


@pytest.mark.parametrize("atomic", [True, False])
async def test_holds_in_batches(company: Company, atomic: bool) -> None:
    one, two = await company.held(amount=60_000), await company.held(amount=40_000)
    moves = [
        asked(ALICE, BOB, 60_000, from_hold=one), asked(BOB, CAROL, 100_000),
        asked(ALICE, CAROL, 30_000, from_hold=two), asked(ALICE, CAROL, 10_000),
    ]  # fmt: skip
    answer = await company.batch(*moves, atomic=atomic)
    assert answer.json()["done"] == 4, answer.text
    assert await company.available(ALICE, BOB, CAROL) == (0, 10_000, 140_000)
    assert await company.release(one) == (409, "hold_not_open")


@pytest.mark.parametrize(("atomic", "done"), [(True, 0), (False, 1)])
async def test_one_hold_twice_in_a_batch(company: Company, atomic: bool, done: int) -> None:
    hold = await company.held()
    moves = [asked(ALICE, BOB, 500, from_hold=hold), asked(ALICE, CAROL, 500, from_hold=hold)]
    answer = await company.batch(*moves, atomic=atomic)
    assert said(answer) == ((409, "hold_not_open") if atomic else (201, "done"))
    assert await company.counts() == (done, done, done, done, done)
    shown = (await company.http.get(f"/v1/holds/{hold}")).json()
    assert shown["state"] == ("used" if done else "open")


async def test_other_companies_have_none(company: Company) -> None:
    hold = await company.held()
    assert (await company.stranger.get(f"/v1/holds/{hold}")).status_code == 404
    assert (await company.stranger.post(f"/v1/holds/{hold}/release")).status_code == 404
    assert await company.release("77") == (404, "hold_not_found")
