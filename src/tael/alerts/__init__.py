"""Alerts (告警): what a person has to know, said once. Knows kinds and subjects; whoever notices something raises it.

LOST = AlertKind("thing_lost", "critical", en="Thing {subject} is lost.", zh="物品 {subject} 丢失。")

async with db.transaction() as tx:                               # in the transaction that notices
    await raise_alert(tx, [Alert(book, LOST, "T-7")], ids=ids, now=now)      # again: times + 1, still one alert
    await clear(tx, [(book, LOST, "T-7")], now=now)                          # it is well again: the alert is closed

An alert of book 0 is about the installation itself, such as a job that fails.
"""

from tael.alerts.raising import INSTALLATION, Alert, AlertKind, Key, clear, keep, raise_alert
from tael.alerts.reading import AlertNotFound, acknowledge, observe_open, page
from tael.alerts.store import Severity, StoredAlert
from tael.alerts.watching import DEAD_LETTERS, JOB_FAILING, JOB_LATE, PARKED_EVENTS, watch

__all__ = [
    "DEAD_LETTERS",
    "INSTALLATION",
    "JOB_FAILING",
    "JOB_LATE",
    "PARKED_EVENTS",
    "Alert",
    "AlertKind",
    "AlertNotFound",
    "Key",
    "Severity",
    "StoredAlert",
    "acknowledge",
    "clear",
    "keep",
    "observe_open",
    "page",
    "raise_alert",
    "watch",
]
