"""Payees: bound once, sealed, masked wherever they are seen."""

import asyncio
import json

import pytest
import structlog

from tael.base.sealing import SealBroken
from tael.channels.contract import BankCard
from tael.withdrawals import store
from tael.withdrawals.payees import mask, mask_name

from .conftest import ALICE, BOB, BOOK, CARD, Company, nobody_approves

MASKS = [
    ("6222020200012345678", "****5678"), ("oUpF8uMuAJO_M2pxb1Q9zNjWeS6o", "****eS6o"), ("12345678", "****78"),
    ("1234", "****4"), ("12", "****"), ("", "****"), ("wang.xiaoming@example.com", "w***@example.com"),
]  # fmt: skip


@pytest.mark.parametrize(("number", "shown"), MASKS)
def test_the_form_that_is_shown(number: str, shown: str) -> None:
    assert mask(number) == shown


@pytest.mark.parametrize(("name", "shown"), [("王小明", "王**"), ("Li", "L*"), ("Alexander", "A***"), ("", "")])
def test_the_name_that_is_shown(name: str, shown: str) -> None:
    assert mask_name(name) == shown


async def test_bound_once(company: Company) -> None:
    first = await company.people["wang"].post("/v1/payees", json={"owner": str(ALICE)} | CARD)
    again = await company.people["wang"].post("/v1/payees", json={"owner": str(ALICE)} | CARD)
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json() == again.json()
    assert (first.json()["masked"], first.json()["holder"]) == ("****5678", "王**")
    other = await company.people["wang"].post("/v1/payees", json={"owner": str(ALICE)} | CARD | {"holder": "李四"})
    assert (other.status_code, other.json()["code"]) == (409, "payee_bound_differently")
    assert await company.bind(BOB) != first.json()["id"]


async def test_bound_by_many_at_once(company: Company) -> None:
    found = await asyncio.gather(*(company.bind() for _ in range(10)))
    assert len(set(found)) == 1
    assert await company.count("payee") == 1


async def test_unbound_and_bound_again(company: Company) -> None:
    account, payee = await company.open(), await company.bind()
    under_way = await company.approved(account, payee)
    for _ in range(2):
        gone = await company.people["wang"].delete(f"/v1/payees/{payee}")
        assert (gone.status_code, gone.json()["state"]) == (200, "unbound")
    assert (await company.ask(account, payee)).json()["code"] == "payee_unbound"
    await company.pay()
    assert await company.state(under_way) == "paid", "what was approved is paid"
    again = await company.bind()
    assert again != payee
    assert (await company.ask(account, again)).status_code == 201
    listed = await company.people["li"].get("/v1/payees", params={"owner": str(ALICE), "limit": 1})
    assert [one["id"] for one in listed.json()["data"]] == [again]
    older = await company.people["li"].get(
        "/v1/payees", params={"owner": str(ALICE), "starting_after": listed.json()["next"]}
    )
    assert [(one["id"], one["state"]) for one in older.json()["data"]] == [(payee, "unbound")]


FIELDS = [
    ({"kind": "bank_card", "number": "62220202", "holder": "王"}, "bank"),
    ({"kind": "bank_card", "number": "62220202", "bank": "ICBC"}, "holder"),
    ({"kind": "bank_card", "number": "6222 0202", "bank": "ICBC", "holder": "王"}, "number"),
    ({"kind": "bank_card", "number": "62220202", "bank": "ICBC", "holder": "王", "app_id": "wx1"}, "app_id"),
    ({"kind": "wechat_user", "number": "oUpF8uMuAJO"}, "app_id"),
    ({"kind": "wechat_user", "number": "oUpF8uMuAJO", "app_id": "wx1", "bank": "ICBC"}, "bank"),
    ({"kind": "alipay_user", "number": "2088123412341234"}, "identity_type"),
    ({"kind": "passport", "number": "62220202"}, "kind"),
]


@pytest.mark.parametrize(("fields", "param"), FIELDS, ids=str)
async def test_fields_that_do_not_fit(company: Company, fields: dict[str, str], param: str) -> None:
    answer = await company.people["wang"].post("/v1/payees", json={"owner": str(ALICE)} | fields)
    assert (answer.status_code, answer.json()["param"]) == (422, param)
    assert fields["number"] not in answer.text
    assert await company.count("payee") == 0


async def test_the_number_lies_nowhere_open(company: Company) -> None:
    await nobody_approves(company)
    seen: list[str] = []
    with structlog.testing.capture_logs() as logs:
        account = await company.open()
        payee = await company.bind()
        company.bank.answers.append("declined payee")
        number = await company.asked(account, payee)
        await company.pay()
        seen.append(json.dumps(await company.view(number)))
    seen.append(repr(logs))
    async with company.db.transaction() as tx:
        tables = [row["t"] for row in await tx.fetch(
            "select table_name t from information_schema.tables where table_schema = 'public'"
        )]  # fmt: skip
        for table in tables:
            seen += [row["r"] for row in await tx.fetch(f'select t::text r from "{table}" t')]
    assert any("****5678" in one for one in seen)
    for one in seen:
        assert CARD["number"] not in one
        assert CARD["holder"] not in one


async def test_a_row_moved_to_another_member_does_not_open(company: Company) -> None:
    mine, other = await company.bind(ALICE), await company.bind(BOB, number="6222020200000000")
    async with company.db.transaction() as tx:
        found = await store.payees(tx, [(BOOK, int(mine)), (BOOK, int(other))])
    opened = company.works.payees.open(found[BOOK, int(mine)])
    assert opened == BankCard(CARD["number"], CARD["holder"], CARD["bank"])
    swapped = store.BoundPayee(
        **{name: getattr(found[BOOK, int(mine)], name) for name in store.BoundPayee.__slots__}
        | {"sealed": found[BOOK, int(other)].sealed}
    )  # fmt: skip
    with pytest.raises(SealBroken):
        company.works.payees.open(swapped)
