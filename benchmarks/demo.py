"""Row `demo`: how long the demo's start takes, first and second time, with PostgreSQL, simulator and server.

The first start of a clean machine also installs packages, which `./demo` does once; that depends on the network and is
timed by hand. The peer is the same start without any data (first), the figure is the second start.
"""

import shutil
import tempfile
import time
from pathlib import Path

from benchmarks.report import middle, report
from tael_demo.stage import stage

STARTS = 3


async def main() -> None:
    """Run the row."""
    home = Path(tempfile.mkdtemp(prefix="tael-bench-"))
    home.chmod(0o711)
    try:
        first = await _start(home)
        again = [await _start(home) for _ in range(STARTS)]
    finally:
        shutil.rmtree(home, ignore_errors=True)
    second = middle(again)
    report(
        "demo", ours=second, peer=first, ratio=second / first,
        table=[("first start", f"{first:.2f} s"), (f"second start, median of {STARTS}", f"{second:.2f} s")],
        detail={"first_s": first, "again_s": again},
    )  # fmt: skip


async def _start(home: Path) -> float:
    began = time.perf_counter()
    async with stage(home):
        return time.perf_counter() - began
