"""Refunds (退款): money back to where it came from, never more than came, and nowhere else.

Uses payments, orders, channels and the ledger; knows nothing of the businesses above, which listen to its events.
"""

from tael.refunds.asking import CurrencyDiffers, StartRefund, TooManyRefunds
from tael.refunds.desk import Refunds
from tael.refunds.said import NotOurRefund, UnknownRefund
from tael.refunds.settle import REFUNDS
from tael.refunds.suspended import SuspenseItemNotFound
from tael.refunds.views import TOPICS

__all__ = [
    "REFUNDS",
    "TOPICS",
    "CurrencyDiffers",
    "NotOurRefund",
    "Refunds",
    "StartRefund",
    "SuspenseItemNotFound",
    "TooManyRefunds",
    "UnknownRefund",
]
