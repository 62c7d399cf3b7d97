"""An adjustment from the proposal to the books: each step, each step twice, every refusal, and what the books say."""

import asyncpg
import pytest

from tael.ledger import AccountId, BookId, set_frozen, statement

from .conftest import ALICE, BANK, BOB, BOOK, DOLLARS, FEE, Company

START = (100_000, 100_000, 0, 0)


async def test_two_wallets(company: Company) -> None:
    number = await company.proposed(
        (ALICE, BOB, 30_000), (ALICE, FEE, 500), evidence="scan 2026-17.pdf", order_no=company.order_no
    )
    assert await company.totals() == START, "nothing moves before it is approved"
    shown = (await company.people["li"].get(f"/v1/adjustments/{number}")).json()
    assert (shown["state"], shown["needed"], shown["amount"], shown["maker"]) == ("proposed", 1, 30_500, "wang")
    assert (shown["evidence"], shown["order_no"]) == ("scan 2026-17.pdf", company.order_no)
    assert await company.act("li", "approve", number, payload_sha256=shown["payload_sha256"], note="ok") == (
        200,
        "posted",
    )
    assert await company.totals() == (100_000, 69_500, 30_000, 500)
    assert await company.events(number) == ["proposed", "posted"]
    posted = (await company.people["wang"].get(f"/v1/adjustments/{number}")).json()
    assert (posted["ended_by"], posted["decisions"][0]["note"]) == ("li", "ok")
    async with company.db.transaction() as tx:
        *_, first, second = await statement(tx, BookId(BOOK), AccountId(ALICE))
    assert [str(one.id) for one in (first, second)] == [leg["entry"] for leg in posted["legs"]]
    assert [(one.code, one.order_no, one.amount) for one in (first, second)] == [
        (140, number, 30_000),
        (140, number, 500),
    ]


# What people do to one proposal in turn, what each is answered, and what is told about it.
ROUNDS = [
    (100, [("li", "approve", 200, "posted"), ("li", "approve", 409, "already_decided"),
           ("zhao", "approve", 409, "approval_not_pending"), ("zhao", "reject", 409, "approval_not_pending"),
           ("wang", "cancel", 409, "approval_not_pending")], ["proposed", "posted"]),
    (100, [("wang", "approve", 403, "self_approval"), ("wang again", "approve", 403, "self_approval"),
           ("wang again", "reject", 403, "self_approval"), ("nobody", "approve", 200, "posted")],
     ["proposed", "posted"]),
    (100, [("li", "reject", 200, "rejected"), ("li", "reject", 409, "already_decided"),
           ("zhao", "approve", 409, "approval_not_pending")], ["proposed", "rejected"]),
    (100, [("wang", "cancel", 200, "cancelled"), ("zhao", "cancel", 200, "cancelled"),
           ("li", "approve", 409, "approval_not_pending")], ["proposed", "cancelled"]),
    (5_000_000, [("li", "approve", 200, "proposed"), ("li", "approve", 409, "already_decided"),
                 ("zhao", "reject", 200, "rejected")], ["proposed", "rejected"]),
    (50_000_000, [("li", "approve", 200, "proposed"), ("zhao", "approve", 200, "proposed"),
                  ("qian", "approve", 200, "posted")], ["proposed", "posted"]),
]  # fmt: skip


@pytest.mark.parametrize(("amount", "turns", "told"), ROUNDS)
async def test_rounds(company: Company, amount: int, turns: list[tuple[str, str, int, str]], told: list[str]) -> None:
    number = await company.proposed((BANK, FEE, amount))
    said = [(who, verb, *await company.act(who, verb, number)) for who, verb, _, _ in turns]
    assert said == turns
    assert await company.events(number) == told
    assert (await company.totals())[3] == (amount if told[-1] == "posted" else 0)


async def test_funds_are_missing_when_it_is_approved(company: Company) -> None:
    number, other = [await company.proposed((ALICE, BOB, 60_000), (ALICE, FEE, 1)) for _ in range(2)]
    assert await company.act("li", "approve", other) == (200, "posted")
    for _ in range(2):
        assert await company.act("li", "approve", number) == (422, "insufficient_balance")
    shown = (await company.people["li"].get(f"/v1/adjustments/{number}")).json()
    assert (shown["state"], shown["decisions"]) == ("proposed", []), "the decision was rolled back with it"
    assert await company.act("zhao", "approve", await company.proposed((BOB, ALICE, 60_000))) == (200, "posted")
    assert await company.act("li", "approve", number) == (200, "posted")
    assert await company.totals() == (100_000, 39_998, 60_000, 2)


