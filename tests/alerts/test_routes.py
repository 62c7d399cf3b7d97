"""Alerts over HTTP: what a company sees, page by page, and saying that somebody knows."""

import pytest

from shop import Shop
from tael.alerts import clear, raise_alert

from .conftest import BOOK, LOST, lost


@pytest.fixture
async def subjects(shop: Shop) -> list[str]:
    """Five alerts of the company, the second of them closed, and one each of the installation and of another one."""
    now = shop.clock.now()
    async with shop.db.transaction() as tx:
        mine = [lost(f"T-{number}") for number in range(5)]
        await raise_alert(tx, [*mine, lost("job", book=0), lost("other", book=2)], ids=shop.system.ids, now=now)
        await clear(tx, [(BOOK, LOST, "T-1")], now=now)
    return ["T-4", "T-3", "T-2", "T-0", "T-1"]


@pytest.mark.parametrize("limit", [1, 2, 3, 5, 100])
async def test_pages(shop: Shop, subjects: list[str], limit: int) -> None:
    seen, cursor = [], {}
    while True:
        answer = await shop.http.get("/v1/alerts", params={"limit": limit, **cursor})
        assert answer.status_code == 200, answer.text
        page = answer.json()
        seen += [one["subject"] for one in page["data"]]
        assert page["has_more"] == (page["next"] is not None)
        if not page["has_more"]:
            break
        cursor = {"starting_after": page["next"]}
    assert seen == subjects


async def test_an_alert_and_its_acknowledgement(shop: Shop, subjects: list[str]) -> None:
    page = (await shop.http.get("/v1/alerts", params={"state": "open"})).json()["data"]
    assert [one["subject"] for one in page] == subjects[:4]
    first = page[0]
    assert (first["kind"], first["severity"], first["state"], first["times"]) == ("thing_lost", "critical", "open", 1)
    assert first["text"] == {"en": "1 of T-4 lost.", "zh": "T-4 丢失 1 件。"}
    for _ in range(2):
        known = await shop.http.post(f"/v1/alerts/{first['id']}/acknowledge")
        assert known.status_code == 200, known.text
        assert known.json()["acknowledged_by"].startswith("key:")
        assert known.json()["state"] == "open"


async def test_what_is_refused(shop: Shop, subjects: list[str]) -> None:
    async with shop.db.transaction() as tx:
        foreign = await tx.fetchval("select id from alert where book = 2")
    for number in (foreign, 1, 2**63, 10**18):
        answer = await shop.http.post(f"/v1/alerts/{number}/acknowledge")
        assert (answer.status_code, answer.json()["code"]) == (404, "alert_not_found"), number
    for cursor in ("1", "open_", "shut_1", f"open_{2**63}", "closed_-1"):
        answer = await shop.http.get("/v1/alerts", params={"starting_after": cursor})
        assert (answer.status_code, answer.json()["code"]) == (400, "bad_cursor"), cursor
