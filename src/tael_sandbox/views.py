"""What the shared controls say and hear, as types: the server encodes them, the Python client decodes them."""

from msgspec import Struct

from tael_sandbox.book import Entry
from tael_sandbox.calls import Call, Delivery
from tael_sandbox.clock import Mode, Wire
from tael_sandbox.courier import Notice


class BookView(Struct, frozen=True):
    """The channels' own book. ``balances`` add up to zero; ``paid`` counts payments and adds up their totals by
    merchant.
    """

    balances: dict[str, int]
    sum_minor: int
    paid: dict[str, "PaidView"]
    entries: tuple[Entry, ...]


class PaidView(Struct, frozen=True):
    """How many payments a merchant got and what they come to."""

    count: int
    total_minor: int


class RequestsView(Struct, frozen=True):
    """How often each operation was called since the start, and the latest calls."""

    counts: dict[str, int]
    calls: tuple[Call, ...]


class DeliveriesView(Struct, frozen=True):
    """Every try of the past and every notice that waits."""

    tried: tuple[Delivery, ...]
    pending: tuple[Notice, ...]


class ClockView(Struct, frozen=True):
    """Sandbox time (Unix milliseconds), how it moves, and what signatures follow."""

    mode: Mode
    wire: Wire
    now_ms: int


class SetClock(Struct, frozen=True, forbid_unknown_fields=True):
    """``advance_s`` alone moves on; otherwise ``mode`` and ``wire`` are set.

    ``now_ms``: where manual time stands (default: now), or a moment that real time jumps ahead to (default: none).
    """

    mode: Mode | None = None
    now_ms: int | None = None
    wire: Wire | None = None
    advance_s: int = 0
