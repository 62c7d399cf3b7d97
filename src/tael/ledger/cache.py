"""What one process remembers of a book, so that most batches read nothing but their ids.

    shelf.head, shelf.states      committed, as far as this process knows
    shelf.tips                    batches decided here on top of that, not yet known to be committed

A batch is decided *at* a head and written only if the head's token is still the same, so a stale shelf costs a second
decision and never a wrong one. Tokens are random: a head that was rolled back, or restored from a backup, and then
moved to the same position by somebody else is told apart.
"""

import secrets
from collections.abc import Collection, Sequence
from datetime import UTC, date, datetime
from typing import Final

from msgspec import Struct

from tael.base.db import Tx
from tael.ledger.machine import Decision
from tael.ledger.records import HOLD, Account, AccountId, State
from tael.ledger.store import Head

CATCH_UP: Final = 4_000
"""A shelf further behind than this many rows is emptied instead of brought up to date."""
_NOWHERE: Final = Head(-1, -1, -1, datetime(1, 1, 1, tzinfo=UTC), date(1, 1, 1), None)


class Tip(Struct, eq=False):
    """A batch that was decided at the head named `base` and ends at `head`; `tx` is the transaction that writes it."""

    base: int
    head: Head
    states: dict[AccountId, State]
    decision: Decision
    tx: Tx


class Shelf:
    """The remembered part of one book, at most about `2 * size` accounts. `wary`: for how many batches ids are looked
    up before they are written, because one turned out to have been used."""

    def __init__(self, size: int) -> None:
        self.head = _NOWHERE
        self.tips: list[Tip] = []
        self.wary = 0
        self._size = size
        self._young: dict[AccountId, State] = {}
        self._old: dict[AccountId, State] = {}

    @property
    def known(self) -> bool:
        """Whether anything is remembered at all."""
        return self.head.pos >= 0

    def newest(self) -> Head:
        """The head as it will be when everything under way succeeds."""
        return self.tips[-1].head if self.tips else self.head

    def continued_by(self, tips: Sequence[Tip]) -> bool:
        """Whether `tips` are an unbroken chain that begins where the shelf ends."""
        bases = [tip.base for tip in tips]
        return bases == [self.head.token, *(tip.head.token for tip in tips)][: len(bases)]

    def tips_to(self, head: Head) -> list[Tip] | None:
        """The batches that lead from the shelf to `head`; None when they do not."""
        if head.token == self.head.token:
            return []
        tokens = [tip.head.token for tip in self.tips]
        tips = self.tips[: tokens.index(head.token) + 1] if head.token in tokens else []
        return tips if tips and self.continued_by(tips) else None

    def states(self, ids: Collection[AccountId], overlays: Sequence[dict[AccountId, State]]) -> dict[AccountId, State]:
        """The remembered states of `ids`, those in later overlays first."""
        young, old = self._young, self._old
        found = {account: state for account in ids if (state := young.get(account) or old.get(account)) is not None}
        for overlay in overlays:
            found |= {account: overlay[account] for account in ids if account in overlay}
        return found

    def account(self, account: AccountId) -> Account | None:
        """A remembered account."""
        state = self._young.get(account) or self._old.get(account)
        return state.account if state else None

    def forget(self) -> None:
        """Start again with nothing."""
        self.head = _NOWHERE
        self.tips.clear()
        self._young, self._old = {}, {}

    def drop(self, tip: Tip) -> None:
        """A batch that was decided ahead is not going to be written, nor is what was decided on top of it."""
        if tip in self.tips:
            del self.tips[self.tips.index(tip) :]

    def promote(self, tip: Tip) -> None:
        """A batch is committed. Of no effect when the shelf has meanwhile gone another way."""
        if tip.base == self.head.token:
            self._young.update(tip.states)
            self.head = tip.head
            if len(self._young) > self._size:
                # Two generations instead of a list by age: a touched account moves to the young one by being written.
                self._old, self._young = self._young, {}
        if tip in self.tips:
            self.tips.remove(tip)


def next_head(head: Head, decision: Decision, now: datetime) -> Head:
    """Where the log ends after `decision`."""
    expiries = [row.expires_at for row in decision.rows if row.posting.flags & HOLD] if not decision.plain else []
    next_expiry = min((at for at in (*expiries, head.next_expiry) if at is not None), default=None)
    return Head(head.pos + len(decision.rows), secrets.randbits(62), head.epoch, now, head.day, next_expiry)
