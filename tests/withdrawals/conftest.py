"""A company with customers, people and a scripted bank: everything but HTTP servers, on one stepped clock.

wang asks for withdrawals, with two keys; li, zhao and qian check.
"""

import itertools
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI

from tael import approvals, routing
from tael.approvals import Tier, set_tiers
from tael.approvals.routes import router as approvals_router
from tael.base.clock import Clock, SteppedClock
from tael.base.db import Database
from tael.base.http import install_problems
from tael.base.ids import Ids
from tael.base.sealing import Sealer
from tael.base.settings import Settings
from tael.base.tasks import Worker
from tael.channels.accounts import AccountRow, MerchantAccounts
from tael.channels.contract import MerchantAccount
from tael.guard import KeyRing, keys
from tael.ledger import AccountId, BookId, Ledger, Posting, balance, open_book, posting_id, require_posted
from tael.ledger import routes as ledger_routes
from tael.ledger.directory import named_account
from tael.ledger.verify import verify
from tael.payments.chart import Chart
from tael.payments.platform import Platform
from tael.risk import Risk
from tael.routing import Route
from tael.withdrawals.approve import Decisions
from tael.withdrawals.opening import PAYOUT
from tael.withdrawals.payees import Payees
from tael.withdrawals.payout import Payouts
from tael.withdrawals.routes import router
from tael.withdrawals.withdraw import Withdrawals

from .bank import Bank, Paid

BOOK = BookId(1)
MASTER_KEY = "test-master-key-" + "0123456789abcdef" * 2
PEOPLE = {"wang": "wang", "wang again": "wang", "li": "li", "zhao": "zhao", "qian": "qian"}
ALICE, BOB = 1001, 1002
CARD = {"kind": "bank_card", "number": "6222020200012345678", "holder": "王小明", "bank": "ICBC"}


@dataclass(slots=True)
class Works:
    """The parts under test, put together as a process has them."""

    platform: Platform
    payees: Payees
    withdrawals: Withdrawals
    decisions: Decisions
    payouts: Payouts
    worker: Worker


async def works(db: Database, clock: Clock, bank: Bank, folder: Path) -> Works:
    """Put a process together."""
    settings = Settings(home=folder, master_key=MASTER_KEY, submission_guard_s=0)
    ids, ledger, risk = await Ids.lease(db, clock.now), Ledger(), Risk()
    accounts = MerchantAccounts({"bank": bank})
    assert await accounts.refresh(db) == []
    platform = Platform(db, ids, ledger, Chart(), accounts, settings, clock.now)
    payees = Payees(db, ids, Sealer(MASTER_KEY.encode()), clock.now)
    payouts = Payouts(platform, payees, risk)
    return Works(
        platform, payees, Withdrawals(platform, payees, risk), Decisions(db, ids, ledger, risk, clock.now), payouts,
        Worker(db, PAYOUT, payouts.work, clock.now, concurrency=64),
    )  # fmt: skip


async def prepare(db: Database, clock: Clock, bank: Bank, *, accounts: int = 2) -> list[int]:
    """A book with merchant accounts at the bank and their routes; answers their ids, the first choice first."""
    ids = await Ids.lease(db, clock.now)
    loaded = MerchantAccounts({"bank": bank})
    numbers = [ids.next() for _ in range(accounts)]
    async with db.transaction() as tx:
        await open_book(tx, BOOK, name="ACME", now=clock.now())
        for place, number in enumerate(numbers):
            row = AccountRow(
                book=BOOK, id=number, name=f"bank-{place}", channel="bank", mode="test", state="active",
                mchid=f"M{place}", appid="", base_url="http://127.0.0.1:1", config={}, secret_refs={}, qps={},
                changed_at=clock.now(),
            )  # fmt: skip
            await loaded.add(tx, row)
            await routing.put_route(tx, Route(BOOK, "payout", number, "CNY", "bank", row.name, place), now=clock.now())
    await ids.release(db)
    return numbers


async def fund(platform: Platform, owner: int, amount: int, *, purpose: str = "balance", key: str = "") -> None:
    """Put money on a customer's account."""
    account = named_account(BOOK, subject=f"customer.{purpose}", owner=owner, currency="CNY")
    async with platform.db.transaction() as tx:
        bank = await platform.chart.receivable(tx, next(iter(platform.accounts)), "CNY", now=platform.now())
        posting = Posting(
            book=BOOK, id=posting_id("test", key or f"{owner}{purpose}"), debit=bank, credit=account, amount=amount,
            currency="CNY", code=101,
        )  # fmt: skip
        require_posted(await platform.ledger.post(tx, [posting], now=platform.now()))


