"""Withdrawal (提现): freeze the customer's money and ask for its release. No channel is called here.

    start   one transaction: idempotency key + verdict of risk control + order + approval + hold
            -> reviewing   as many people as the amount needs, one at least when risk control says so
            -> approved    nobody is needed: the payout is enqueued

A refusal leaves no order, no hold and no counted use; the verdict of risk control stays. Concurrent requests share a
transaction, and whoever the ledger refuses in it does not take the others along: they are begun again without him.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from tael.base.batch import Batcher
from tael.base.crash import crash_point
from tael.base.db import Tx
from tael.base.errors import TaelError
from tael.base.money import Money
from tael.guard import Answer, Claim, answered, begin, finish, free
from tael.ledger import require_posted
from tael.orders import NewOrder, Order
from tael.payments.platform import MAX_WAIT_MS, Platform
from tael.risk import Risk
from tael.withdrawals import entries
from tael.withdrawals.candidates import Wish, able
from tael.withdrawals.eligibility import Asked, check
from tael.withdrawals.lookup import KIND
from tael.withdrawals.opening import Opening, Wanted
from tael.withdrawals.payees import Payees
from tael.withdrawals.store import BoundPayee

PREFIX = "WD"
APPROVAL_DAYS = 7
"""How long a withdrawal waits for its approval before it ends."""


@dataclass(frozen=True, slots=True)
class StartWithdrawal:
    """A request to pay `amount` from `account` to `payee`. `maker` is the person who asks."""

    claim: Claim
    account: int
    payee: int
    amount: Money
    description: str
    business_order_no: str | None
    metadata: dict[str, str]
    maker: str


@dataclass(frozen=True, slots=True)
class _Intent:
    """A withdrawal with its number drawn; nothing is stored yet."""

    command: StartWithdrawal
    order: NewOrder


class _Refused(Exception):
    """The ledger refuses these: by order number, why."""

    def __init__(self, why: dict[str, TaelError]) -> None:
        super().__init__()
        self.why = why


class Withdrawals:
    """Starts withdrawals. One per process."""

    def __init__(self, platform: Platform, payees: Payees, risk: Risk) -> None:
        self._platform, self._payees = platform, payees
        self._steps = Opening(platform.ids, risk, guard_s=platform.settings.submission_guard_s)
        self._opening: Batcher[_Intent, Answer | TaelError] = Batcher(self._open, max_wait_ms=MAX_WAIT_MS)

    async def start(self, command: StartWithdrawal) -> Answer:
        """Freeze the money and ask for approval; raises a refusal when nothing was stored but a verdict."""
        said = await self._opening.submit(self._intent(command))
        if isinstance(said, TaelError):
            raise said
        return said

    async def close(self) -> None:
        """Finish what is under way."""
        await self._opening.close()

    def _intent(self, command: StartWithdrawal) -> _Intent:
        platform = self._platform
        order = NewOrder(
            book=command.claim.book, order_no=platform.ids.order_no(business=PREFIX, account=command.account),
            id=platform.ids.next(), kind=KIND, mode=platform.settings.mode, account=command.account,
            amount=command.amount.minor, currency=command.amount.currency, description=command.description,
            business_order_no=command.business_order_no, request_key=command.claim.key, metadata=command.metadata,
            expires_at=platform.now() + timedelta(days=APPROVAL_DAYS),
        )  # fmt: skip
        return _Intent(command, order)

    async def _open(self, intents: Sequence[_Intent]) -> list[Answer | TaelError]:
        """The transaction for a batch: one result per intent. Begun again without those whom the ledger refuses."""
        refused: dict[str, TaelError] = {}
        while True:
            try:
                async with self._platform.db.transaction() as tx:
                    results = await self._serve(tx, intents, refused, now=self._platform.now())
                    crash_point("withdraw.before_commit")
                crash_point("withdraw.committed")
                return [results[intent.order.order_no] for intent in intents]
            except _Refused as problem:
                refused |= problem.why

    async def _serve(
        self, tx: Tx, intents: Sequence[_Intent], refused: dict[str, TaelError], *, now: datetime
    ) -> dict[str, Answer | TaelError]:
        standings = await begin(tx, [intent.command.claim for intent in intents], now=now)
        results: dict[str, Answer | TaelError] = {}
        fresh: list[_Intent] = []
        for intent, standing in zip(intents, standings, strict=True):
            earlier = answered(standing)
            if earlier is None:
                fresh.append(intent)
            else:
                results[intent.order.order_no] = earlier
        results |= {one.order.order_no: refused[one.order.order_no] for one in fresh if one.order.order_no in refused}
        wanted = await self._check(tx, [one for one in fresh if one.order.order_no not in refused], results, now=now)
        said, opened = await self._steps.open(tx, wanted, now=now)
        results |= said
        answers = [(intent.command.claim, results[intent.order.order_no]) for intent in fresh]
        await finish(tx, [(claim, one.status, one.body) for claim, one in answers if isinstance(one, Answer)])
        await free(tx, [claim for claim, one in answers if isinstance(one, TaelError)])
        await self._hold(tx, opened, now=now)
        return results

    async def _check(
        self, tx: Tx, intents: Sequence[_Intent], results: dict[str, Answer | TaelError], *, now: datetime
    ) -> list[Wanted]:
        """What may be opened; whoever is refused for his account, his payee, or by every channel is in `results`."""
        asked = [
            Asked(one.order.book, one.order.account, one.command.payee, one.order.currency) for one in intents
        ]  # fmt: skip
        wanted: list[Wanted] = []
        for intent, payee in zip(intents, await check(tx, asked), strict=True):
            refusal = payee if isinstance(payee, TaelError) else self._not_payable(intent.order, payee, now=now)
            if refusal is not None:
                results[intent.order.order_no] = refusal
            elif isinstance(payee, BoundPayee):
                wanted.append(Wanted(intent.order, payee, intent.command.maker))
        return wanted

    def _not_payable(self, order: NewOrder, payee: BoundPayee, *, now: datetime) -> TaelError | None:
        wish = Wish(payee, self._payees.open(payee), Money(order.amount, order.currency), order.description)
        try:
            able(self._platform, wish, number=order.order_no, now=now)
        except TaelError as refusal:
            return refusal
        return None

    async def _hold(self, tx: Tx, orders: Sequence[Order], *, now: datetime) -> None:
        """Freeze the money. The ledger's lock is taken last and held shortest. Raises `_Refused`."""
        if not orders:
            return
        platform = self._platform
        postings = [
            entries.hold(order, payable=await platform.chart.payable(tx, order.book, order.currency, now=now))
            for order in orders
        ]
        why: dict[str, TaelError] = {}
        for order, result in zip(orders, await platform.ledger.post(tx, postings, now=now), strict=True):
            try:
                require_posted([result])
            except TaelError as refusal:
                why[order.order_no] = refusal
        if why:
            raise _Refused(why)
