"""Transfer: A pays, B is paid, in one commit; there is nothing in between and nothing to recover.

    (nothing) -> done      the row, the posting and the event `transfer.done` stand or fall together
    (nothing)              refused; it leaves no trace and its idempotency key is free

Concurrent requests are coalesced: a transaction serves whatever arrived while the last one ran. A request that the
ledger refuses is taken out and the others are committed without it (`committing.py`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from tael.base.batch import Batcher
from tael.base.crash import crash_point
from tael.base.db import Tx
from tael.base.errors import TaelError
from tael.base.http import InvalidField
from tael.base.money import MAX_MINOR, InvalidAmount, Money
from tael.guard import Answer, Claim
from tael.payments.leaving_out import Refused, committed
from tael.payments.platform import MAX_WAIT_MS, Platform
from tael.transfers.committing import Asked, Commit, Form, Means
from tael.transfers.eligibility import Eligibility
from tael.transfers.entries import PREFIX, transfer_posting_id
from tael.transfers.store import Batch, Transfer

MOST: Final = 500
"""The most transfers of a batch."""


@dataclass(frozen=True, slots=True)
class Move:
    """What to move from the account `debit` to the account `credit`; from the hold `hold` of the payer, if named."""

    debit: int
    credit: int
    amount: Money
    note: str
    business_transfer_no: str | None = None
    hold: int | None = None


@dataclass(frozen=True, slots=True)
class StartTransfer:
    """A request for one transfer."""

    claim: Claim
    move: Move


@dataclass(frozen=True, slots=True)
class StartBatch:
    """A request for many transfers: all or nothing when `atomic`, else each for itself."""

    claim: Claim
    moves: Sequence[Move]
    atomic: bool


class Transfers:
    """Makes transfers. One per process."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._means = Means(platform.ids, platform.ledger, Eligibility())
        self._alone: Batcher[Asked, Answer | TaelError] = Batcher(self._commit, max_wait_ms=MAX_WAIT_MS)
        # A batch is large enough for a transaction of its own: one is prepared while another is committed.
        self._many: Batcher[Asked, Answer | TaelError] = Batcher(
            self._commit, cap=4, split_at=1, max_wait_ms=MAX_WAIT_MS
        )

    async def start(self, command: StartTransfer) -> Answer:
        """Transfer at once; raises a refusal when nothing was done."""
        return _answer(await self._alone.submit(self._asked(command.claim, [command.move], "alone")))

    async def start_batch(self, command: StartBatch) -> Answer:
        """Make the transfers of a batch. Refusals of single ones are part of the answer, unless it is atomic.

        Raises `InvalidAmount` when their sum is more than an account can hold, and what refuses an atomic batch:
        `place` then says which of its transfers was refused first.
        """
        if not 1 <= len(command.moves) <= MOST:
            raise InvalidField(f"a batch has 1 to {MOST} transfers", param="transfers")
        if sum(move.amount.minor for move in command.moves) > MAX_MINOR:
            raise InvalidAmount("the sum of the batch is too large", param="transfers")
        form: Form = "atomic" if command.atomic else "apart"
        return _answer(await self._many.submit(self._asked(command.claim, command.moves, form)))

    async def close(self) -> None:
        """Finish what is under way."""
        await self._alone.close()
        await self._many.close()

    def _asked(self, claim: Claim, moves: Sequence[Move], form: Form) -> Asked:
        ids, now, batch = self._platform.ids, self._platform.now(), None
        if form != "alone":
            number = ids.order_no(business=PREFIX, account=moves[0].debit)
            batch = Batch(
                claim.book, number, ids.next(), claim.key, claim.fingerprint, form == "atomic", len(moves), now
            )
        transfers: list[Transfer] = []
        for place, move in enumerate(moves):
            order_no = ids.order_no(business=PREFIX, account=move.debit)
            transfers.append(
                Transfer(
                    claim.book, order_no, ids.next(), move.debit, move.credit, move.amount.minor,
                    move.amount.currency, move.note, move.business_transfer_no,
                    claim.key if batch is None else None, None if batch is None else batch.batch_no,
                    None if batch is None else place, move.hold, transfer_posting_id(order_no, at=now), now,
                )
            )  # fmt: skip
        return Asked(claim, form, transfers, batch)

    async def _commit(self, asked: Sequence[Asked]) -> list[Answer | TaelError]:
        results = await committed(self._platform.db, lambda tx, refused: self._try(tx, asked, refused))
        crash_point("transfer.committed")
        return results

    async def _try(self, tx: Tx, asked: Sequence[Asked], refused: Refused) -> list[Answer | TaelError]:
        results = await Commit(self._means, tx, asked, refused, now=self._platform.now()).serve()
        crash_point("transfer.before_commit")
        return results


def _answer(said: Answer | TaelError) -> Answer:
    if isinstance(said, TaelError):
        raise said
    return said
