"""A desk that pays out through a simulator over HTTP: a shop, a funded account, a bound payee, and li who approves."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypedDict

import httpx2

from shop import BOOK, Shop
from tael import routing
from tael.channels.accounts import AccountRow
from tael.guard import keys
from tael.ledger import AccountId, BookId, Posting, balance, posting_id, require_posted
from tael.ledger.verify import verify
from tael.routing import Route

LADDER = (10, 20, 30, 60, 120, 300, 600)


class Furniture(TypedDict):
    """What every desk is opened with."""

    shop: Shop
    li: str
    account: str
    payee: str


@dataclass(kw_only=True)
class PayoutDesk:
    """Asks for withdrawals and waits for their end; 1,000.00 are on the account at first."""

    shop: Shop
    li: str
    account: str
    payee: str
    numbers: "itertools.count[int]" = field(default_factory=lambda: itertools.count(1))

    async def approved(self, amount: int) -> str:
        """A withdrawal that li has approved; who asked could not."""
        number = next(self.numbers)
        body = {
            "account_id": self.account, "payee_id": self.payee, "amount": amount, "currency": "CNY",
            "description": f"提现 {number}",
        }  # fmt: skip
        answer = await self.shop.http.post("/v1/withdrawals", json=body, headers={"Idempotency-Key": f"wd-{number}"})
        assert answer.status_code == 201, answer.text
        no = answer.json()["order_no"]
        mine = await self.shop.http.post(f"/v1/withdrawals/{no}/approve", json={})
        assert mine.json()["code"] == "self_approval"
        approved = await self.as_li("POST", f"/v1/withdrawals/{no}/approve")
        assert approved.json()["state"] == "approved", approved.text
        return no

    async def as_li(self, method: str, path: str) -> httpx2.Response:
        body = {"json": {}} if method == "POST" else {}
        return await self.shop.http.request(method, path, headers={"Authorization": f"Bearer {self.li}"}, **body)

    async def pay(self) -> None:
        """Do what the payout queue has to do now."""
        await self.shop.system.payer.run_due()

    async def call_back(self, no: str) -> tuple[int, str]:
        """Cancel; answers the status and the state or code."""
        answer = await self.shop.http.post(f"/v1/withdrawals/{no}/cancel")
        return answer.status_code, answer.json().get("code") or answer.json()["state"]

    async def view(self, no: str) -> dict[str, object]:
        return (await self.shop.http.get(f"/v1/withdrawals/{no}")).json()

    async def state(self, no: str) -> str:
        return (await self.view(no))["state"]

    async def attempts(self, no: str) -> list[str]:
        """Our numbers at the channel, the newest last."""
        return [one["attempt_no"] for one in (await self.view(no))["attempts"]]

    async def climb(self, no: str, until: str) -> dict[str, object]:
        """Let time pass rung by rung until the order is in a state."""
        for pause in LADDER:
            if await self.state(no) == until:
                break
            await self.shop.advance(pause)
            await self.pay()
        return await self.view(no)

    async def money(self) -> tuple[int, int]:
        """What is on the account, and how much of it is held."""
        async with self.shop.db.transaction() as tx:
            found = await balance(tx, BookId(BOOK), AccountId(int(self.account)))
        return found.total, found.held

    async def check(self) -> None:
        """Every invariant of the ledger holds."""
        report = await verify(self.shop.db, BookId(BOOK))
        assert report.ok, report


async def furnish(shop: Shop, payee: dict[str, str], rows: Sequence[AccountRow] = ()) -> Furniture:
    """Store merchant accounts, the first choice first; open and fund an account, bind a payee, hire li."""
    system, now = shop.system, shop.clock.now()
    async with shop.db.transaction() as tx:
        for place, row in enumerate(rows):
            await system.platform.accounts.add(tx, row)
            await routing.put_route(tx, Route(BOOK, "payout", row.id, "CNY", row.channel, row.name, place), now=now)
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
    bound = await shop.http.post("/v1/payees", json={"owner": "1001", **payee})
    assert bound.status_code == 201, bound.text
    return {"shop": shop, "li": li, "account": account, "payee": bound.json()["id"]}
