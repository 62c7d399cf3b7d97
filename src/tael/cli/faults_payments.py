"""`tael faults payments`: kill Tael and PostgreSQL while money moves in, about, back and out, and compare the books.

The run plays both sides, Tael and the channels, so it is a program of its own beside the demo.
"""

import os
import sys


def payments(*, rounds: int = 20, seed: int | None = None, json: bool = False) -> None:
    """Kill servers and PostgreSQL under load, ROUNDS times; exit code 1 when anything was lost, doubled or odd."""
    words = [
        "--rounds",
        str(rounds),
        *(["--seed", str(seed)] if seed is not None else []),
        *(["--json"] if json else []),
    ]
    os.execv(sys.executable, [sys.executable, "-m", "tael_demo.faults_payments", *words])  # noqa: S606
