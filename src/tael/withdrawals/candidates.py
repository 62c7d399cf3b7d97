"""Which merchant accounts could pay a payee at all, before routing chooses among them by priority and quota.

An account can when it is active, its channel pays this kind of payee, the payee's id belongs to the account's app
where it belongs to one, and the channel would not refuse the request as it stands.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from tael.base.errors import TaelError
from tael.base.money import Money
from tael.channels.contract import MerchantAccount, Payee, PayoutNotPossible, PayoutRequest
from tael.payments.platform import Platform
from tael.withdrawals.store import BoundPayee


class NoPayoutAccount(TaelError):
    """No merchant account can pay this payee.
    zh: 没有可向该收款人出款的商户号。
    """

    status = 422


@dataclass(frozen=True, slots=True)
class Wish:
    """Money for a payee. `payee` is open here: it never leaves the process but to the channel."""

    bound: BoundPayee
    payee: Payee
    amount: Money
    remark: str


def request_for(platform: Platform, account: MerchantAccount, wish: Wish, *, number: str) -> PayoutRequest:
    """The payout as the channel is asked for it: the same every time, so that asking again is safe."""
    return PayoutRequest(
        number=number, payee=wish.payee, amount=wish.amount, remark=wish.remark,
        notify_url=platform.settings.notice_url(account.channel, account.id),
    )  # fmt: skip


def able(platform: Platform, wish: Wish, *, number: str, now: datetime) -> list[MerchantAccount]:
    """Every merchant account that can pay; `number` is any number of the form that payouts have.

    Raises `PayoutNotPossible` when a channel says why none can, else `NoPayoutAccount`.
    """
    found: list[MerchantAccount] = []
    said: PayoutNotPossible | None = None
    for account in _speaking(platform, wish.bound):
        try:
            platform.accounts.pays_out(account).check_payout(
                account, request_for(platform, account, wish, number=number), now=now
            )
        except PayoutNotPossible as problem:
            said = problem
        else:
            found.append(account)
    if not found:
        raise said or NoPayoutAccount(param="payee_id")
    return found


def others(platform: Platform, book: int, among: Sequence[MerchantAccount]) -> frozenset[int]:
    """The book's merchant accounts that are not among these."""
    return frozenset({account.id for account in platform.accounts if account.book == book} - {one.id for one in among})


def _speaking(platform: Platform, payee: BoundPayee) -> list[MerchantAccount]:
    return [
        account for account in platform.accounts
        if account.book == payee.book and account.state == "active" and account.mode == platform.settings.mode
        and payee.kind in platform.connector(account).spec.payees and payee.space in ("", account.appid)
    ]  # fmt: skip
