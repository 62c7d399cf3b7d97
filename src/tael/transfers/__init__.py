"""Transfers (转账): funds move from one account of a book to another, and what a business freezes to move later.

Uses the ledger; knows nothing of channels, orders or the businesses above it, which listen to its events.
"""

from tael.transfers.store import Transfer
from tael.transfers.views import TOPICS

__all__ = ["TOPICS", "Transfer"]
