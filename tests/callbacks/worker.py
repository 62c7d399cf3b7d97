"""A courier in a process of its own, for tests that kill it: `python worker.py DSN`. It runs on the machine's clock."""

import asyncio
import sys
from datetime import UTC, datetime

from tael.base.db import Database
from tael.base.ids import Ids
from tael.callbacks import Callbacks, Courier, Policy, Transport


def now() -> datetime:
    return datetime.now(UTC)


async def main(dsn: str) -> None:
    async with await Database.connect(dsn, min_size=1, max_size=2) as db:
        transport = Transport(Policy("test", allow_loopback=True))
        await Courier(Callbacks(db, await Ids.lease(db, now), now, b"m" * 32, transport)).run()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
