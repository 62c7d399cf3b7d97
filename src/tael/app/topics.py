"""Every event there is, and who hears of it: businesses outside by callback, businesses in this process by a call."""

from collections.abc import Mapping, Sequence

from tael import adjustments, payments, refunds, transfers, withdrawals
from tael.app.parts import Parts
from tael.base.outbox import Handler
from tael.payments.kinds import KINDS

TOPICS = (*payments.TOPICS, *refunds.TOPICS, *transfers.TOPICS, *withdrawals.TOPICS, *adjustments.TOPICS)
"""Every event; all of them are for callbacks."""


def listeners(parts: Parts) -> Mapping[str, Sequence[Handler]]:
    """The functions that handle each topic, in the relay's transaction."""
    outside = {topic: [parts.callbacks.fan_out] for topic in TOPICS}
    # Money that its order cannot take goes back by itself, where nobody has to decide about it.
    inside = {kind.topic("suspended"): [parts.refunds.refund_suspended] for kind in KINDS.values()}
    return {topic: [*handlers, *inside.get(topic, [])] for topic, handlers in outside.items()}
