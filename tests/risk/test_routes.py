"""Risk control over HTTP: a life of a rule set, another company's objects, and requests that are refused."""

from collections.abc import AsyncIterator

import httpx
import pytest
from fastapi import FastAPI

from risk.conftest import BOOK, MORNING, asks, judge, table
from tael.base.clock import SteppedClock
from tael.base.db import Database
from tael.base.http import install_problems
from tael.guard import KeyRing, keys
from tael.risk import Risk
from tael.risk.routes import router

PEPPER = b"p" * 32
STRICT = table(("amount > 100", "small_only", "refuse"))
BROKEN = table(("amuont > 100", "small_only", "refuse"))
SETS, RULES = "/v1/risk/rule_sets", {"operation": "withdrawal", "content": STRICT}


@pytest.fixture
def clock() -> SteppedClock:
    return SteppedClock(MORNING)


@pytest.fixture
async def app(db: Database, risk: Risk, clock: SteppedClock) -> FastAPI:
    app = FastAPI()
    install_problems(app)
    app.state.key_ring = KeyRing(db, pepper=PEPPER, mode="test", now=clock.now)
    app.include_router(router(db, risk, clock.now))
    return app


@pytest.fixture
async def client(app: FastAPI, db: Database, accounts: tuple[int, int]) -> AsyncIterator[httpx.AsyncClient]:
    async with await connected(app, db, book=BOOK) as client:
        yield client


async def connected(
    app: FastAPI, db: Database, *, book: int, scopes: tuple[str, ...] = keys.SCOPES
) -> httpx.AsyncClient:
    async with db.transaction() as tx:
        key = await keys.issue(tx, book=book, mode="test", scopes=scopes, pepper=PEPPER, now=MORNING)
    transport = httpx.ASGITransport(app)
    return httpx.AsyncClient(transport=transport, base_url="http://tael", headers={"Authorization": f"Bearer {key}"})


async def everything(db: Database) -> list[str]:
    async with db.transaction() as tx:
        return [
            str(dict(row))
            for table in ("risk_rule_set", "risk_usage", "risk_verdict", "risk_freeze", "account")
            for row in await tx.fetch(f"select * from {table} order by 1, 2, 3")
        ]


async def test_the_life_of_a_rule_set(client: httpx.AsyncClient, db: Database, risk: Risk) -> None:
    await judge(db, risk, [asks(number, number * 60) for number in range(3)])
    tried = (await client.post("/v1/risk/dry_run", json=RULES)).json()
    assert (tried["judged"], tried["stopped"], tried["by_rule"]) == (3, 1, {"small_only": 1})
    assert [one["number"] for one in tried["examples"]] == ["WD2"]

    made = await client.post(SETS, json=RULES | {"note": "trial"})
    assert made.status_code == 201
    draft = made.json()
    assert (draft["version"], draft["state"], draft["problems"], draft["content"]) == (1, "draft", [], STRICT)
    assert (await client.get(f"{SETS}/withdrawal/1")).json() == draft
    assert (await client.post("/v1/risk/dry_run", json={"operation": "withdrawal", "version": 1})).json() == tried
    for verb, state in (("shadow", "shadow"), ("activate", "active"), ("retire", "retired")):
        assert (await client.post(f"{SETS}/withdrawal/1/{verb}")).json()["state"] == state
    again = (await client.post(f"{SETS}/withdrawal/1/activate")).json()
    assert (again["version"], again["state"]) == (2, "active")
    listed = (await client.get(SETS)).json()["data"]
    assert [(one["origin"], one["version"], one["state"]) for one in listed] == [
        ("own", 2, "active"), ("own", 1, "retired"), ("shipped", 1, "active"),
    ]  # fmt: skip
    shipped = await client.get(f"{SETS}/withdrawal/1", params={"origin": "shipped"})
    assert shipped.json()["author"] == "tael"

    await judge(db, risk, [asks(9, 500, person=9)])
    verdict = (await client.get("/v1/risk/verdicts/withdrawal/WD9")).json()
    assert (verdict["outcome"], verdict["rules"], verdict["version"]) == ("refuse", ["small_only"], 2)
    assert (verdict["facts"]["amount"], verdict["person"]) == (500, "9")


async def test_a_draft_may_be_wrong_but_not_in_service(client: httpx.AsyncClient) -> None:
    made = (await client.post(SETS, json=RULES | {"content": BROKEN})).json()
    assert made["problems"] == ["amuont > 100: there is no fact amuont"]
    for verb in ("shadow", "activate"):
        refused = await client.post(f"{SETS}/withdrawal/1/{verb}")
        assert (refused.status_code, refused.json()["code"]) == (422, "invalid_rule_set")
        assert refused.json()["problems"] == made["problems"]


async def test_accounts_are_frozen_and_freed(client: httpx.AsyncClient) -> None:
    here = "/v1/risk/accounts/1"
    frozen = await client.post(f"{here}/freeze", json={"reason": "stolen"})
    assert (frozen.status_code, frozen.json()["frozen"], frozen.json()["number"]) == (200, True, 1)
    assert (await client.post(f"{here}/freeze", json={"reason": "again"})).json() == frozen.json()
    freed = (await client.post(f"{here}/unfreeze", json={"reason": "found"})).json()
    assert (freed["frozen"], freed["reason"], freed["lifted_reason"]) == (False, "stolen", "found")
    never = await client.post("/v1/risk/accounts/2/unfreeze", json={"reason": "x"})
    assert (never.status_code, never.json()["code"]) == (404, "never_frozen")


