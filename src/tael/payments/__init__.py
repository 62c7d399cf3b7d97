"""Payments: money in through channels, booked exactly once, whatever comes first, twice or late.

Uses orders, channels and the ledger; knows nothing of the businesses above it, which listen to its events.
"""

from tael.payments.kinds import KINDS, TOPICS

__all__ = ["KINDS", "TOPICS"]
