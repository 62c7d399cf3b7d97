"""Crash points: named places where a fault run lets this process die, as if the machine had been unplugged.

    TAEL_CRASH_AT=settle.committed      die at the first pass of that point
    TAEL_CRASH_AT=settle.committed:3    die at the third

A process dies by SIGKILL, so nothing is flushed, closed or told. Only test mode obeys; without the variable a point
costs one comparison. Where the points are is what `docs/recipes/fault-runs.md` lists.
"""

import os
import signal

from tael.base.settings import Settings

_WANTED, _, _PASS = os.environ.get("TAEL_CRASH_AT", "").partition(":")
_left = int(_PASS or 1)


def crash_point(name: str) -> None:
    """Die here, now, when this is the point and the pass that TAEL_CRASH_AT names."""
    if name == _WANTED:
        _count_down()


def _count_down() -> None:
    global _left
    _left -= 1
    if _left == 0 and Settings().mode == "test":
        os.kill(os.getpid(), signal.SIGKILL)
