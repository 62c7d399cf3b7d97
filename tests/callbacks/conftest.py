"""A company with endpoints, a receiver on loopback that plays its servers, and a clock that stands still."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime

import pytest

from tael.base import outbox
from tael.base.clock import SteppedClock
from tael.base.db import Database
from tael.base.ids import Ids
from tael.base.outbox import NewEvent
from tael.callbacks import Callbacks, Courier, Policy, Transport, endpoints
from tael.callbacks.store import Endpoint
from tael_sandbox.receiver import Receiver

BOOK = 1
OTHER_BOOK = 2

Subscribe = Callable[..., Awaitable[Endpoint]]
Emit = Callable[..., Awaitable[list[int]]]


@pytest.fixture
def clock() -> SteppedClock:
    """Starts at the machine's time, because receivers compare timestamps with theirs."""
    return SteppedClock(datetime.now(UTC).replace(microsecond=0))


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with Receiver(check_time=False) as running:
        yield running


@pytest.fixture
async def callbacks(db: Database, clock: SteppedClock) -> AsyncIterator[Callbacks]:
    ids = await Ids.lease(db, clock.now)
    transport = Transport(Policy("test", allow_loopback=True))
    yield Callbacks(db, ids, clock.now, b"m" * 32, transport)
    await transport.close()


@pytest.fixture
def courier(callbacks: Callbacks) -> Courier:
    return Courier(callbacks)


@pytest.fixture
def subscribe(callbacks: Callbacks, receiver: Receiver) -> Subscribe:
    """Create an endpoint at a path of the receiver, which gets to know its secret."""

    async def create(path: str = "/shop", *, topics: tuple[str, ...] = ("*",), book: int = BOOK) -> Endpoint:
        endpoint, receiver.secrets[path] = await endpoints.create(
            callbacks, book=book, url=receiver.url(path), topics=topics, description=""
        )
        return endpoint

    return create


@pytest.fixture
def emit(callbacks: Callbacks) -> Emit:
    """Make events become true and publish them; answers their ids."""
    counted: dict[tuple[int, str], int] = {}

    async def become_true(
        count: int = 1, *, topic: str = "recharge.paid", subject: str = "RC1", book: int = BOOK
    ) -> list[int]:
        first = counted.get((book, subject), 0) + 1
        counted[book, subject] = first + count - 1
        new = [NewEvent(book, topic, subject, first + n, {"amount": 100, "n": n}) for n in range(count)]
        now = callbacks.now()
        await callbacks.ids.renew(callbacks.db)  # the clock may have leapt past the lease
        async with callbacks.db.transaction() as tx:
            await outbox.emit(tx, new, ids=callbacks.ids, now=now)
        await outbox.publish_batch(callbacks.db, {topic: [callbacks.fan_out]}, now=now)
        async with callbacks.db.transaction() as tx:
            rows = await tx.fetch(
                "select id from event where book = $1 and subject = $2 and sequence >= $3 order by sequence",
                book, subject, first,
            )  # fmt: skip
        return [row["id"] for row in rows]

    return become_true


def kept(receiver: Receiver, path: str = "/shop") -> list[dict[str, object]]:
    """The genuine messages under a path in the order of their first arrival, decoded."""
    return [json.loads(body) for body in receiver.kept[path].values()]
