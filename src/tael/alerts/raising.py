"""Raise and clear alerts, in the transaction that notices.

raised -> open    raised again: the same alert, one more time, with the newest words
       -> closed  what it was about is well again; raised after that it is a new alert
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

import structlog

from tael.alerts import store
from tael.alerts.store import Severity, StoredAlert
from tael.base.db import Tx
from tael.base.errors import JsonValue
from tael.base.ids import Ids

_log = structlog.get_logger("tael.alerts")

INSTALLATION: Final = 0
"""The book of alerts that concern no company but the installation."""


@dataclass(frozen=True, slots=True)
class AlertKind:
    """A kind of alert, declared beside the code that raises it. The texts take `{subject}` and the names in `data`."""

    name: str
    severity: Severity
    en: str
    zh: str


@dataclass(frozen=True, slots=True)
class Alert:
    """Something a person has to know about `subject`; `data` is what the texts need, and what helps to act."""

    book: int
    kind: AlertKind
    subject: str
    data: Mapping[str, JsonValue] = field(default_factory=dict[str, JsonValue])


Key = tuple[int, AlertKind, str]
"""Book, kind and subject: at most one alert is open for each."""


async def raise_alert(tx: Tx, alerts: Sequence[Alert], *, ids: Ids, now: datetime) -> None:
    """Open alerts; what is open already is counted once more. Of two about the same the last one counts."""
    wanted = {_key(one): _stored(one, ids=ids, now=now) for one in alerts}
    if not wanted:
        return
    by_key = [wanted[key] for key in sorted(wanted)]  # one order of locks for all
    new = await store.put(tx, by_key)
    for one in by_key:
        if (one.book, one.id) in new:
            tx.on_commit(lambda one=one: _tell(one))


async def clear(tx: Tx, keys: Sequence[Key], *, now: datetime) -> None:
    """Close alerts; what is not open stays as it is."""
    found = await store.open_of(tx, [(book, kind.name, subject) for book, kind, subject in keys]) if keys else []
    if found:
        await store.close(tx, [(one.book, one.id) for one in found], now=now)


async def keep(tx: Tx, kinds: Sequence[AlertKind], found: Sequence[Alert], *, ids: Ids, now: datetime) -> None:
    """Make `found` all that is open of `kinds`: raise what is new or has other data, close what is gone.

    For whoever looks at everything again and again; what has not changed is not written.
    """
    wanted = {_key(one): one for one in found}
    known = {(one.book, one.kind, one.subject): one for one in await store.open_of_kinds(tx, [k.name for k in kinds])}
    changed = [one for key, one in wanted.items() if key not in known or known[key].data != one.data]
    await raise_alert(tx, changed, ids=ids, now=now)
    gone = [(one.book, one.id) for key, one in known.items() if key not in wanted]
    if gone:
        await store.close(tx, gone, now=now)


def _key(alert: Alert) -> tuple[int, str, str]:
    return alert.book, alert.kind.name, alert.subject


def _stored(alert: Alert, *, ids: Ids, now: datetime) -> StoredAlert:
    words = {**alert.data, "subject": alert.subject}
    return StoredAlert(
        alert.book, ids.next(), alert.kind.name, alert.subject, alert.kind.severity, alert.kind.en.format_map(words),
        alert.kind.zh.format_map(words), alert.data, now, now,
    )  # fmt: skip


def _tell(alert: StoredAlert) -> None:
    log = _log.error if alert.severity == "critical" else _log.warning
    log("alert.raised", book=alert.book, kind=alert.kind, subject=alert.subject, text=alert.text_en)
