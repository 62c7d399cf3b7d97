"""One step at the desk in a process of its own, for tests that kill it: `step.py DSN propose | approve [NUMBER]`."""

import asyncio
import sys

from tael.adjustments import Adjustments, Leg, NewAdjustment, Verdict
from tael.base.clock import DatabaseClock
from tael.base.db import Database
from tael.base.ids import Ids
from tael.guard import claim_for
from tael.ledger import Ledger


async def main(dsn: str, verb: str, number: str = "") -> None:
    async with await Database.connect(dsn, min_size=1, max_size=2) as db:
        clock = await DatabaseClock.synchronised(db)
        desk = Adjustments(db, await Ids.lease(db, clock.now), Ledger(), clock.now)
        if verb == "propose":
            new = NewAdjustment(
                book=1, maker="wang", request_key="once", reason="complaint 17", currency="CNY",
                legs=[Leg(101, 102, 100_000), Leg(102, 103, 300)],
            )  # fmt: skip
            claim = claim_for(book=1, key="once", endpoint="step", body=b"")
            sys.stdout.write((await desk.start(claim, new)).body.decode())
        else:
            adjustment, _ = await desk.approve(Verdict(1, number, checker="li"))
            sys.stdout.write(adjustment.state)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
