"""One step of a withdrawal in a process of its own, for tests that kill it.

    step.py DSN FOLDER ask ACCOUNT PAYEE | approve NUMBER | reject NUMBER | cancel NUMBER | pay [ANSWER]

FOLDER is the bank's: it outlives the process. `pay` does everything that is due in the next day.
"""

import asyncio
import sys
from pathlib import Path

from tael.base.clock import SteppedClock
from tael.base.db import Database
from tael.base.money import Money
from tael.guard import claim_for
from tael.withdrawals.approve import Verdict
from tael.withdrawals.withdraw import StartWithdrawal
from withdrawals.bank import Bank
from withdrawals.conftest import Works, works


async def main(dsn: str, folder: str, at: str, verb: str, *words: str) -> None:
    async with await Database.connect(dsn, min_size=1, max_size=4) as db:
        clock = SteppedClock()
        clock.advance(int(at))
        bank = Bank(Path(folder))
        parts = await works(db, clock, bank, Path(folder).parent)
        match verb:
            case "ask":
                sys.stdout.write(await ask(parts, *words))
            case "approve":
                await parts.decisions.approve(Verdict(1, words[0], "li"))
            case "reject":
                await parts.decisions.reject(Verdict(1, words[0], "li"))
            case "cancel":
                await parts.decisions.cancel(book=1, order_no=words[0], person="wang")
            case "pay":
                bank.answers.extend(words)
                await parts.worker.run_due()


async def ask(parts: Works, account: str, payee: str) -> str:
    claim = claim_for(book=1, key="once", endpoint="step", body=b"")
    said = await parts.withdrawals.start(
        StartWithdrawal(claim, int(account), int(payee), Money(1_000, "CNY"), "rent", None, {}, "wang")
    )
    return said.body.decode()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
