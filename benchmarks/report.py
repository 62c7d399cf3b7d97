"""How a benchmark reports: a table for people, then one JSON object as the last line, which is also appended to
results.json beside this file. `ours` and `peer` are in the row's own unit; the bar is on their ratio."""

import json
from pathlib import Path
from statistics import median

from rich.console import Console
from rich.table import Table

RESULTS = Path(__file__).with_name("results.json")


def report(
    row: str, *, ours: float, peer: float, ratio: float, p50_ms: float | None = None, p99_ms: float | None = None,
    table: list[tuple[str, str]], detail: dict[str, object],
) -> None:  # fmt: skip
    """Print the `table` (name, figure) and the JSON line; append the JSON line to results.json."""
    shown = Table(title=row, show_header=False)
    for name, figure in table:
        shown.add_row(name, figure)
    Console().print(shown)
    line = json.dumps(
        {
            "row": row, "ours": _figure(ours), "peer": _figure(peer), "ratio": _figure(ratio),
            "p50_ms": _figure(p50_ms), "p99_ms": _figure(p99_ms), "detail": detail,
        }
    )  # fmt: skip
    with RESULTS.open("a") as file:
        file.write(line + "\n")
    print(line)


def percentile(values: list[float], share: float) -> float:
    """The value that `share` (0..1) of `values` do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def middle(values: list[float]) -> float:
    """The median of the rounds."""
    return median(values)


def _figure(value: float | None) -> float | None:
    return None if value is None else round(value, 3)
