"""The story of a payment whose reply was lost, whose notice came twice and whose callback failed at first."""

import json

import pytest

from shop import BOOK, MASTER_KEY, Shop, prepare
from tael.lookup import Answer, Story, count_losses, look_up
from tael_sandbox import Fault
from tael_sandbox.receiver import Fault as Trouble


async def asked(shop: Shop, text: str, *, book: int = BOOK) -> Answer:
    async with shop.db.transaction() as tx:
        return await look_up(tx, book=book, text=text)


def told(story: Story) -> list[tuple[str, str]]:
    return [(one.what, one.text) for one in story.entries]


def whats(story: Story) -> list[str]:
    return [one.what for one in story.entries]


async def listening(shop: Shop, path: str = "/shop") -> str:
    """An endpoint's secret."""
    made = await shop.http.post("/v1/webhook_endpoints", json={"url": shop.receiver.url(path), "topics": ["*"]})
    assert made.status_code == 201, made.text
    shop.receiver.secrets[path] = made.json()["secret"]
    return made.json()["secret"]


async def eventful(shop: Shop) -> tuple[str, str]:
    """Order and attempt number of a payment with every trouble, and a refund."""
    await listening(shop)
    account = await shop.account()
    await shop.sim.fault(Fault(operation="create", kind="commit_then_drop_reply"))
    order = (await shop.payment(account)).json()
    assert order["state"] == "unknown"
    await shop.advance(10)
    await shop.recover()
    number = order["attempts"][0]["attempt_no"]
    await shop.sim.pay(number)
    await shop.sim.renotify(number)
    await shop.sim.drain()
    shop.receiver.faults["/shop"] = Trouble.ERROR
    await shop.deliver()
    del shop.receiver.faults["/shop"]
    await shop.advance(60)
    await shop.deliver()
    refund = await shop.refund(order["order_no"], 4_000)
    assert refund.status_code in {201, 202}, refund.text
    await shop.sim.drain()
    return order["order_no"], number


async def test_one_timeline_tells_of_all_the_trouble(shop: Shop) -> None:
    order_no, attempt_no = await eventful(shop)
    answer = (await shop.http.get(f"/v1/lookup/{attempt_no}")).json()
    assert [(hit["kind"], hit["by"], hit["about"]) for hit in answer["hits"]] == [
        ("attempt", "attempt number", order_no)
    ]
    (story,) = answer["stories"]
    lines = [(one["what"], one["text"]) for one in story["entries"]]
    (first, *_) = lines
    assert first == ("order", "payment of 100.00 CNY opened; it is refunding now")
    exchanges = [one for one in story["entries"] if one["what"] == "exchange" and one["number"] == attempt_no]
    assert [one["data"]["operation"] for one in exchanges] == ["create", "query", "create"]
    assert exchanges[0]["data"]["status"] is None
    assert "no reply, unknown" in exchanges[0]["text"]
    assert len(exchanges[1]["data"]["response_sha256"]) == 64
    notices = [one for one in story["entries"] if one["what"] == "notice" and one["number"] == attempt_no]
    assert [one["data"]["verdict"] for one in notices] == ["paid", "known"]
    callbacks = [one for one in story["entries"] if one["what"] == "callback"]
    assert [one["data"]["outcome"] == "delivered" for one in callbacks][:2] == [False, True]
    postings = [(one["data"]["kind"], one["data"]["code"]) for one in story["entries"] if one["what"] == "posting"]
    assert postings[0] == ("posted", 103)
    assert postings[1] == ("held", 120)
    assert [one["at"] for one in story["entries"]] == sorted(one["at"] for one in story["entries"])


async def test_a_refund_is_told_in_the_story_of_its_payment(shop: Shop) -> None:
    order_no, _ = await eventful(shop)
    async with shop.db.transaction() as tx:
        refund_no = await tx.fetchval("select order_no from refund")
    by_refund, by_payment = await asked(shop, str(refund_no)), await asked(shop, order_no)
    assert by_refund.stories == by_payment.stories
    story = by_refund.stories[0]
    assert story.number == order_no
    assert [text for what, text in told(story) if what == "refund"] == [f"gives back {order_no} from channel"]
    kinds = [one.data["kind"] for one in story.entries if one.what == "posting" and one.data["code"] != 103]
    assert kinds in (["held"], ["held", "settled", "posted"])


async def test_suspense_and_waiting_work_are_told(shop: Shop) -> None:
    account = await shop.account()
    waiting = (await shop.recharge(account)).json()
    (story,) = (await asked(shop, waiting["order_no"])).stories
    assert [text for what, text in told(story) if what == "task"] == ["recover due after 0 attempt(s)"]
    await shop.http.post(f"/v1/recharges/{waiting['order_no']}/close")
    await shop.sim.pay(waiting["attempts"][0]["attempt_no"], force=True)
    await shop.sim.drain()
    (story,) = (await asked(shop, waiting["order_no"])).stories
    assert "100.00 CNY to suspense: late_payment; proposed now" in [text for _, text in told(story)]
    assert "task" not in whats(story)


