"""A company whose customers pay each other: everything but HTTP servers, on one stepped clock."""

import itertools
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI
from starlette.types import ASGIApp

from tael.base.clock import Clock, SteppedClock
from tael.base.db import Database
from tael.base.gate import Gate
from tael.base.http import install_problems
from tael.base.ids import Ids
from tael.base.settings import Settings
from tael.channels.accounts import MerchantAccounts
from tael.guard import KeyRing, keys
from tael.ledger import (
    CLOSING_DEBIT,
    DEBITS_WITHIN_CREDITS,
    HOLD,
    AccountId,
    BookId,
    Ledger,
    NewAccount,
    Posting,
    balances,
    open_accounts,
    open_book,
    posting_id,
    require_posted,
    set_frozen,
)
from tael.ledger.routes import CUSTOMER_BALANCE, CUSTOMER_SPEND_ONLY
from tael.ledger.verify import verify
from tael.payments.chart import Chart
from tael.payments.platform import Platform
from tael.transfers.endpoint import TransferEndpoint
from tael.transfers.holds import Holds
from tael.transfers.routes import router
from tael.transfers.transfer import Transfers

BOOK = BookId(1)
PEPPER = b"p" * 32
BANK, ALICE, BOB, CAROL, DOLLARS, GIFT, PRODUCT, CLOSED, FROZEN, DOLLAR_BANK, GIFT_TOO, RICH = (
    AccountId(number) for number in range(101, 113)
)
NOBODY = AccountId(999)


def _customer(account: AccountId, *, subject: str = CUSTOMER_BALANCE, currency: str = "CNY") -> NewAccount:
    return NewAccount(
        book=BOOK, id=account, subject=subject, currency=currency, kind="customer", limits=DEBITS_WITHIN_CREDITS,
        owner=int(account),
    )  # fmt: skip


ACCOUNTS = [
    NewAccount(book=BOOK, id=BANK, subject="1002", currency="CNY", normal="debit"),
    NewAccount(book=BOOK, id=DOLLAR_BANK, subject="1002", currency="USD", normal="debit"),
    *(_customer(account) for account in (ALICE, BOB, CAROL, CLOSED, FROZEN, RICH)),
    _customer(DOLLARS, currency="USD"),
    _customer(GIFT, subject=CUSTOMER_SPEND_ONLY),
    _customer(GIFT_TOO, subject=CUSTOMER_SPEND_ONLY),
    NewAccount(book=BOOK, id=PRODUCT, subject="3001", currency="CNY", kind="product"),
]
START = {ALICE: 100_000, BOB: 50_000, CAROL: 0, GIFT: 1_000, CLOSED: 1_000, FROZEN: 1_000}


@dataclass(slots=True)
class Company:
    """What a test plays with: `http` is the way in that a process has, `framework` the one behind the fast one."""

    db: Database
    clock: SteppedClock
    platform: Platform
    transfers: Transfers
    holds: Holds
    http: httpx.AsyncClient
    framework: httpx.AsyncClient
    stranger: httpx.AsyncClient
    numbers: "itertools.count[int]" = field(default_factory=lambda: itertools.count(1))

    async def transfer(
        self, debit: int = ALICE, credit: int = BOB, amount: int = 100, *, key: str = "", **more: object
    ):
        """Ask for a transfer; answers the response."""
        return await self.post("/v1/transfers", asked(debit, credit, amount, **more), key=key)

    async def batch(self, *moves: dict[str, object], atomic: bool, key: str = ""):
        """Ask for a batch; answers the response."""
        return await self.post("/v1/transfer_batches", {"atomic": atomic, "transfers": list(moves)}, key=key)

    async def hold(self, account: int = ALICE, amount: int = 1_000, *, key: str = "", **more: object):
        """Freeze; answers the response."""
        body = {"account_id": str(account), "amount": amount, "currency": "CNY", "reason": "a red packet"} | more
        return await self.post("/v1/holds", body, key=key)

    async def held(self, account: int = ALICE, amount: int = 1_000, **more: object) -> str:
        """The id of a new hold."""
        answer = await self.hold(account, amount, **more)
        assert answer.status_code == 201, answer.text
        return answer.json()["id"]

    async def release(self, hold: str) -> tuple[int, str]:
        """Unfreeze; answers the status and the state or code."""
        return said(await self.http.post(f"/v1/holds/{hold}/release"))

    async def post(self, path: str, body: dict[str, object], *, key: str = "", slow: bool = False) -> httpx.Response:
        """A request with an idempotency key of its own, or with this one."""
        headers = {"Idempotency-Key": key or f"key-{next(self.numbers)}"}
        return await (self.framework if slow else self.http).post(path, json=body, headers=headers)

    async def key(self, *scopes: str) -> str:
        """An API key that carries only these permissions."""
        async with self.db.transaction() as tx:
            return await keys.issue(tx, book=BOOK, mode="test", scopes=scopes, pepper=PEPPER, now=self.clock.now())

    async def available(self, *accounts: int) -> tuple[int, ...]:
        """What accounts can spend."""
        async with self.db.transaction() as tx:
            return tuple(one.available for one in await balances(tx, BOOK, [AccountId(one) for one in accounts]))

    async def totals(self, *accounts: int) -> tuple[int, ...]:
        """What accounts hold, frozen funds included."""
        async with self.db.transaction() as tx:
            return tuple(one.total for one in await balances(tx, BOOK, [AccountId(one) for one in accounts]))

    async def counts(self) -> tuple[int, ...]:
        """Transfers, their postings, their events, batches, refusals."""
        return await counts(self.db)

    async def advance(self, seconds: int) -> None:
        """Let time pass."""
        self.clock.advance(seconds)
        await self.platform.ids.renew(self.db)


