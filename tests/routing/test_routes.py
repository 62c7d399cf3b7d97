"""Routing over HTTP: the table of routes, usage, explaining; other companies' routes, and bodies that are refused."""

from collections.abc import AsyncIterator

import httpx
import pytest
from fastapi import FastAPI

from tael.base.clock import SteppedClock
from tael.base.db import Database
from tael.base.errors import TaelError
from tael.base.http import install_problems
from tael.guard import KeyRing, keys
from tael.routing import cool
from tael.routing.routes import router

from .conftest import BOOK, NOON, A, B, put, reserve_now, route, wanted

PEPPER = b"p" * 32
NAMES = {(BOOK, A): ("wechat", "A"), (BOOK, B): ("alipay", "B"), (2, A): ("wechat", "theirs")}
PUT = {"merchant_account": "11", "operation": "payout", "currency": "CNY"}
ASK = {"operation": "payout", "currency": "CNY", "amount": 50}


class NoSuchAccount(TaelError):
    """There is no such merchant account.
    zh: 商户号不存在。
    """

    status = 404


def naming(book: int, merchant_account: int) -> tuple[str, str]:
    """The merchant accounts of this test."""
    if (book, merchant_account) not in NAMES:
        raise NoSuchAccount
    return NAMES[book, merchant_account]


@pytest.fixture
def app(db: Database) -> FastAPI:
    app = FastAPI()
    install_problems(app)
    clock = SteppedClock(NOON)
    app.state.key_ring = KeyRing(db, pepper=PEPPER, mode="test", now=clock.now)
    app.include_router(router(db, naming, clock.now))
    return app


async def connected(app: FastAPI, db: Database, book: int, scopes: tuple[str, ...] = keys.SCOPES) -> httpx.AsyncClient:
    async with db.transaction() as tx:
        key = await keys.issue(tx, book=book, mode="test", scopes=scopes, pepper=PEPPER, now=NOON)
    transport = httpx.ASGITransport(app)
    return httpx.AsyncClient(transport=transport, base_url="http://tael", headers={"Authorization": f"Bearer {key}"})


@pytest.fixture
async def client(app: FastAPI, db: Database) -> AsyncIterator[httpx.AsyncClient]:
    async with await connected(app, db, BOOK) as client:
        yield client


async def test_set_and_list(client: httpx.AsyncClient, app: FastAPI, db: Database) -> None:
    made = await client.put("/v1/routes", json=PUT | {"daily_limit": 100, "priority": 7})
    assert made.status_code == 200, made.text
    shown = made.json()
    assert (shown["label"], shown["channel"], shown["priority"], shown["daily_limit"]) == ("A", "wechat", 7, 100)
    assert (await client.put("/v1/routes", json=PUT | {"daily_limit": 100, "priority": 7})).json() == shown
    other = (await client.put("/v1/routes", json=PUT | {"merchant_account": "12", "priority": 3})).json()
    assert (await client.get("/v1/routes")).json() == {"data": [other, shown]}
    async with db.transaction() as tx:
        await cool(tx, book=BOOK, merchant_account=A, operation="payout", until=NOON)
    replaced = (await client.put("/v1/routes", json=PUT | {"state": "paused"})).json()
    assert (replaced["daily_limit"], replaced["priority"], replaced["state"]) == (None, 100, "paused")
    assert replaced["cooling_until"] is not None
    async with await connected(app, db, 2) as stranger:
        assert (await stranger.get("/v1/routes")).json() == {"data": []}
        theirs = (await stranger.put("/v1/routes", json=PUT)).json()
        assert theirs["label"] == "theirs"
        assert (await stranger.put("/v1/routes", json=PUT | {"merchant_account": "12"})).status_code == 404
    assert len((await client.get("/v1/routes")).json()["data"]) == 2