@dataclass(slots=True)
class Company:
    """What a test plays with: `people` are HTTP clients by name."""

    db: Database
    clock: SteppedClock
    bank: Bank
    works: Works
    accounts: list[int]
    people: dict[str, httpx.AsyncClient]
    stranger: httpx.AsyncClient
    numbers: "itertools.count[int]" = field(default_factory=lambda: itertools.count(1))

    def merchant(self, place: int = 0) -> MerchantAccount:
        return self.works.platform.accounts.get(book=BOOK, id=self.accounts[place])

    async def open(self, owner: int = ALICE, amount: int = 100_000, purpose: str = "balance") -> str:
        """A funded customer's account."""
        body = {"owner": str(owner), "currency": "CNY"} | ({} if purpose == "balance" else {"purpose": purpose})
        answer = await self.people["wang"].post("/v1/accounts", json=body)
        assert answer.status_code == 201, answer.text
        if amount:
            await fund(self.works.platform, owner, amount, purpose=purpose)
        return answer.json()["id"]

    async def bind(self, owner: int = ALICE, **changes: object) -> str:
        """A payee's id."""
        answer = await self.people["wang"].post("/v1/payees", json={"owner": str(owner)} | CARD | changes)
        assert answer.status_code in {200, 201}, answer.text
        return answer.json()["id"]

    async def ask(
        self, account: str, payee: str, amount: int = 1_000, *, by: str = "wang", key: str = "", **more: object
    ) -> httpx.Response:
        """Ask for a withdrawal."""
        number = next(self.numbers)
        body = {
            "account_id": account, "payee_id": payee, "amount": amount, "currency": "CNY",
            "description": f"withdrawal {number}",
        } | more  # fmt: skip
        headers = {"Idempotency-Key": key or f"key-{number}"}
        return await self.people[by].post("/v1/withdrawals", json=body, headers=headers)

    async def asked(self, account: str, payee: str, amount: int = 1_000, **more: object) -> str:
        """The number of a new withdrawal."""
        answer = await self.ask(account, payee, amount, **more)
        assert answer.status_code == 201, answer.text
        return answer.json()["order_no"]

    async def approved(self, account: str, payee: str, amount: int = 1_000) -> str:
        """The number of a new withdrawal that li has approved."""
        number = await self.asked(account, payee, amount)
        assert await self.act("li", "approve", number) == (200, "approved")
        return number

    async def act(self, who: str, verb: str, number: str, **body: object) -> tuple[int, str]:
        """Approve, reject or cancel; answers the status and the state or code."""
        path = f"/v1/withdrawals/{number}/{verb}"
        answer = await self.people[who].post(path, **({} if verb == "cancel" else {"json": body}))
        said = answer.json()
        return answer.status_code, said.get("state") if answer.status_code == 200 else said["code"]

    async def view(self, number: str) -> dict[str, object]:
        answer = await self.people["li"].get(f"/v1/withdrawals/{number}")
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def state(self, number: str) -> str:
        return str((await self.view(number))["state"])

    async def pay(self) -> int:
        """Run what the payout queue has to do now."""
        return await self.works.worker.run_due()

    async def advance(self, seconds: int) -> None:
        """Let time pass, end what is over."""
        self.clock.advance(seconds)
        await self.works.platform.ids.renew(self.db)
        async with self.db.transaction() as tx:
            await self.works.decisions.expire(tx, await approvals.expire_due(tx, now=self.clock.now()))

    async def money(self, account: str) -> tuple[int, int]:
        """What a customer has, and how much of it is held."""
        async with self.db.transaction() as tx:
            found = await balance(tx, BOOK, AccountId(int(account)))
        return found.total, found.held

    async def of(self, subject: str) -> int:
        """The booked balance of all internal accounts of a subject, on their normal side."""
        async with self.db.transaction() as tx:
            rows = await tx.fetch("select id from account where subject = $1", subject)
            return sum([(await balance(tx, BOOK, AccountId(row["id"]))).total for row in rows])

    async def events(self, number: str) -> list[str]:
        """The topics told about a withdrawal, in order; their sequence has no gaps."""
        async with self.db.transaction() as tx:
            rows = await tx.fetch("select topic, sequence from event where subject = $1 order by sequence", number)
        assert [row["sequence"] for row in rows] == list(range(1, len(rows) + 1))
        return [row["topic"].removeprefix("withdrawal.") for row in rows]

    async def count(self, table: str, where: str = "true") -> int:
        async with self.db.transaction() as tx:
            return int(str(await tx.fetchval(f"select count(*) from {table} where {where}")))

    async def attempts(self, number: str) -> list[Paid | None]:
        """What the bank knows of each attempt, oldest first."""
        return [self.bank.find(one["attempt_no"]) for one in (await self.view(number))["attempts"]]

    async def check(self) -> None:
        await check_books(self.db, self.bank)


