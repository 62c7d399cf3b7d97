"""Approvals over HTTP: pages, one, the tiers, other companies, and who may."""

import httpx
import pytest
from fastapi import FastAPI

from tael.approvals.routes import router
from tael.base.clock import SteppedClock
from tael.base.db import Database
from tael.base.http import install_problems
from tael.base.ids import Ids
from tael.guard import KeyRing, keys

from .conftest import BOOK, KIND, Ask, Decide

PEPPER = b"p" * 32


class Office:
    """People with keys at one server."""

    def __init__(self, db: Database, ids: Ids, clock: SteppedClock, mode: str = "test") -> None:
        self.db, self.clock, self.mode = db, clock, mode
        self.app = FastAPI()
        install_problems(self.app)
        self.app.state.key_ring = KeyRing(db, pepper=PEPPER, mode=mode, now=clock.now)
        self.app.include_router(router(db, ids, clock.now, kinds=("withdrawal", "adjustment")))

    async def person(
        self, name: str | None, *, book: int = BOOK, scopes: tuple[str, ...] = keys.SCOPES
    ) -> httpx.AsyncClient:
        async with self.db.transaction() as tx:
            key = await keys.issue(
                tx, book=book, mode=self.mode, scopes=scopes, pepper=PEPPER, now=self.clock.now(), person=name
            )
        return httpx.AsyncClient(
            transport=httpx.ASGITransport(self.app), base_url="http://tael", headers={"Authorization": f"Bearer {key}"}
        )


@pytest.fixture
def office(db: Database, ids: Ids, clock: SteppedClock) -> Office:
    return Office(db, ids, clock)


async def test_pages_and_one(office: Office, ask: Ask, decide: Decide) -> None:
    asked = [await ask(f"WD{n}", kind="adjustment" if n == 3 else KIND) for n in range(5)]
    await decide("li", subject="WD1")
    async with await office.person("wang") as http, await office.person("liu", book=2) as stranger:
        first = (await http.get("/v1/approvals", params={"limit": 2})).json()
        assert ([one["subject"] for one in first["data"]], first["has_more"]) == (["WD4", "WD3"], True)
        rest = (await http.get("/v1/approvals", params={"limit": 3, "starting_after": first["next"]})).json()
        assert ([one["subject"] for one in rest["data"]], rest["next"]) == (["WD2", "WD1", "WD0"], None)
        for params, subjects in (
            ({"state": "pending"}, ["WD4", "WD3", "WD2", "WD0"]), ({"state": "approved"}, ["WD1"]),
            ({"kind": "adjustment"}, ["WD3"]), ({"kind": "adjustment", "state": "approved"}, []),
        ):  # fmt: skip
            found = (await http.get("/v1/approvals", params=params)).json()["data"]
            assert [one["subject"] for one in found] == subjects
        one = (await http.get(f"/v1/approvals/{asked[1].id}")).json()
        assert (one["state"], one["needed"], one["maker"], one["payload"]["to"]) == ("approved", 1, "wang", "6222")
        assert [(it["checker"], it["decision"]) for it in one["decisions"]] == [("li", "approve")]
        assert (await stranger.get("/v1/approvals")).json()["data"] == []
        for number in (asked[1].id, 2**63, 2**70):
            answer = await stranger.get(f"/v1/approvals/{number}")
            assert (answer.status_code, answer.json()["code"]) in {(404, "approval_not_found"), (404, "not_found")}


REFUSED = [
    *((wrong, 422, "invalid_field") for wrong in ({"state": "maybe"}, {"kind": "Ä"}, {"limit": 0})),
    ({"starting_after": "x"}, 400, "bad_cursor"), ({"starting_after": str(2**63)}, 400, "bad_cursor"),
    ({"maker": "li"}, 422, "unknown_field"),
]  # fmt: skip


@pytest.mark.parametrize(("params", "status", "code"), REFUSED)
async def test_refused_filters(office: Office, params: dict[str, str], status: int, code: str) -> None:
    async with await office.person("wang") as http:
        answer = await http.get("/v1/approvals", params=params)
    assert (answer.status_code, answer.json()["code"]) == (status, code)


