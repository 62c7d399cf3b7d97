"""Tell the whole story of an order, a transfer or an adjustment as one timeline.

    opened -> verdict -> approval -> route -> attempt -> exchange, notice -> settled -> posted -> told -> delivered

A payment's story has its refunds in it, and a refund is told as a part of the story of its payment: the money is the
same. What is still waiting or given up stands at the time when it is due or was given up.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from tael.base.db import Tx
from tael.lookup import store
from tael.lookup.store import Entry

MOST_REFUNDS = 50
MOST_ENTRIES = 500
"""Of each sort; a story with more is cut and says so."""


@dataclass(frozen=True, slots=True)
class Story:
    """What happened to `number` and all that belongs to it, oldest first. `cut` when there is more than is told."""

    number: str
    entries: Sequence[Entry]
    cut: bool


async def tell(tx: Tx, *, book: int, number: str) -> Story:
    """The story that `number` is part of: one without entries when it is nobody's number."""
    await store.plan_afresh(tx)
    root = await store.payment_of(tx, book=book, number=number) or number
    refunds = await store.refunds_of(tx, book=book, payment_no=root, limit=MOST_REFUNDS + 1)
    orders = [root, *refunds[:MOST_REFUNDS]]
    adjustments = await store.adjustments_about(tx, book=book, numbers=orders, limit=MOST_ENTRIES)
    attempts = await store.attempts_of(tx, book=book, orders=orders, limit=MOST_ENTRIES)
    numbers = [*orders, *adjustments, *attempts]
    entries: list[Entry] = []
    cut = len(refunds) > MOST_REFUNDS
    for source in store.SOURCES:
        found = await store.entries(tx, source, book=book, numbers=numbers, limit=MOST_ENTRIES + 1)
        entries += found[:MOST_ENTRIES]
        cut = cut or len(found) > MOST_ENTRIES
    return Story(root, sorted(entries, key=lambda entry: (entry.at, entry.place)), cut)
