"""`tael faults ledger | recharge | payments`: break things on purpose, then check the money.

`recharge` and `payments` play both sides, Tael and the channels, so they are programs of their own beside the demo.
"""

import os
import sys

from tael.cli import faults_ledger

app = faults_ledger.app


@app.command
def recharge(*, rounds: int = 20, seed: int | None = None, json: bool = False) -> None:
    """Kill Tael and PostgreSQL while customers recharge, ROUNDS times, and compare three books afterwards.

    Exit code 1 when anything was lost, doubled or odd.
    """
    _become("tael_demo.faults.recharge", rounds, seed, as_json=json)


@app.command
def payments(*, rounds: int = 20, seed: int | None = None, json: bool = False) -> None:
    """Kill Tael and PostgreSQL while money moves in, about, back and out, ROUNDS times, and compare the books.

    Exit code 1 when anything was lost, doubled or odd.
    """
    _become("tael_demo.faults.payments", rounds, seed, as_json=json)


def _become(program: str, rounds: int, seed: int | None, *, as_json: bool) -> None:
    seeded = [] if seed is None else ["--seed", str(seed)]
    words = ["--rounds", str(rounds), *seeded, *(["--json"] if as_json else [])]
    os.execv(sys.executable, [sys.executable, "-m", program, *words])  # noqa: S606
