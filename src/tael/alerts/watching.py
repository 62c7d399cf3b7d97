"""Look for what nobody raises by itself: work given up, events nobody can take, jobs that fail or do not run.

A look finds everything there is to find and makes it all that is open of its kinds, so an alert closes by itself.
"""

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Final

from tael.alerts.raising import INSTALLATION, Alert, AlertKind, keep
from tael.base import jobs
from tael.base.db import Tx
from tael.base.ids import Ids
from tael.base.jobs import JobState
from tael.base.outbox import parked
from tael.base.tasks import given_up

DEAD_LETTERS = AlertKind(
    "dead_letters", "critical", en="{count} tasks of queue {subject} were given up (`tael tasks dead`).",
    zh="队列 {subject} 有 {count} 个任务已放弃，等待人工处理（`tael tasks dead`）。",
)  # fmt: skip
PARKED_EVENTS = AlertKind(
    "parked_events", "critical", en="{count} events {subject} could not be published and were set aside.",
    zh="有 {count} 个 {subject} 事件多次发布失败，已搁置。",
)  # fmt: skip
JOB_FAILING = AlertKind(
    "job_failing", "warning", en="Job {subject} fails again and again: {error}", zh="任务 {subject} 连续失败：{error}"
)
JOB_LATE = AlertKind(
    "job_late", "warning", en="Job {subject} should run every {every_s} s, and does not get done.",
    zh="任务 {subject} 应每 {every_s} 秒执行一次，现已严重滞后。",
)  # fmt: skip
KINDS: Final = (DEAD_LETTERS, PARKED_EVENTS, JOB_FAILING, JOB_LATE)

FAILURES: Final = 3
"""So many failures in a row are an alert."""
INTERVALS: Final = 10
"""A job that lags so many of its intervals is late."""
_MOST: Final = 1000


async def watch(tx: Tx, names: Collection[str], *, me: str, ids: Ids, now: datetime) -> None:
    """Look around. `names` are the jobs there should be, `me` is the one of them that looks."""
    states = [one for one in await jobs.states(tx) if one.name in names]
    found = [
        *(Alert(book, DEAD_LETTERS, queue, {"count": count}) for book, queue, count in await given_up(tx, most=_MOST)),
        *(Alert(book, PARKED_EVENTS, topic, {"count": count}) for book, topic, count in await parked(tx, most=_MOST)),
        *_jobs(states, me=me, now=now),
    ]
    await keep(tx, KINDS, found, ids=ids, now=now)


def _jobs(states: list[JobState], *, me: str, now: datetime) -> list[Alert]:
    failing = [one for one in states if one.failed_in_row >= FAILURES]
    late = [one for one in states if one.name != me and one.lag_s(now) > INTERVALS * one.every_s]
    return [
        *(Alert(INSTALLATION, JOB_FAILING, one.name, {"error": one.last_error}) for one in failing),
        *(Alert(INSTALLATION, JOB_LATE, one.name, {"every_s": one.every_s}) for one in late if _awake(states, me, now)),
    ]


def _awake(states: list[JobState], me: str, now: datetime) -> bool:
    """Whether the last look was just now. After a time when nobody worked everything is late, and nothing wrong."""
    looked = next((one for one in states if one.name == me), None)
    return (
        looked is not None
        and looked.last_ended is not None
        and looked.last_ended >= now - timedelta(seconds=2 * looked.every_s)
    )
