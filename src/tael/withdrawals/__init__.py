"""Withdrawals (提现): money out to a member's own payee, paid at most once, whatever the channel says and when."""

from tael.withdrawals.lookup import KIND
from tael.withdrawals.opening import PAYOUT
from tael.withdrawals.views import TOPICS

__all__ = ["KIND", "PAYOUT", "TOPICS"]
