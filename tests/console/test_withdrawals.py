"""The withdrawal pages: what an approver sees, and that only the right person, page and content can decide."""

import re

import httpx2

from shop import BOOK, MASTER_KEY, Shop
from tael import routing
from tael.console import access
from tael.routing import Route


async def withdraw(shop: Shop, amount: int = 3_000) -> str:
    """A withdrawal that waits for approval: its order number."""
    account = await shop.account()
    order = (await shop.recharge(account)).json()
    await shop.sim.pay(order["attempts"][0]["attempt_no"])
    await shop.sim.drain()
    app = shop.sim.merchant.appid
    payee = await shop.http.post(
        "/v1/payees", json={"owner": "1001", "kind": "wechat_user", "app_id": app, "number": "o-alice-0001"}
    )
    assert payee.status_code == 201, payee.text
    asked = await shop.http.post(
        "/v1/withdrawals",
        json={
            "account_id": account, "payee_id": payee.json()["id"], "amount": amount, "currency": "CNY",
            "description": "<b>rent</b>",
        },
        headers={"Idempotency-Key": "withdraw-1"},
    )  # fmt: skip
    assert asked.status_code in {201, 202}, asked.text
    assert asked.json()["state"] == "reviewing"
    return asked.json()["order_no"]


async def enter(shop: Shop, path: str, person: str = "li") -> httpx2.Response:
    """Open a page with a link made for a person, as a browser does."""
    key = access.make_key(MASTER_KEY.encode(), now=shop.clock.now(), person=person)
    answer = await shop.http.get(path, params={"key": key})
    assert (answer.status_code, answer.headers["location"]) == (303, path)
    return await shop.http.get(path, params={"lang": "en"})


def form_of(page: str) -> dict[str, str]:
    """The hidden fields of the page's form."""
    return dict(re.findall(r'<input type="hidden" name="(\w+)" value="(\w+)">', page))


async def test_the_queue_and_the_sheet_show_what_an_approver_needs(shop: Shop) -> None:
    number = await withdraw(shop)
    queue = (await enter(shop, "/console/withdrawals")).text
    assert number in queue
    assert "Needs you" in queue
    sheet = (await shop.http.get(f"/console/withdrawals/{number}?lang=en")).text
    for shown in ("30.00", "waits for approval", "Risk control", "Payouts payable", "Withdrawn today", "Approve"):
        assert shown in sheet, shown
    assert "&lt;b&gt;rent" in sheet
    assert "o-alice-0001" not in sheet
    chinese = (await shop.http.get(f"/console/withdrawals/{number}?lang=zh")).text
    for shown in ("待审批", "风控", "应付提现款", "同意出款", "驳回"):
        assert shown in chinese, shown


async def test_the_sheet_shows_only_the_quotas_that_there_are(shop: Shop) -> None:
    number = await withdraw(shop)
    async with shop.db.transaction() as tx:
        route = Route(BOOK, "payout", shop.merchant_account, "CNY", "wechat", "sandbox", 1, daily_limit=500_000)
        await routing.put_route(tx, route, now=shop.clock.now())
    sheet = (await enter(shop, f"/console/withdrawals/{number}")).text
    assert '<td class="amount">today 5,000.00</td>' in sheet
    assert "Needs 1 approval by a person other than who asked" in sheet
    assert "autofocus" not in sheet, "what is approved is read first"


async def test_approving_and_rejecting_there_is_the_same_as_over_the_api(shop: Shop) -> None:
    number = await withdraw(shop)
    form = form_of((await enter(shop, f"/console/withdrawals/{number}")).text)
    said = await shop.http.post(f"/console/withdrawals/{number}/approve", data=form | {"note": "seen"})
    assert said.status_code == 303
    shown = (await shop.http.get(f"/v1/withdrawals/{number}")).json()
    assert shown["state"] == "approved"
    assert [(one["checker"], one["decision"], one["note"]) for one in shown["approval"]["decisions"]] == [
        ("li", "approve", "seen")
    ]
    again = await shop.http.post(f"/console/withdrawals/{number}/reject", data=form)
    assert (again.status_code, again.json()["code"]) == (409, "already_decided")


async def test_a_rejected_one_gives_the_money_back(shop: Shop) -> None:
    number = await withdraw(shop)
    form = form_of((await enter(shop, f"/console/withdrawals/{number}")).text)
    assert (await shop.http.post(f"/console/withdrawals/{number}/reject", data=form)).status_code == 303
    shown = (await shop.http.get(f"/v1/withdrawals/{number}")).json()
    assert shown["state"] == "invalid"
    assert await shop.available(shown["account_id"]) == 10_000


async def test_nobody_decides_without_the_form_of_an_own_page(shop: Shop) -> None:
    number = await withdraw(shop)
    form = form_of((await enter(shop, f"/console/withdrawals/{number}")).text)
    path = f"/console/withdrawals/{number}/approve"
    refused = [
        (form | {"token": "0" * 64}, 403, "form_expired"),
        ({"content": form["content"]}, 403, "form_expired"),
        (form | {"content": "0" * 64}, 409, "payload_changed"),
    ]
    for fields, status, code in refused:
        answer = await shop.http.post(path, data=fields)
        assert (answer.status_code, answer.json()["code"]) == (status, code)

    looker = (await enter(shop, f"/console/withdrawals/{number}", access.NOBODY)).text
    assert "tael withdrawal approve" in looker
    assert form_of(looker) == {}
    token = access.form_token(MASTER_KEY.encode(), shop.http.cookies[access.COOKIE])
    answer = await shop.http.post(path, data=form | {"token": token})
    assert (answer.status_code, answer.json()["code"]) == (403, "cannot_decide_here")
    shop.http.cookies.clear()
    answer = await shop.http.post(path, data=form)
    assert (answer.status_code, answer.json()["code"]) == (403, "console_link_needed")
    assert (await shop.http.get(f"/v1/withdrawals/{number}")).json()["state"] == "reviewing"


async def test_there_is_nothing_to_see_without_a_link_or_a_withdrawal(shop: Shop) -> None:
    for path in ("/console/withdrawals", "/console/withdrawals/WD1"):
        assert (await shop.http.get(path)).status_code == 403
    await enter(shop, "/console/withdrawals")
    assert (await shop.http.get("/console/withdrawals/WD1")).status_code == 404
