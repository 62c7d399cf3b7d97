"""Faults: what goes wrong on purpose, armed by a test or a person, used up one call at a time.

Before the channel did anything: ``drop_before_commit``, ``5xx_before_commit``, ``429``, ``error`` (any status and
code). After it did: ``commit_then_drop_reply``, ``5xx_after_commit``, ``delay_ms``, ``truncated_body``,
``html_body``, ``empty_body``, ``garbage_body``, ``bad_signature``, ``unsigned``, ``stale_timestamp``,
``notify_inside_create``. On a notice: ``drop``, ``duplicate``, ``late``, ``bad_signature``, ``stale_timestamp``,
``signtest``, ``unknown_serial``, ``other_merchants_key``, ``bad_seal``, ``wrong_amount``, ``wrong_currency``,
``wrong_appid``, ``wrong_mchid``, ``other_order``, ``out_of_order``.

Armed faults live in memory only: a restarted sandbox is healthy.
"""

from typing import Literal, get_args

from msgspec import Struct
from msgspec.structs import replace

Operation = Literal["create", "query", "close", "certificates", "notify"]
CallKind = Literal[
    "drop_before_commit",
    "5xx_before_commit",
    "429",
    "error",
    "commit_then_drop_reply",
    "5xx_after_commit",
    "delay_ms",
    "truncated_body",
    "html_body",
    "empty_body",
    "garbage_body",
    "bad_signature",
    "unsigned",
    "stale_timestamp",
    "notify_inside_create",
]
NoticeKind = Literal[
    "drop",
    "duplicate",
    "late",
    "bad_signature",
    "stale_timestamp",
    "signtest",
    "unknown_serial",
    "other_merchants_key",
    "bad_seal",
    "wrong_amount",
    "wrong_currency",
    "wrong_appid",
    "wrong_mchid",
    "other_order",
    "out_of_order",
]
BEFORE_COMMIT: frozenset[CallKind | NoticeKind] = frozenset({"drop_before_commit", "5xx_before_commit", "429", "error"})
CALL_KINDS: tuple[str, ...] = get_args(CallKind)
NOTICE_KINDS: tuple[str, ...] = get_args(NoticeKind)


class Misarmed(Exception):
    """The fault does not exist for this operation."""


class Fault(Struct, frozen=True, kw_only=True):
    """One thing that goes wrong ``count`` times (None: until disarmed), for one order number or (empty) for any.

    ``delay_ms`` delays the reply of any kind in machine time. ``status``, ``code`` belong to ``error`` and the 5xx
    and HTML kinds; ``times`` to ``duplicate``; ``late_s`` to ``late`` and ``stale_timestamp``; ``amount_minor`` to
    ``wrong_amount``; ``other_out_trade_no`` to ``other_order``.
    """

    operation: Operation
    kind: CallKind | NoticeKind
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
    """The armed faults, first armed first used."""

    def __init__(self) -> None:
        """Start healthy."""
        self.armed: list[Fault] = []

    def arm(self, fault: Fault) -> None:
        """Add a fault. Raises ``Misarmed``."""
        kinds = NOTICE_KINDS if fault.operation == "notify" else CALL_KINDS
        inside_create = fault.kind == "notify_inside_create" and fault.operation != "create"
        if fault.kind not in kinds or inside_create or (fault.count is not None and fault.count < 1):
            raise Misarmed(f"{fault.kind} x {fault.count} cannot happen to {fault.operation}")
        self.armed.append(fault)

    def clear(self) -> None:
        """Disarm everything."""
        self.armed.clear()

    def touches(self, operation: Operation) -> bool:
        """Whether any fault waits for this operation; cheap enough for every call."""
        return bool(self.armed) and any(fault.operation == operation for fault in self.armed)

    def take(self, operation: Operation, out_trade_no: str) -> Fault | None:
        """Use one fault up, if one waits for this call."""
        for index, fault in enumerate(self.armed):
            if fault.operation == operation and fault.out_trade_no in ("", out_trade_no):
                if fault.count == 1:
                    del self.armed[index]
                elif fault.count is not None:
                    self.armed[index] = replace(fault, count=fault.count - 1)
                return fault
        return None
