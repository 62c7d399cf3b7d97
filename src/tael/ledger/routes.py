"""HTTP of accounts: open a customer's account, read its balance and its entries."""

from collections.abc import Callable, Sequence
from datetime import date, datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from tael.base.db import Database, Tx
from tael.base.http import BadCursor, Body, Instant, StrictRoute
from tael.base.money import EXPONENTS, InvalidCurrency
from tael.guard import Caller, requires
from tael.ledger import accounts as ledger_accounts
from tael.ledger.accounts import AccountOutcome, Balance, NewAccount
from tael.ledger.directory import AccountFacts, accounts_of, find_accounts, named_account
from tael.ledger.records import DEBITS_WITHIN_CREDITS, AccountId, BookId
from tael.ledger.refusals import AccountNotFound
from tael.ledger.statement import Entry, balance_at, statement

CUSTOMER_BALANCE = "customer.balance"
CUSTOMER_SPEND_ONLY = "customer.spend_only"
_SUBJECTS = {"balance": CUSTOMER_BALANCE, "spend_only": CUSTOMER_SPEND_ONLY}
Reader = Annotated[Caller, requires("accounts:read")]
Writer = Annotated[Caller, requires("accounts:write")]
Id = Annotated[str, Path(pattern=r"^[1-9][0-9]{0,18}$")]


class OpenAccount(Body):
    """Open a customer's account. The same owner, currency and purpose always have the same account."""

    owner: str = Field(pattern=r"^[1-9][0-9]{0,17}$", description="Your member's number")
    currency: str = Field(pattern="^[A-Z]{3}$")
    purpose: Literal["balance", "spend_only"] = Field(
        default="balance", description="spend_only: money that may be spent but never withdrawn (赠送余额)"
    )


class AccountView(BaseModel):
    """A customer's account; amounts in minor units. `available` is `total` less `held`."""

    model_config = ConfigDict(frozen=True)

    id: str
    object: Literal["account"] = "account"
    owner: str
    currency: str
    total: int
    held: int
    available: int
    entries: int
    frozen: bool
    closed: bool
    opened_at: datetime


class AccountList(BaseModel):
    """A page of accounts by id. Pass `next` as `starting_after` for the page after it."""

    data: list[AccountView]
    has_more: bool
    next: str | None


class EntryView(BaseModel):
    """One entry of an account: `amount` was moved or reserved on `side`; `opening` and `closing` are the account's
    booked balance around it. `sequence` has no gaps.
    """

    id: str
    sequence: int
    side: Literal["debit", "credit"]
    kind: str
    code: int
    amount: int
    counterpart: str
    counterpart_subject: str
    order_no: str | None
    day: date
    at: datetime
    opening: int
    closing: int
    available: int


class EntryList(BaseModel):
    """A page of entries, oldest first. Pass `next` as `after` for the page after it."""

    data: list[EntryView]
    has_more: bool
    next: int | None


def router(db: Database, now: Callable[[], datetime]) -> APIRouter:
    """The routes of accounts."""
    routes = APIRouter(route_class=StrictRoute, tags=["accounts"])
    _account_routes(routes, db, now)
    _list_routes(routes, db)
    return routes


def _account_routes(routes: APIRouter, db: Database, now: Callable[[], datetime]) -> None:
    @routes.post(
        "/v1/accounts", status_code=201, response_model=AccountView,
        responses={200: {"model": AccountView, "description": "The account was open already"}},
    )  # fmt: skip
    async def open_account(body: OpenAccount, caller: Writer, response: Response) -> AccountView:
        """Open a customer's account, or find it: 200 when it was open already."""
        if body.currency not in EXPONENTS:
            raise InvalidCurrency(param="currency")
        new = _customer_account(caller.book, body)
        async with db.transaction() as tx:
            (outcome,) = await ledger_accounts.open_accounts(tx, [new], now=now())
            assert outcome in {AccountOutcome.OPENED, AccountOutcome.EXISTS}, outcome
            response.status_code = 201 if outcome is AccountOutcome.OPENED else 200
            return await _view(tx, caller.book, new.id)

    @routes.get("/v1/accounts/{account_id}")
    async def get_account(account_id: Id, caller: Reader, at: Instant | None = None) -> AccountView:
        """An account with its balance, now or at a past instant."""
        async with db.transaction() as tx:
            return await _view(tx, caller.book, _id(account_id), at=at)


