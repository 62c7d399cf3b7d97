"""One step in a process of its own, for tests that kill it: `step.py DSN HOME transfer | batch | hold`."""

import asyncio
import sys
from pathlib import Path

from tael.base.clock import DatabaseClock
from tael.base.db import Database
from tael.base.ids import Ids
from tael.base.money import Money
from tael.base.settings import Settings
from tael.channels.accounts import MerchantAccounts
from tael.guard import claim_for
from tael.ledger import Ledger
from tael.payments.chart import Chart
from tael.payments.platform import Platform
from tael.transfers.holds import Holds, StartHold
from tael.transfers.transfer import Move, StartBatch, StartTransfer, Transfers


async def main(dsn: str, home: str, verb: str) -> None:
    async with await Database.connect(dsn, min_size=1, max_size=2) as db:
        clock = await DatabaseClock.synchronised(db)
        ids, settings = await Ids.lease(db, clock.now), Settings(home=Path(home))
        platform = Platform(db, ids, Ledger(), Chart(), MerchantAccounts({}), settings, clock.now)
        claim = claim_for(book=1, key="once", endpoint="step", body=b"")
        move = Move(102, 103, Money(300, "CNY"), "")
        if verb == "transfer":
            answer = await Transfers(platform).start(StartTransfer(claim, move))
        elif verb == "batch":
            answer = await Transfers(platform).start_batch(StartBatch(claim, [move, move], atomic=True))
        else:
            answer = await Holds(platform).start(StartHold(claim, 102, Money(300, "CNY"), "r", None))
        sys.stdout.write(answer.body.decode())


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
