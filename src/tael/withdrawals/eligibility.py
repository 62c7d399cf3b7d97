"""May this account be withdrawn from, to this payee? The account and the payee must be the same member's.

Only a customer's ordinary balance can be withdrawn: money that was given to be spent here (赠送余额) stays here.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from tael.base.db import Tx
from tael.base.errors import TaelError
from tael.ledger import AccountNotFound, AccountUnusable
from tael.ledger.directory import AccountFacts, find_accounts
from tael.withdrawals import store
from tael.withdrawals.payees import PayeeNotFound
from tael.withdrawals.store import BoundPayee

WITHDRAWABLE = frozenset({"customer.balance"})
"""The subjects that money can be withdrawn from."""


class NotWithdrawable(TaelError):
    """This account's money can be spent but not withdrawn.
    zh: 该账户余额只能消费，不可提现。
    """

    status = 422


class PayeeNotOwners(TaelError):
    """The payee belongs to another member than the account.
    zh: 收款人与账户不属于同一会员。
    """

    status = 422


class PayeeUnbound(TaelError):
    """The payee was unbound; bind it again first.
    zh: 该收款人已解绑，请重新绑定。
    """

    status = 409


@dataclass(frozen=True, slots=True)
class Asked:
    """To withdraw `currency` from `account` to `payee`."""

    book: int
    account: int
    payee: int
    currency: str


async def check(tx: Tx, asked: Sequence[Asked]) -> list[BoundPayee | TaelError]:
    """The payee of each request, or why it is refused, in order. Who has enough, only the ledger can say."""
    facts = await find_accounts(tx, [(one.book, one.account) for one in asked])
    payees = await store.payees(tx, [(one.book, one.payee) for one in asked])
    return [_checked(one, facts.get((one.book, one.account)), payees.get((one.book, one.payee))) for one in asked]


def _checked(asked: Asked, account: AccountFacts | None, payee: BoundPayee | None) -> BoundPayee | TaelError:
    if account is None or account.kind != "customer":
        return AccountNotFound(param="account_id")
    if payee is None:
        return PayeeNotFound(param="payee_id")
    if account.owner != payee.owner:
        return PayeeNotOwners(param="payee_id")
    if payee.state != "active":
        return PayeeUnbound(param="payee_id")
    if account.subject not in WITHDRAWABLE or account.currency != asked.currency:
        return NotWithdrawable(f"the account keeps {account.subject} in {account.currency}", param="account_id")
    return AccountUnusable("the account is frozen", param="account_id") if account.frozen else payee
