"""The sandbox's clock: the real one, or one that only moves when a test says so.

    real     now = the machine's clock + an offset (``advance`` makes the offset larger)
    manual   now stands still until it is set or advanced

Two readings are kept apart. *Sandbox time* decides expiry and the notify ladder. *Wire time* is what stands in
signatures and what a caller's timestamp is compared with; it normally follows sandbox time, and can be tied to the
machine's clock (``wire="machine"``) so that a program on real time can talk to a sandbox whose days are advanced by
hand.
"""

import time
from typing import Literal

Mode = Literal["real", "manual"]
Wire = Literal["sandbox", "machine"]


class Clock:
    """Milliseconds since 1970 (UTC). The only place of the sandbox that reads the machine's clock."""

    def __init__(self) -> None:
        """Start on the machine's clock."""
        self.mode: Mode = "real"
        self.wire: Wire = "sandbox"
        self._offset_ms = 0
        self._standing_ms = 0

    def now_ms(self) -> int:
        """Sandbox time in milliseconds."""
        return self._standing_ms if self.mode == "manual" else _machine_ms() + self._offset_ms

    def now_s(self) -> int:
        """Sandbox time in whole seconds."""
        return self.now_ms() // 1000

    def wire_s(self) -> int:
        """The time that signatures carry and are judged by, in whole seconds."""
        return _machine_ms() // 1000 if self.wire == "machine" else self.now_s()

    def stand_at(self, now_ms: int) -> None:
        """Switch to manual at this instant."""
        self.mode = "manual"
        self._standing_ms = now_ms

    def run(self) -> None:
        """Follow the machine's clock again, without an offset."""
        self.mode = "real"
        self._offset_ms = 0

    def jump_to(self, at_ms: int) -> None:
        """Move forward to ``at_ms``; a moment already passed changes nothing."""
        ahead = max(0, at_ms - self.now_ms())
        if self.mode == "manual":
            self._standing_ms += ahead
        else:
            self._offset_ms += ahead

    def seconds_until(self, at_ms: int) -> float | None:
        """Machine seconds until sandbox time reaches ``at_ms``; None when it never will by itself."""
        if self.mode == "manual":
            return None
        return max(0, at_ms - self.now_ms()) / 1000


def _machine_ms() -> int:
    return time.time_ns() // 1_000_000
