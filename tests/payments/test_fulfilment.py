"""Paid, and the product was not made: it is noticed, the business is reminded, a person is told, each once."""

import asyncio
import json

import pytest

from shop import Shop
from tael.alerts import page
from tael.base.outbox import publish_batch
from tael.payments.fulfilment import MOST_REMINDERS

WITHIN_S = 120


async def ordered(shop: Shop, **more: object) -> dict[str, object]:
    """A payment whose product is to be made within two minutes; not paid yet."""
    answer = await shop.payment(await shop.account(), fulfilment={"within_s": WITHIN_S}, **more)
    assert answer.status_code == 201, answer.text
    return answer.json()


async def paid(shop: Shop) -> str:
    order = await ordered(shop)
    await pay(shop, order)
    return str(order["order_no"])


async def pay(shop: Shop, order: dict[str, object]) -> None:
    await shop.sim.pay(order["attempts"][0]["attempt_no"])
    await shop.sim.drain()


async def fulfil(shop: Shop, order_no: str, reference: str | None = "parcel 7") -> tuple[int, dict[str, object]]:
    answer = await shop.http.post(f"/v1/payments/{order_no}/fulfil", json={"reference": reference})
    return answer.status_code, answer.json()


async def standing(shop: Shop, order_no: str) -> tuple[str, int]:
    found = (await shop.http.get(f"/v1/payments/{order_no}/fulfilment")).json()
    return found["state"], found["times_asked"]


async def reminders(shop: Shop) -> list[int]:
    """The numbers of the reminders that were told, in order."""
    async with shop.db.transaction() as tx:
        rows = await tx.fetch("select payload from event where topic = 'payment.fulfilment_due' order by sequence")
    return [json.loads(row["payload"])["times_asked"] for row in rows]


async def alerts(shop: Shop) -> list[tuple[str, str, int, bool]]:
    async with shop.db.transaction() as tx:
        return [(one.kind, one.subject, one.times, one.closed_at is None) for one in await page(tx, book=1, limit=9)]


async def passes(shop: Shop, seconds: int) -> None:
    await shop.advance(seconds)
    await shop.system.fulfiller.run_due()


async def test_a_product_that_is_made_in_time_asks_for_nothing(shop: Shop) -> None:
    order_no = await paid(shop)
    assert await standing(shop, order_no) == ("expected", 0)
    await passes(shop, WITHIN_S - 1)
    first = await fulfil(shop, order_no)
    assert (first[0], first[1]["state"], first[1]["reference"]) == (200, "fulfilled", "parcel 7")
    assert await fulfil(shop, order_no) == first
    await passes(shop, 86_400)
    assert (await reminders(shop), await alerts(shop), await shop.count("task", "queue = 'fulfil'")) == ([], [], 0)
    await shop.check_books()


async def test_reminders_climb_the_ladder_and_the_third_tells_a_person(shop: Shop) -> None:
    order_no = await paid(shop)
    for wait_s, told, known in (
        (WITHIN_S - 1, 0, 0), (1, 1, 0), (59, 1, 0), (1, 2, 0), (300, 3, 1), (1799, 3, 1), (1, 4, 2), (3600, 5, 3),
    ):  # fmt: skip
        await passes(shop, wait_s)
        await shop.system.fulfiller.run_due()
        assert await reminders(shop) == list(range(1, told + 1)), wait_s
        assert await alerts(shop) == ([("product_not_made", order_no, known, True)] if known else [])
    assert await standing(shop, order_no) == ("expected", 5)
    assert (await fulfil(shop, order_no))[0] == 200
    assert [still_open for *_, still_open in await alerts(shop)] == [False]
    await passes(shop, 7 * 86_400)
    assert len(await reminders(shop)) == 5


async def test_the_ladder_ends_and_the_alert_does_not(shop: Shop) -> None:
    order_no = await paid(shop)
    for _ in range(MOST_REMINDERS + 3):
        await passes(shop, 3600)
    assert await standing(shop, order_no) == ("expected", MOST_REMINDERS)
    assert await shop.count("task", "queue = 'fulfil'") == 0
    assert [still_open for *_, still_open in await alerts(shop)] == [True]
    assert (await fulfil(shop, order_no))[0] == 200
    assert [still_open for *_, still_open in await alerts(shop)] == [False]


async def test_a_reminder_reaches_the_business(shop: Shop) -> None:
    made = await shop.http.post(
        "/v1/webhook_endpoints", json={"url": shop.receiver.url("/shop"), "topics": ["payment.fulfilment_due"]}
    )
    assert made.status_code == 201, made.text
    shop.receiver.secrets["/shop"] = made.json()["secret"]
    order_no = await paid(shop)
    await passes(shop, WITHIN_S)
    await shop.deliver()
    (message,) = shop.receiver.kept["/shop"].values()
    said = json.loads(message)
    assert said["type"] == "payment.fulfilment_due"
    assert order_no.encode() in message