async def numbers_of(shop: Shop, order_no: str, attempt_no: str) -> dict[tuple[str, str], str]:
    """A number of every sort that the eventful payment has."""
    async with shop.db.transaction() as tx:

        async def one(sql: str) -> str:
            return str(await tx.fetchval(sql))

        mine = f"where order_no = '{order_no}'"
        return {
            ("order", "order number"): order_no,
            ("order", "id"): await one(f"select id from payment_order {mine}"),
            ("order", "business number"): await one(f"select business_order_no from payment_order {mine}"),
            ("order", "idempotency key"): await one(f"select request_key from payment_order {mine}"),
            ("attempt", "attempt number"): attempt_no,
            ("attempt", "channel number"): await one(f"select channel_ref from payment_attempt {mine}"),
            ("event", "id"): await one(f"select id from event where subject = '{order_no}' limit 1"),
            ("posting", "id"): await one(f"select id from posting {mine}"),
            ("posting", "position"): await one(f"select pos from posting {mine}"),
            ("notice", "id"): await one(f"select id from channel_notice where attempt_no = '{attempt_no}' limit 1"),
            ("exchange", "id"): await one(f"select id from channel_exchange where attempt_no = '{attempt_no}' limit 1"),
        }


async def test_every_number_leads_to_the_same_story_and_to_nobody_else_s(shop: Shop) -> None:
    order_no, attempt_no = await eventful(shop)
    stranger, _ = await prepare(shop.system, shop.sim, book=2)
    for (kind, by), number in (await numbers_of(shop, order_no, attempt_no)).items():
        answer = await asked(shop, f" {number} ")
        assert (kind, by, order_no) in [(hit.kind, hit.by, hit.about) for hit in answer.hits], (kind, by)
        assert order_no in [story.number for story in answer.stories]
        url = f"/v1/lookup/{number}"
        foreign = await shop.http.get(url, headers={"Authorization": f"Bearer {stranger}"})
        assert (foreign.status_code, foreign.json()["code"]) == (404, "nothing_found"), (kind, by)


async def test_what_is_no_part_of_an_order_is_found_too(shop: Shop) -> None:
    account = await shop.account()
    answer = await asked(shop, account)
    assert [(hit.kind, hit.facts["owner"], hit.about) for hit in answer.hits] == [("account", "1001", None)]
    assert answer.stories == []
    (hit,) = (await asked(shop, str(shop.merchant_account))).hits
    assert (hit.kind, hit.facts["channel"]) == ("merchant_account", "wechat")


@pytest.mark.parametrize(
    "text", ["0", "nothing", "9" * 40, "9223372036854775808", "RC1" + "0" * 29, "%20", "x" * 128, "%F0%9F%92%B0",
             "00000000-0000-0000-0000-000000000000"],
)  # fmt: skip
async def test_what_nobody_has_is_not_found(shop: Shop, text: str) -> None:
    answer = await shop.http.get(f"/v1/lookup/{text}")
    assert (answer.status_code, answer.json()["code"]) == (404, "nothing_found"), answer.text


async def test_no_secret_and_nobody_s_particulars_are_told(shop: Shop) -> None:
    secret = await listening(shop, "/second")
    order_no, attempt_no = await eventful(shop)
    account = await shop.account()
    body = {"channel": "wechat", "method": "jsapi", "payer_id": "oCANARY-openid-0001"}
    jsapi = await shop.payment(account, key="secret-free", **body)
    async with shop.db.transaction() as tx:
        notices = await tx.fetch("select raw from channel_notice")
        await tx.execute("update payment_attempt set payer_ip = '203.0.113.77', payer_id = 'oCANARY-openid-0001'")
    key = str(shop.http.headers["authorization"]).removeprefix("Bearer ")
    canaries = [secret, secret.removeprefix("whsec_"), MASTER_KEY, key, "oCANARY-openid-0001", "203.0.113.77"]
    canaries += [json.loads(notice["raw"])["resource"]["ciphertext"][:40] for notice in notices]
    assert jsapi.status_code == 201, jsapi.text
    for number in (order_no, attempt_no, jsapi.json()["order_no"]):
        shown = await shop.http.get(f"/v1/lookup/{number}")
        assert shown.status_code == 200
        assert [canary for canary in canaries if canary in shown.text] == []
    assert "***" in shown.text


async def test_losses_are_outside_or_inside(shop: Shop) -> None:
    await listening(shop)
    account, began = await shop.account(), shop.clock.now()
    await shop.paid(account)
    await shop.sim.fault(Fault(operation="notify", kind="drop", count=100))
    order = (await shop.recharge(account)).json()
    await shop.sim.pay(order["attempts"][0]["attempt_no"])
    await shop.advance(10)
    await shop.recover()
    now = shop.clock.now()
    losses = await count_losses(shop.db, book=BOOK, since=began, until=now, now=now)
    assert (losses.external["wechat"].paid, losses.external["wechat"].recovered, losses.recovered) == (2, 1, 1)
    assert (losses.internal.orders, losses.internal.unpublished) == (1, 1)  # the other event is as new as `until`
    await shop.deliver()
    losses = await count_losses(shop.db, book=BOOK, since=began, until=shop.clock.now(), now=now)
    assert losses.internal.orders == 0
    assert (await count_losses(shop.db, book=2, since=began, until=now, now=now)).external == {}
