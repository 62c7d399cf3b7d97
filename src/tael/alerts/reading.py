"""Read alerts by page, open ones first; count them as a metric; and say that somebody knows of one."""

from datetime import datetime

from prometheus_client import Gauge

from tael.alerts import store
from tael.alerts.store import StoredAlert
from tael.base.db import Database, Tx
from tael.base.errors import TaelError

_OPEN = Gauge("tael_alerts_open", "Alerts that are open", ["severity", "kind"])


class AlertNotFound(TaelError):
    """There is no such alert.
    zh: 告警不存在。
    """

    status = 404


async def page(
    tx: Tx, *, book: int, limit: int, after: tuple[bool, int] | None = None, only_open: bool = False
) -> list[StoredAlert]:
    """Up to `limit` alerts of a book, open ones first, each part newest first.

    `after` is where the page before ended: whether that alert was shown as open, and its id. An alert that is closed
    between two pages is shown again, as closed.
    """
    in_open, last = (True, None) if after is None else after
    found = await store.page(tx, book=book, is_open=True, older_than=last, limit=limit) if in_open else []
    if len(found) == limit or only_open:
        return found
    older = None if in_open else last
    return found + await store.page(tx, book=book, is_open=False, older_than=older, limit=limit - len(found))


async def acknowledge(tx: Tx, *, book: int, id: int, by: str, now: datetime) -> StoredAlert:
    """Write that a person knows of an alert; the first one stays. Raises `AlertNotFound`."""
    found = await store.acknowledge(tx, book=book, id=id, by=by, now=now)
    if found is None:
        raise AlertNotFound
    return found


async def observe_open(db: Database) -> int:
    """Set `tael_alerts_open` and answer how many alerts are open."""
    async with db.transaction() as tx:
        counted = await store.count_open(tx)
    _OPEN.clear()
    for (kind, severity), number in counted.items():
        _OPEN.labels(severity, kind).set(number)
    return sum(counted.values())
