"""Withdrawals through the Alipay simulator with two merchant accounts: a final no for lack of money moves to the next
one, with a new number."""

import itertools
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest

from shop import BOOK, Shop
from tael import routing
from tael.channels.accounts import AccountRow
from tael.guard import keys
from tael.ledger import AccountId, BookId, Posting, balance, posting_id, require_posted
from tael.ledger.verify import verify
from tael.routing import Route
from tael_sandbox import Fault, NewAlipayMerchant
from tael_sandbox.alipay.views import AlipayMerchantView

LADDER = (10, 20, 30, 60, 120, 300, 600)


@dataclass(slots=True)
class Desk:
    """A shop that pays Alipay users through two merchant accounts; the first choice has 10.00, the second plenty."""

    shop: Shop
    merchants: list[AlipayMerchantView]
    li: str
    account: str
    payee: str
    numbers: "itertools.count[int]" = field(default_factory=lambda: itertools.count(1))

    async def ask(self, amount: int) -> str:
        """A withdrawal that li has approved."""
        number = next(self.numbers)
        body = {
            "account_id": self.account, "payee_id": self.payee, "amount": amount, "currency": "CNY",
            "description": f"提现 {number}",
        }  # fmt: skip
        answer = await self.shop.http.post("/v1/withdrawals", json=body, headers={"Idempotency-Key": f"wd-{number}"})
        assert answer.status_code == 201, answer.text
        no = answer.json()["order_no"]
        approved = await self.shop.http.post(
            f"/v1/withdrawals/{no}/approve", json={}, headers={"Authorization": f"Bearer {self.li}"}
        )
        assert approved.json()["state"] == "approved", approved.text
        await self.shop.system.payer.run_due()
        return no

    async def view(self, no: str) -> dict[str, object]:
        return (await self.shop.http.get(f"/v1/withdrawals/{no}")).json()

    async def climb(self, no: str, until: str) -> dict[str, object]:
        for pause in LADDER:
            if (await self.view(no))["state"] == until:
                break
            await self.shop.advance(pause)
            await self.shop.system.payer.run_due()
        return await self.view(no)

    async def money(self) -> tuple[int, int]:
        async with self.shop.db.transaction() as tx:
            found = await balance(tx, BookId(BOOK), AccountId(int(self.account)))
        return found.total, found.held

    async def paid(self) -> int:
        """What Alipay has really paid."""
        transfers = await self.shop.sim.alipay.transfers()
        return sum(one.amount_minor for one in transfers if one.status == "SUCCESS")


@pytest.fixture
async def desk(shop: Shop) -> AsyncIterator[Desk]:
    system, now = shop.system, shop.clock.now()
    merchants = [
        await shop.sim.alipay.create_merchant(NewAlipayMerchant(balance_minor=money)) for money in (1_000, 10_000_000)
    ]
    async with shop.db.transaction() as tx:
        for place, merchant in enumerate(merchants):
            row = AccountRow(
                book=BOOK, id=system.platform.ids.next(), name=f"alipay-{place}", channel="alipay", mode="test",
                state="active", mchid=merchant.seller_id, appid=merchant.app_id,
                base_url=merchant.gateway.removesuffix("/gateway.do"), config={},
                secret_refs={
                    "app_private_key": f"file:{merchant.private_key_path}",
                    "app_cert": f"file:{merchant.app_certificate_path}",
                    "alipay_cert": f"file:{merchant.alipay_certificate_path}",
                    "alipay_root_cert": f"file:{merchant.alipay_root_path}",
                },
                qps={}, changed_at=now,
            )  # fmt: skip
            await system.platform.accounts.add(tx, row)
            await routing.put_route(tx, Route(BOOK, "payout", row.id, "CNY", "alipay", row.name, place), now=now)
        li = await keys.issue(tx, book=BOOK, mode="test", pepper=system.parts.key_ring.pepper, now=now, person="li")
    assert await system.platform.accounts.refresh(shop.db) == []
    account = await shop.account()
    async with shop.db.transaction() as tx:
        funder = system.platform.accounts.get(book=BOOK, id=shop.merchant_account)
        fund = Posting(
            book=BookId(BOOK), id=posting_id("test", "fund"), credit=AccountId(int(account)), amount=100_000,
            debit=await system.platform.chart.receivable(tx, funder, "CNY", now=now), currency="CNY", code=1,
        )  # fmt: skip
        require_posted(await system.platform.ledger.post(tx, [fund], now=now))
    body = {"owner": "1001", "kind": "alipay_user", "number": "2088123412341234", "identity_type": "ALIPAY_USER_ID"}
    payee = await shop.http.post("/v1/payees", json=body)
    assert payee.status_code == 201, payee.text
    yield Desk(shop, merchants, li, account, payee.json()["id"])
    report = await verify(shop.db, BookId(BOOK))
    assert report.ok, report


async def test_paid_by_the_first(desk: Desk) -> None:
    no = await desk.ask(500)
    view = await desk.climb(no, "paid")
    assert [one["state"] for one in view["attempts"]] == ["paid"]
    assert (await desk.money(), await desk.paid()) == ((99_500, 0), 500)


async def test_too_poor_so_the_next_one_pays_under_a_new_number(desk: Desk) -> None:
    no = await desk.ask(5_000)
    view = await desk.climb(no, "paid")
    assert [one["state"] for one in view["attempts"]] == ["failed", "paid"]
    assert len({one["attempt_no"] for one in view["attempts"]}) == 2
    assert (await desk.money(), await desk.paid()) == ((95_000, 0), 5_000)
    assert await desk.shop.count("route_hold", "state = 'released'") == 1
    assert await desk.shop.count("route_hold", "state = 'used'") == 1


FAULTS = [
    "drop_before_commit", "commit_then_drop_reply", "5xx_after_commit", "garbage_body", "unsigned",
    "20000_before_commit", "20000_after_commit", "forged_copy",
]  # fmt: skip


@pytest.mark.parametrize("kind", FAULTS)
async def test_a_broken_payout_is_paid_once(desk: Desk, kind: str) -> None:
    await desk.shop.sim.alipay.fault(Fault(operation="fund.trans.uni.transfer", kind=kind))
    no = await desk.ask(500)
    assert (await desk.view(no))["state"] == "unknown"
    view = await desk.climb(no, "paid")
    assert [one["state"] for one in view["attempts"]] == ["paid"]
    assert (await desk.money(), await desk.paid()) == ((99_500, 0), 500)


@pytest.mark.parametrize(("first", "end", "finally_"), [
    ("dealing", "settle", "paid"), ("wait_pay", "fail", "failed"), ("dealing", "close", "failed"),
])  # fmt: skip
async def test_a_transfer_that_takes_its_time(desk: Desk, first: str, end: str, finally_: str) -> None:
    await desk.shop.sim.alipay.fault(Fault(operation="fund.trans.uni.transfer", kind=first))
    no = await desk.ask(500)
    assert (await desk.view(no))["state"] == "paying"
    assert await desk.money() == (100_000, 500)
    number = (await desk.view(no))["attempts"][0]["attempt_no"]
    sim = desk.shop.sim.alipay
    await {"settle": sim.settle_transfer, "fail": sim.fail_transfer, "close": sim.close_transfer}[end](number)
    view = await desk.climb(no, finally_)
    paid = 500 if finally_ == "paid" else 0
    assert (view["state"], await desk.money(), await desk.paid()) == (finally_, (100_000 - paid, 0), paid)
