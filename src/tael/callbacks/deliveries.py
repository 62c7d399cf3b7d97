"""What was sent to an endpoint: deliveries and their attempts."""

from datetime import datetime

from tael.base.db import Database, Tx
from tael.callbacks import store
from tael.callbacks.endpoints import existing
from tael.callbacks.replay import KEPT, DeliveryNotFound, first_id_at
from tael.callbacks.store import Attempt, Delivery, DeliveryStatus


async def listed(
    db: Database, *, book: int, endpoint_id: int, status: DeliveryStatus | None, before: int | None, limit: int
) -> list[Delivery]:
    """An endpoint's deliveries, newest event first. Raises `EndpointNotFound`."""
    async with db.transaction() as tx:
        existing(await store.endpoint(tx, book, endpoint_id))
        return await store.deliveries(tx, book, endpoint_id, status=status, before=before, limit=limit)


async def get(db: Database, *, book: int, endpoint_id: int, event_id: int) -> tuple[Delivery, list[Attempt]]:
    """One delivery and its recorded attempts. Raises `EndpointNotFound`, `DeliveryNotFound`."""
    async with db.transaction() as tx:
        existing(await store.endpoint(tx, book, endpoint_id))
        delivery = await store.delivery(tx, book, endpoint_id, event_id)
        if delivery is None:
            raise DeliveryNotFound
        return delivery, await store.attempts(tx, book, endpoint_id, event_id)


async def forget_old(tx: Tx, *, now: datetime, limit: int = 5000) -> int:
    """Delete deliveries of events older than 90 days, which can no longer be replayed; answers how many."""
    return await store.forget(tx, below=first_id_at(now - KEPT), limit=limit)


async def dead_letters(db: Database, *, book: int, limit: int) -> list[Delivery]:
    """What was given up in a book, endpoint by endpoint; endpoints that were deleted are left out."""
    async with db.transaction() as tx:
        return await store.dead_letters(tx, book, limit=limit)
