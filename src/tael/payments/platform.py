"""What every payment use case works with; put together once, in app.py."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from tael.base.db import Database
from tael.base.ids import Ids
from tael.base.money import Money
from tael.base.settings import Settings
from tael.channels.accounts import MerchantAccounts
from tael.channels.contract import Connector, MerchantAccount, Method
from tael.channels.contract import PaymentRequest as ChannelPayment
from tael.ledger import Ledger
from tael.orders import Attempt, NewAttempt, NewOrder, Order
from tael.payments.chart import Chart

MAX_WAIT_MS = 2_000
"""A request that would wait longer than this for its batch is refused; nothing has happened to it then."""


@dataclass(frozen=True, slots=True)
class Platform:
    """Database, ledger, numbers, merchant accounts, settings and the clock of one process."""

    db: Database
    ids: Ids
    ledger: Ledger
    chart: Chart
    accounts: MerchantAccounts
    settings: Settings
    now: Callable[[], datetime]

    def account_of(self, attempt: Attempt) -> MerchantAccount:
        """The merchant account that an attempt goes through."""
        return self.accounts.get(book=attempt.book, id=attempt.merchant_account)

    def name_of_account(self, book: int, id: int) -> tuple[str, str]:
        """Channel and name of a merchant account. Raises `MerchantAccountNotFound`."""
        account = self.accounts.get(book=book, id=id)
        return account.channel, account.name

    def connector(self, account: MerchantAccount) -> Connector:
        """The connector of a merchant account's channel."""
        return self.accounts.connector(account)

    def channel_request(self, order: Order | NewOrder, attempt: Attempt | NewAttempt) -> ChannelPayment:
        """The attempt as the channel is asked for it: the same every time, so that asking again is safe."""
        return ChannelPayment(
            number=attempt.attempt_no,
            amount=Money(attempt.amount, attempt.currency),
            description=order.description,
            method=Method(attempt.method),
            notify_url=self.settings.notice_url(attempt.channel, attempt.merchant_account),
            expires_at=order.expires_at,
            payer_id=attempt.payer_id,
            payer_ip=attempt.payer_ip,
            return_url=attempt.return_url,
        )
