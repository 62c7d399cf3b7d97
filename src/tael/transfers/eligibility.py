"""Which accounts a transfer may join: two different customers' accounts that keep its currency.

What an account is never changes, so it is asked once and remembered. Whether one is closed, frozen or short of funds
changes all the time; the ledger decides that, under its lock.
"""

from collections.abc import Sequence

from tael.base.db import Tx
from tael.base.errors import TaelError
from tael.ledger import AccountNotFound
from tael.ledger.directory import find_accounts
from tael.ledger.routes import CUSTOMER_SPEND_ONLY
from tael.transfers.store import Transfer

Key = tuple[int, int]
_REMEMBER = 100_000


class TransferToSelf(TaelError):
    """A transfer needs two different accounts.
    zh: 转出账户与转入账户不能相同。
    """

    status = 422


class AccountCannotTransfer(TaelError):
    """The account is not a customer's, keeps another currency, or may be spent from but not transferred from.
    zh: 账户不是客户账户、币种不符，或仅限消费、不可转出。
    """

    status = 422


class Eligibility:
    """Knows what accounts are. One per process."""

    def __init__(self) -> None:
        self._known: dict[Key, tuple[str, str, str]] = {}

    async def refusals(self, tx: Tx, transfers: Sequence[Transfer]) -> list[TaelError | None]:
        """Whether both accounts of each transfer will do: one refusal or None each, in order."""
        known = self._known
        missing = {
            key for one in transfers for key in ((one.book, one.debit), (one.book, one.credit)) if key not in known
        }
        if missing:
            if len(known) > _REMEMBER:
                known.clear()
                missing = {key for one in transfers for key in ((one.book, one.debit), (one.book, one.credit))}
            for key, facts in (await find_accounts(tx, sorted(missing))).items():
                known[key] = facts.kind, facts.currency, facts.subject
        return [self._refusal(one) for one in transfers]

    def _refusal(self, transfer: Transfer) -> TaelError | None:
        if transfer.debit == transfer.credit:
            return TransferToSelf(param="to_account_id")
        payer = self._known.get((transfer.book, transfer.debit))
        if payer is None:
            return AccountNotFound(param="from_account_id")
        receiver = self._known.get((transfer.book, transfer.credit))
        if receiver is None:
            return AccountNotFound(param="to_account_id")
        for (kind, currency, _), param in ((payer, "from_account_id"), (receiver, "to_account_id")):
            if kind != "customer" or currency != transfer.currency:
                return AccountCannotTransfer(param=param)
        # Else a gift that may only be spent would become money that may be withdrawn.
        if payer[2] == CUSTOMER_SPEND_ONLY and receiver[2] != CUSTOMER_SPEND_ONLY:
            return AccountCannotTransfer("this account is for spending only", param="from_account_id")
        return None
