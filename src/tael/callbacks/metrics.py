"""What operators watch: attempts by outcome, dead letters, and how far publishing is behind."""

from datetime import datetime

from prometheus_client import Counter, Gauge

from tael.base.db import Database

attempts = Counter("tael_webhook_deliveries", "Attempts to deliver a callback, by outcome", ["outcome"])
dead = Counter("tael_webhook_dead", "Callbacks that were given up and wait for a replay")
outbox_oldest = Gauge("tael_outbox_oldest_seconds", "Age of the oldest event that is not published yet")


async def observe_outbox(db: Database, *, now: datetime) -> float:
    """Set `tael_outbox_oldest_seconds` and answer it; 0 when everything is published. Call it when metrics are read."""
    async with db.transaction() as tx:
        oldest = await tx.fetchval(
            "select created_at from event where published_at is null and failures < 8 order by id limit 1"
        )
    age_s = max(0, (now - oldest).total_seconds()) if isinstance(oldest, datetime) else 0
    outbox_oldest.set(age_s)
    return age_s