def _list_routes(routes: APIRouter, db: Database) -> None:
    @routes.get("/v1/accounts")
    async def list_accounts(
        caller: Reader, limit: Annotated[int, Query(ge=1, le=100)] = 20,
        owner: Annotated[str | None, Query(pattern=r"^[1-9][0-9]{0,17}$")] = None,
        starting_after: Annotated[str | None, Query(pattern=r"^[1-9][0-9]{0,18}$")] = None,
    ) -> AccountList:  # fmt: skip
        """Customer accounts."""
        after = 0 if starting_after is None else _cursor(starting_after)
        async with db.transaction() as tx:
            found = await accounts_of(
                tx, book=caller.book, owner=None if owner is None else int(owner), limit=limit + 1, after=after
            )
            shown = found[:limit]
            views = await _views(tx, caller.book, shown)
        more = len(found) > limit
        return AccountList(data=views, has_more=more, next=views[-1].id if more else None)

    @routes.get("/v1/accounts/{account_id}/entries")
    async def list_entries(
        account_id: Id, caller: Reader, limit: Annotated[int, Query(ge=1, le=100)] = 20,
        after: Annotated[int, Query(ge=0, lt=2**63)] = 0,
    ) -> EntryList:  # fmt: skip
        """The entries of an account, oldest first, with the balances after each (a statement)."""
        book, account = BookId(caller.book), _id(account_id)
        async with db.transaction() as tx:
            await _customer(tx, book, account)
            entries = await statement(tx, book, account, limit=limit + 1, beyond=after)
            shown, more = entries[:limit], len(entries) > limit
            others = await find_accounts(tx, [(book, entry.counterpart) for entry in shown])
        data = [_entry(entry, others[book, entry.counterpart].subject) for entry in shown]
        return EntryList(data=data, has_more=more, next=data[-1].sequence if more else None)


def _customer_account(book: int, body: OpenAccount) -> NewAccount:
    owner, subject = int(body.owner), _SUBJECTS[body.purpose]
    return NewAccount(
        book=BookId(book), kind="customer", subject=subject, currency=body.currency, owner=owner,
        id=named_account(book, subject=subject, owner=owner, currency=body.currency),
        limits=DEBITS_WITHIN_CREDITS,
    )  # fmt: skip


async def _customer(tx: Tx, book: int, account: AccountId) -> AccountFacts:
    """A customer's account of this book; internal accounts are not shown here. Raises `AccountNotFound`."""
    known = (await find_accounts(tx, [(book, account)])).get((book, account))
    if known is None or known.kind != "customer":
        raise AccountNotFound
    return known


async def _view(tx: Tx, book: int, account: AccountId, *, at: datetime | None = None) -> AccountView:
    known = await _customer(tx, book, account)
    if at is not None:
        return _account(known, await balance_at(tx, BookId(book), account, at))
    return _account(known, await ledger_accounts.balance(tx, BookId(book), account))


async def _views(tx: Tx, book: int, accounts: Sequence[AccountFacts]) -> list[AccountView]:
    found = await ledger_accounts.balances(tx, BookId(book), [account.id for account in accounts])
    return [_account(known, balance) for known, balance in zip(accounts, found, strict=True)]


def _account(known: AccountFacts, balance: Balance) -> AccountView:
    return AccountView(
        id=str(known.id), owner=str(known.owner), currency=known.currency, total=balance.total, held=balance.held,
        available=balance.available, entries=balance.seq, frozen=known.frozen, closed=balance.closed,
        opened_at=known.opened_at,
    )  # fmt: skip


def _entry(entry: Entry, counterpart_subject: str) -> EntryView:
    return EntryView(
        id=str(entry.id), sequence=entry.seq, side=entry.side, kind=entry.kind, code=entry.code, amount=entry.amount,
        counterpart=str(entry.counterpart), counterpart_subject=counterpart_subject, order_no=entry.order_no,
        day=entry.day, at=entry.at, opening=entry.opening, closing=entry.closing.total,
        available=entry.closing.available,
    )  # fmt: skip


def _id(text: str) -> AccountId:
    number = int(text)
    if number >= 2**63:
        raise AccountNotFound
    return AccountId(number)


def _cursor(text: str) -> int:
    number = int(text)
    if number >= 2**63:
        raise BadCursor(param="starting_after")
    return number
