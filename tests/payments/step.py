"""One step of a process of its own, for tests that kill it: `step.py DSN FOLDER PORT TIME VERB ORDER`."""

import asyncio
import sys
from datetime import datetime
from pathlib import Path

from shop import MASTER_KEY
from tael.app import running
from tael.base.clock import SteppedClock
from tael.base.settings import Settings
from tael.payments.fulfilment import Fulfilments


async def main(dsn: str, folder: str, port: str, time: str, verb: str, order_no: str) -> None:
    settings = Settings(home=Path(folder) / "tael", port=int(port), master_key=MASTER_KEY)
    clock = SteppedClock(datetime.fromisoformat(time))
    async with running(settings, dsn=dsn, clock=clock, work=False) as system:
        match verb:
            case "recover":
                await system.recoverer.run_due()
            case "remind":
                await system.fulfiller.run_due()
            case _:
                await Fulfilments(system.platform).fulfil(book=1, order_no=order_no, reference="parcel 7")


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
