"""`tael faults recharge`: kill Tael and PostgreSQL while customers recharge, and compare three books afterwards.

The run plays both sides, Tael and the channel, so it is a program of its own beside the demo.
"""

import os
import sys


def recharge(*, rounds: int = 20, seed: int | None = None, json: bool = False) -> None:
    """Kill servers and PostgreSQL under load, ROUNDS times; exit code 1 when anything was lost, doubled or odd."""
    words = [
        "--rounds",
        str(rounds),
        *(["--seed", str(seed)] if seed is not None else []),
        *(["--json"] if json else []),
    ]
    os.execv(sys.executable, [sys.executable, "-m", "tael_demo.faults_recharge", *words])  # noqa: S606
