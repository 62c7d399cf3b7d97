"""Pay an open order through another channel: the attempt in the way is made impossible first, at its own channel.

    open attempt -> closed for certain -> a new attempt through the other channel
                 -> paid after all     -> settled; the order is shown as it is
                 -> not certain        -> refused: two attempts that can both be paid would be worse than waiting

Should the old attempt be paid all the same, however late, its money is booked: it pays the order when nothing else has,
else it goes to suspense and back to its source.
"""

from dataclasses import replace

from tael.base.errors import TaelError
from tael.channels.contract import PaymentState
from tael.guard import Answer
from tael.orders import attempts_of, find_order
from tael.payments.handover import answer
from tael.payments.platform import Platform
from tael.payments.recover import Recovery
from tael.payments.start import PayAgain, PayIns


class AttemptStillOpen(TaelError):
    """The open attempt cannot be closed for certain just now, so no other may be begun. Try again.
    zh: 进行中的支付流水暂时无法确认关闭，不能更换渠道，请稍后重试。
    """

    status = 409
    retryable = True


class Switch:
    """Asks for a hand-off, through another channel if so wished. One per process."""

    def __init__(self, platform: Platform, pay_ins: PayIns, recovery: Recovery) -> None:
        self._platform, self._pay_ins, self._recovery = platform, pay_ins, recovery

    async def pay(self, command: PayAgain) -> Answer:
        """A usable hand-off for an unpaid order. Raises `AttemptStillOpen`, and what `PayIns.pay` raises."""
        found = await self._pay_ins.in_the_way(command) if command.channel else None
        if found is None:
            return await self._pay_ins.pay(command)
        order, attempt = found
        match await self._recovery.close_at_channel(order, attempt):
            case PaymentState.CLOSED:
                return await self._pay_ins.pay(replace(command, closed=attempt.attempt_no))
            case PaymentState.PAID | PaymentState.REFUNDED:
                return await self._shown(command)
            case PaymentState.FAILED | PaymentState.UNPAID | PaymentState.PAYING | PaymentState.NOT_FOUND | None:
                raise AttemptStillOpen(attempt_no=attempt.attempt_no)

    async def _shown(self, command: PayAgain) -> Answer:
        async with self._platform.db.transaction() as tx:
            order = await find_order(tx, book=command.book, order_no=command.order_no)
            assert order is not None, "it was locked a moment ago, and orders are never deleted"
            return answer(order, (await attempts_of(tx, [order]))[order.order_no])