async def check_books(db: Database, bank: Bank) -> None:
    """What must hold whatever happened: the ledger's own rules, and money, holds, quota and the bank in agreement."""
    report = await verify(db, BOOK)
    assert report.ok, report
    async with db.transaction() as tx:
        rows = await tx.fetch("select order_no, state, amount from payment_order where kind = 'withdrawal'")
        holds = await tx.fetch("select amount from open_hold")
        attempts = await tx.fetch("select * from payment_attempt")
        used = await tx.fetchval("select coalesce(sum(amount), 0) from route_hold where state = 'used'")
        counted = await tx.fetch("select number from risk_usage where state = 'counted'")
        booked = await tx.fetch("select order_no, count(*) n from posting where code = 111 group by order_no")
    live = {
        row["order_no"]: row["amount"] for row in rows if row["state"] not in {"paid", "failed", "invalid", "returned"}
    }
    assert sorted(row["amount"] for row in holds) == sorted(live.values()), "what is held is what is under way"
    paid = [one for one in attempts if one["state"] == "paid"]
    assert used == sum(one["amount"] for one in paid), "quota used is what was paid"
    ended_well = {row["order_no"] for row in rows if row["state"] in {"paid", "returned"}}
    assert {row["order_no"]: row["n"] for row in booked} == dict.fromkeys(ended_well, 1)
    assert {row["number"] for row in counted} == live.keys() | ended_well
    at_bank = {one.number: one for one in bank.all()} if bank.folder.exists() else {}
    for one in paid:
        assert at_bank[one["attempt_no"]].state == "paid"


@pytest.fixture
async def company(db: Database, tmp_path: Path) -> AsyncIterator[Company]:
    async with open_company(db, tmp_path) as opened:
        yield opened
        await opened.check()


class open_company:
    """A company on a database."""

    def __init__(self, db: Database, folder: Path, *, start: datetime | None = None) -> None:
        self._db, self._folder, self._start, self._stack = db, folder, start, AsyncExitStack()

    async def __aenter__(self) -> Company:
        db, clock, bank = self._db, SteppedClock(self._start), Bank(self._folder / "bank")
        bank.folder.mkdir()
        accounts = await prepare(db, clock, bank)
        parts = await works(db, clock, bank, self._folder)
        app = FastAPI()
        install_problems(app)
        app.state.key_ring = KeyRing(db, pepper=b"p" * 32, mode="test", now=clock.now)
        app.include_router(ledger_routes.router(db, clock.now))
        app.include_router(router(parts.payees, parts.withdrawals, parts.decisions))
        app.include_router(approvals_router(db, parts.platform.ids, clock.now, kinds=("withdrawal",)))
        people = {name: await self._client(app, clock, name) for name in PEOPLE}
        stranger = await self._client(app, clock, "li", book=2)
        return Company(db, clock, bank, parts, accounts, people, stranger)

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def _client(self, app: FastAPI, clock: SteppedClock, name: str, *, book: int = BOOK) -> httpx.AsyncClient:
        async with self._db.transaction() as tx:
            key = await keys.issue(tx, book=book, mode="test", pepper=b"p" * 32, now=clock.now(), person=PEOPLE[name])
        return await self._stack.enter_async_context(
            httpx.AsyncClient(
                transport=httpx.ASGITransport(app), base_url="http://tael",
                headers={"Authorization": f"Bearer {key}"},
            )
        )  # fmt: skip


async def nobody_approves(company: Company) -> None:
    """In this book no approval is needed."""
    async with company.db.transaction() as tx:
        await set_tiers(
            tx, book=BOOK, kind="withdrawal", currency="CNY", tiers=[Tier(0, 0)], mode="test", person="boss",
            ids=company.works.platform.ids, now=company.clock.now(),
        )  # fmt: skip