ROUTES = [
    ("GET", f"{SETS}/withdrawal/1", None, "risk:read"),
    ("POST", f"{SETS}/withdrawal/1/shadow", None, "risk:write"),
    ("POST", f"{SETS}/withdrawal/1/activate", None, "risk:write"),
    ("POST", f"{SETS}/withdrawal/1/retire", None, "risk:write"),
    ("POST", "/v1/risk/dry_run", {"operation": "withdrawal", "version": 1}, "risk:read"),
    ("GET", "/v1/risk/verdicts/withdrawal/WD1", None, "risk:read"),
    ("POST", "/v1/risk/accounts/1/freeze", {"reason": "x"}, "risk:write"),
    ("POST", "/v1/risk/accounts/1/unfreeze", {"reason": "x"}, "risk:write"),
]


@pytest.mark.parametrize(("method", "path", "body", "scope"), ROUTES)
async def test_another_company_s_objects_do_not_exist_and_a_key_without_permission_is_refused(
    method: str, path: str, body: dict[str, object] | None, scope: str, client: httpx.AsyncClient, app: FastAPI,
    db: Database, risk: Risk,
) -> None:  # fmt: skip
    await client.post(SETS, json=RULES)
    await judge(db, risk, [asks(1)])
    before = await everything(db)
    async with await connected(app, db, book=2) as stranger:
        assert (await stranger.request(method, path, json=body)).status_code == 404
    others = tuple(one for one in keys.SCOPES if one != scope)
    async with await connected(app, db, book=BOOK, scopes=others) as limited:
        assert (await limited.request(method, path, json=body)).json()["code"] == "insufficient_scope"
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://tael") as nobody:
        assert (await nobody.request(method, path, json=body)).status_code == 401
    assert await everything(db) == before


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "code"),
    [
        ("POST", SETS, RULES | {"operation": "With Drawal"}, 422, "invalid_field"),
        ("POST", SETS, RULES | {"operation": "a" * 41}, 422, "invalid_field"),
        ("POST", SETS, RULES | {"content": []}, 422, "invalid_field"),
        ("POST", SETS, RULES | {"content": {"n": "x" * 70_000}}, 422, "invalid_rule_set"),
        ("POST", SETS, RULES | {"note": "x" * 201}, 422, "invalid_field"),
        ("POST", SETS, RULES | {"state": "active"}, 422, "unknown_field"),
        ("POST", SETS, RULES | {"book": 0}, 422, "unknown_field"),
        ("POST", SETS, {"operation": "withdrawal"}, 422, "missing_field"),
        ("GET", f"{SETS}?operation=A", None, 422, "invalid_field"),
        ("GET", f"{SETS}?book=0", None, 422, "unknown_field"),
        ("GET", f"{SETS}/withdrawal/1", None, 404, "rule_set_not_found"),
        ("GET", f"{SETS}/withdrawal/0", None, 404, "not_found"),
        ("GET", f"{SETS}/withdrawal/99999999999", None, 404, "not_found"),
        ("GET", f"{SETS}/withdrawal/١", None, 404, "not_found"),
        ("GET", f"{SETS}/With/1", None, 404, "not_found"),
        ("POST", f"{SETS}/withdrawal/1/activate", None, 404, "rule_set_not_found"),
        ("POST", "/v1/risk/dry_run", {"operation": "withdrawal"}, 422, "invalid_field"),
        ("POST", "/v1/risk/dry_run", RULES | {"version": 1}, 422, "invalid_field"),
        ("POST", "/v1/risk/dry_run", RULES | {"days": 0}, 422, "invalid_field"),
        ("POST", "/v1/risk/dry_run", RULES | {"days": 91}, 422, "invalid_field"),
        ("POST", "/v1/risk/dry_run", RULES | {"content": BROKEN}, 422, "invalid_rule_set"),
        ("POST", "/v1/risk/dry_run", {"operation": "withdrawal", "version": 1}, 404, "rule_set_not_found"),
        ("GET", "/v1/risk/verdicts/withdrawal/WD1", None, 404, "verdict_not_found"),
        ("GET", "/v1/risk/verdicts/withdrawal/" + "W" * 65, None, 404, "not_found"),
        ("POST", "/v1/risk/accounts/9/freeze", {"reason": "x"}, 404, "account_not_found"),
        ("POST", "/v1/risk/accounts/5/freeze", {"reason": "x"}, 404, "account_not_found"),
        ("POST", "/v1/risk/accounts/9223372036854775808/freeze", {"reason": "x"}, 404, "account_not_found"),
        ("POST", "/v1/risk/accounts/-1/freeze", {"reason": "x"}, 404, "not_found"),
        ("POST", "/v1/risk/accounts/1/freeze", {"reason": ""}, 422, "invalid_field"),
        ("POST", "/v1/risk/accounts/1/freeze", {}, 422, "missing_field"),
    ],
)  # fmt: skip
async def test_requests_that_make_no_sense(
    method: str, path: str, body: dict[str, object] | None, status: int, code: str, client: httpx.AsyncClient,
    db: Database,
) -> None:  # fmt: skip
    before = await everything(db)
    answer = await client.request(method, path, json=body)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert await everything(db) == before