async def test_an_account_is_frozen_when_it_is_approved(company: Company) -> None:
    number = await company.proposed((ALICE, BOB, 1))
    for frozen, answer in ((True, (409, "account_unusable")), (False, (200, "posted"))):
        async with company.db.transaction() as tx:
            await set_frozen(tx, BOOK, ALICE, frozen=frozen)
        assert await company.act("li", "approve", number) == answer


async def test_the_content_that_was_seen(company: Company) -> None:
    number = await company.proposed((ALICE, BOB, 1))
    assert await company.act("li", "approve", number, payload_sha256="0" * 64) == (409, "payload_changed")
    assert await company.state(number) == "proposed"


async def test_what_nobody_decides_expires(company: Company) -> None:
    number, decided = [await company.proposed((ALICE, BOB, 1)) for _ in range(2)]
    assert await company.act("li", "reject", decided) == (200, "rejected")
    assert await company.advance(7 * 86_400 - 1) == 0
    assert await company.advance(1) == 1
    assert await company.advance(1) == 0
    assert await company.act("li", "approve", number) == (409, "approval_not_pending")
    assert await company.events(number) == ["proposed", "expired"]
    assert await company.totals() == START


async def test_a_posted_adjustment_is_taken_back_by_another(company: Company) -> None:
    number = await company.proposed((ALICE, BOB, 30_000), (BOB, FEE, 500))
    assert (await company.propose(reverses=number)).json()["code"] == "adjustment_not_reversible", "not posted yet"
    assert await company.act("li", "approve", number) == (200, "posted")
    back = await company.proposed(reverses=number)
    assert (await company.propose(reverses=number)).json()["code"] == "reversal_exists"
    assert await company.act("wang again", "approve", back) == (403, "self_approval")
    assert await company.act("zhao", "approve", back) == (200, "posted")
    assert await company.totals() == START
    assert (await company.propose(reverses=number)).json()["code"] == "reversal_exists"
    assert (await company.propose(reverses=back)).json()["code"] == "adjustment_not_reversible"
    shown = (await company.people["li"].get(f"/v1/adjustments/{back}")).json()
    done = (await company.people["li"].get(f"/v1/adjustments/{number}")).json()
    assert [leg["reverses_entry"] for leg in shown["legs"]] == [leg["entry"] for leg in done["legs"]][::-1]


async def test_a_rejected_reversal_can_be_proposed_again(company: Company) -> None:
    number = await company.proposed((ALICE, BOB, 30_000))
    assert await company.act("li", "approve", number) == (200, "posted")
    assert await company.act("li", "reject", await company.proposed(reverses=number)) == (200, "rejected")
    assert await company.act("li", "approve", await company.proposed(reverses=number)) == (200, "posted")
    assert await company.totals() == START


async def test_the_same_key_proposes_once(company: Company) -> None:
    legs = (ALICE, BOB, 500)
    first, again = [await company.propose(legs, key="once") for _ in range(2)]
    assert (first.content, again.headers["idempotent-replayed"]) == (again.content, "true")
    assert (await company.propose((ALICE, BOB, 501), key="once")).json()["code"] == "idempotency_key_reused"
    async with company.db.transaction() as tx:
        await tx.execute("delete from idempotency")  # longer ago than answers are kept
    later = await company.propose(legs, key="once")
    assert later.json()["adjustment_no"] == first.json()["adjustment_no"]
    async with company.db.transaction() as tx:
        await tx.execute("delete from idempotency")
    assert (await company.propose((ALICE, BOB, 501), key="once")).json()["code"] == "idempotency_key_reused"
    assert len((await company.people["li"].get("/v1/adjustments")).json()["data"]) == 2


LEG = {"debit": str(ALICE), "credit": str(BOB), "amount": 1}
BODY = {"reason": "why", "currency": "CNY", "legs": [LEG]}
REFUSED = [
    ({"reason": ""}, "invalid_field"), ({"reason": "  \n "}, "reason_required"), ({"legs": []}, "legs_refused"),
    ({"legs": [LEG] * 21}, "invalid_field"), ({"legs": [LEG | {"credit": str(ALICE)}]}, "legs_refused"),
    ({"legs": [LEG | {"amount": 0}]}, "invalid_amount"), ({"legs": [LEG | {"amount": -1}]}, "invalid_amount"),
    ({"legs": [LEG | {"amount": True}]}, "invalid_amount"), ({"legs": [LEG | {"amount": 2**62}] * 2}, "invalid_amount"),
    ({"legs": [LEG | {"credit": str(DOLLARS)}]}, "legs_refused"), ({"currency": "USD"}, "legs_refused"),
    *(({"legs": [LEG | {"credit": nobody}]}, "account_not_found") for nobody in ("999", "0")),
    ({"legs": [LEG | {"credit": str(2**63)}]}, "invalid_field"), ({"currency": ""}, "invalid_currency"),
    ({"currency": "XXX"}, "invalid_currency"), ({"reverses": "AD1" + "0" * 29}, "legs_refused"),
    ({"reverses": "AD1" + "0" * 29, "legs": [], "currency": ""}, "adjustment_not_found"),
    ({"order_no": "17"}, "invalid_field"), ({"order_no": "RC1" + "0" * 29}, "order_not_found"),
    ({"approved": True}, "unknown_field"), ({"legs": [LEG | {"code": 101}]}, "unknown_field"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "code"), REFUSED)
