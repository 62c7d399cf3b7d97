"""From an event to what businesses are told about it.

    event (outbox) -> message (its body is fixed here) -> one delivery per enabled endpoint that wants the topic

This runs in the transaction that marks the event published, so an event is neither forgotten nor told twice.
"""

from collections.abc import Sequence
from datetime import UTC, datetime

import msgspec

from tael.base.db import Tx
from tael.base.errors import JsonValue
from tael.base.outbox import Event
from tael.callbacks import store
from tael.callbacks.store import Message

MOST_BODY_BYTES = 20_000


async def fan_out(tx: Tx, events: Sequence[Event], *, now: datetime) -> None:
    """Put events into the queues of the endpoints that want them; one statement for any number of both."""
    await store.subscribe(tx, [message(event) for event in events], now=now)


def message(event: Event) -> Message:
    """The message about an event. Data that would make it larger than 20 kB is left out (`data` is null then); the
    receiver finds it at `GET /v1/events/{id}`."""
    body = msgspec.json.encode(rendered(event))
    if len(body) >= MOST_BODY_BYTES:
        body = msgspec.json.encode(rendered(event) | {"data": None})
    return Message(event.book, event.id, event.topic, body.decode())


def rendered(event: Event) -> dict[str, JsonValue]:
    """An event as businesses see it, in a callback and in `GET /v1/events`."""
    return {
        "id": str(event.id),
        "type": event.topic,
        "timestamp": rfc3339(event.created_at),
        "sequence": event.sequence,
        "subject": event.subject,
        "data": dict(event.payload),
    }


def rfc3339(instant: datetime) -> str:
    """An instant in UTC to the millisecond."""
    return instant.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
