"""Lookup (查询): whatever number somebody has at hand, what it belongs to and the whole story of that.

    hits = await find(tx, book=1, text="4200002026112100000001")      # every thing that bears the number
    story = await tell(tx, book=1, number=hits[0].about)              # one timeline, from the request to the callback

    losses = await count_losses(db, book=1, since=yesterday, until=now)

It reads what every other package has written and writes nothing. What it shows is evidence that was redacted when it
was kept, and payees in their masked form; secrets, raw notices and payer's particulars are not even read.
"""

from tael.lookup.finding import Hit, NothingFound, find
from tael.lookup.looking import Answer, look_up
from tael.lookup.losses import Losses, count_losses
from tael.lookup.story import Entry, Story, tell

__all__ = [
    "Answer",
    "Entry",
    "Hit",
    "Losses",
    "NothingFound",
    "Story",
    "count_losses",
    "find",
    "look_up",
    "tell",
]
