"""One step of a refund in a process of its own, for tests that kill it.

step.py DSN HOME PORT NOW ask PAYMENT_NO AMOUNT | item ID | work
"""

import asyncio
import sys
from datetime import datetime
from pathlib import Path

from shop import BOOK, MASTER_KEY
from tael.app import running
from tael.base.clock import SteppedClock
from tael.base.money import Money
from tael.base.settings import Settings
from tael.guard import claim_for
from tael.refunds import StartRefund


async def main(dsn: str, home: str, port: str, now: str, verb: str, *words: str) -> None:
    settings = Settings(home=Path(home), port=int(port), master_key=MASTER_KEY)
    async with running(settings, dsn=dsn, clock=SteppedClock(datetime.fromisoformat(now)), work=False) as system:
        refunds = system.parts.refunds
        match verb:
            case "ask":
                claim = claim_for(book=BOOK, key="once", endpoint="step", body=b"")
                command = StartRefund(claim, Money(int(words[1]), "CNY"), "broken", "B-1")
                sys.stdout.write((await refunds.start(command, payment_no=words[0])).body.decode())
            case "item":
                sys.stdout.write((await refunds.refund_item(book=BOOK, item=int(words[0]))).body.decode())
            case "work":
                await system.refunder.run_due()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
