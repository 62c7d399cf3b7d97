"""Events on request: a receiver that was away pulls what it missed, without waiting for a replay.

Ids follow time but not strictly the order of commits: two events of the same moment may become visible in either
order. Who polls reads a minute again and drops what it has by id; a subject's own events are ordered by `sequence`.
"""

from tael.base.db import Database
from tael.base.errors import TaelError
from tael.base.outbox import Event, read_event


class EventNotFound(TaelError):
    """There is no such event.
    zh: 事件不存在。
    """

    status = 404


async def listed(
    db: Database, *, book: int, before: int | None, after: int | None, subject: str | None, limit: int
) -> list[Event]:
    """Events of a book, newest first: the newest below `before`, or the oldest above `after`."""
    range_ = (book, after or 0, before or _LARGEST_ID, limit)
    order = "asc" if after is not None else "desc"
    async with db.transaction() as tx:
        if subject is None:
            rows = await tx.fetch(f"{_RANGE} order by id {order} limit $4", *range_)
        else:
            rows = await tx.fetch(f"{_RANGE} and subject = $5 order by id {order} limit $4", *range_, subject)
    events = [read_event(row) for row in rows]
    return events[::-1] if after is not None else events


async def get(db: Database, *, book: int, event_id: int) -> Event:
    """One event of a book. Raises `EventNotFound`."""
    async with db.transaction() as tx:
        row = await tx.fetchrow(_ONE, book, event_id)
    if row is None:
        raise EventNotFound
    return read_event(row)


_EVENT = "select book, id, topic, subject, sequence, payload, created_at from event where book = $1"
_RANGE = f"{_EVENT} and id > $2 and id < $3"
_ONE = f"{_EVENT} and id = $2"
_LARGEST_ID = 2**63 - 1
