"""A company's books and people: wang proposes, with two keys; li, zhao and qian check; alice has 1,000.00."""

import itertools
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import timedelta

import httpx
import pytest
from fastapi import FastAPI

from tael import approvals
from tael.adjustments import Adjustments, expire
from tael.adjustments.routes import router
from tael.approvals.routes import router as approvals_router
from tael.base.clock import SteppedClock
from tael.base.db import Database
from tael.base.http import install_problems
from tael.base.ids import Ids
from tael.guard import KeyRing, keys
from tael.ledger import DEBITS_WITHIN_CREDITS, AccountId, BookId, Ledger, NewAccount, balances, open_accounts, open_book
from tael.ledger.verify import verify
from tael.orders import NewOrder, open_orders

BOOK = BookId(1)
PEPPER = b"p" * 32
BANK, ALICE, BOB, FEE, DOLLARS = (AccountId(number) for number in (101, 102, 103, 104, 105))
ACCOUNTS = [
    NewAccount(book=BOOK, id=BANK, subject="1002", currency="CNY", normal="debit"),
    NewAccount(book=BOOK, id=ALICE, subject="2001", currency="CNY", kind="customer", limits=DEBITS_WITHIN_CREDITS),
    NewAccount(book=BOOK, id=BOB, subject="2001", currency="CNY", kind="customer", limits=DEBITS_WITHIN_CREDITS),
    NewAccount(book=BOOK, id=FEE, subject="6001", currency="CNY"),
    NewAccount(book=BOOK, id=DOLLARS, subject="2001", currency="USD"),
]  # fmt: skip
PEOPLE = {"wang": "wang", "wang again": "wang", "li": "li", "zhao": "zhao", "qian": "qian", "nobody": None}


@dataclass(slots=True)
class Company:
    """What a test plays with: `people` are HTTP clients by name."""

    db: Database
    clock: SteppedClock
    ids: Ids
    desk: Adjustments
    people: dict[str, httpx.AsyncClient]
    stranger: httpx.AsyncClient
    order_no: str
    numbers: "itertools.count[int]" = field(default_factory=lambda: itertools.count(1))

    async def propose(self, *legs: tuple[int, int, int], by: str = "wang", key: str = "", **more: object):
        """Propose to move (debit, credit, amount); answers the response."""
        body: dict[str, object] = {"reason": "complaint 17, verified"}
        if legs:
            shown = [{"debit": str(debit), "credit": str(credit), "amount": amount} for debit, credit, amount in legs]
            body |= {"currency": "CNY", "legs": shown}
        headers = {"Idempotency-Key": key or f"key-{next(self.numbers)}"}
        return await self.people[by].post("/v1/adjustments", json=body | more, headers=headers)

    async def proposed(self, *legs: tuple[int, int, int], **more: object) -> str:
        """The number of a new proposal."""
        answer = await self.propose(*legs, **more)
        assert answer.status_code == 201, answer.text
        return answer.json()["adjustment_no"]

    async def act(self, who: str, verb: str, number: str, **body: object) -> tuple[int, str]:
        """Approve, reject or cancel; answers the status and the state or code."""
        path = f"/v1/adjustments/{number}/{verb}"
        answer = await self.people[who].post(path, **({} if verb == "cancel" else {"json": body}))
        said = answer.json()
        return answer.status_code, said.get("state") if answer.status_code == 200 else said["code"]

    async def state(self, number: str) -> str:
        """Where an adjustment stands."""
        return (await self.people["li"].get(f"/v1/adjustments/{number}")).json()["state"]

    async def totals(self) -> tuple[int, ...]:
        """What bank, alice, bob and fee hold."""
        async with self.db.transaction() as tx:
            return tuple(one.total for one in await balances(tx, BOOK, [BANK, ALICE, BOB, FEE]))

    async def events(self, number: str) -> list[str]:
        """The topics told about an adjustment, in order."""
        async with self.db.transaction() as tx:
            rows = await tx.fetch("select topic from event where subject = $1 order by sequence", number)
        return [row["topic"].removeprefix("adjustment.") for row in rows]

    async def advance(self, seconds: int) -> int:
        """Let time pass and end what is over; answers how much that was."""
        self.clock.advance(seconds)
        await self.ids.renew(self.db)
        async with self.db.transaction() as tx:
            ended = await approvals.expire_due(tx, now=self.clock.now())
            await expire(tx, ended, ids=self.ids, now=self.clock.now())
        return len(ended)


@pytest.fixture
async def company(db: Database) -> AsyncIterator[Company]:
    clock = SteppedClock()
    ids = await Ids.lease(db, clock.now)
    desk = Adjustments(db, ids, Ledger(), clock.now)
    app = FastAPI()
    install_problems(app)
    app.state.key_ring = KeyRing(db, pepper=PEPPER, mode="test", now=clock.now)
    app.include_router(router(desk))
    app.include_router(approvals_router(db, ids, clock.now, kinds=("adjustment",)))
    await open_books(db, clock)
    async with AsyncExitStack() as stack:
        people = {name: await stack.enter_async_context(await client(app, db, clock, name)) for name in PEOPLE}
        stranger = await stack.enter_async_context(await client(app, db, clock, "li", book=2))
        company = Company(db, clock, ids, desk, people, stranger, await open_order(db, ids, clock))
        number = await company.proposed((BANK, ALICE, 100_000))
        assert await company.act("li", "approve", number) == (200, "posted")
        yield company
    report = await verify(db, BOOK)
    assert report.ok, report


async def open_books(db: Database, clock: SteppedClock) -> None:
    async with db.transaction() as tx:
        await open_book(tx, BOOK, name="ACME", now=clock.now())
        await open_accounts(tx, ACCOUNTS, now=clock.now())


async def open_order(db: Database, ids: Ids, clock: SteppedClock) -> str:
    """An order of alice's that an adjustment may be about."""
    order = NewOrder(
        book=BOOK, order_no=ids.order_no(business="RC", account=ALICE), id=ids.next(), kind="recharge", mode="test",
        account=ALICE, amount=100, currency="CNY", description="cards", business_order_no=None, request_key="first",
        metadata={}, expires_at=clock.now() + timedelta(minutes=15),
    )  # fmt: skip
    async with db.transaction() as tx:
        await open_orders(tx, [order], now=clock.now(), guard_s=0)
    return order.order_no


async def client(
    app: FastAPI,
    db: Database,
    clock: SteppedClock,
    name: str,
    *,
    book: int = BOOK,
    scopes: tuple[str, ...] = keys.SCOPES,
) -> httpx.AsyncClient:
    async with db.transaction() as tx:
        key = await keys.issue(
            tx, book=book, mode="test", scopes=scopes, pepper=PEPPER, now=clock.now(), person=PEOPLE[name]
        )
    headers = {"Authorization": f"Bearer {key}"}
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://tael", headers=headers)
