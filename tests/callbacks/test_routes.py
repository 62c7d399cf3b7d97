"""Callbacks over HTTP: a life of an endpoint, other companies' objects, and bodies that are refused."""

from collections.abc import AsyncIterator

import httpx
import pytest
from fastapi import FastAPI

from callbacks.conftest import BOOK, OTHER_BOOK, Emit, kept
from tael.base.clock import SteppedClock
from tael.base.db import Database
from tael.base.http import install_problems
from tael.callbacks import Callbacks, Courier
from tael.callbacks.routes import router
from tael.guard import KeyRing, keys
from tael_sandbox.receiver import Fault, Receiver

PEPPER = b"p" * 32


@pytest.fixture
async def app(callbacks: Callbacks, db: Database, clock: SteppedClock) -> FastAPI:
    app = FastAPI()
    install_problems(app)
    app.state.key_ring = KeyRing(db, pepper=PEPPER, mode="test", now=clock.now)
    app.include_router(router(callbacks))
    return app


@pytest.fixture
async def client(app: FastAPI, db: Database, clock: SteppedClock) -> AsyncIterator[httpx.AsyncClient]:
    async with await connected(app, db, clock, book=BOOK) as client:
        yield client


@pytest.fixture
async def stranger(app: FastAPI, db: Database, clock: SteppedClock) -> AsyncIterator[httpx.AsyncClient]:
    """Another company, with every permission."""
    async with await connected(app, db, clock, book=OTHER_BOOK) as client:
        yield client


async def connected(
    app: FastAPI, db: Database, clock: SteppedClock, *, book: int, scopes: tuple[str, ...] = keys.SCOPES
) -> httpx.AsyncClient:
    async with db.transaction() as tx:
        key = await keys.issue(tx, book=book, mode="test", scopes=scopes, pepper=PEPPER, now=clock.now())
    transport = httpx.ASGITransport(app)
    return httpx.AsyncClient(transport=transport, base_url="http://tael", headers={"Authorization": f"Bearer {key}"})


async def test_the_life_of_an_endpoint(
    client: httpx.AsyncClient, receiver: Receiver, courier: Courier, emit: Emit, clock: SteppedClock
) -> None:
    made = await client.post("/v1/webhook_endpoints", json={"url": receiver.url("/shop"), "topics": ["recharge.*"]})
    assert made.status_code == 201
    receiver.secrets["/shop"] = made.json()["secret"]
    here = f"/v1/webhook_endpoints/{made.json()['id']}"
    shown = (await client.get(here)).json()
    assert shown == {name: value for name, value in made.json().items() if name != "secret"}
    assert (await client.get("/v1/webhook_endpoints")).json() == {"data": [shown]}
    changed = await client.patch(here, json={"description": "shop"})
    assert changed.json() == shown | {"description": "shop"}

    assert (await client.post(f"{here}/ping")).status_code == 202
    receiver.faults["/shop"] = Fault.ERROR
    (event_id,) = await emit()
    await courier.run_due()
    page = (await client.get(f"{here}/deliveries", params={"limit": 1})).json()
    assert page["has_more"] is True
    assert page["data"][0]["id"] == str(event_id)
    assert page["data"][0]["last_error"] == "http_500"
    older = await client.get(f"{here}/deliveries", params={"starting_after": str(event_id)})
    assert [one["topic"] for one in older.json()["data"]] == ["webhook_endpoint.ping"]
    dead = await client.get(f"{here}/deliveries", params={"status": "dead"})
    assert dead.json() == {"data": [], "has_more": False}
    one = (await client.get(f"{here}/deliveries/{event_id}")).json()
    assert [(tried["number"], tried["http_status"]) for tried in one["tries"]] == [(1, 500)]

    del receiver.faults["/shop"]
    assert (await client.post(f"{here}/deliveries/{event_id}/resend")).json()["status"] == "waiting"
    await courier.run_due()
    pulled = (await client.get(f"/v1/events/{event_id}")).json()
    assert pulled in kept(receiver), "an event that is pulled looks like the one that is sent"
    assert (await client.get("/v1/events")).json() == {"data": [pulled], "has_more": False}

    rotated = await client.post(f"{here}/rotate_secret", json={})
    assert rotated.json()["secret"] != made.json()["secret"]
    assert (await client.post(f"{here}/rotate_secret", json={})).json()["code"] == "rotation_under_way"
    assert (await client.post(f"{here}/disable")).json()["status"] == "disabled"
    assert (await client.post(f"{here}/ping")).json()["code"] == "endpoint_not_enabled"
    assert (await client.post(f"{here}/enable")).json()["status"] == "enabled"
    window = {"start": "2026-01-01T00:00:00Z", "end": "2026-01-01T01:00:00Z"}
    assert (await client.post(f"{here}/deliveries/resend", json=window)).json()["code"] == "invalid_window"
    start, end = clock.now().replace(hour=0).isoformat(), clock.now().replace(hour=23, minute=59).isoformat()
    resent = await client.post(f"{here}/deliveries/resend", json={"start": start, "end": end, "scope": "all"})
    assert (resent.status_code, resent.json()["queued"]) == (202, 1)
    assert (await client.delete(here)).status_code == 204
    assert (await client.get(here)).json()["code"] == "endpoint_not_found"


