"""Opening orders and attempts: whatever comes twice or at once, the database's keys let one through."""

import asyncio
from datetime import timedelta

import pytest

from flows.conftest import Shop
from orders.conftest import NOW, NewOrderMaker, attempt_for, opened
from tael.base.db import Database
from tael.base.errors import TaelError, code
from tael.base.ids import Ids
from tael.orders import (
    AttemptRefused,
    AttemptState,
    DuplicateSubmission,
    NewOrder,
    Opened,
    Order,
    attempts_of,
    find_order,
    lock_by_attempt,
    move_attempt,
    open_attempts,
    open_orders,
    save,
)

SECOND = [
    ("the same request again", {"request_key": "k"}, "resumed"),
    ("the same key for another amount", {"request_key": "k", "amount": 101}, "idempotency_key_reused"),
    ("the same key for another account", {"request_key": "k", "account": 8}, "idempotency_key_reused"),
    ("the same key in another book", {"request_key": "k", "book": 2}, "opened"),
    ("the same content", {}, "duplicate_submission"),
    ("the same content in another book", {"book": 2}, "opened"),
    ("another amount", {"amount": 101}, "opened"),
    ("another account", {"account": 8}, "opened"),
    ("another description", {"description": "other"}, "opened"),
    ("other metadata only", {"metadata": {"a": "b"}}, "duplicate_submission"),
    ("a business order number of its own", {"business_order_no": "b-2"}, "opened"),
]  # fmt: skip


@pytest.mark.parametrize(("changes", "result"), [case[1:] for case in SECOND], ids=[case[0] for case in SECOND])
@pytest.mark.parametrize("together", [False, True], ids=["later", "in one batch"])
async def test_a_second_order(
    db: Database, new_order: NewOrderMaker, changes: dict[str, object], result: str, together: bool
) -> None:
    first = new_order(request_key="k", description="same")
    second = new_order(**({"request_key": "k2", "description": "same"} | changes))
    if together:
        (one, two) = await _open(db, [first, second])
    else:
        (one,), (two,) = await _open(db, [first]), await _open(db, [second])
    assert _said(one) == "opened"
    assert _said(two) == result
    async with db.transaction() as tx:
        kept = await find_order(tx, book=second.book, order_no=second.order_no)
    assert (kept is not None) is (result == "opened")


NUMBERS = [
    ("the number of another order", {"amount": 5}, "duplicate_order"),
    ("in another book", {"book": 2}, "opened"),
]


@pytest.mark.parametrize(("changes", "result"), [case[1:] for case in NUMBERS], ids=[case[0] for case in NUMBERS])
async def test_a_business_order_number_has_one_order(
    db: Database, new_order: NewOrderMaker, changes: dict[str, object], result: str
) -> None:
    first = new_order(business_order_no="b-1")
    await opened(db, first)
    (again,) = await _open(db, [new_order(business_order_no="b-1", **changes)])
    assert _said(again) == result
    if isinstance(again, TaelError):
        assert again.extra["order_no"] == first.order_no


GUARDED = [(0, "duplicate_submission"), (9, "duplicate_submission"), (10, "opened"), (3600, "opened")]


@pytest.mark.parametrize(("later_s", "result"), GUARDED)
async def test_the_guard_ends(db: Database, new_order: NewOrderMaker, later_s: int, result: str) -> None:
    first = new_order(description="same")
    await _open(db, [first])
    (again,) = await _open(db, [new_order(description="same")], later_s=later_s)
    assert _said(again) == result
    if isinstance(again, DuplicateSubmission):
        assert again.extra["order_no"] == first.order_no


async def test_the_guard_begins_anew_with_each_order_it_lets_through(db: Database, new_order: NewOrderMaker) -> None:
    said = [_said((await _open(db, [new_order(description="same")], later_s=later))[0]) for later in (0, 10, 19, 20)]
    assert said == ["opened", "opened", "duplicate_submission", "opened"]


async def test_without_a_guard_nothing_is_refused_or_noted(db: Database, new_order: NewOrderMaker) -> None:
    orders = [new_order(description="same") for _ in range(3)]
    assert [_said(one) for one in await _open(db, orders, guard_s=0)] == ["opened"] * 3
    async with db.transaction() as tx:
        assert await tx.fetchval("select count(*) from order_submission") == 0


async def test_two_processes_submit_the_same_at_once_and_the_loser_learns_the_winner(
    db: Database, new_order: NewOrderMaker
) -> None:
    first, second = new_order(description="same"), new_order(description="same")
    async with db.transaction() as winner:
        (one,) = await open_orders(winner, [first], now=NOW, guard_s=10)
        waiting = asyncio.create_task(_open(db, [second]))
        await _until_somebody_waits(db)
    (two,) = await waiting
    assert (_said(one), _said(two)) == ("opened", "duplicate_submission")
    assert isinstance(two, DuplicateSubmission)
    assert two.extra["order_no"] == first.order_no


async def test_one_open_attempt_under_fifty_at_once(db: Database, new_order: NewOrderMaker, ids: Ids) -> None:
    order = await opened(db, new_order())

    async def begin() -> str:
        async with db.transaction() as tx:
            (result,) = await open_attempts(tx, [attempt_for(order, ids)], now=NOW)
        return "refused" if isinstance(result, AttemptRefused) else "begun"

    results = await asyncio.gather(*(begin() for _ in range(50)))
    assert sorted(results) == ["begun"] + ["refused"] * 49
    assert len(await _attempts(db, order)) == 1


