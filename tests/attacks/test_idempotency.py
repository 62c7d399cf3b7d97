"""Idempotency keys: one effect per key, the first answer for every repetition, for thirty days, whoever dies when."""

import asyncio
from datetime import timedelta

import httpx2
import msgspec
import pytest

from attacks.arena import JSON, digest_of_tables
from flows.conftest import BOOK, Shop, prepare
from tael.guard import claim_for
from tael.guard import idempotency as keys
from tael_sandbox import Fault

DAY = 86_400
OTHER = 2


def request(account: str, **changes: object) -> bytes:
    """The bytes of a recharge, the same every time."""
    body: dict[str, object] = {
        "account_id": account, "amount": 100, "currency": "CNY", "channel": "wechat", "method": "native",
        "description": "once",
    } | changes  # fmt: skip
    return msgspec.json.encode(body)


async def post(shop: Shop, body: bytes, key: str, **headers: str) -> httpx2.Response:
    return await shop.http.post("/v1/recharges", content=body, headers={**JSON, "Idempotency-Key": key, **headers})


async def test_the_same_request_gets_the_same_bytes(shop: Shop) -> None:
    body = request(await shop.account())
    first = await post(shop, body, "k")
    tables, calls = await digest_of_tables(shop.db), (await shop.sim.requests()).counts
    again = await post(shop, body, "k")
    assert (again.status_code, again.content) == (first.status_code, first.content) == (201, first.content)
    assert first.headers.get("idempotent-replayed") is None
    assert again.headers["idempotent-replayed"] == "true"
    assert await digest_of_tables(shop.db) == tables
    assert (await shop.sim.requests()).counts == calls


async def test_the_first_answer_stays_when_the_order_has_moved_on(shop: Shop) -> None:
    body = request(await shop.account())
    first = await post(shop, body, "k")
    await shop.sim.pay(first.json()["attempts"][0]["attempt_no"])
    await shop.sim.drain()
    assert (await shop.order(first.json()["order_no"]))["state"] == "paid"
    assert (await post(shop, body, "k")).content == first.content


REUSED = [
    ("another amount", {"amount": 101}),
    ("another description", {"description": "twice"}),
    ("a further field", {"business_order_no": "b-1"}),
]


@pytest.mark.parametrize("change", [case[1] for case in REUSED], ids=[case[0] for case in REUSED])
async def test_the_key_of_another_request_is_refused(shop: Shop, change: dict[str, object]) -> None:
    account = await shop.account()
    await post(shop, request(account), "k")
    tables = await digest_of_tables(shop.db)
    answer = await post(shop, request(account, **change), "k")
    assert (answer.status_code, answer.json()["code"]) == (422, "idempotency_key_reused")
    assert await digest_of_tables(shop.db) == tables


async def test_the_key_of_another_endpoint_is_refused(shop: Shop) -> None:
    body = request(await shop.account())
    await post(shop, body, "k")
    async with shop.db.transaction() as tx:
        elsewhere = claim_for(book=BOOK, key="k", endpoint="POST /v1/refunds", body=body)
        assert await keys.begin(tx, [elsewhere], now=shop.clock.now()) == [keys.Reused()]


async def test_while_it_runs_a_repetition_is_told_to_wait(shop: Shop) -> None:
    body = request(await shop.account())
    await shop.sim.fault(Fault(operation="create", kind="delay_ms", delay_ms=400))
    running = asyncio.create_task(post(shop, body, "k"))
    while not await shop.count("idempotency"):
        await asyncio.sleep(0)
    answer = await post(shop, body, "k")
    assert (answer.status_code, answer.json()["code"]) == (409, "idempotency_in_flight")
    assert answer.json()["retryable"] is True
    assert int(answer.headers["retry-after"]) >= 1
    first = await running
    assert (await post(shop, body, "k")).content == first.content
    assert await shop.count("payment_order") == 1


async def test_fifty_at_once_make_one_order(shop: Shop) -> None:
    body = request(await shop.account())
    answers = await asyncio.gather(*(post(shop, body, "k") for _ in range(50)))
    made = [one for one in answers if one.status_code == 201]
    assert all(one.status_code in {201, 409} for one in answers)
    assert len({one.content for one in made}) == 1
    assert len([one for one in made if "idempotent-replayed" not in one.headers]) == 1
    assert await shop.count("payment_order") == await shop.count("payment_attempt") == 1
    assert (await shop.sim.requests()).counts["create"] == 1


async def test_a_refused_request_leaves_its_key_free(shop: Shop) -> None:
    account = await shop.account()
    assert (await post(shop, request("999"), "k")).status_code == 404
    assert await shop.count("idempotency") == 0
    assert (await post(shop, request(account), "k")).status_code == 201


async def test_after_an_unclear_answer_the_repetition_does_not_pay_again(shop: Shop) -> None:
    body = request(await shop.account())
    await shop.sim.fault(Fault(operation="create", kind="5xx_after_commit"))
    first = await post(shop, body, "k")
    again = await post(shop, body, "k")
    assert (first.status_code, again.content) == (202, first.content)
    assert len(await shop.sim.orders()) == 1


