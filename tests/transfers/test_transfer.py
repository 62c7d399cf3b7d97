"""One transfer: what it does, what refuses it, and what is left behind in each case."""

import asyncio
from datetime import timedelta

import msgspec
import pytest

from tael.guard import forget_old
from tael.ledger import AccountId, statement

from .conftest import (
    ALICE,
    BANK,
    BOB,
    BOOK,
    CAROL,
    CLOSED,
    DOLLARS,
    FROZEN,
    GIFT,
    GIFT_TOO,
    NOBODY,
    PRODUCT,
    Company,
    asked,
    said,
)

# What is asked for, and the answer; after a refusal nothing at all has changed.
CASES: list[tuple[str, dict[str, object], tuple[int, str]]] = [
    ("a transfer", asked(ALICE, BOB, 100), (201, "done")),
    ("everything", asked(ALICE, BOB, 100_000), (201, "done")),
    ("a fen too much", asked(ALICE, BOB, 100_001), (422, "insufficient_balance")),
    ("more than any account can hold", asked(ALICE, BOB, 2**63 - 1), (422, "posting_refused")),
    ("R13 to itself", asked(ALICE, ALICE, 1), (422, "transfer_to_self")),
    ("R13 to a closed account", asked(ALICE, CLOSED, 1), (409, "account_unusable")),
    ("from a closed account", asked(CLOSED, ALICE, 1), (409, "account_unusable")),
    ("R13 from a frozen account", asked(FROZEN, ALICE, 1), (409, "account_unusable")),
    ("to a frozen account, which may still receive", asked(ALICE, FROZEN, 1), (201, "done")),
    ("to nobody", asked(ALICE, NOBODY, 1), (404, "account_not_found")),
    ("from nobody", asked(NOBODY, ALICE, 1), (404, "account_not_found")),
    ("to an internal account", asked(ALICE, BANK, 1), (422, "account_cannot_transfer")),
    ("from an internal account", asked(BANK, ALICE, 1), (422, "account_cannot_transfer")),
    ("to a product account", asked(ALICE, PRODUCT, 1), (422, "account_cannot_transfer")),
    ("to another currency", asked(ALICE, DOLLARS, 1), (422, "account_cannot_transfer")),
    ("in another currency", asked(ALICE, BOB, 1, currency="USD"), (422, "account_cannot_transfer")),
    ("in no currency", asked(ALICE, BOB, 1, currency="XXX"), (422, "invalid_currency")),
    ("gifts to a balance", asked(GIFT, BOB, 1), (422, "account_cannot_transfer")),
    ("gifts to gifts", asked(GIFT, GIFT_TOO, 1), (201, "done")),
    ("a balance to gifts", asked(ALICE, GIFT, 1), (201, "done")),
    ("nothing", asked(ALICE, BOB, 0), (422, "invalid_amount")),
    ("less than nothing", asked(ALICE, BOB, -1), (422, "invalid_amount")),
    ("an account beyond 63 bits", asked(ALICE, 2**63, 1), (422, "invalid_field")),
    ("from a hold that is none", asked(ALICE, BOB, 1, from_hold="7"), (404, "hold_not_found")),
    ("a note too long", asked(ALICE, BOB, 1, note="x" * 128), (422, "invalid_field")),
    ("an unknown field", asked(ALICE, BOB, 1, fee=1), (422, "unknown_field")),
]


@pytest.mark.parametrize(("what", "body", "expected"), CASES, ids=[case[0] for case in CASES])
async def test_the_answer_twice_and_the_effect_once(
    company: Company, what: str, body: dict[str, object], expected: tuple[int, str]
) -> None:
    before = await company.totals(ALICE, BOB, CAROL, GIFT, GIFT_TOO, FROZEN)
    answers = [await company.post("/v1/transfers", body, key="once", slow=slow) for slow in (False, True)]
    assert [said(one) for one in answers] == [expected, expected], what
    done = expected[0] == 201
    assert await company.counts() == ((1, 1, 1, 0, 0) if done else (0, 0, 0, 0, 0))
    if done:
        assert answers[1].headers["idempotent-replayed"] == "true"
        assert answers[0].content == answers[1].content
    else:
        assert await company.totals(ALICE, BOB, CAROL, GIFT, GIFT_TOO, FROZEN) == before
        assert (await company.transfer(key="once")).status_code == 201, "a refused request leaves its key free"