async def test_tiers_in_test_mode(office: Office) -> None:
    body = {
        "kind": KIND,
        "currency": "CNY",
        "tiers": [{"from_amount": 0, "needed": 0}, {"from_amount": 9, "needed": 2}],
    }
    async with await office.person("wang") as http, await office.person("liu", book=2) as stranger:
        shipped = (await http.get("/v1/approvals/tiers", params={"kind": KIND})).json()
        assert (shipped["shipped"], shipped["tiers"][1]) == (True, {"from_amount": 5_000_000, "needed": 2})
        for times in (1, 2):
            answer = await http.put("/v1/approvals/tiers", json=body)
            assert (answer.status_code, answer.json()["tiers"]) == (200, body["tiers"])
            assert [one["person"] for one in answer.json()["changes"]] == ["wang"] * times
        assert (await stranger.get("/v1/approvals/tiers", params={"kind": KIND})).json() == shipped
        for wrong, code in (
            (body | {"kind": "lunch"}, "unknown_kind"), (body | {"tiers": []}, "invalid_field"),
            (body | {"currency": "XXX"}, "invalid_currency"), (body | {"tiers": body["tiers"][1:]}, "tiers_refused"),
        ):  # fmt: skip
            assert (await http.put("/v1/approvals/tiers", json=wrong)).json()["code"] == code
        assert (await http.get("/v1/approvals/tiers", params={"kind": "lunch"})).json()["code"] == "unknown_kind"


async def test_tiers_in_live_mode(db: Database, ids: Ids, clock: SteppedClock) -> None:
    office = Office(db, ids, clock, mode="live")
    body = {"kind": KIND, "currency": "CNY", "tiers": [{"from_amount": 0, "needed": 2}]}
    verdict = {"kind": KIND, "currency": "CNY"}
    wang, again, li, nobody = [await office.person(name) for name in ("wang", "wang", "li", None)]
    async with wang, again, li, nobody:
        zero = body | {"tiers": [{"from_amount": 0, "needed": 0}]}
        assert (await wang.put("/v1/approvals/tiers", json=zero)).json()["code"] == "four_eyes_required"
        waits = await wang.put("/v1/approvals/tiers", json=body)
        assert (waits.status_code, waits.json()["state"]) == (202, "pending")
        whose = await nobody.post("/v1/approvals/tiers/approve", json=verdict)
        assert (whose.status_code, whose.json()["code"]) == (403, "person_required")
        own = await again.post("/v1/approvals/tiers/approve", json=verdict)
        assert (own.status_code, own.json()["code"]) == (403, "self_approval")
        other = await li.post("/v1/approvals/tiers/approve", json=verdict | {"payload_sha256": "0" * 64})
        assert (other.status_code, other.json()["code"]) == (409, "payload_changed")
        assert (await li.post("/v1/approvals/tiers/reject", json=verdict)).json()["state"] == "rejected"
        waits = await wang.put("/v1/approvals/tiers", json=body)
        seen = {"payload_sha256": waits.json()["payload_sha256"]}
        assert (await li.post("/v1/approvals/tiers/approve", json=verdict | seen)).json()["state"] == "approved"
        now = (await li.get("/v1/approvals/tiers", params={"kind": KIND})).json()
        assert (now["tiers"], now["changes"][0]["person"]) == (body["tiers"], "wang")


OPERATIONS = [
    ("GET", "/v1/approvals", "approvals:read"), ("GET", "/v1/approvals/1", "approvals:read"),
    ("GET", "/v1/approvals/tiers?kind=withdrawal", "approvals:read"), ("PUT", "/v1/approvals/tiers", "approvals:write"),
    *(("POST", f"/v1/approvals/tiers/{verb}", "approvals:write") for verb in ("approve", "reject")),
]  # fmt: skip


@pytest.mark.parametrize(("method", "path", "scope"), OPERATIONS)
async def test_who_may(office: Office, method: str, path: str, scope: str) -> None:
    most = tuple(one for one in keys.SCOPES if one != scope)
    async with await office.person("wang", scopes=most) as http:
        answer = await http.request(method, path)
        assert (answer.status_code, answer.json()["hint"]) == (403, f"the key needs {scope}")
        assert (await http.request(method, path, headers={"Authorization": "Bearer x"})).status_code == 401
