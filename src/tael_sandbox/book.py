"""The channel's own double-entry book, kept apart from whatever the merchant believes.

Accounts are named by text: ``payers`` (the users' money outside), ``coupons`` (discounts somebody else pays for),
``fees`` (what the channel earns) and ``merchant/<mchid>``. Each entry moves a positive whole number of minor units
from one account to another, so the sum over all accounts is zero at any time.
"""

from collections import defaultdict

from msgspec import Struct


class Entry(Struct, frozen=True):
    """One movement: ``amount_minor`` leaves ``debit`` and arrives at ``credit``."""

    at_ms: int
    debit: str
    credit: str
    amount_minor: int
    kind: str
    reference: str


class Book:
    """Entries in order and the balance of every account."""

    def __init__(self) -> None:
        """Start empty; the journal's replay fills it."""
        self.entries: list[Entry] = []
        self.balances: defaultdict[str, int] = defaultdict(int)

    def move(self, entry: Entry) -> None:
        """Record an entry; an amount of zero records nothing."""
        assert entry.amount_minor >= 0, "an entry never runs backwards"
        if entry.amount_minor == 0:
            return
        self.entries.append(entry)
        self.balances[entry.debit] -= entry.amount_minor
        self.balances[entry.credit] += entry.amount_minor
