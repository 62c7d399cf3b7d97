"""Hold: freeze (冻结) funds of an account for a business, to be used by a transfer or released.

    (nothing) -> open -> used        a transfer `from_hold` has moved all of it or a part; the rest is available again
                      -> released    the business gave it back (解冻)
                      -> expired     its time is over; the ledger ends it by itself

The ledger's hold is what counts. A use and a release of the same hold meet at its row's lock, and the ledger refuses
whoever comes second.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from tael.base.crash import crash_point
from tael.base.db import Tx
from tael.base.errors import TaelError
from tael.base.money import Money
from tael.guard import Answer, Claim, IdempotencyKeyReused, answered, begin, finish
from tael.ledger import (
    AccountId,
    AccountNotFound,
    AccountOutcome,
    BookId,
    HoldNotFound,
    HoldNotOpen,
    NewAccount,
    open_accounts,
    posting_id,
    require_posted,
)
from tael.ledger.directory import find_accounts, named_account
from tael.payments.platform import Platform
from tael.transfers import store
from tael.transfers.entries import FUNDS_FROZEN, hold_entry, release_entry
from tael.transfers.store import Hold
from tael.transfers.views import hold_view


class AccountCannotBeHeld(TaelError):
    """Only funds of a customer's account can be held, in its own currency.
    zh: 仅可冻结客户账户的资金，且币种须一致。
    """

    status = 422


@dataclass(frozen=True, slots=True)
class StartHold:
    """A request to freeze. `expires_in_s` None: until it is used or released."""

    claim: Claim
    account: int
    amount: Money
    reason: str
    expires_in_s: int | None


class Holds:
    """Freezes and unfreezes. One per process."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._open: set[AccountId] = set()

    async def start(self, command: StartHold) -> Answer:
        """Freeze; raises a refusal when nothing was frozen."""
        async with self._platform.db.transaction() as tx:
            said = await self._start(tx, command, now=self._platform.now())
            crash_point("hold.before_commit")
        crash_point("hold.committed")
        return said

    async def release(self, *, book: int, id: int) -> Hold:
        """Unfreeze; doing it again changes nothing. Raises `HoldNotFound` or `HoldNotOpen`."""
        now = self._platform.now()
        async with self._platform.db.transaction() as tx:
            hold = (await store.lock_holds(tx, [(book, id)])).get((book, id))
            if hold is None:
                raise HoldNotFound
            if hold.state == "released":
                return hold
            if hold.state == "used":
                raise HoldNotOpen(f"transfer {hold.used_by} has used it")
            await store.end_holds(tx, [(book, id, None)], now=now)
            require_posted(await self._platform.ledger.post(tx, [release_entry(hold)], now=now))
            released = await store.find_hold(tx, book=book, id=id)
        assert released is not None, "the row was locked"
        return released

    async def _start(self, tx: Tx, command: StartHold, *, now: datetime) -> Answer:
        claim = command.claim
        (standing,) = await begin(tx, [claim], now=now)
        said = answered(standing)
        if isinstance(said, TaelError):
            raise said
        if said is not None:
            return said
        await _check(tx, command)
        hold = self._new(command, now)
        frozen_funds = await self._frozen_funds(tx, claim.book, hold.currency, now=now)
        if not await store.insert_hold(tx, hold):
            known = await store.hold_of_key(tx, book=claim.book, request_key=claim.key)
            assert known is not None, "a key stood in the way"
            if _content(known) != _content(hold):
                raise IdempotencyKeyReused(hold_id=str(known.id))
            return await _finished(tx, claim, known, now=now)
        answer = await _finished(tx, claim, hold, now=now)
        entry = hold_entry(hold, frozen_funds=frozen_funds, timeout_s=command.expires_in_s or 0)
        require_posted(await self._platform.ledger.post(tx, [entry], now=now))
        return answer

    def _new(self, command: StartHold, now: datetime) -> Hold:
        id, lasts = self._platform.ids.next(), command.expires_in_s
        return Hold(
            book=command.claim.book, id=id, account=command.account, amount=command.amount.minor,
            currency=command.amount.currency, reason=command.reason, request_key=command.claim.key,
            posting=posting_id("fund hold", str(id), at=now), state="open", used_by=None, created_at=now,
            expires_at=None if lasts is None else now + timedelta(seconds=lasts), ended_at=None,
        )  # fmt: skip

    async def _frozen_funds(self, tx: Tx, book: int, currency: str, *, now: datetime) -> AccountId:
        """The other side of holds; opened when it is first needed."""
        account = named_account(book, subject=FUNDS_FROZEN, owner=None, currency=currency)
        if account not in self._open:
            new = NewAccount(book=BookId(book), id=account, subject=FUNDS_FROZEN, currency=currency)
            (outcome,) = await open_accounts(tx, [new], now=now)
            assert outcome in {AccountOutcome.OPENED, AccountOutcome.EXISTS}, outcome
            tx.on_commit(lambda: self._open.add(account))
        return account


async def _check(tx: Tx, command: StartHold) -> None:
    facts = (await find_accounts(tx, [(command.claim.book, command.account)])).values()
    if not facts:
        raise AccountNotFound(param="account_id")
    if any(one.kind != "customer" or one.currency != command.amount.currency for one in facts):
        raise AccountCannotBeHeld(param="account_id")


async def _finished(tx: Tx, claim: Claim, hold: Hold, *, now: datetime) -> Answer:
    answer = Answer(201, hold_view(hold, now=now).model_dump_json().encode())
    await finish(tx, [(claim, answer.status, answer.body)])
    return answer


def _content(hold: Hold) -> tuple[object, ...]:
    lasts = None if hold.expires_at is None else hold.expires_at - hold.created_at
    return hold.account, hold.amount, hold.currency, hold.reason, lasts
