"""How fast we may call: a bucket of tokens per merchant account and operation, refilled at the channel's limit.

A caller reserves its place first and then waits for it, so places are given in the order of asking. Who would have to
wait too long is refused before anything is sent, and takes no place.
"""

import asyncio
import time

MAX_WAIT_S = 2
_SECOND = 1_000_000_000


class Throttle:
    """`rate` calls per second, as many of them at once after a quiet second. For one event loop."""

    def __init__(self, rate: int) -> None:
        assert rate > 0
        self._interval = _SECOND // rate
        self._full_at = 0  # when the bucket will be full again, on the monotonic clock

    def reserve(self, now: int) -> int | None:
        """Take a place at `now` (monotonic ns): nanoseconds to wait for it, or None when that is too long."""
        full_at = max(self._full_at, now) + self._interval
        wait = max(0, full_at - now - _SECOND)
        if wait > MAX_WAIT_S * _SECOND:
            return None
        self._full_at = full_at
        return wait

    async def enter(self) -> bool:
        """Wait for a place; False when there is none in reach."""
        wait = self.reserve(time.monotonic_ns())
        if wait:
            await asyncio.sleep(wait / _SECOND)
        return wait is not None
