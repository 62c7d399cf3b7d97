"""A process that posts without pause until it is killed: the victim of `tael faults ledger`.

Every caller repeats a posting with the same id until it is answered, through crashes of the database. Each answer
that reports success goes to standard output at once, as `id amount`; whoever reads it is the witness.
"""

import asyncio
import itertools
import random
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from uuid import UUID

import uvloop

from tael.base.batch import Overloaded
from tael.base.db import Database, DatabaseUnavailable, OutcomeUnknown
from tael.ledger.posting import Ledger
from tael.ledger.records import HOLD, RELEASE, SETTLE, AccountId, BookId, Posting, posting_id
from tael.ledger.writer import LedgerWriter

CALLERS = 24
WALLETS = 40
BANK = AccountId(1)
BOOK = BookId(1)


async def main(dsn: str, name: str, seed: int) -> None:
    """Post to the book of `dsn` for ever; ids derive from `name` and a counter."""
    async with await Database.connect(dsn, min_size=0, max_size=4) as db:
        writer = LedgerWriter(db, Ledger(), now=lambda: datetime.now(UTC))
        numbers = itertools.count()
        async with asyncio.TaskGroup() as callers:
            for caller in range(CALLERS):
                callers.create_task(_call(writer, name, numbers, random.Random(seed * 1_000 + caller)))  # noqa: S311


async def _call(writer: LedgerWriter, name: str, numbers: "itertools.count[int]", chance: random.Random) -> None:
    for number in numbers:
        await _act(writer, f"{name}-{number}", chance)


async def _act(writer: LedgerWriter, key: str, chance: random.Random) -> None:
    """One thing a business does: recharge, pay, pay with a fee, freeze and settle a part, freeze and release."""
    payer, payee = (AccountId(2 + account) for account in chance.sample(range(WALLETS), 2))
    amount = chance.randrange(1, 1_000)
    match chance.randrange(5):
        case 0:
            await _insist(writer, [_move(key, BANK, payer, amount)])
        case 1:
            await _insist(writer, [_move(key, payer, payee, amount)])
        case 2:
            await _insist(writer, [_move(key, payer, payee, amount), _move(f"{key}-fee", payee, BANK, amount // 100)])
        case choice:
            if await _insist(writer, [_move(key, payer, payee, amount, flags=HOLD)]):
                part = chance.randrange(amount + 1) if choice == 3 else None
                flags = SETTLE if choice == 3 else RELEASE
                hold = posting_id("fault", key)
                identity = posting_id("fault", f"{key}-end")
                await _insist(writer, [Posting(book=BOOK, id=identity, amount=part, flags=flags, reference=hold)])


async def _insist(writer: LedgerWriter, postings: Sequence[Posting]) -> bool:
    """Repeat until answered; report what was posted."""
    while True:
        try:
            results = [await writer.post_one(postings[0])] if len(postings) == 1 else await writer.post_group(postings)
        except (OutcomeUnknown, DatabaseUnavailable, Overloaded, OSError):
            await asyncio.sleep(0.02)
            continue
        done = [result.row for result in results if result.row is not None]
        _report([(row.posting.id, row.amount) for row in done])
        return bool(done)


def _report(done: Sequence[tuple[UUID, int]]) -> None:
    if done:
        sys.stdout.write("".join(f"{identity.hex} {amount}\n" for identity, amount in done))
        sys.stdout.flush()


def _move(key: str, debit: AccountId, credit: AccountId, amount: int, *, flags: int = 0) -> Posting:
    return Posting(
        book=BOOK, id=posting_id("fault", key), debit=debit, credit=credit, amount=amount, currency="CNY", code=1,
        flags=flags, order_no=key,
    )  # fmt: skip


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