async def test_refused_proposals(company: Company, change: dict[str, object], code: str) -> None:
    headers = {"Idempotency-Key": "k"}
    for _ in range(2):
        answer = await company.people["wang"].post("/v1/adjustments", json=BODY | change, headers=headers)
        assert answer.json()["code"] == code
    answer = await company.people["wang"].post("/v1/adjustments", json=BODY, headers=headers)
    assert answer.status_code == 201, "a refused request leaves its key free"


async def test_no_key_no_proposal(company: Company) -> None:
    answer = await company.people["wang"].post("/v1/adjustments", json=BODY)
    assert (answer.status_code, answer.json()["code"]) == (400, "idempotency_key_required")


async def test_other_companies_adjustments_do_not_exist(company: Company) -> None:
    number = await company.proposed((ALICE, BOB, 1))
    assert (await company.stranger.get("/v1/adjustments")).json()["data"] == []
    for method, path in (("GET", ""), ("POST", "/approve"), ("POST", "/reject"), ("POST", "/cancel")):
        answer = await company.stranger.request(method, f"/v1/adjustments/{number}{path}", json={} if path else None)
        assert (answer.status_code, answer.json()["code"]) == (404, "adjustment_not_found")
    answer = await company.stranger.post("/v1/adjustments", json=BODY, headers={"Idempotency-Key": "k"})
    assert answer.json()["code"] == "account_not_found"


async def test_pages(company: Company) -> None:
    numbers = [await company.proposed((ALICE, BOB, 1)) for _ in range(3)]
    http = company.people["li"]
    first = (await http.get("/v1/adjustments", params={"limit": 2})).json()
    rest = (await http.get("/v1/adjustments", params={"limit": 2, "starting_after": first["next"]})).json()
    assert [one["adjustment_no"] for one in first["data"] + rest["data"]][:3] == numbers[::-1]
    assert (first["has_more"], rest["has_more"]) == (True, False)
    waiting = (await http.get("/v1/adjustments", params={"state": "proposed"})).json()["data"]
    assert [one["adjustment_no"] for one in waiting] == numbers[::-1]
    waiting = (await http.get("/v1/approvals", params={"state": "pending"})).json()["data"]
    assert [one["subject"] for one in waiting] == numbers[::-1]
    assert (await http.get("/v1/adjustments", params={"starting_after": str(2**63)})).json()["code"] == "bad_cursor"


DIRECT = [
    ("update adjustment set state = 'posted', ended_at = created_at where adjustment_no = $1", "adjustment_four_eyes"),
    ("update adjustment set maker = 'li' where adjustment_no = $1", "adjustment_unchanged"),
    ("update adjustment set amount = 2 where adjustment_no = $1", "adjustment_unchanged"),
    ("delete from adjustment where adjustment_no = $1", "adjustment_kept"),
]


@pytest.mark.parametrize(("sql", "constraint"), DIRECT)
async def test_the_database_holds_the_rules_too(company: Company, sql: str, constraint: str) -> None:
    number = await company.proposed((ALICE, BOB, 1))
    with pytest.raises(asyncpg.CheckViolationError) as refused:
        async with company.db.transaction() as tx:
            await tx.execute(sql, number)
    assert refused.value.constraint_name == constraint


async def test_a_posted_one_is_never_edited(company: Company) -> None:
    number = await company.proposed((ALICE, BOB, 1))
    assert await company.act("li", "approve", number) == (200, "posted")
    for change in ("state = 'cancelled'", "state = 'proposed', ended_at = null", "ended_by = 'qian'"):
        with pytest.raises(asyncpg.CheckViolationError):
            async with company.db.transaction() as tx:
                await tx.execute(f"update adjustment set {change} where adjustment_no = $1", number)