async def test_usage_and_why(client: httpx.AsyncClient, db: Database) -> None:
    await put(db, route(A, daily_limit=100, payee_daily_count=3), route(B, channel="alipay", monthly_limit=1_000))
    await reserve_now(db, wanted(80, payee="x"))
    first, second = (await client.get("/v1/routes/usage")).json()["data"]
    assert first["day"] == {
        "of": "merchant_account", "period": "day", "starts": "2026-01-05", "used_amount": 0, "held_amount": 80,
        "used_count": 0, "held_count": 1, "amount_limit": 100, "count_limit": None, "remaining": 20,
    }  # fmt: skip
    assert (second["merchant_account"], second["month"]["remaining"], second["day"]["remaining"]) == ("12", 1_000, None)
    yesterday = (await client.get("/v1/routes/usage", params={"day": "2026-01-04"})).json()["data"]
    assert (yesterday[0]["day"]["held_amount"], yesterday[0]["month"]["held_amount"]) == (0, 80)

    answer = (await client.post("/v1/routes/explain", json=ASK | {"payee": "x"})).json()
    assert answer["merchant_account"] == "12"
    assert [(one["label"], one["verdict"]) for one in answer["considered"]] == [("A", "daily_limit"), ("B", "chosen")]
    payees = answer["considered"][0]["quotas"][2]
    assert (payees["of"], payees["held_count"], payees["count_limit"]) == ("payee", 1, 3)
    nowhere = await client.post("/v1/routes/explain", json=ASK | {"channels": ["wechat"], "exclude": ["99"]})
    assert nowhere.json()["merchant_account"] is None
    assert [one["verdict"] for one in nowhere.json()["considered"]] == ["daily_limit", "other_channel"]
    only = await client.post("/v1/routes/explain", json=ASK | {"only": "11", "amount": 20})
    assert only.json()["merchant_account"] == "11"
    async with db.transaction() as tx:
        assert await tx.fetchval("select count(*) from route_hold") == 1


REFUSED: list[tuple[str, str, dict[str, object], int, str]] = [
    ("PUT", "/v1/routes", {}, 422, "missing_field"),
    ("PUT", "/v1/routes", PUT | {"merchant_account": "99"}, 404, "no_such_account"),
    ("PUT", "/v1/routes", PUT | {"merchant_account": 11}, 422, "invalid_field"),
    ("PUT", "/v1/routes", PUT | {"merchant_account": "9" * 19}, 422, "invalid_field"),
    ("PUT", "/v1/routes", PUT | {"currency": "XXX"}, 422, "invalid_route"),
    ("PUT", "/v1/routes", PUT | {"currency": "cny"}, 422, "invalid_currency"),
    ("PUT", "/v1/routes", PUT | {"operation": "steal"}, 422, "invalid_field"),
    ("PUT", "/v1/routes", PUT | {"daily_limit": 0}, 422, "invalid_field"),
    ("PUT", "/v1/routes", PUT | {"daily_limit": 2**62}, 422, "invalid_field"),
    ("PUT", "/v1/routes", PUT | {"daily_limit": "5"}, 422, "invalid_field"),
    ("PUT", "/v1/routes", PUT | {"single_min": 2, "single_max": 1}, 422, "invalid_route"),
    ("PUT", "/v1/routes", PUT | {"label": "mine"}, 422, "unknown_field"),
    ("POST", "/v1/routes/explain", ASK | {"amount": 0}, 422, "invalid_amount"),
    ("POST", "/v1/routes/explain", ASK | {"amount": 2**64}, 422, "invalid_amount"),
    ("POST", "/v1/routes/explain", ASK | {"channels": []}, 422, "invalid_field"),
    ("POST", "/v1/routes/explain", ASK | {"only": "9" * 19}, 422, "invalid_field"),
    ("POST", "/v1/routes/explain", ASK | {"number": "N"}, 422, "unknown_field"),
    ("GET", "/v1/routes/usage?day=5", {}, 422, "invalid_field"),
    ("GET", "/v1/routes/usage?day=2026-02-30", {}, 422, "invalid_field"),
    ("GET", "/v1/routes?state=active", {}, 422, "unknown_field"),
]


@pytest.mark.parametrize(("method", "path", "body", "status", "expected"), REFUSED)
async def test_refusals(
    client: httpx.AsyncClient, db: Database, method: str, path: str, body: dict[str, object], status: int, expected: str
) -> None:
    answer = await client.request(method, path, json=body if method != "GET" else None)
    assert (answer.status_code, answer.json()["code"]) == (status, expected), answer.text
    async with db.transaction() as tx:
        assert await tx.fetchval("select count(*) from route") == 0


async def test_each_needs_its_permission(app: FastAPI, db: Database) -> None:
    for scopes, allowed in (((), set()), (("routing:read",), {200}), (("routing:write",), set())):
        async with await connected(app, db, BOOK, scopes) as limited:
            answers = [
                await limited.get("/v1/routes"), await limited.get("/v1/routes/usage"),
                await limited.post("/v1/routes/explain", json=ASK),
            ]  # fmt: skip
            assert {answer.status_code for answer in answers} == (allowed or {403})
            written = await limited.put("/v1/routes", json=PUT)
            assert written.status_code == (200 if "routing:write" in scopes else 403)
