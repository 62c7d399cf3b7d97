"""Send refunds to their channel, and ask about them until it is certain what has become of them.

    created                 the request is sent
    paying, unknown         query; "no such refund" -> the identical request again: a new number would be a new refund
    10 s, 20 s, 30 s ...    until refunded or closed; a notice that comes first ends it

Time alone never makes a refund failed. What is still open after a month becomes a dead letter for a person; its state
and its hold stay.
"""

from datetime import timedelta

from tael.base.crash import crash_point
from tael.base.money import Money
from tael.base.tasks import Again, Dead, Done, Task, Verdict
from tael.channels.contract import MerchantAccount, Operation, Outcome, RefundRef, RefundRequest, RefundState, Result
from tael.channels.contract import RefundView as ChannelRefund
from tael.guard import Claim
from tael.orders import OPEN_ATTEMPT, Attempt, AttemptState, find_attempt, find_order
from tael.payments.evidence import Exchange
from tael.payments.platform import Platform
from tael.refunds import store
from tael.refunds.asking import Begun
from tael.refunds.said import Row, Said
from tael.refunds.settle import Recorded, Settling

PATIENCE_S = 30 * 86400
"""How long the sender keeps asking before it hands a refund to a person."""


class Sending:
    """Sends refunds. One per process."""

    def __init__(self, platform: Platform, settling: Settling) -> None:
        self._platform, self._settling = platform, settling

    async def send(self, begun: Begun) -> Recorded:
        """Ask the channel for a committed refund and record what it says. The same every time, so safe to repeat."""
        row = begun.row
        account = self._platform.account_of(row.attempt)
        connector = self._platform.accounts.makes_refunds(account)
        result = await connector.refund(account, self._request(row, account), now=self._platform.now())
        crash_point("refund.channel_answered")
        return await self._settling.record(_said(row, account, Operation.REFUND, result, begun.claim))

    async def work(self, task: Task) -> Verdict:
        """One rung of the ladder for the attempt `task.key`."""
        row = await self._find(task.book, task.key)
        if row is None:
            return Dead("no such refund")
        if row.attempt.state not in OPEN_ATTEMPT:
            return Done()
        if row.attempt.state is AttemptState.CREATED:
            await self.send(Begun(None, row))
        else:
            await self._ask(row)
        found = await self._find(task.book, task.key)
        if found is None or found.attempt.state not in OPEN_ATTEMPT:
            return Done()
        now = self._platform.now()
        if now >= row.refund.send_at + timedelta(seconds=PATIENCE_S):
            return Dead("still unknown; ask the channel and settle by hand")
        return Again(now + self._platform.settings.recovery_pause(task.attempt))

    async def _ask(self, row: Row) -> None:
        """Query; what the channel does not know is sent again."""
        account = self._platform.account_of(row.attempt)
        ref = RefundRef(row.attempt.attempt_no, row.refund.payment_attempt, _amount(row.attempt))
        connector = self._platform.accounts.makes_refunds(account)
        result = await connector.query_refund(account, ref, now=self._platform.now())
        crash_point("refund.query_answered")
        await self._settling.record(_said(row, account, Operation.QUERY_REFUND, result, None))
        if result.value is not None and result.value.state is RefundState.NOT_FOUND:
            await self.send(Begun(None, row))

    async def _find(self, book: int, attempt_no: str) -> Row | None:
        async with self._platform.db.transaction() as tx:
            attempt = await find_attempt(tx, book=book, attempt_no=attempt_no)
            if attempt is None:
                return None
            order = await find_order(tx, book=book, order_no=attempt.order_no)
            refund = (await store.find(tx, [(book, attempt.order_no)])).get((book, attempt.order_no))
        return Row(order, attempt, refund) if order and refund else None

    def _request(self, row: Row, account: MerchantAccount) -> RefundRequest:
        """The refund as the channel is asked for it: the same every time."""
        refund, amount = row.refund, _amount(row.attempt)
        return RefundRequest(
            number=row.attempt.attempt_no, payment_number=refund.payment_attempt, payment_ref=refund.payment_ref,
            amount=amount, total=Money(refund.payment_total, amount.currency), reason=row.order.description,
            notify_url=self._platform.settings.notice_url(account.channel, account.id),
        )  # fmt: skip


def _amount(attempt: Attempt) -> Money:
    return Money(attempt.amount, attempt.currency)


def _said(
    row: Row, account: MerchantAccount, operation: Operation, result: Result[ChannelRefund], claim: Claim | None
) -> Said:
    error = f"{result.error.kind}: {result.error.code}" if result.error else None
    kept = Exchange(row.attempt.book, row.attempt.attempt_no, operation, result.outcome, result.raw)
    asked = operation is Operation.QUERY_REFUND
    # A question that failed says nothing about the refund, whatever its own fate was.
    outcome = Outcome.NOT_SENT if asked and result.outcome is not Outcome.SUCCEEDED else result.outcome
    return Said(account, row.attempt.attempt_no, outcome, result.value, error, kept, claim=claim)
