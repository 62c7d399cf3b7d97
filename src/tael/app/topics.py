"""Every event there is, and who hears of it: businesses outside by callback, businesses in this process by a call."""

from collections.abc import Mapping, Sequence

from tael import adjustments, payments, withdrawals
from tael.app.parts import Parts
from tael.base.outbox import Handler

TOPICS = (*payments.TOPICS, *withdrawals.TOPICS, *adjustments.TOPICS)
"""Every event; all of them are for callbacks."""


def listeners(parts: Parts) -> Mapping[str, Sequence[Handler]]:
    """The functions that handle each topic, in the relay's transaction."""
    return {topic: [parts.callbacks.fan_out] for topic in TOPICS}
