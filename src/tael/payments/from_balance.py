"""Pay for goods from a balance: no channel, no waiting; order, attempt and booking are one commit.

    Dr the payer's account   Cr the receiver's account      code 104, keyed by the order number

A batch of payments shares the commit. A payment that the ledger refuses is taken out, leaving no trace and its
idempotency key free, and the others are committed without it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from tael.base import outbox
from tael.base.batch import Batcher
from tael.base.db import Tx
from tael.base.errors import TaelError
from tael.base.money import Money
from tael.guard import Answer, Claim, answered, begin, finish, free
from tael.ledger import AccountId, AccountNotFound, BookId, Posting, posting_id
from tael.ledger.directory import find_accounts
from tael.orders import (
    Attempt,
    AttemptState,
    NewAttempt,
    NewOrder,
    Order,
    OrderState,
    attempts_of,
    move_attempt,
    move_order,
    open_attempts,
    open_orders,
    save,
)
from tael.payments.chart import check_recipients
from tael.payments.fulfilment import expect, want
from tael.payments.handover import answer
from tael.payments.kinds import PAYMENT
from tael.payments.leaving_out import Refused, committed, require_all
from tael.payments.platform import MAX_WAIT_MS, Platform
from tael.payments.views import order_event

BALANCE = "balance"
"""What stands for a channel in the attempt of such a payment; its merchant account is 0, its payer the account."""
BALANCE_CODE = 104


class AccountCannotPay(TaelError):
    """The payer's account is not a customer's, keeps another currency, or is the receiver's own.
    zh: 付款账户不是客户账户、币种不符，或与收款账户相同。
    """

    status = 422


@dataclass(frozen=True, slots=True)
class PayFromBalance:
    """A request to pay `amount` from the account `payer` into `account`.

    `fulfil_within_s`: how soon the product is made.
    """

    claim: Claim
    payer: int
    account: int
    amount: Money
    description: str
    business_order_no: str | None
    metadata: dict[str, str]
    fulfil_within_s: int | None = None


@dataclass(frozen=True, slots=True)
class _Intent:
    command: PayFromBalance
    order: NewOrder
    attempt: NewAttempt


class BalancePayments:
    """Makes payments between balances. One per process."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._paying: Batcher[_Intent, Answer | TaelError] = Batcher(self._pay, max_wait_ms=MAX_WAIT_MS)

    async def pay(self, command: PayFromBalance) -> Answer:
        """Pay at once; raises a refusal when nothing was stored."""
        said = await self._paying.submit(self._intent(command))
        if isinstance(said, TaelError):
            raise said
        return said

    async def close(self) -> None:
        """Finish what is under way."""
        await self._paying.close()

    def _intent(self, command: PayFromBalance) -> _Intent:
        ids, settings, now = self._platform.ids, self._platform.settings, self._platform.now()
        book, amount = command.claim.book, command.amount
        order = NewOrder(
            book=book, order_no=ids.order_no(business=PAYMENT.prefix, account=command.account), id=ids.next(),
            kind=PAYMENT.name, mode=settings.mode, account=command.account, amount=amount.minor,
            currency=amount.currency, description=command.description, business_order_no=command.business_order_no,
            request_key=command.claim.key, metadata=command.metadata,
            expires_at=now + timedelta(seconds=settings.order_lifetime_s),
        )  # fmt: skip
        attempt = NewAttempt(
            book=book, attempt_no=ids.order_no(business=PAYMENT.prefix, account=command.account),
            order_no=order.order_no, id=ids.next(), channel=BALANCE, merchant_account=0, method=BALANCE,
            amount=amount.minor, currency=amount.currency, payer_id=str(command.payer), payer_ip=None,
        )  # fmt: skip
        return _Intent(command, order, attempt)

    async def _pay(self, intents: Sequence[_Intent]) -> list[Answer | TaelError]:
        return await committed(self._platform.db, lambda tx, refused: self._commit(tx, intents, refused))

    async def _commit(self, tx: Tx, intents: Sequence[_Intent], refused: Refused) -> list[Answer | TaelError]:
        """One result per intent; whoever is refused leaves no trace."""
        standings = await begin(tx, [intent.command.claim for intent in intents], now=self._platform.now())
        results = {index: said for index, one in enumerate(standings) if (said := answered(one)) is not None}
        ours = [index for index in range(len(intents)) if index not in results]
        checked = await _check(tx, [intents[index] for index in ours])
        results |= {index: no for index, no in zip(ours, checked, strict=True) if no is not None} | refused
        new = await self._open(tx, intents, [index for index in ours if index not in results], results)
        await free(tx, [intents[index].command.claim for index in ours if isinstance(results.get(index), TaelError)])
        results |= await self._settle(tx, intents, new)
        return [results[index] for index in range(len(intents))]

    async def _open(
        self, tx: Tx, intents: Sequence[_Intent], wanted: Sequence[int], results: dict[int, Answer | TaelError]
    ) -> dict[int, tuple[Order, Attempt]]:
        """The new orders with their attempts, by index; what became of the other requests goes to `results`."""
        now, guard_s = self._platform.now(), self._platform.settings.submission_guard_s
        opened = await open_orders(tx, [intents[index].order for index in wanted], now=now, guard_s=guard_s)
        orders: dict[int, Order] = {}
        for index, one in zip(wanted, opened, strict=True):
            if isinstance(one, TaelError):
                results[index] = one
            elif one.resumed:
                said = answer(one.order, (await attempts_of(tx, [one.order]))[one.order.order_no])
                await finish(tx, [(intents[index].command.claim, said.status, said.body)])
                results[index] = said
            else:
                orders[index] = one.order
        attempts = await open_attempts(tx, [intents[index].attempt for index in orders], now=now)
        new: dict[int, tuple[Order, Attempt]] = {}
        for (index, order), attempt in zip(orders.items(), attempts, strict=True):
            assert isinstance(attempt, Attempt), "the order is new"
            new[index] = order, attempt
        return new

    async def _settle(
        self, tx: Tx, intents: Sequence[_Intent], new: dict[int, tuple[Order, Attempt]]
    ) -> dict[int, Answer]:
        """Everything becomes paid in one go. Raises `LeftOut` when the ledger says no to some."""
        now, platform = self._platform.now(), self._platform
        paid = {
            index: (
                move_order(order, OrderState.PAID, paid_at=now), move_attempt(attempt, AttemptState.PAID, now=now),
            )
            for index, (order, attempt) in new.items()
        }  # fmt: skip
        await save(tx, [order for order, _ in paid.values()], [attempt for _, attempt in paid.values()])
        await outbox.emit(tx, [order_event("paid", *one) for one in paid.values()], ids=platform.ids, now=now)
        await want(tx, [(order, intents[index].command.fulfil_within_s) for index, (order, _) in paid.items()])
        await expect(tx, [order for order, _ in paid.values()], ids=platform.ids, now=now)
        answers = {index: answer(order, [attempt]) for index, (order, attempt) in paid.items()}
        await finish(tx, [(intents[i].command.claim, said.status, said.body) for i, said in answers.items()])
        if paid:
            postings = [_posting(intents[index].command, order) for index, (order, _) in paid.items()]
            said = await platform.ledger.post(tx, postings, now=now)
            require_all({index: [one] for index, one in zip(paid, said, strict=True)})
        return answers


async def _check(tx: Tx, intents: Sequence[_Intent]) -> list[TaelError | None]:
    """Whether both accounts of each payment will do: one refusal or None each, in order."""
    recipients = await check_recipients(tx, [intent.order for intent in intents])
    facts = await find_accounts(tx, [(intent.order.book, intent.command.payer) for intent in intents])
    refusals: list[TaelError | None] = []
    for intent, refused in zip(intents, recipients, strict=True):
        payer, order = facts.get((intent.order.book, intent.command.payer)), intent.order
        if refused is None and payer is None:
            refused = AccountNotFound(param="payer_account_id")
        elif refused is None and payer is not None and (
            payer.kind != "customer" or payer.currency != order.currency or payer.id == order.account
        ):  # fmt: skip
            refused = AccountCannotPay(param="payer_account_id")
        refusals.append(refused)
    return refusals


def _posting(command: PayFromBalance, order: Order) -> Posting:
    return Posting(
        book=BookId(order.book), id=posting_id(PAYMENT.name, order.order_no, at=order.created_at),
        debit=AccountId(command.payer), credit=AccountId(order.account), amount=order.amount, currency=order.currency,
        code=BALANCE_CODE, order_no=order.order_no,
    )  # fmt: skip