async def test_what_both_sides_see(company: Company) -> None:
    answer = await company.transfer(ALICE, BOB, 300, note="dinner", business_transfer_no="D-1")
    shown = answer.json()
    assert shown["from_account_id"], shown["to_account_id"] == (str(ALICE), str(BOB))
    assert (shown["order_no"][:2], shown["amount"], shown["note"]) == ("TR", 300, "dinner")
    assert (await company.http.get(f"/v1/transfers/{shown['order_no']}")).json() == shown
    for account, direction, found in ((ALICE, "outgoing", 1), (ALICE, "incoming", 0), (BOB, "incoming", 1)):
        listed = await company.http.get("/v1/transfers", params={"account_id": str(account), "direction": direction})
        assert listed.json()["data"] == [shown] * found
    async with company.db.transaction() as tx:
        event = await tx.fetchrow("select topic, subject, sequence, payload::jsonb->>'amount' as amount from event")
        entries = [(await statement(tx, BOOK, one, newest_first=True))[0] for one in (ALICE, BOB)]
    assert event is not None
    assert tuple(event) == ("transfer.done", shown["order_no"], 1, "300")
    assert [(one.side, one.code, one.order_no, str(one.id)) for one in entries] == [
        ("debit", 130, shown["order_no"], shown["posting_id"]), ("credit", 130, shown["order_no"], shown["posting_id"]),
    ]  # fmt: skip
    assert await company.totals(ALICE, BOB) == (99_700, 50_300)


async def test_other_companies_see_nothing(company: Company) -> None:
    number = (await company.transfer()).json()["order_no"]
    assert (await company.stranger.get(f"/v1/transfers/{number}")).status_code == 404
    listed = await company.stranger.get("/v1/transfers", params={"account_id": str(ALICE), "direction": "outgoing"})
    assert listed.json()["data"] == []


async def test_pages_forwards_and_back(company: Company) -> None:
    numbers = [(await company.transfer(amount=amount)).json()["order_no"] for amount in range(1, 8)][::-1]
    asked_for = {"account_id": str(BOB), "direction": "incoming", "limit": 3}
    seen: list[str] = []
    after: dict[str, str] = {}
    while True:
        page = (await company.http.get("/v1/transfers", params=asked_for | after)).json()
        seen += [one["order_no"] for one in page["data"]]
        if not page["has_more"]:
            break
        after = {"starting_after": page["next"]}
    assert seen == numbers
    oldest = (await company.http.get("/v1/transfers", params=asked_for | after)).json()["data"][-1]
    back = (await company.http.get("/v1/transfers", params=asked_for | {"ending_before": oldest["id"]})).json()
    assert [one["order_no"] for one in back["data"]] == numbers[-4:-1]
    both = asked_for | {"ending_before": "1", "starting_after": "1"}
    assert (await company.http.get("/v1/transfers", params=both)).json()["code"] == "ambiguous_request"


KEYS = [
    ("K02 the same again", {}, (201, "done"), 1),
    ("another amount", {"amount": 101}, (422, "idempotency_key_reused"), 1),
    ("another note", {"note": "x"}, (422, "idempotency_key_reused"), 1),
    ("another receiver", {"to_account_id": str(CAROL)}, (422, "idempotency_key_reused"), 1),
]


@pytest.mark.parametrize("days", [0, 31])
@pytest.mark.parametrize(("what", "changes", "expected", "transfers"), KEYS, ids=[case[0] for case in KEYS])
async def test_a_key_stands_for_one_transfer_for_ever(
    company: Company, what: str, changes: dict[str, object], expected: tuple[int, str], transfers: int, days: int
) -> None:
    """K11: after the stored answer is forgotten the transfer itself still answers."""
    first = await company.transfer(key="once")
    if days:
        await company.advance(int(timedelta(days=days).total_seconds()))
        async with company.db.transaction() as tx:
            await forget_old(tx, now=company.clock.now())
    again = await company.post("/v1/transfers", asked(ALICE, BOB, 100) | changes, key="once")
    assert said(again) == expected, what
    assert await company.counts() == (transfers, transfers, transfers, 0, 0)
    if again.status_code == 201:
        assert again.content == first.content