async def test_a_business_in_this_process_repairs_it(shop: Shop) -> None:
    order_no = await paid(shop)

    async def make(tx: object, events: list[object]) -> None:
        made.extend(one.subject for one in events)

    made: list[str] = []
    await passes(shop, WITHIN_S)
    await publish_batch(shop.db, {"payment.fulfilment_due": [make]}, now=shop.clock.now())
    assert made == [order_no]


# What happened before, and what saying that it is made is answered.
REFUSED = [
    ("unpaid", 409, "fulfilment_too_early"),
    ("nothing wanted", 409, "fulfilment_not_expected"),
    ("fulfilled otherwise", 409, "already_fulfilled"),
    ("refunded", 409, "fulfilment_too_late"),
    ("unheard of", 404, "order_not_found"),
    ("a recharge", 404, "order_not_found"),
]


@pytest.mark.parametrize(("before", "status", "said"), REFUSED)
async def test_what_cannot_be_fulfilled(shop: Shop, before: str, status: int, said: str) -> None:
    match before:
        case "unpaid":
            order_no = (await ordered(shop))["order_no"]
        case "nothing wanted":
            order_no = (await shop.paid(await shop.account()))["order_no"]
        case "fulfilled otherwise":
            order_no = await paid(shop)
            await fulfil(shop, order_no, None)
        case "refunded":
            order_no = await paid(shop)
            await refunded(shop, order_no, 10_000)
        case "a recharge":
            order_no = (await shop.recharge(await shop.account())).json()["order_no"]
        case _:
            order_no = "PM1" + "0" * 29
    code, body = await fulfil(shop, str(order_no))
    assert (code, body["code"]) == (status, said)


async def refunded(shop: Shop, order_no: str, amount: int) -> None:
    answer = await shop.refund(order_no, amount)
    assert answer.status_code in {201, 202}, answer.text
    await shop.sim.drain()
    await shop.advance(60)
    await shop.system.refunder.run_due()
    await shop.sim.drain()


@pytest.mark.parametrize(("amount", "state"), [(10_000, "waived"), (4_000, "expected")])
async def test_money_that_went_back_is_waited_for_no_longer(shop: Shop, amount: int, state: str) -> None:
    order_no = await paid(shop)
    for wait_s in (WITHIN_S, 60, 300):
        await passes(shop, wait_s)
    await refunded(shop, order_no, amount)
    assert await standing(shop, order_no) == (state, 3)
    assert [still_open for *_, still_open in await alerts(shop)] == [state == "expected"]
    await passes(shop, 3600)
    assert len(await reminders(shop)) == (3 if state == "waived" else 4)


async def test_from_a_balance_it_is_waited_for_at_once(shop: Shop) -> None:
    payer, seller = await shop.account(), await shop.account(owner=1002)
    await pay(shop, (await shop.recharge(payer)).json())
    done = await shop.payment(
        seller, 700, channel="balance", method=None, payer_account_id=payer, fulfilment={"within_s": WITHIN_S}
    )
    assert done.status_code == 201, done.text
    order_no = done.json()["order_no"]
    assert await standing(shop, order_no) == ("expected", 0)
    await passes(shop, WITHIN_S)
    assert await reminders(shop) == [1]


async def test_paid_twice_it_is_expected_once(shop: Shop) -> None:
    order = await ordered(shop)
    await pay(shop, order)
    await shop.sim.renotify(order["attempts"][0]["attempt_no"])
    await shop.sim.drain()
    assert await shop.count("task", "queue = 'fulfil'") == 1
    assert await standing(shop, str(order["order_no"])) == ("expected", 0)


async def test_a_reminder_and_the_product_at_the_same_moment(shop: Shop) -> None:
    order_no = await paid(shop)
    shop.clock.advance(WITHIN_S)
    await shop.system.ids.renew(shop.db)
    (code, _), _ = await asyncio.gather(fulfil(shop, order_no), shop.system.fulfiller.run_due())
    assert code == 200
    assert (await standing(shop, order_no))[0] == "fulfilled"
    assert await shop.count("task", "queue = 'fulfil'") == 0
    await passes(shop, 86_400)
    assert len(await reminders(shop)) <= 1


async def test_two_workers_with_the_same_task_remind_once(shop: Shop) -> None:
    order_no = await paid(shop)
    await passes(shop, WITHIN_S)
    async with shop.db.transaction() as tx:  # as a worker that died after its commit leaves it: claimed, not settled
        await tx.execute("update task set due_at = $1 where queue = 'fulfil'", shop.clock.now())
    await shop.system.fulfiller.run_due()
    assert (await reminders(shop), await standing(shop, order_no)) == ([1], ("expected", 1))
    await passes(shop, 60)
    assert await reminders(shop) == [1, 2]


@pytest.mark.parametrize("within_s", [0, -1, 30 * 86_400 + 1, 1.5, "60", None])
async def test_a_senseless_time_is_refused(shop: Shop, within_s: object) -> None:
    answer = await shop.payment(await shop.account(), fulfilment={"within_s": within_s})
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_field")
    assert await shop.count("payment_order") == 0
