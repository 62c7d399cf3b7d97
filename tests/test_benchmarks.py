"""Every benchmark runs and reports in the agreed form; what it measures here is not looked at."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SMALL = {"BENCH_SECONDS": "1", "BENCH_ROUNDS": "1", "BENCH_RECHARGES": "64", "BENCH_TRANSFERS": "20000"}


@pytest.mark.slow
@pytest.mark.parametrize("row", ["ledger-concurrent", "recharge", "transfer", "withdrawal", "demo"])
def test_a_row_runs_and_ends_with_its_json(row: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", row], cwd=ROOT, env=os.environ | SMALL, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    said = json.loads(done.stdout.strip().splitlines()[-1])
    assert set(said) == {"row", "ours", "peer", "ratio", "p50_ms", "p99_ms", "detail"}
    assert said["row"] == row
    assert said["ours"] > 0
    assert said["peer"] > 0
