"""Move orders and attempts from state to state: pure functions that check the table of legal moves, and one save.

The caller holds the order's lock (`lock_orders`, `lock_by_attempt`). An illegal move is our own mistake: an assertion
here, a refusal in the database.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from tael.base.db import Tx
from tael.base.errors import JsonValue
from tael.orders import store
from tael.orders.states import ATTEMPT_MOVES, OPEN_ATTEMPT, ORDER_MOVES, AttemptState, OrderState
from tael.orders.store import Attempt, Order


def move_order(
    order: Order, to: OrderState, *, reason: str | None = None, paid_at: datetime | None = None, tells: bool = True
) -> Order:
    """The order in state `to`. `tells` counts one more event about it, to be emitted with `events` as sequence."""
    assert to is order.state or to in ORDER_MOVES[order.state], f"{order.order_no}: {order.state} -> {to}"
    return replace(
        order, state=to, reason=reason or order.reason, paid_at=paid_at or order.paid_at, events=order.events + tells
    )


def move_attempt(
    attempt: Attempt, to: AttemptState, *, now: datetime, channel_ref: str | None = None,
    handoff: dict[str, JsonValue] | None = None, error: str | None = None,
) -> Attempt:  # fmt: skip
    """The attempt in state `to`; what is not given stays as it was."""
    assert to is attempt.state or to in ATTEMPT_MOVES[attempt.state], f"{attempt.attempt_no}: {attempt.state} -> {to}"
    return replace(
        attempt, state=to, channel_ref=channel_ref or attempt.channel_ref, handoff=handoff or attempt.handoff,
        error=error or attempt.error, ended_at=None if to in OPEN_ATTEMPT else now,
    )  # fmt: skip


async def save(tx: Tx, orders: Sequence[Order], attempts: Sequence[Attempt]) -> None:
    """Write moved orders and attempts."""
    await store.update_orders(tx, orders)
    await store.update_attempts(tx, attempts)
