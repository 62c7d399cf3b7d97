"""Batches: all or nothing, or each for itself; the same answer for ever."""

from datetime import timedelta

import pytest

from tael.guard import forget_old

from .conftest import ALICE, BANK, BOB, CAROL, CLOSED, GIFT, NOBODY, Company, asked, said

GOOD = asked(ALICE, BOB, 100)
# The transfers, and per place the code of its problem ("" = done). An atomic batch is done when nothing is refused,
# else it answers with its first problem.
CASES: list[tuple[str, list[dict[str, object]], list[str]]] = [
    ("one", [GOOD], [""]),
    ("three", [GOOD, asked(BOB, CAROL, 50_050), asked(CAROL, ALICE, 50_000)], ["", "", ""]),
    ("G12 receive and pay on", [asked(ALICE, CAROL, 100), asked(CAROL, BOB, 100)], ["", ""]),
    ("pay on before receiving", [asked(CAROL, BOB, 100), asked(ALICE, CAROL, 100)], ["insufficient_balance", ""]),
    ("too little for the last", [asked(ALICE, BOB, 99_900), GOOD, GOOD], ["", "", "insufficient_balance"]),
    ("to nobody", [GOOD, asked(ALICE, NOBODY, 1), GOOD], ["", "account_not_found", ""]),
    ("an internal account", [asked(ALICE, BANK, 1), GOOD], ["account_cannot_transfer", ""]),
    ("closed", [GOOD, asked(ALICE, CLOSED, 1)], ["", "account_unusable"]),
    ("oneself", [GOOD, asked(BOB, BOB, 1)], ["", "transfer_to_self"]),
    ("gifts", [asked(GIFT, BOB, 1), GOOD], ["account_cannot_transfer", ""]),
    ("a business number twice", [GOOD | {"business_transfer_no": "N"}] * 2, ["", "duplicate_transfer"]),
    ("a hold that is none", [GOOD | {"from_hold": "5"}, GOOD], ["hold_not_found", ""]),
    ("nothing at all", [asked(CAROL, BOB, 1)] * 3, ["insufficient_balance"] * 3),
    (
        "one who pays with what a refused one would have brought",
        [asked(CLOSED, CAROL, 5), asked(CAROL, BOB, 5), GOOD], ["account_unusable", "insufficient_balance", ""],
    ),
]  # fmt: skip
IDS = [case[0] for case in CASES]
EVERYBODY = (ALICE, BOB, CAROL, GIFT)


@pytest.mark.parametrize(("what", "moves", "problems"), CASES, ids=IDS)
async def test_each_for_itself(
    company: Company, what: str, moves: list[dict[str, object]], problems: list[str]
) -> None:
    answers = [await company.batch(*moves, atomic=False, key="once") for _ in range(2)]
    assert [one.status_code for one in answers] == [201, 201], what
    assert answers[0].content == answers[1].content
    shown = answers[0].json()
    assert [one["place"] for one in shown["transfers"]] == list(range(len(moves)))
    assert [one["problem"]["code"] if one["problem"] else "" for one in shown["transfers"]] == problems
    done = problems.count("")
    assert (shown["size"], shown["done"], shown["refused"]) == (len(moves), done, len(moves) - done)
    assert await company.counts() == (done, done, done, 1, len(moves) - done)
    assert (await company.http.get(f"/v1/transfer_batches/{shown['batch_no']}")).json() == shown


@pytest.mark.parametrize(("what", "moves", "problems"), CASES, ids=IDS)
async def test_all_or_nothing(company: Company, what: str, moves: list[dict[str, object]], problems: list[str]) -> None:
    before = await company.totals(*EVERYBODY)
    answers = [await company.batch(*moves, atomic=True, key="once") for _ in range(2)]
    wrong = [(place, code) for place, code in enumerate(problems) if code]
    if not wrong:
        assert [one.status_code for one in answers] == [201, 201], what
        assert await company.counts() == (len(moves), len(moves), len(moves), 1, 0)
        return
    found = [(one.json()["place"], one.json()["code"]) for one in answers]
    assert set(found) <= set(wrong)
    assert found[0] == found[1]
    assert await company.totals(*EVERYBODY) == before
    assert await company.counts() == (0, 0, 0, 0, 0)
    assert said(await company.batch(GOOD, atomic=True, key="once")) == (201, "done"), "the key is free"


SHAPES = [
    ("no transfers", [], (422, "invalid_field")),
    ("500", [asked(ALICE, BOB, 1)] * 500, (201, "done")),
    ("501", [asked(ALICE, BOB, 1)] * 501, (422, "invalid_field")),
    ("V25 a sum beyond 63 bits", [asked(ALICE, BOB, 2**62)] * 2, (422, "invalid_amount")),
    ("a sum of 63 bits", [asked(ALICE, BOB, 2**62), asked(ALICE, BOB, 2**62 - 1)], (422, "insufficient_balance")),
    ("not a list", {"0": GOOD}, (422, "invalid_field")),
    ("an unknown field", [GOOD | {"fee": 1}], (422, "unknown_field")),
    ("an amount of nothing", [GOOD, asked(ALICE, BOB, 0)], (422, "invalid_amount")),
]


@pytest.mark.parametrize(("what", "moves", "expected"), SHAPES, ids=[case[0] for case in SHAPES])
async def test_shapes(company: Company, what: str, moves: object, expected: tuple[int, str]) -> None:
    answer = await company.post("/v1/transfer_batches", {"atomic": True, "transfers": moves})
    assert said(answer) == expected, what
    if answer.status_code != 201:
        assert await company.counts() == (0, 0, 0, 0, 0)


@pytest.mark.parametrize("atomic", [True, False])
async def test_a_key_stands_for_one_batch_for_ever(company: Company, atomic: bool) -> None:
    moves = [GOOD, asked(BOB, CAROL, 7, note="x")] + ([] if atomic else [asked(CAROL, BOB, 10**6)])
    first = await company.batch(*moves, atomic=atomic, key="once")
    await company.advance(int(timedelta(days=31).total_seconds()))
    async with company.db.transaction() as tx:
        assert await forget_old(tx, now=company.clock.now()) == 1
    # What was refused then is refused now, although there would be funds for it.
    assert (await company.transfer(ALICE, CAROL, 10)).status_code == 201
    again = await company.batch(*moves, atomic=atomic, key="once")
    assert again.content == first.content
    assert said(await company.batch(GOOD, atomic=atomic, key="once")) == (422, "idempotency_key_reused")


async def test_other_companies_see_nothing(company: Company) -> None:
    number = (await company.batch(GOOD, atomic=True)).json()["batch_no"]
    assert (await company.stranger.get(f"/v1/transfer_batches/{number}")).status_code == 404