def asked(debit: int, credit: int, amount: int, **more: object) -> dict[str, object]:
    """The body of a transfer."""
    return {"from_account_id": str(debit), "to_account_id": str(credit), "amount": amount, "currency": "CNY"} | more


def said(answer: httpx.Response) -> tuple[int, str]:
    """Status, and state or code."""
    body = answer.json()
    return answer.status_code, body["code"] if answer.status_code >= 400 else body.get("state", "done")


async def counts(db: Database) -> tuple[int, ...]:
    parts = ("transfer", "posting where code = 130 and kind = 0", "event", "transfer_batch", "transfer_refusal")
    async with db.transaction() as tx:
        return tuple([int(str(await tx.fetchval(f"select count(*) from {part}"))) for part in parts])


async def put_together(db: Database, clock: Clock, folder: Path) -> Platform:
    settings = Settings(home=folder, submission_guard_s=0)
    return Platform(db, await Ids.lease(db, clock.now), Ledger(), Chart(), MerchantAccounts({}), settings, clock.now)


async def open_books(platform: Platform) -> None:
    """The book, its accounts and what they start with; one account is closed, one frozen."""
    now = platform.now()
    async with platform.db.transaction() as tx:
        await open_book(tx, BOOK, name="ACME", now=now)
        await open_accounts(tx, ACCOUNTS, now=now)
        funds = [
            Posting(
                book=BOOK, id=posting_id("test", str(account)), debit=BANK, credit=account, amount=amount,
                currency="CNY", code=101,
            )
            for account, amount in START.items() if amount
        ]  # fmt: skip
        dollars = Posting(
            book=BOOK, id=posting_id("test", "usd"), debit=DOLLAR_BANK, credit=DOLLARS, amount=1_000, currency="USD",
            code=101,
        )  # fmt: skip
        closing = Posting(
            book=BOOK, id=posting_id("test", "close"), debit=CLOSED, credit=BANK, amount=0, currency="CNY", code=9,
            flags=HOLD | CLOSING_DEBIT,
        )  # fmt: skip
        require_posted(await platform.ledger.post(tx, [*funds, dollars, closing], now=now))
    async with platform.db.transaction() as tx:
        await set_frozen(tx, BOOK, FROZEN, frozen=True)


@pytest.fixture
async def company(db: Database, tmp_path: Path) -> AsyncIterator[Company]:
    clock = SteppedClock()
    platform = await put_together(db, clock, tmp_path)
    await open_books(platform)
    transfers, holds = Transfers(platform), Holds(platform)
    app = FastAPI()
    install_problems(app)
    app.state.key_ring = KeyRing(db, pepper=PEPPER, mode="test", now=clock.now)
    app.include_router(router(platform, transfers, holds))
    whole = Gate(TransferEndpoint(app, app.state.key_ring, transfers))
    async with (
        await client(whole, db, clock) as http, await client(Gate(app), db, clock) as framework,
        await client(whole, db, clock, book=2) as stranger,
    ):  # fmt: skip
        yield Company(db, clock, platform, transfers, holds, http, framework, stranger)
    await transfers.close()
    report = await verify(db, BOOK)
    assert report.ok, report


async def client(app: ASGIApp, db: Database, clock: Clock, *, book: int = BOOK, scopes: tuple[str, ...] = keys.SCOPES):
    async with db.transaction() as tx:
        key = await keys.issue(tx, book=book, mode="test", scopes=scopes, pepper=PEPPER, now=clock.now())
    headers = {"Authorization": f"Bearer {key}"}
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://tael", headers=headers)
