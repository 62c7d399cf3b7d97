"""The status page: only with a genuine link, in two languages, with figures that agree with the books."""

import re

import pytest

from shop import MASTER_KEY, Shop
from tael.console import access


async def enter(shop: Shop) -> None:
    key = access.make_key(MASTER_KEY.encode(), now=shop.clock.now())
    answer = await shop.http.get("/console", params={"key": key})
    assert (answer.status_code, answer.headers["location"]) == (303, "/console")
    assert "HttpOnly" in answer.headers["set-cookie"]
    assert "SameSite=strict" in answer.headers["set-cookie"]


KEYS = [
    ("", 403),
    ("9999999999.0000", 403),
    ("9999999999", 403),
    ("x.y", 403),
]


@pytest.mark.parametrize(("key", "status"), KEYS)
async def test_without_a_genuine_key_there_is_nothing_to_see(shop: Shop, key: str, status: int) -> None:
    answer = await shop.http.get("/console", params={"key": key} if key else {})
    assert answer.status_code == status
    assert answer.json()["code"] == "console_link_needed"


async def test_a_link_is_over_after_a_day(shop: Shop) -> None:
    await enter(shop)
    assert (await shop.http.get("/console")).status_code == 200
    await shop.advance(24 * 3600 + 1)
    assert (await shop.http.get("/console")).status_code == 403


@pytest.mark.parametrize(
    ("language", "words"),
    [("en", ["Trial balance", "balanced", "Recharged today"]), ("zh", ["试算平衡", "借贷相等", "今日充值"])],
)
async def test_the_figures_are_those_of_the_books(shop: Shop, language: str, words: list[str]) -> None:
    await enter(shop)
    account = await shop.account()
    order = (await shop.recharge(account, 1_234_567, description="<script>alert(1)</script>")).json()
    await shop.sim.pay(order["attempts"][0]["attempt_no"])
    await shop.sim.drain()
    answer = await shop.http.get("/console", params={"lang": language})
    page = answer.text
    assert all(word in page for word in words)
    assert order["order_no"] in page
    assert page.count("12,345.67") == 4  # recharged today, both sides of the trial balance, the order
    assert "<script" not in page
    assert "&lt;script&gt;alert(1)" in page
    assert "default-src 'none'" in answer.headers["content-security-policy"]


async def test_suspense_is_shown_as_needing_a_person(shop: Shop) -> None:
    await enter(shop)
    order = (await shop.recharge(await shop.account())).json()
    await shop.http.post(f"/v1/recharges/{order['order_no']}/close")
    await shop.sim.pay(order["attempts"][0]["attempt_no"], force=True)
    await shop.sim.drain()
    page = (await shop.http.get("/console?lang=en")).text
    assert "late payment" in page
    assert "refund to source" in page


async def test_every_state_and_reason_has_a_word_in_both_languages(shop: Shop) -> None:
    from tael.console.words import word_of
    from tael.orders import OrderState
    from tael.payments.suspense import SuspenseReason

    for name in (*OrderState, *SuspenseReason):
        assert word_of(name, "en")
        assert re.search("[一-鿿]", word_of(name, "zh"))


HEALTH = [
    ("/healthz", 200, "ok"),
    ("/readyz", 200, "ok"),
    ("/metrics", 200, "tael_channel_call_seconds"),
    ("/docs", 200, "swagger-ui-bundle.js"),
    ("/docs/swagger-ui-bundle.js", 200, "SwaggerUIBundle"),
    ("/openapi.json", 200, "/v1/recharges"),
]


@pytest.mark.parametrize(("path", "status", "text"), HEALTH)
async def test_health_metrics_and_docs_answer(shop: Shop, path: str, status: int, text: str) -> None:
    answer = await shop.http.get(path)
    assert answer.status_code == status
    assert text in answer.text


async def test_not_ready_without_its_tables(shop: Shop) -> None:
    async with shop.db.transaction() as tx:
        await tx.execute("delete from schema_migration where number = 1")
    answer = await shop.http.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["reasons"] == {"migrations": "1 missing"}
