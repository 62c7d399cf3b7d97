"""Refunds, put together: what routes, notices, events and the worker call."""

from collections.abc import Sequence

from tael.base.batch import Batcher
from tael.base.db import Tx
from tael.base.errors import TaelError
from tael.base.outbox import Event
from tael.base.tasks import Done, Task, Verdict
from tael.channels.contract import Outcome
from tael.guard import Answer
from tael.orders import (
    Attempt,
    AttemptState,
    Order,
    OrderNotFound,
    OrderNotRefundable,
    attempts_of,
    find_by_business_no,
    find_order,
)
from tael.payments import suspense
from tael.payments.kinds import KINDS, PAYMENT
from tael.payments.notices import RefundTold
from tael.payments.platform import MAX_WAIT_MS, Platform
from tael.refunds import suspended
from tael.refunds.asking import Asking, Begun, Intent, StartRefund, intent
from tael.refunds.said import Said
from tael.refunds.sending import Sending
from tael.refunds.settle import Settling
from tael.refunds.views import answer


class Refunds:
    """Asks for refunds, sends them, and settles what channels say about them. One per process."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._settling = Settling(platform)
        self._sending = Sending(platform, self._settling)
        self._asking: Batcher[Intent, Begun | Answer | TaelError] = Batcher(
            Asking(platform).ask, max_wait_ms=MAX_WAIT_MS
        )

    async def start(
        self, command: StartRefund, *, payment_no: str | None = None, business_order_no: str | None = None
    ) -> Answer:
        """Refund a payment, which is named by its order number or by the business's own; raises a refusal when nothing
        was stored.

        Raises `OrderNotFound`, `OrderNotRefundable`, `RefundExceeds`, `InsufficientBalance`, `TooManyRefunds` ...
        """
        payment, paid = await self._payment(command.claim.book, payment_no, business_order_no)
        begun = await self._asking.submit(intent(self._platform, command, payment, paid))
        if isinstance(begun, TaelError):
            raise begun
        return begun if isinstance(begun, Answer) else await self._send(begun)

    async def refund_item(self, *, book: int, item: int) -> Answer:
        """Give back the money of a suspense item. Raises what `suspended.open_refund` raises."""
        opening = await suspended.open_refund(self._platform, book=book, item=item)
        if opening.begun:
            return await self._send(suspended.begun(opening))
        return answer(opening.row.order, opening.row.attempt, opening.row.refund)

    async def refund_suspended(self, tx: Tx, events: Sequence[Event]) -> None:
        """The handler of the topics `<kind>.suspended`."""
        await suspended.leave_work(tx, events, self._platform)

    async def settle_notices(self, told: Sequence[RefundTold]) -> list[str | TaelError]:
        """Settle verified notices; one verdict or refusal each, in order, after the commit."""
        said = [Said(one.account, one.refund.number, Outcome.SUCCEEDED, one.refund, notice=one.notice) for one in told]
        return [one.verdict for one in await self._settling.settle(said)]

    async def work(self, task: Task) -> Verdict:
        """The handler of the queue `settle.REFUNDS`."""
        item = suspended.item_of(task.key)
        if item is None:
            return await self._sending.work(task)
        opening = await suspended.open_refund(self._platform, book=task.book, item=item)
        if opening.begun:
            await self._sending.send(suspended.begun(opening))
        return Done()

    async def close(self) -> None:
        """Finish what is under way."""
        await self._asking.close()
        await self._settling.close()

    async def _send(self, begun: Begun) -> Answer:
        recorded = await self._sending.send(begun)
        if recorded.answer is None:
            assert isinstance(recorded.verdict, TaelError)
            raise recorded.verdict
        return recorded.answer

    async def _payment(self, book: int, payment_no: str | None, business_order_no: str | None) -> tuple[Order, Attempt]:
        """The payment and the attempt that paid it. What paid it never changes, so no lock is needed."""
        async with self._platform.db.transaction() as tx:
            if payment_no is not None:
                order = await find_order(tx, book=book, order_no=payment_no)
            else:
                order = await find_by_business_no(tx, book=book, kind=PAYMENT.name, number=business_order_no or "")
            if order is None or order.kind not in KINDS:
                raise OrderNotFound
            items = await suspense.of_orders(tx, [(book, order.order_no)])
            aside = {(item.merchant_account, item.channel_ref) for _, item in items}
            paid = [
                one for one in (await attempts_of(tx, [order]))[order.order_no]
                if one.state is AttemptState.PAID and (one.merchant_account, one.channel_ref) not in aside
            ]  # fmt: skip
        if not paid:
            raise OrderNotRefundable(f"the order is {order.state}", state=order.state)
        return order, paid[0]
