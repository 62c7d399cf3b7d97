"""Sending again: one delivery, all that a receiver missed in a time window, or a test message.

A message that is sent again keeps its `webhook-id` and its body, so a receiver that has it already drops it. The
courier finds what is queued here at its next look; `Callbacks.queued` makes it look at once.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from tael.base.clock import milliseconds
from tael.base.db import Database, Tx
from tael.base.errors import TaelError
from tael.base.outbox import Event
from tael.callbacks import store
from tael.callbacks.callbacks import Callbacks
from tael.callbacks.endpoints import existing
from tael.callbacks.fan_out import message
from tael.callbacks.store import Delivery, Endpoint

PING = "webhook_endpoint.ping"
PINGS_A_MINUTE = 5
MOST_AT_ONCE = 1000
KEPT = timedelta(days=90)
Scope = Literal["undelivered", "all"]


class DeliveryNotFound(TaelError):
    """There is no such delivery.
    zh: 回调记录不存在。
    """

    status = 404


class EndpointNotEnabled(TaelError):
    """The callback endpoint is disabled or paused; enable it first.
    zh: 回调端点已停用或暂停，请先启用。
    """

    status = 409


class TooManyPings(TaelError):
    """An endpoint gets five test messages a minute at most.
    zh: 每个端点每分钟最多发送五条测试消息。
    """

    status = 429
    retryable = True


class InvalidWindow(TaelError):
    """The window must begin before it ends and within the last 90 days.
    zh: 时间范围须起早于止，且在最近 90 天之内。
    """

    status = 422


@dataclass(frozen=True, slots=True)
class Window:
    """Events from `start` until before `end`; `after` continues behind an event id."""

    start: datetime
    end: datetime
    scope: Scope = "undelivered"
    after: int = 0


@dataclass(frozen=True, slots=True)
class Replayed:
    """How many messages were queued; when `has_more`, go on with `after` set to `last_id`."""

    queued: int
    has_more: bool
    last_id: int | None


async def resend(db: Database, *, book: int, endpoint_id: int, event_id: int, now: datetime) -> Delivery:
    """Send one delivery again, from the foot of the ladder; one that is on its way stays as it is.

    Raises `EndpointNotFound`, `EndpointNotEnabled`, `DeliveryNotFound`.
    """
    async with db.transaction() as tx:
        await _enabled(tx, book, endpoint_id)
        await store.restart(tx, book, endpoint_id, event_id, now=now)
        delivery = await store.delivery(tx, book, endpoint_id, event_id)
    if delivery is None:
        raise DeliveryNotFound
    return delivery


async def resend_window(db: Database, window: Window, *, book: int, endpoint_id: int, now: datetime) -> Replayed:
    """Send a window's events again, 1,000 at most: those that are dead letters or were never queued, or all.

    Raises `EndpointNotFound`, `EndpointNotEnabled`, `InvalidWindow`.
    """
    async with db.transaction() as tx:
        endpoint = await _enabled(tx, book, endpoint_id)
        if not now - KEPT <= window.start < window.end <= now + timedelta(days=1):
            raise InvalidWindow
        found = await _missed(tx, endpoint, window)
        page = found[:MOST_AT_ONCE]
        queued = await store.send_again(tx, endpoint_id, [message(event) for event in page], now=now)
    return Replayed(queued, len(found) > len(page), page[-1].id if page else None)


async def ping(callbacks: Callbacks, *, book: int, endpoint_id: int) -> Delivery:
    """Queue a test message, signed and retried like any other. Its sequence is 0: it is no event of its subject.

    Raises `EndpointNotFound`, `EndpointNotEnabled`, `TooManyPings`.
    """
    now = callbacks.now()
    event = Event(book, callbacks.ids.next(), PING, str(endpoint_id), 0, {}, now)
    async with callbacks.db.transaction() as tx:
        await _enabled(tx, book, endpoint_id)
        since = now - timedelta(minutes=1)
        if not await store.count_ping(tx, book, endpoint_id, since=since, now=now, most=PINGS_A_MINUTE):
            raise TooManyPings(retry_after_s=60)
        await store.send_again(tx, endpoint_id, [message(event)], now=now)
        tx.on_commit(callbacks.queued.set)
        delivery = await store.delivery(tx, book, endpoint_id, event.id)
    assert delivery is not None, "it was inserted in this transaction"
    return delivery


def first_id_at(instant: datetime) -> int:
    """The smallest id that can be issued at an instant: an id begins with its millisecond."""
    return milliseconds(instant) << 21


async def _enabled(tx: Tx, book: int, endpoint_id: int) -> Endpoint:
    endpoint = existing(await store.endpoint(tx, book, endpoint_id))
    if endpoint.status != "enabled":
        raise EndpointNotEnabled(endpoint.reason)
    return endpoint


async def _missed(tx: Tx, endpoint: Endpoint, window: Window) -> list[Event]:
    # A node that issues many ids in a millisecond, or whose clock went back, is ahead of the clock by a little.
    slack = timedelta(minutes=2)
    return await store.events_between(
        tx, endpoint, start=window.start, end=window.end, after=window.after,
        first_id=first_id_at(window.start - slack), last_id=first_id_at(window.end + slack),
        again=("dead", "delivered") if window.scope == "all" else ("dead",), limit=MOST_AT_ONCE + 1,
    )  # fmt: skip
