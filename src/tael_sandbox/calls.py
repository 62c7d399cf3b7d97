"""What was asked of the channels and what was told to merchants: the witness a test questions afterwards.

Counts cover the whole life of the process; the lists keep the latest entries only.
"""

from collections import Counter, deque

from msgspec import Struct

_MOST_KEPT = 100_000


class Call(Struct, frozen=True):
    """One request to a channel. ``status`` 0: the line was closed without an answer. ``code``: the refusal, if
    any.
    """

    at_ms: int
    operation: str
    mchid: str
    out_trade_no: str
    status: int
    code: str = ""
    fault: str = ""
    channel: str = "wechat"


class Delivery(Struct, frozen=True):
    """One try to deliver a notice. ``status`` 0: nobody answered, ``answer`` says why; otherwise it is the start of
    the body.
    """

    at_ms: int
    notice_id: str
    mchid: str
    out_trade_no: str
    url: str
    attempt: int
    status: int
    answer: str
    accepted: bool
    fault: str = ""
    channel: str = "wechat"


class Witness:
    """Calls received and deliveries tried."""

    def __init__(self) -> None:
        """Start with nothing seen."""
        self.calls: deque[Call] = deque(maxlen=_MOST_KEPT)
        self.deliveries: deque[Delivery] = deque(maxlen=_MOST_KEPT)
        self.counts: Counter[str] = Counter()

    def heard(self, call: Call) -> None:
        """Note a call."""
        self.calls.append(call)
        self.counts[call.operation] += 1

    def told(self, delivery: Delivery) -> None:
        """Note a delivery."""
        self.deliveries.append(delivery)
        self.counts["notify"] += 1
