"""The accounts that money in and out passes through: one receivable per merchant account, the rest one per currency.

    recharge  Dr channel receivable (应收渠道款)   Cr the customer's balance (客户余额)
    suspense  Dr channel receivable                Cr suspense receipts (暂收款)
    payout    Dr the customer's balance            Cr payouts payable (应付提现款): held, then settled
              Dr payouts payable                   Cr channel receivable
    refund    Dr the account that was paid         Cr refunds payable (应付退款): held, then settled
              Dr refunds payable                   Cr channel receivable
    a refund that went back although it had failed  Dr suspense refunds (暂付退款)   Cr channel receivable
    a payout that was paid although it had failed  Dr suspense payouts (暂付款)   Cr channel receivable

They are opened when they are first needed. Their ids follow from what they are for, so nobody has to look them up and
two processes that open one at once open the same.
"""

from collections.abc import Sequence
from datetime import datetime

from tael.base.db import Tx
from tael.base.errors import TaelError
from tael.channels.contract import MerchantAccount
from tael.ledger import (
    AccountId,
    AccountNotFound,
    AccountOutcome,
    BookId,
    NewAccount,
    balances,
    open_accounts,
)
from tael.ledger.directory import find_accounts, named_account
from tael.orders import NewOrder

CHANNEL_RECEIVABLE = "channel.receivable"
SUSPENSE_RECEIPTS = "suspense.receipts"
PAYOUTS_PAYABLE = "payouts.payable"
SUSPENSE_PAYOUTS = "suspense.payouts"
REFUNDS_PAYABLE = "refunds.payable"
SUSPENSE_REFUNDS = "suspense.refunds"
_DEBIT_NORMAL = {CHANNEL_RECEIVABLE, SUSPENSE_PAYOUTS, SUSPENSE_REFUNDS}


class AccountCannotReceive(TaelError):
    """The account is closed, is not a customer's, or keeps another currency.
    zh: 账户已关闭、不是客户账户，或币种不符。
    """

    status = 422


class Chart:
    """Finds and opens internal accounts; remembers those known to exist. One per process."""

    def __init__(self) -> None:
        self._open: set[AccountId] = set()

    async def receivable(self, tx: Tx, account: MerchantAccount, currency: str, *, now: datetime) -> AccountId:
        """What the channel owes for a merchant account."""
        return await self._internal(tx, account.book, CHANNEL_RECEIVABLE, account.id, currency, now)

    async def suspense(self, tx: Tx, book: int, currency: str, *, now: datetime) -> AccountId:
        """Money received that has no place yet."""
        return await self._internal(tx, book, SUSPENSE_RECEIPTS, None, currency, now)

    async def payable(self, tx: Tx, book: int, currency: str, *, now: datetime) -> AccountId:
        """What is owed to payees: money that customers have withdrawn and that no channel has paid yet."""
        return await self._internal(tx, book, PAYOUTS_PAYABLE, None, currency, now)

    async def paid_in_error(self, tx: Tx, book: int, currency: str, *, now: datetime) -> AccountId:
        """Money that a channel paid out although it had said that it would not."""
        return await self._internal(tx, book, SUSPENSE_PAYOUTS, None, currency, now)

    async def refundable(self, tx: Tx, book: int, currency: str, *, now: datetime) -> AccountId:
        """What is owed to payers: money that is to go back and that no channel has given back yet."""
        return await self._internal(tx, book, REFUNDS_PAYABLE, None, currency, now)

    async def refunded_in_error(self, tx: Tx, book: int, currency: str, *, now: datetime) -> AccountId:
        """Money that a channel gave back although it had said that it would not."""
        return await self._internal(tx, book, SUSPENSE_REFUNDS, None, currency, now)

    async def _internal(
        self, tx: Tx, book: int, subject: str, owner: int | None, currency: str, now: datetime
    ) -> AccountId:
        account = named_account(book, subject=subject, owner=owner, currency=currency)
        if account not in self._open:
            new = NewAccount(
                book=BookId(book), id=account, subject=subject, currency=currency, owner=owner,
                normal="debit" if subject in _DEBIT_NORMAL else "credit",
            )  # fmt: skip
            (outcome,) = await open_accounts(tx, [new], now=now)
            assert outcome in {AccountOutcome.OPENED, AccountOutcome.EXISTS}, outcome
            tx.on_commit(lambda: self._open.add(account))
        return account


async def check_recipients(tx: Tx, orders: Sequence[NewOrder]) -> list[TaelError | None]:
    """Whether the account of each order can be recharged: one refusal or None per order, in order."""
    facts = await find_accounts(tx, [(order.book, order.account) for order in orders])
    closed: set[tuple[int, int]] = set()
    for book in {order.book for order in orders}:
        ids = [AccountId(order.account) for order in orders if (book, order.account) in facts and order.book == book]
        closed |= {(book, one.account) for one in await balances(tx, BookId(book), ids) if one.closed}
    refusals: list[TaelError | None] = []
    for order in orders:
        known = facts.get((order.book, order.account))
        if known is None:
            refusals.append(AccountNotFound(param="account_id"))
        elif known.kind != "customer" or known.currency != order.currency or (order.book, order.account) in closed:
            refusals.append(AccountCannotReceive(param="account_id"))
        else:
            refusals.append(None)
    return refusals