ROUTES = [
    ("GET", "/v1/webhook_endpoints/{endpoint}", None, "webhooks:read"),
    ("PATCH", "/v1/webhook_endpoints/{endpoint}", {"description": "mine now"}, "webhooks:write"),
    ("DELETE", "/v1/webhook_endpoints/{endpoint}", None, "webhooks:write"),
    ("POST", "/v1/webhook_endpoints/{endpoint}/enable", None, "webhooks:write"),
    ("POST", "/v1/webhook_endpoints/{endpoint}/disable", None, "webhooks:write"),
    ("POST", "/v1/webhook_endpoints/{endpoint}/rotate_secret", {}, "webhooks:write"),
    ("POST", "/v1/webhook_endpoints/{endpoint}/ping", None, "webhooks:write"),
    ("GET", "/v1/webhook_endpoints/{endpoint}/deliveries", None, "webhooks:read"),
    ("GET", "/v1/webhook_endpoints/{endpoint}/deliveries/{event}", None, "webhooks:read"),
    ("POST", "/v1/webhook_endpoints/{endpoint}/deliveries/{event}/resend", None, "webhooks:write"),
    (
        "POST", "/v1/webhook_endpoints/{endpoint}/deliveries/resend",
        {"start": "2000-01-01T00:00:00Z", "end": "2000-01-02T00:00:00Z"}, "webhooks:write",
    ),
    ("GET", "/v1/events/{event}", None, "events:read"),
]  # fmt: skip


async def everything(db: Database) -> list[str]:
    async with db.transaction() as tx:
        return [
            str(dict(row))
            for table in ("callback_endpoint", "callback_delivery", "callback_attempt", "event")
            for row in await tx.fetch(f"select * from {table} order by 1, 2, 3")
        ]


@pytest.mark.parametrize(("method", "path", "body", "scope"), ROUTES)
async def test_another_company_s_objects_do_not_exist_and_a_key_without_permission_is_refused(
    method: str, path: str, body: dict[str, object] | None, scope: str, client: httpx.AsyncClient,
    stranger: httpx.AsyncClient, receiver: Receiver, emit: Emit, db: Database, app: FastAPI, clock: SteppedClock,
) -> None:  # fmt: skip
    made = await client.post("/v1/webhook_endpoints", json={"url": receiver.url("/shop")})
    (event_id,) = await emit()
    before = await everything(db)
    there = path.format(endpoint=made.json()["id"], event=event_id)
    foreign = await stranger.request(method, there, json=body)
    absent = await stranger.request(method, path.format(endpoint=1, event=1), json=body)
    assert foreign.status_code == absent.status_code == 404
    assert foreign.json() | {"request_id": ""} == absent.json() | {"request_id": ""}
    other_scopes = tuple(one for one in keys.SCOPES if one != scope)
    async with await connected(app, db, clock, book=BOOK, scopes=other_scopes) as limited:
        assert (await limited.request(method, there, json=body)).json()["code"] == "insufficient_scope"
    assert (await httpx_anonymous(app, method, there)).status_code == 401
    assert await everything(db) == before


async def httpx_anonymous(app: FastAPI, method: str, path: str) -> httpx.Response:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://tael") as nobody:
        return await nobody.request(method, path)


