"""Everybody at once: each adjustment is proposed once, ends once and is booked once, whatever the order."""

import asyncio
from collections.abc import Coroutine

from .conftest import ALICE, BANK, BOB, BOOK, Company

ROUNDS = 8


async def together(*actions: Coroutine[object, object, tuple[int, str]]) -> list[tuple[int, str]]:
    """The answers of actions that begin together."""
    barrier = asyncio.Barrier(len(actions))

    async def one(action: Coroutine[object, object, tuple[int, str]]) -> tuple[int, str]:
        await barrier.wait()
        return await action

    return list(await asyncio.gather(*(one(action) for action in actions)))


async def postings(company: Company, number: str) -> int:
    async with company.db.transaction() as tx:
        found = await tx.fetchval("select count(*) from posting where book = $1 and order_no = $2", BOOK, number)
    assert isinstance(found, int)
    return found


async def test_two_approvers_where_one_is_enough(company: Company) -> None:
    for _ in range(ROUNDS):
        number = await company.proposed((ALICE, BOB, 100), (BOB, BANK, 1))
        said = await together(*(company.act(who, "approve", number) for who in ("li", "zhao", "qian", "nobody")))
        assert sorted(said) == [(200, "posted"), *[(409, "approval_not_pending")] * 3]
        assert await postings(company, number) == 2
        assert await company.events(number) == ["proposed", "posted"]


async def test_two_approvers_where_two_are_needed(company: Company) -> None:
    for _ in range(ROUNDS):
        number = await company.proposed((BANK, BOB, 5_000_000))
        said = await together(*(company.act(who, "approve", number) for who in ("li", "li", "zhao", "wang")))
        assert sorted(said) == [(200, "posted"), (200, "proposed"), (403, "self_approval"), (409, "already_decided")]
        assert await postings(company, number) == 1


async def test_approve_reject_and_cancel(company: Company) -> None:
    for _ in range(ROUNDS):
        number = await company.proposed((ALICE, BOB, 100))
        said = await together(
            company.act("li", "approve", number), company.act("zhao", "reject", number),
            company.act("wang", "cancel", number),
        )  # fmt: skip
        state = await company.state(number)
        assert sorted(said) == [(200, state), *[(409, "approval_not_pending")] * 2]
        assert await postings(company, number) == (state == "posted")
        assert await company.events(number) == ["proposed", state]


async def test_approve_and_expire(company: Company) -> None:
    """A decision at the last moment and the job that ends what is over: one wins. What the job found locked, because
    somebody was just being refused, it ends the next time."""
    ends = {"posted": (200, "posted"), "expired": (409, "approval_not_pending")}
    for _ in range(ROUNDS):
        number = await company.proposed((ALICE, BOB, 100))

        async def expire() -> tuple[int, str]:
            return 0, str(await company.advance(7 * 86_400))

        said, _ = await together(company.act("li", "approve", number), expire())
        await company.advance(0)
        state = await company.state(number)
        assert said == ends[state]
        assert await postings(company, number) == (state == "posted")
        assert await company.events(number) == ["proposed", state]


async def test_the_last_money_is_moved_once(company: Company) -> None:
    numbers = [await company.proposed((ALICE, BOB, 30_000)) for _ in range(6)]
    said = await together(*(company.act("li", "approve", number) for number in numbers))
    assert sorted(said) == [(200, "posted")] * 3 + [(422, "insufficient_balance")] * 3
    assert await company.totals() == (100_000, 10_000, 90_000, 0)


async def test_one_key_many_times_at_once(company: Company) -> None:
    async def propose(amount: int) -> tuple[int, str]:
        answer = await company.propose((ALICE, BOB, amount), key="once")
        return answer.status_code, answer.json().get("adjustment_no") or answer.json()["code"]

    said = await together(*(propose(100) for _ in range(8)))
    assert len(set(said)) == 1, said
    assert said[0][0] == 201
    assert await propose(101) == (422, "idempotency_key_reused")


async def test_one_reversal_of_many_at_once(company: Company) -> None:
    number = await company.proposed((ALICE, BOB, 100))
    await company.act("li", "approve", number)

    async def reverse() -> tuple[int, str]:
        answer = await company.propose(reverses=number)
        return answer.status_code, answer.json().get("code", "")

    assert sorted(await together(*(reverse() for _ in range(6)))) == [(201, ""), *[(409, "reversal_exists")] * 5]
