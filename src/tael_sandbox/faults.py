"""Faults: what goes wrong on purpose, armed by a test or a person, used up one call at a time.

Every channel has its own ``Faults``, made from a table: operation -> the kinds that can happen to it. By convention

    before the channel did anything   drop_before_commit  5xx_before_commit  429  error
    after it did                      commit_then_drop_reply  5xx_after_commit  delay_ms  truncated_body  html_body
                                      empty_body  garbage_body  bad_signature  unsigned ...
    on a notice (operation notify)    drop  duplicate  late  out_of_order  bad_signature  wrong_amount  other_order ...

Armed faults live in memory only: a restarted sandbox is healthy.
"""

from collections.abc import Mapping

from msgspec import Struct
from msgspec.structs import replace

BEFORE_COMMIT = frozenset({"drop_before_commit", "5xx_before_commit", "429", "error"})
AFTER_COMMIT = frozenset(
    {
        *("commit_then_drop_reply", "5xx_after_commit", "delay_ms", "truncated_body", "html_body"),
        *("empty_body", "garbage_body", "bad_signature", "unsigned"),
    }
)
ON_NOTICES = frozenset({"drop", "duplicate", "late", "out_of_order", "bad_signature", "wrong_amount", "other_order"})


class Misarmed(Exception):
    """The fault does not exist for this operation."""


class Fault(Struct, frozen=True, kw_only=True):
    """One thing that goes wrong ``count`` times (None: until disarmed), for one order number or (empty) for any.

    ``delay_ms`` delays the reply of any kind in machine time. ``status``, ``code`` belong to ``error`` and the 5xx
    and HTML kinds; ``times`` to ``duplicate``; ``late_s`` to ``late`` and ``stale_timestamp``; ``amount_minor`` to
    ``wrong_amount``; ``other_out_trade_no`` to ``other_order``.
    """

    operation: str
    kind: str
    count: int | None = 1
    out_trade_no: str = ""
    delay_ms: int = 0
    status: int = 0
    code: str = ""
    times: int = 2
    late_s: int = 3600
    amount_minor: int = 0
    other_out_trade_no: str = ""


class Faults:
    """The armed faults of one channel, first armed first used."""

    def __init__(self, kinds: Mapping[str, frozenset[str]]) -> None:
        """Start healthy. ``kinds``: what can happen to each operation."""
        self.armed: list[Fault] = []
        self._kinds = kinds

    def arm(self, fault: Fault) -> None:
        """Add a fault. Raises ``Misarmed``."""
        if fault.kind not in self._kinds.get(fault.operation, ()) or (fault.count is not None and fault.count < 1):
            raise Misarmed(f"{fault.kind} x {fault.count} cannot happen to {fault.operation}")
        self.armed.append(fault)

    def clear(self) -> None:
        """Disarm everything."""
        self.armed.clear()

    def take(self, operation: str, *numbers: str) -> Fault | None:
        """Use one fault up, if one waits for this call; ``numbers`` are those that the call is about."""
        for index, fault in enumerate(self.armed):
            if fault.operation == operation and (not fault.out_trade_no or fault.out_trade_no in numbers):
                if fault.count == 1:
                    del self.armed[index]
                elif fault.count is not None:
                    self.armed[index] = replace(fault, count=fault.count - 1)
                return fault
        return None