async def test_lists_show_one_s_own_only(
    client: httpx.AsyncClient, stranger: httpx.AsyncClient, receiver: Receiver, emit: Emit
) -> None:
    await client.post("/v1/webhook_endpoints", json={"url": receiver.url("/shop")})
    await emit()
    assert (await stranger.get("/v1/webhook_endpoints")).json() == {"data": []}
    assert (await stranger.get("/v1/events")).json() == {"data": [], "has_more": False}


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b'{"url": "https://127.0.0.1/"}', 422, "url_not_allowed"),
        (b'{"url": "https://user@shop.example.com/"}', 422, "url_not_allowed"),
        (b'{"url": "https://shop.example.com:22/"}', 422, "url_not_allowed"),
        (b'{"url": ""}', 422, "url_not_allowed"),
        (b'{"url": "URL", "topics": ["A"]}', 422, "invalid_topic"),
        (b'{"url": "URL", "topics": []}', 422, "invalid_field"),
        (b'{"url": "URL", "topics": "recharge.paid"}', 422, "invalid_field"),
        (b'{"url": "URL", "description": 7}', 422, "invalid_field"),
        (b'{"url": 7}', 422, "invalid_field"),
        (b'{"url": null}', 422, "invalid_field"),
        (b'{"url": "URL", "url": "URL"}', 400, "invalid_json"),
        (b'{"url": "URL", "book": 2}', 422, "unknown_field"),
        (b'{"url": "URL", "status": "enabled"}', 422, "unknown_field"),
        (b'{"url": "URL", "secret": "whsec_eA=="}', 422, "unknown_field"),
        (b"{}", 422, "missing_field"),
        (b"[]", 400, "invalid_json"),
        (b"", 400, "invalid_json"),
        (b'{"url": "\xff"}', 400, "invalid_json"),
    ],
)
async def test_bodies_that_are_refused_change_nothing(
    body: bytes, status: int, code: str, client: httpx.AsyncClient, receiver: Receiver, db: Database
) -> None:
    sent = body.replace(b"URL", receiver.url("/shop").encode())
    answer = await client.post("/v1/webhook_endpoints", content=sent, headers={"content-type": "application/json"})
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert await everything(db) == []
    assert receiver.received == []


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "code"),
    [
        ("GET", "/v1/webhook_endpoints/abc", None, 404, "endpoint_not_found"),
        ("GET", "/v1/webhook_endpoints/-1", None, 404, "endpoint_not_found"),
        ("GET", "/v1/webhook_endpoints/1e9", None, 404, "endpoint_not_found"),
        ("GET", "/v1/webhook_endpoints/١", None, 404, "endpoint_not_found"),
        ("GET", "/v1/webhook_endpoints/9999999999999999999", None, 404, "endpoint_not_found"),
        ("GET", "/v1/webhook_endpoints/" + "9" * 400, None, 404, "endpoint_not_found"),
        ("GET", "/v1/webhook_endpoints/{id}/deliveries/0", None, 404, "delivery_not_found"),
        ("GET", "/v1/webhook_endpoints/{id}/deliveries/1", None, 404, "delivery_not_found"),
        ("POST", "/v1/webhook_endpoints/{id}/deliveries/1/resend", None, 404, "delivery_not_found"),
        ("GET", "/v1/webhook_endpoints/{id}/deliveries?status=unheard", None, 422, "invalid_field"),
        ("GET", "/v1/webhook_endpoints/{id}/deliveries?limit=0", None, 422, "invalid_field"),
        ("GET", "/v1/webhook_endpoints/{id}/deliveries?limit=101", None, 422, "invalid_field"),
        ("GET", "/v1/webhook_endpoints/{id}/deliveries?limit=1000000000", None, 422, "invalid_field"),
        ("GET", "/v1/webhook_endpoints/{id}/deliveries?starting_after=x", None, 400, "bad_cursor"),
        ("GET", "/v1/events?starting_after=-5", None, 400, "bad_cursor"),
        ("GET", "/v1/events?ending_before=9223372036854775808", None, 400, "bad_cursor"),
        ("GET", "/v1/events?subject=a%00b", None, 422, "invalid_field"),
        ("GET", "/v1/events?subject=" + "a" * 101, None, 422, "invalid_field"),
        ("GET", "/v1/events/x", None, 404, "event_not_found"),
        ("POST", "/v1/webhook_endpoints/{id}/rotate_secret", {"overlap_hours": 25}, 422, "invalid_field"),
        ("POST", "/v1/webhook_endpoints/{id}/rotate_secret", {"overlap_hours": True}, 422, "invalid_field"),
        ("POST", "/v1/webhook_endpoints/{id}/deliveries/resend", {"start": 0, "end": 1}, 422, "invalid_field"),
        ("POST", "/v1/webhook_endpoints/{id}/deliveries/resend", {"start": "x", "end": "y"}, 422, "invalid_field"),
        (
            "POST", "/v1/webhook_endpoints/{id}/deliveries/resend",
            {"start": "2026-01-01T00:00:00", "end": "2026-01-01T00:00:01"}, 422, "invalid_field",
        ),
        (
            "POST", "/v1/webhook_endpoints/{id}/deliveries/resend",
            {"start": "0001-01-01T00:00:00+14:00", "end": "9999-12-31T23:59:59-14:00"}, 422, "invalid_window",
        ),
    ],
)  # fmt: skip
async def test_requests_that_make_no_sense(
    method: str, path: str, body: dict[str, object] | None, status: int, code: str,
    client: httpx.AsyncClient, receiver: Receiver, db: Database,
) -> None:  # fmt: skip
    made = await client.post("/v1/webhook_endpoints", json={"url": receiver.url("/shop")})
    before = await everything(db)
    answer = await client.request(method, path.replace("{id}", made.json()["id"]), json=body)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert await everything(db) == before


async def test_the_test_button_cannot_flood_an_endpoint(client: httpx.AsyncClient, receiver: Receiver) -> None:
    made = await client.post("/v1/webhook_endpoints", json={"url": receiver.url("/shop")})
    here = f"/v1/webhook_endpoints/{made.json()['id']}/ping"
    answers = [await client.post(here) for _ in range(7)]
    assert [answer.status_code for answer in answers] == [202] * 5 + [429] * 2
    assert answers[-1].headers["retry-after"] == "60"
