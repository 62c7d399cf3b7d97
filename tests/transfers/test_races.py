"""Everybody at once: every credit adds up, nothing is spent twice, nothing is deducted too little."""

import asyncio
from collections.abc import Coroutine
from pathlib import Path

from tael.base.money import Money
from tael.guard import claim_for
from tael.transfers.transfer import Move, StartTransfer, Transfers

from .conftest import ALICE, BOB, BOOK, CAROL, FROZEN, GIFT, RICH, Company, asked, put_together, said

OPEN = (ALICE, BOB, CAROL, RICH, GIFT, FROZEN)


async def together(*actions: Coroutine[object, object, tuple[int, str]]) -> list[tuple[int, str]]:
    """The answers of actions that begin together."""
    barrier = asyncio.Barrier(len(actions))

    async def one(action: Coroutine[object, object, tuple[int, str]]) -> tuple[int, str]:
        await barrier.wait()
        return await action

    return list(await asyncio.gather(*(one(action) for action in actions)))


async def move(company: Company, debit: int, credit: int, amount: int, **more: object) -> tuple[int, str]:
    return said(await company.transfer(debit, credit, amount, **more))


async def test_the_full_balance_a_hundred_times(company: Company) -> None:
    found = await together(*(move(company, ALICE, BOB, 100_000) for _ in range(100)))
    assert sorted(found) == [(201, "done"), *[(422, "insufficient_balance")] * 99]
    assert await company.totals(ALICE, BOB) == (0, 150_000)
    assert await company.counts() == (1, 1, 1, 0, 0)


async def test_three_credits_add_up(company: Company) -> None:
    """F5: three times 50 at once is 150."""
    found = await together(*(move(company, payer, CAROL, 50) for payer in (ALICE, BOB, ALICE)))
    assert found == [(201, "done")] * 3
    assert await company.totals(CAROL) == (150,)


async def test_paying_while_being_paid(company: Company) -> None:
    """F4: A pays while A is paid; both are booked, every time."""
    for _ in range(20):
        found = await together(move(company, ALICE, BOB, 70), move(company, BOB, ALICE, 30))
        assert found == [(201, "done")] * 2
    assert await company.totals(ALICE, BOB) == (100_000 - 20 * 40, 50_000 + 20 * 40)


async def test_freeze_unfreeze_and_pay_fifty_times(company: Company) -> None:
    """F72: a hold is made, another released, a third used, and the same balance is paid from, all at once."""
    spent = 0
    for _ in range(50):
        released, used = await company.held(amount=1_000), await company.held(amount=1_000)
        found = await together(
            _hold(company), company.release(released), move(company, ALICE, BOB, 600, from_hold=used),
            move(company, ALICE, CAROL, 300), company.release(used),
        )  # fmt: skip
        assert found[:2] == [(201, "open"), (200, "released")]
        assert found[3] == (201, "done")
        assert (found[2], found[4]) in [
            ((201, "done"), (409, "hold_not_open")), ((409, "hold_not_open"), (200, "released"))
        ]  # fmt: skip
        spent += 300 + (600 if found[2] == (201, "done") else 0)
        await _release_all(company)
    assert await company.available(ALICE) == (100_000 - spent,)
    assert await company.totals(ALICE) == (100_000 - spent,)


async def test_one_hold_used_by_many(company: Company) -> None:
    hold = await company.held(amount=1_000)
    found = await together(*(move(company, ALICE, BOB, 1_000, from_hold=hold) for _ in range(20)))
    assert sorted(found) == [(201, "done"), *[(409, "hold_not_open")] * 19]
    assert await company.available(ALICE, BOB) == (99_000, 51_000)


async def test_one_key_fifty_times(company: Company) -> None:
    """K08: one effect; the others hear that it is being worked on, or the stored answer."""
    found = await together(*(move(company, ALICE, BOB, 10, key="once") for _ in range(50)))
    assert set(found) <= {(201, "done"), (409, "idempotency_in_flight")}
    assert (201, "done") in found
    assert await company.counts() == (1, 1, 1, 0, 0)


async def test_one_business_number_at_once(company: Company) -> None:
    found = await together(*(move(company, ALICE, BOB, 10, business_transfer_no="N") for _ in range(20)))
    assert sorted(found) == [(201, "done"), *[(409, "duplicate_transfer")] * 19]


async def test_a_batch_that_falls_takes_nobody_along(company: Company) -> None:
    """An atomic batch that is undone has not spent what a neighbour needs."""

    async def batch() -> tuple[int, str]:
        moves = asked(ALICE, CAROL, 100_000), asked(BOB, CAROL, 50_001)
        return said(await company.batch(*moves, atomic=True))

    for _ in range(10):
        found = await together(batch(), move(company, ALICE, BOB, 1), batch(), move(company, BOB, ALICE, 1))
        assert [found[1], found[3]] == [(201, "done")] * 2
        assert {found[0], found[2]} == {(422, "insufficient_balance")}
    assert await company.totals(ALICE, BOB, CAROL) == (100_000, 50_000, 0)


async def test_two_processes_pay_from_one_balance(company: Company, tmp_path: Path) -> None:
    """F6: paid from on two platforms at once, nothing is deducted too little; money only moves."""
    other = Transfers(await put_together(company.db, company.clock, tmp_path))
    before = sum(await company.totals(*OPEN))

    async def by(transfers: Transfers, number: int) -> tuple[int, str]:
        claim = claim_for(book=BOOK, key=f"two-{number}", endpoint="test", body=b"")
        try:
            await transfers.start(StartTransfer(claim, Move(ALICE, (BOB, CAROL)[number % 2], Money(1_500, "CNY"), "")))
        except Exception as refusal:  # noqa: BLE001 (its name is compared)
            return 422, type(refusal).__name__
        return 201, "done"

    found = await together(*(by((company.transfers, other)[number % 2], number) for number in range(100)))
    assert sorted(set(found)) == [(201, "done"), (422, "InsufficientBalance")]
    assert found.count((201, "done")) == 66
    assert await company.totals(ALICE) == (100_000 - 66 * 1_500,)
    assert sum(await company.totals(*OPEN)) == before
    await other.close()


async def _hold(company: Company) -> tuple[int, str]:
    return said(await company.hold(amount=1_000))


async def _release_all(company: Company) -> None:
    listed = await company.http.get("/v1/holds", params={"account_id": str(ALICE), "limit": 10})
    for one in listed.json()["data"]:
        if one["state"] == "open":
            assert (await company.release(one["id"]))[0] == 200