@pytest.mark.parametrize(("state", "allowed"), [
    (AttemptState.PAYING, False), (AttemptState.UNKNOWN, False), (AttemptState.FAILED, True),
    (AttemptState.CLOSED, True), (AttemptState.PAID, True),
])  # fmt: skip
async def test_a_further_attempt_needs_the_last_to_be_over(
    db: Database, new_order: NewOrderMaker, ids: Ids, state: AttemptState, allowed: bool
) -> None:
    """What a paid order may do is decided above: here only open attempts exclude each other."""
    order = await opened(db, new_order())
    async with db.transaction() as tx:
        (first,) = await open_attempts(tx, [attempt_for(order, ids)], now=NOW)
        assert not isinstance(first, AttemptRefused)
        await save(tx, [], [move_attempt(first, state, now=NOW)])
    async with db.transaction() as tx:
        (second,) = await open_attempts(tx, [attempt_for(order, ids)], now=NOW)
    assert isinstance(second, AttemptRefused) is not allowed


async def test_a_late_success_does_not_reopen_what_failed(db: Database, new_order: NewOrderMaker, ids: Ids) -> None:
    order = await opened(db, new_order())
    async with db.transaction() as tx:
        (first,) = await open_attempts(tx, [attempt_for(order, ids)], now=NOW)
        assert not isinstance(first, AttemptRefused)
        await save(tx, [], [move_attempt(first, AttemptState.FAILED, now=NOW)])
        (second,) = await open_attempts(tx, [attempt_for(order, ids)], now=NOW)
        assert not isinstance(second, AttemptRefused)
        locked = await lock_by_attempt(tx, [(1, first.attempt_no), (1, second.attempt_no)])
        await save(
            tx, [], [move_attempt(locked[1, first.attempt_no][1], AttemptState.PAID, now=NOW, channel_ref="4200")]
        )
    assert [one.state for one in await _attempts(db, order)] == [AttemptState.PAID, AttemptState.CREATED]


async def test_fifty_identical_submissions_at_once_make_one_order(shop: Shop) -> None:
    account = await shop.account()
    answers = await asyncio.gather(*(shop.recharge(account, description="same", key=f"k{n}") for n in range(50)))
    made = [one.json()["order_no"] for one in answers if one.status_code == 201]
    refused = {
        (one.status_code, one.json()["code"], one.json()["order_no"]) for one in answers if one.status_code != 201
    }
    assert len(made) == 1
    assert refused == {(409, "duplicate_submission", made[0])}
    assert await shop.count("payment_order") == 1
    assert (await shop.sim.requests()).counts["create"] == 1


async def test_a_submission_over_http_is_guarded_for_as_long_as_set(shop: Shop) -> None:
    account = await shop.account()
    said: list[int] = []
    for pause in (0, 1, 8, 1):
        shop.clock.advance(pause)
        said.append((await shop.recharge(account, description="same")).status_code)
    assert said == [201, 409, 409, 201]
    assert (await shop.recharge(account, description="same", business_order_no="b-1")).status_code == 201


async def test_fifty_with_one_business_order_number_make_one_order(shop: Shop) -> None:
    account = await shop.account()
    answers = await asyncio.gather(*(shop.recharge(account, business_order_no="b-1") for _ in range(50)))
    assert sorted(one.status_code for one in answers) == [201] + [409] * 49
    assert {one.json()["code"] for one in answers if one.status_code == 409} == {"duplicate_order"}


async def test_a_closed_order_is_never_paid_again(shop: Shop) -> None:
    account = await shop.account()
    order = (await shop.recharge(account)).json()
    await shop.http.post(f"/v1/recharges/{order['order_no']}/close")
    again = await shop.http.post(f"/v1/recharges/{order['order_no']}/pay", json={})
    assert (again.status_code, again.json()["code"]) == (409, "order_not_payable")
    assert len(await shop.sim.orders()) == 1
    assert await shop.count("payment_attempt") == 1


async def test_an_expired_order_is_not_handed_over_again(shop: Shop) -> None:
    order = (await shop.recharge(await shop.account())).json()
    shop.clock.advance(900)
    again = await shop.http.post(f"/v1/recharges/{order['order_no']}/pay", json={})
    assert (again.status_code, again.json()["code"]) == (409, "order_not_payable")


async def _open(
    db: Database, orders: list[NewOrder], *, later_s: int = 0, guard_s: int = 10
) -> list[Opened | TaelError]:
    async with db.transaction() as tx:
        return list(await open_orders(tx, orders, now=NOW + timedelta(seconds=later_s), guard_s=guard_s))


def _said(result: Opened | TaelError) -> str:
    if isinstance(result, TaelError):
        return code(type(result))
    return "resumed" if result.resumed else "opened"


async def _attempts(db: Database, order: Order) -> list[object]:
    async with db.transaction() as tx:
        return list((await attempts_of(tx, [order]))[order.order_no])


async def _until_somebody_waits(db: Database) -> None:
    async with asyncio.timeout(10):
        while True:
            async with db.transaction() as tx:
                if await tx.fetchval("select count(*) from pg_locks where not granted"):
                    return
