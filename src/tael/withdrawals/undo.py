"""End a withdrawal that will never be paid: give the money back, count it towards no limit, tell why.

The order is locked and moved by the caller; what it frees is freed in the same commit, the ledger last.
"""

from collections.abc import Sequence
from datetime import datetime

from tael.alerts import clear
from tael.base import tasks
from tael.base.db import Tx
from tael.ledger import Ledger, require_posted
from tael.orders import Order
from tael.payments.alarms import PAYOUT_WAITS
from tael.risk import Risk
from tael.withdrawals import entries
from tael.withdrawals.lookup import KIND
from tael.withdrawals.opening import PAYOUT


async def let_go(tx: Tx, orders: Sequence[Order], *, risk: Risk) -> None:
    """These orders were never paid: they count towards no limit, and nobody pays them any more."""
    await risk.void(tx, [(order.book, KIND, order.order_no) for order in orders])
    await tasks.cancel(tx, PAYOUT, [(order.book, order.order_no) for order in orders])


async def unfreeze(tx: Tx, orders: Sequence[Order], *, ledger: Ledger, now: datetime) -> None:
    """Release their holds, as the transaction's last write; nobody has to find them a way any more."""
    if orders:
        await clear(tx, [(order.book, PAYOUT_WAITS, order.order_no) for order in orders], now=now)
        require_posted(await ledger.post(tx, [entries.release(order) for order in orders], now=now))