async def test_a_business_number_is_good_for_one_transfer(company: Company) -> None:
    first = await company.transfer(business_transfer_no="N-1")
    again = await company.transfer(business_transfer_no="N-1")
    assert said(again) == (409, "duplicate_transfer")
    assert again.json()["order_no"] == first.json()["order_no"]
    assert said(await company.transfer(amount=10**9, business_transfer_no="N-2")) == (422, "insufficient_balance")
    assert said(await company.transfer(business_transfer_no="N-2")) == (201, "done")


@pytest.mark.parametrize("key", ["", "x" * 256, "a b"])
async def test_no_usable_key(company: Company, key: str) -> None:
    answer = await company.http.post("/v1/transfers", json=asked(ALICE, BOB, 1), headers={"Idempotency-Key": key})
    assert said(answer) == (400, "idempotency_key_required")


# Through the fast way in and through the framework alone: the same answer, and nothing has happened.
WRONG = [
    ("no such key", {"Authorization": "Bearer nobody"}, b"{}", "", (401, "invalid_api_key")),
    ("a key without the permission", {"Authorization": "Bearer reader"}, b"@", "", (403, "insufficient_scope")),
    ("no JSON", {}, b"{", "", (400, "invalid_json")),
    ("a list", {}, b"[]", "", (400, "invalid_json")),
    ("V23 a field twice", {}, b'{"amount":1,"amount":2}', "", (400, "invalid_json")),
    ("V07 NaN", {}, b'{"amount":NaN}', "", (400, "invalid_json")),
    ("an empty body", {}, b"", "", (400, "invalid_json")),
    ("a missing field", {}, b"{}", "", (422, "missing_field")),
    ("V04 a fraction", {}, b'{"amount":1.5}', "", (422, "missing_field")),
    ("a query", {}, b"@", "?force=1", (422, "unknown_field")),
    ("no idempotency key", {"Idempotency-Key": ""}, b"@", "", (400, "idempotency_key_required")),
    ("another content type", {"Content-Type": "text/plain"}, b"@", "", (415, "unsupported_media_type")),
]


@pytest.mark.parametrize("slow", [False, True])
@pytest.mark.parametrize(("what", "headers", "body", "query", "expected"), WRONG, ids=[case[0] for case in WRONG])
async def test_what_is_wrong_is_said_the_same_way(
    company: Company, what: str, headers: dict[str, str], body: bytes, query: str, expected: tuple[int, str], slow: bool
) -> None:
    http = company.framework if slow else company.http
    given = {"Content-Type": "application/json", "Idempotency-Key": "once"} | headers
    if headers.get("Authorization") == "Bearer reader":
        given["Authorization"] = f"Bearer {await company.key('transfers:read')}"
    sent = msgspec.json.encode(asked(ALICE, BOB, 1)) if body == b"@" else body
    assert said(await http.post(f"/v1/transfers{query}", content=sent, headers=given)) == expected, what
    assert await company.counts() == (0, 0, 0, 0, 0)


async def test_a_cycle_in_one_batch_of_requests(company: Company) -> None:
    """G12: an account that receives 100 and pays 100 on has two entries of its own, in order."""
    ring = [(ALICE, CAROL), (CAROL, BOB), (BOB, ALICE)]
    answers = await asyncio.gather(*(company.transfer(debit, credit, 100) for debit, credit in ring))
    assert {one.status_code for one in answers} == {201}
    assert await company.totals(ALICE, BOB, CAROL) == (100_000, 50_000, 0)
    async with company.db.transaction() as tx:
        entries = await statement(tx, BOOK, AccountId(CAROL))
    assert [(one.seq, one.side, one.opening, one.closing.total) for one in entries] == [
        (1, "credit", 0, 100), (2, "debit", 100, 0),
    ]  # fmt: skip


async def test_rows_are_for_ever(company: Company) -> None:
    await company.transfer()
    for statement_ in ("update transfer set amount = 1", "delete from transfer", "truncate transfer"):
        with pytest.raises(Exception, match="append-only"):
            async with company.db.transaction() as tx:
                await tx.execute(statement_)