@pytest.mark.parametrize(("waited_s", "status", "orders"), [(0, 409, 1), (19, 409, 1), (20, 201, 1), (600, 201, 1)])
async def test_a_worker_that_died_leaves_its_key_locked_for_a_while(
    shop: Shop, waited_s: int, status: int, orders: int
) -> None:
    """The intent is committed and nobody answers: whoever comes after the lock goes on with the same order."""
    body = request(await shop.account())
    await shop.sim.fault(Fault(operation="create", kind="commit_then_drop_reply"))
    first = (await post(shop, body, "k")).json()
    async with shop.db.transaction() as tx:  # as the dead worker left it: claimed, and not answered
        await tx.execute("update idempotency set status = null, answer = null")
        await tx.execute("alter table payment_attempt disable trigger legal_move")
        await tx.execute("alter table payment_order disable trigger legal_move")
        await tx.execute("update payment_attempt set state = 'created', error = null")
        await tx.execute("update payment_order set state = 'created'")
        await tx.execute("alter table payment_attempt enable trigger legal_move")
        await tx.execute("alter table payment_order enable trigger legal_move")
    shop.clock.advance(waited_s)
    await shop.system.ids.renew(shop.db)
    await shop.sim.set_clock(mode="manual", now_ms=int(shop.clock.now().timestamp() * 1000))
    answer = await post(shop, body, "k")
    assert answer.status_code == status, answer.text
    assert await shop.count("payment_order") == orders == len(await shop.sim.orders())
    if status == 201:
        assert answer.json()["order_no"] == first["order_no"]


STORED = [(29 * DAY, 201, True), (30 * DAY, 201, True), (30 * DAY + 1, 201, False)]


@pytest.mark.parametrize(("later_s", "status", "replayed"), STORED)
async def test_answers_are_kept_for_thirty_days(shop: Shop, later_s: int, status: int, replayed: bool) -> None:
    body = request(await shop.account(), business_order_no="b-1")
    first = await post(shop, body, "k")
    shop.clock.advance(later_s)
    await shop.system.ids.renew(shop.db)
    again = await post(shop, body, "k")
    assert (again.status_code, again.json()["order_no"]) == (status, first.json()["order_no"])
    assert (again.headers.get("idempotent-replayed") == "true") is replayed
    assert await shop.count("payment_order") == 1


async def test_after_the_window_the_business_order_number_still_prevents_a_second_order(shop: Shop) -> None:
    body = request(await shop.account(), business_order_no="b-1")
    first = await post(shop, body, "k")
    shop.clock.advance(31 * DAY)
    await shop.system.ids.renew(shop.db)
    answer = await post(shop, body, "another-key")
    assert (answer.status_code, answer.json()["code"]) == (409, "duplicate_order")
    assert answer.json()["order_no"] == first.json()["order_no"]


async def test_after_the_window_a_key_does_not_answer_for_another_request(shop: Shop) -> None:
    account = await shop.account()
    await post(shop, request(account), "k")
    shop.clock.advance(31 * DAY)
    await shop.system.ids.renew(shop.db)
    answer = await post(shop, request(account, amount=200), "k")
    assert (answer.status_code, answer.json()["code"]) == (422, "idempotency_key_reused")
    assert await shop.count("idempotency", "status is null") == 0


async def test_old_answers_are_forgotten_in_bounded_steps(shop: Shop) -> None:
    now = shop.clock.now()
    claims = [claim_for(book=BOOK, key=f"k{n}", endpoint="POST /x", body=b"") for n in range(7)]
    async with shop.db.transaction() as tx:
        await keys.begin(tx, claims[:5], now=now - timedelta(days=30, seconds=1))
        await keys.begin(tx, claims[5:], now=now - timedelta(days=30))
        assert [await keys.forget_old(tx, now=now, limit=3) for _ in range(3)] == [3, 2, 0]


async def test_two_companies_may_use_the_same_key_and_the_same_business_order_number(shop: Shop) -> None:
    key, _ = await prepare(shop.system, shop.sim, book=OTHER)
    ours = await post(shop, request(await shop.account(), business_order_no="b-1"), "k")
    theirs = {"Authorization": f"Bearer {key}"}
    opened = await shop.http.post("/v1/accounts", json={"owner": "1", "currency": "CNY"}, headers=theirs)
    answer = await post(shop, request(opened.json()["id"], business_order_no="b-1"), "k", **theirs)
    assert (ours.status_code, answer.status_code) == (201, 201)
    assert ours.json()["order_no"] != answer.json()["order_no"]


async def test_a_batch_with_one_key_twice_takes_it_once(shop: Shop) -> None:
    one, same = (claim_for(book=BOOK, key="k", endpoint="POST /x", body=b"1") for _ in range(2))
    other = claim_for(book=BOOK, key="k", endpoint="POST /x", body=b"2")
    async with shop.db.transaction() as tx:
        standings = await keys.begin(tx, [one, same, other], now=shop.clock.now())
    assert standings == [keys.Fresh(), keys.InFlight(), keys.Reused()]
