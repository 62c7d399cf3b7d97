"""Every route, every key: who may not, cannot; foreign objects do not exist; an unguarded route stops Tael."""

import re

import pytest
from fastapi import APIRouter

from attacks.arena import Arena, Call
from tael.app import UnguardedRoute, scopes_of
from tael.guard.keys import SCOPES


def operations(arena: Arena) -> list[tuple[str, str]]:
    """Method and path of everything in the API's description."""
    paths = arena.shop.system.api.openapi()["paths"]
    return [(method.upper(), path) for path, methods in paths.items() for method in methods]


def call(operation: tuple[str, str], key: str, *, identity: str = "1") -> Call:
    """A request for an operation on an object that is not there."""
    method, path = operation
    content = b"{}" if method in {"POST", "PATCH"} else b""
    headers = {"Content-Type": "application/json"} if content else {}
    return Call(method, re.sub(r"\{\w+\}", identity, path), content, headers, key)


async def test_the_description_shows_every_operation_below_v1(arena: Arena) -> None:
    assert len(operations(arena)) >= 26
    assert all(path.startswith("/v1/") for _, path in operations(arena))


@pytest.mark.parametrize(("key", "status", "code"), [
    ("", 401, "invalid_api_key"), ("unknown", 401, "invalid_api_key"), ("expired", 401, "invalid_api_key"),
    ("revoked", 401, "invalid_api_key"), ("live", 401, "wrong_mode"), ("publishable", 403, "insufficient_scope"),
    ("powerless", 403, "insufficient_scope"),
])  # fmt: skip
async def test_no_route_opens_to_a_key_that_may_nothing(arena: Arena, key: str, status: int, code: str) -> None:
    for operation in operations(arena):
        answer = await arena.send(call(operation, key))
        assert (answer.status_code, answer.json()["code"]) == (status, code), operation
    assert await arena.changes() == set()


QUESTIONS = {("POST", "/v1/routes/explain"), ("POST", "/v1/risk/dry_run")}
"""Reads that are too large for a query; they change nothing."""


async def test_a_key_that_may_read_writes_nowhere(arena: Arena) -> None:
    for operation in operations(arena):
        if operation[0] != "GET" and operation not in QUESTIONS:
            answer = await arena.send(call(operation, "readonly"))
            assert answer.status_code == 403, operation
    assert await arena.changes() == set()


async def test_every_route_asks_for_one_known_permission(arena: Arena) -> None:
    """With a key for everything but one permission, exactly the routes of that permission refuse."""
    refusals: dict[tuple[str, str], str] = {}
    for operation in operations(arena):
        hint = (await arena.send(call(operation, "powerless"))).json()["hint"]
        refusals[operation] = hint.removeprefix("the key needs ")
    assert set(refusals.values()) <= set(SCOPES)
    for (method, path), scope in refusals.items():
        reads = method == "GET" or (method, path) in QUESTIONS
        assert scope.endswith(":read") is reads, (method, path, scope)


PUBLIC = ["/healthz", "/readyz", "/metrics", "/openapi.json", "/docs"]
CLOSED = ["/redoc", "/console", "/v1", "/debug", "/v1/keys", "/admin"]


async def test_what_is_open_without_a_key_is_this_and_no_more(arena: Arena) -> None:
    for path in PUBLIC:
        assert (await arena.send(Call("GET", path, key=""))).status_code == 200, path
    for path in CLOSED:
        assert (await arena.send(Call("GET", path, key=""))).status_code in {403, 404}, path


async def test_lists_show_only_one_s_own(arena: Arena) -> None:
    ours, theirs = ({} for _ in range(2))
    for who, found in (("full", ours), ("foreign", theirs)):
        for path in ("/v1/recharges", "/v1/accounts", "/v1/events", "/v1/suspense_items", "/v1/webhook_endpoints"):
            data = (await arena.send(Call("GET", path, key=who))).json()["data"]
            found[path] = {str(one.get("order_no") or one["id"]) for one in data}
    assert ours["/v1/recharges"] == {arena.known.order}
    assert theirs["/v1/recharges"] == {arena.known.foreign_order}
    assert arena.known.account in ours["/v1/accounts"]
    assert all(not (ours[path] & theirs[path]) for path in ours)


async def test_a_foreign_object_is_answered_like_one_that_does_not_exist(arena: Arena) -> None:
    pairs = [
        ("/v1/recharges/{}", arena.known.foreign_order, "RC1" + "0" * 29),
        ("/v1/accounts/{}", arena.known.foreign_account, "8" * 18),
        ("/v1/accounts/{}/entries", arena.known.foreign_account, "8" * 18),
    ]
    for path, foreign, absent in pairs:
        one, other = [
            (await arena.send(Call("GET", path.format(identity)))).json() | {"request_id": ""}
            for identity in (foreign, absent)
        ]
        assert one == other, path


def test_a_route_without_a_permission_stops_the_application() -> None:
    routes = APIRouter()

    @routes.get("/v1/open")
    async def unguarded() -> None: ...

    with pytest.raises(UnguardedRoute):
        scopes_of([routes])


SPOOFS = {"Host": "evil.example", "X-Forwarded-Host": "evil.example", "X-Forwarded-Proto": "gopher",
          "X-Forwarded-For": "127.0.0.1"}  # fmt: skip


@pytest.mark.parametrize("path", ["/v1/recharges", "/v1/recharges/", "/v1/accounts/", "/healthz", "/console?key=x"])
async def test_what_a_request_says_about_its_host_is_echoed_nowhere(arena: Arena, path: str) -> None:
    answer = await arena.send(Call("GET", path, headers=SPOOFS))
    assert "evil.example" not in answer.text + str(answer.headers)


async def test_the_notice_address_comes_from_the_settings_not_from_the_request(arena: Arena) -> None:
    order = next(one for one in await arena.shop.sim.orders() if one.out_trade_no == arena.known.attempt)
    assert order.notify_url.startswith(str(arena.shop.http.base_url).rstrip("/"))
