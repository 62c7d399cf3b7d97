"""Start a payment of any kind: open an order, hand the payer over to the channel, answer with what to show.

    start   tx 1  idempotency key + order + attempt + recovery task     the intent is committed
            then  handover.py: the channel is called, its answer recorded
    pay     the open attempt's hand-off again, or a new attempt when the last one failed or was closed for another

Concurrent requests are coalesced: a transaction serves whatever arrived while the last one ran.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from tael.base import tasks
from tael.base.batch import Batcher
from tael.base.crash import crash_point
from tael.base.db import Tx
from tael.base.errors import TaelError
from tael.base.money import Money
from tael.base.tasks import NewTask
from tael.channels.contract import MerchantAccount, Method
from tael.guard import Answer, Claim, answered, begin, finish, free
from tael.orders import (
    OPEN_ATTEMPT,
    UNPAID_ORDER,
    Attempt,
    AttemptState,
    NewAttempt,
    NewOrder,
    Opened,
    Order,
    OrderNotFound,
    OrderNotPayable,
    attempts_of,
    find_order,
    lock_orders,
    move_attempt,
    open_attempts,
    open_orders,
    save,
)
from tael.payments.chart import check_recipients
from tael.payments.fulfilment import want
from tael.payments.handover import Begun, Handover, answer
from tael.payments.kinds import Kind
from tael.payments.platform import MAX_WAIT_MS, Platform
from tael.payments.settlement import RECOVERY


class NoMerchantAccount(TaelError):
    """No active merchant account of this channel can take the payment.
    zh: 该渠道没有可用的商户号。
    """

    status = 422


@dataclass(frozen=True, slots=True)
class StartPayIn:
    """A request to pay into `account`. `merchant_account` None: the first active one of the channel.

    `lifetime_s` None: as long as the settings say. `fulfil_within_s`: how soon after it is paid the product is made.
    """

    kind: Kind
    claim: Claim
    account: int
    amount: Money
    channel: str
    method: Method
    description: str
    business_order_no: str | None
    metadata: dict[str, str]
    payer_id: str | None
    payer_ip: str | None
    merchant_account: int | None
    return_url: str | None = None
    lifetime_s: int | None = None
    fulfil_within_s: int | None = None


@dataclass(frozen=True, slots=True)
class PayAgain:
    """A wish to pay an unpaid order: with the open attempt, or with a new one by `method` through `channel`.

    What is None is as it was in the last attempt. `closed` is an attempt that has just been closed at its channel.
    """

    kind: Kind
    book: int
    order_no: str
    method: Method | None = None
    channel: str | None = None
    payer_id: str | None = None
    payer_ip: str | None = None
    closed: str | None = None


@dataclass(frozen=True, slots=True)
class _Intent:
    """A payment with its numbers drawn; nothing is stored yet."""

    command: StartPayIn
    order: NewOrder
    attempt: NewAttempt


class PayIns:
    """Starts payments. One per process."""

    def __init__(self, platform: Platform, handover: Handover) -> None:
        self._platform, self._handover = platform, handover
        self._opening: Batcher[_Intent, Begun | Answer | TaelError] = Batcher(self._open, max_wait_ms=MAX_WAIT_MS)

    async def start(self, command: StartPayIn) -> Answer:
        """Open the order and hand over; raises a refusal when nothing was stored."""
        begun = await self._opening.submit(self._intent(command))
        if isinstance(begun, TaelError):
            raise begun
        return begun if isinstance(begun, Answer) else await self._handover.hand_over(begun)

    async def pay(self, command: PayAgain) -> Answer:
        """A usable hand-off for an unpaid order: the open attempt's, or that of a new attempt.

        Raises `OrderNotFound` or `OrderNotPayable`.
        """
        async with self._platform.db.transaction() as tx:
            order, attempts = await self._lock(tx, command)
            open_now = [attempt for attempt in attempts if attempt.state in OPEN_ATTEMPT]
            if open_now and open_now[0].attempt_no == command.closed:
                await self._end(tx, open_now.pop())
            if open_now and open_now[0].handoff:
                return answer(order, attempts)
            attempt = open_now[0] if open_now else await self._begin_again(tx, order, attempts[-1], command)
        return await self._handover.hand_over(Begun(None, order, attempt))

    async def in_the_way(self, command: PayAgain) -> tuple[Order, Attempt] | None:
        """The order and its open attempt when that goes through another channel than the one asked for.

        Raises `OrderNotFound` or `OrderNotPayable`, and what the new channel would refuse (`PaymentNotPossible`).
        """
        async with self._platform.db.transaction() as tx:
            order, attempts = await self._lock(tx, command)
        others = [
            attempt for attempt in attempts
            if attempt.state in OPEN_ATTEMPT and command.channel and command.channel != attempt.channel
        ]  # fmt: skip
        if not others:
            return None
        self._next_attempt(order, attempts[-1], command)
        return order, others[0]

    async def close(self) -> None:
        """Finish what is under way."""
        await self._opening.close()

    async def _lock(self, tx: Tx, command: PayAgain) -> tuple[Order, list[Attempt]]:
        locked = await lock_orders(tx, [(command.book, command.order_no)])
        if not locked or locked[0].kind != command.kind.name:
            raise OrderNotFound
        order = locked[0]
        if order.state not in UNPAID_ORDER or self._platform.now() >= order.expires_at:
            raise OrderNotPayable(f"the order is {order.state}", state=order.state)
        return order, (await attempts_of(tx, [order]))[order.order_no]

    def _intent(self, command: StartPayIn) -> _Intent:
        """Choose the merchant account, draw the numbers, and refuse what the channel would refuse."""
        platform, now, book = self._platform, self._platform.now(), command.claim.book
        account = self._merchant_account(book, command.channel, command.merchant_account)
        lifetime_s = command.lifetime_s or platform.settings.order_lifetime_s
        order = NewOrder(
            book=book, order_no=platform.ids.order_no(business=command.kind.prefix, account=command.account),
            id=platform.ids.next(), kind=command.kind.name, mode=platform.settings.mode, account=command.account,
            amount=command.amount.minor, currency=command.amount.currency, description=command.description,
            business_order_no=command.business_order_no, request_key=command.claim.key, metadata=command.metadata,
            expires_at=now + timedelta(seconds=lifetime_s),
        )  # fmt: skip
        attempt = self._new_attempt(
            order, account, command.method, payer_id=command.payer_id, payer_ip=command.payer_ip,
            return_url=command.return_url,
        )  # fmt: skip
        return _Intent(command, order, attempt)

    def _merchant_account(self, book: int, channel: str, wanted: int | None) -> MerchantAccount:
        usable = [
            account for account in self._platform.accounts
            if account.book == book and account.channel == channel and account.state == "active"
            and account.mode == self._platform.settings.mode and wanted in (None, account.id)
        ]  # fmt: skip
        if not usable:
            raise NoMerchantAccount(param="channel")
        return min(usable, key=lambda account: account.id)

    def _new_attempt(
        self, order: NewOrder | Order, account: MerchantAccount, method: Method, *, payer_id: str | None,
        payer_ip: str | None, return_url: str | None,
    ) -> NewAttempt:  # fmt: skip
        attempt = NewAttempt(
            book=order.book, attempt_no=self._platform.ids.order_no(business=order.order_no[:2], account=order.account),
            order_no=order.order_no, id=self._platform.ids.next(), channel=account.channel,
            merchant_account=account.id, method=method, amount=order.amount, currency=order.currency,
            payer_id=payer_id, payer_ip=payer_ip, return_url=return_url,
        )  # fmt: skip
        request = self._platform.channel_request(order, attempt)
        self._platform.accounts.takes_payments(account).check_payment(account, request, now=self._platform.now())
        return attempt

    async def _open(self, intents: Sequence[_Intent]) -> list[Begun | Answer | TaelError]:
        """Transaction 1 for a batch: one result per intent. Whoever is refused leaves no trace."""
        async with self._platform.db.transaction() as tx:
            standings = await begin(tx, [intent.command.claim for intent in intents], now=self._platform.now())
            results: list[Begun | Answer | TaelError | None] = [answered(standing) for standing in standings]
            ours = [index for index, result in enumerate(results) if result is None]
            refusals = await check_recipients(tx, [intents[index].order for index in ours])
            for index, refusal in zip(ours, refusals, strict=True):
                results[index] = refusal
            takers = [index for index in ours if results[index] is None]
            for index, begun in zip(takers, await self._begin(tx, [intents[i] for i in takers]), strict=True):
                results[index] = begun
            await free(tx, [intents[index].command.claim for index in ours if isinstance(results[index], TaelError)])
            crash_point("recharge.before_commit")
        crash_point("recharge.committed")
        return [result for result in results if result is not None]

    async def _begin(self, tx: Tx, intents: Sequence[_Intent]) -> list[Begun | Answer | TaelError]:
        """Orders, attempts and recovery tasks; the present state of what this request opened before."""
        now, guard_s = self._platform.now(), self._platform.settings.submission_guard_s
        opened = await open_orders(tx, [intent.order for intent in intents], now=now, guard_s=guard_s)
        new = {one.order.order_no for one in opened if isinstance(one, Opened) and not one.resumed}
        attempts = await self._commit_attempts(tx, [one.attempt for one in intents if one.order.order_no in new])
        wishes = [
            (one.order, intent.command.fulfil_within_s)
            for intent, one in zip(intents, opened, strict=True) if isinstance(one, Opened) and not one.resumed
        ]  # fmt: skip
        await want(tx, wishes)
        by_order = {attempt.order_no: attempt for attempt in attempts if isinstance(attempt, Attempt)}
        results: list[Begun | Answer | TaelError] = []
        for intent, one in zip(intents, opened, strict=True):
            if isinstance(one, TaelError):
                results.append(one)
            elif one.resumed:
                results.append(await self._resume(tx, intent.command.claim, one.order))
            else:
                results.append(Begun(intent.command.claim, one.order, by_order[one.order.order_no]))
        return results

    async def _commit_attempts(self, tx: Tx, attempts: Sequence[NewAttempt]) -> list[Attempt | TaelError]:
        now, first_s = self._platform.now(), self._platform.settings.recovery_ladder_s[0]
        begun = await open_attempts(tx, attempts, now=now)
        due = now + timedelta(seconds=first_s)
        work = [NewTask(one.book, RECOVERY, one.attempt_no, None, due) for one in begun if isinstance(one, Attempt)]
        await tasks.enqueue(tx, work, ids=self._platform.ids, now=now)
        return list(begun)

    async def _resume(self, tx: Tx, claim: Claim, order: Order) -> Begun | Answer:
        """The same request came again before it was answered: go on where the first one stopped."""
        attempts = (await attempts_of(tx, [order]))[order.order_no]
        last = attempts[-1]
        if last.state in OPEN_ATTEMPT and last.handoff is None and self._platform.now() < order.expires_at:
            return Begun(claim, order, last)
        said = answer(order, attempts)
        await finish(tx, [(claim, said.status, said.body)])
        return said

    def _next_attempt(self, order: Order, last: Attempt, command: PayAgain) -> NewAttempt:
        payer_id = command.payer_id
        if command.channel and command.channel != last.channel:
            account = self._merchant_account(order.book, command.channel, None)
        else:
            account, payer_id = self._platform.account_of(last), payer_id or last.payer_id
        return self._new_attempt(
            order, account, command.method or Method(last.method), payer_id=payer_id,
            payer_ip=command.payer_ip or last.payer_ip, return_url=last.return_url,
        )  # fmt: skip

    async def _begin_again(self, tx: Tx, order: Order, last: Attempt, command: PayAgain) -> Attempt:
        (attempt,) = await self._commit_attempts(tx, [self._next_attempt(order, last, command)])
        if isinstance(attempt, TaelError):
            raise attempt
        return attempt

    async def _end(self, tx: Tx, attempt: Attempt) -> None:
        """Write down that an attempt is closed at its channel, while its order stays payable."""
        await save(tx, [], [move_attempt(attempt, AttemptState.CLOSED, now=self._platform.now())])
        await tasks.cancel(tx, RECOVERY, [(attempt.book, attempt.attempt_no)])


async def find_pay_in(tx: Tx, kind: Kind, *, book: int, order_no: str) -> tuple[Order, list[Attempt]]:
    """An order of a kind and its attempts, oldest first. Raises `OrderNotFound`."""
    order = await find_order(tx, book=book, order_no=order_no)
    if order is None or order.kind != kind.name:
        raise OrderNotFound
    return order, (await attempts_of(tx, [order]))[order_no]
