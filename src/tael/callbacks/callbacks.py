"""What all parts of callbacks share in one process."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from tael.base.db import Database, Tx
from tael.base.ids import Ids
from tael.base.outbox import Event
from tael.callbacks import signing
from tael.callbacks.fan_out import fan_out
from tael.callbacks.store import Endpoint
from tael.callbacks.transport import Transport


@dataclass(frozen=True, slots=True)
class Callbacks:
    """Built once by the application. `master_key` has at least 32 bytes; `queued` tells the courier to look now."""

    db: Database
    ids: Ids
    now: Callable[[], datetime]
    master_key: bytes = field(repr=False)
    transport: Transport
    queued: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        assert len(self.master_key) >= 32, "secrets of endpoints derive from this key"

    async def fan_out(self, tx: Tx, events: Sequence[Event]) -> None:
        """Handler for the outbox, for every topic that businesses may subscribe to."""
        await fan_out(tx, events, now=self.now())
        tx.on_commit(self.queued.set)

    def secret(self, endpoint: Endpoint) -> bytes:
        """The present secret of an endpoint."""
        return self._secret(endpoint, endpoint.generation)

    def signing_keys(self, endpoint: Endpoint, *, now: datetime) -> list[bytes]:
        """The secrets that sign at `now`: the present one first, then the one before while it lasts."""
        keys = [self.secret(endpoint)]
        if endpoint.previous_until is not None and now < endpoint.previous_until:
            keys.append(self._secret(endpoint, endpoint.generation - 1))
        return keys

    def _secret(self, endpoint: Endpoint, generation: int) -> bytes:
        return signing.secret(self.master_key, book=endpoint.book, endpoint_id=endpoint.id, generation=generation)
