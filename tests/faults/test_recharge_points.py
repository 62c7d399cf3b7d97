"""The crash points themselves: they kill at the named pass and in test mode only, and every one of them is used."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from faults.test_recharge_crash import CASES
from tael_demo.faults.recharge import POINTS

SOURCES = Path(__file__).parent.parent.parent / "src" / "tael"
PROGRAM = "from tael.base.crash import crash_point\nfor n in range(3): print(n, flush=True); crash_point('here')"


@pytest.mark.parametrize(
    ("where", "mode", "passes", "code"),
    [
        ("", "test", 3, 0),
        ("there", "test", 3, 0),
        ("here", "test", 1, -signal.SIGKILL),
        ("here:2", "test", 2, -signal.SIGKILL),
        ("here:4", "test", 3, 0),
        ("here", "live", 3, 0),
    ],
)
def test_a_point_kills_at_its_pass_in_test_mode(where: str, mode: str, passes: int, code: int, tmp_path: Path) -> None:
    environment = {**os.environ, "TAEL_CRASH_AT": where, "TAEL_MODE": mode}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], env=environment, cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (len(done.stdout.split()), done.returncode) == (passes, code)


def test_every_point_is_in_the_fault_run_and_in_the_table() -> None:
    placed = {
        name for path in SOURCES.rglob("*.py") for name in re.findall(r'crash_point\("([a-z_.]+)"\)', path.read_text())
    }
    # Packages whose steps need no channel kill their own processes in a `test_crash.py`.
    elsewhere = "".join(path.read_text() for path in Path(__file__).parent.parent.glob("*/test_crash.py"))
    placed = {name for name in placed if f'"{name}"' not in elsewhere}
    assert placed == set(POINTS)
    assert placed == {point for point, _, _ in CASES}
