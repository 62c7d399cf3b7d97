"""`tael alerts`, `tael alerts acknowledge`, `tael jobs`: what a person has to know, and how the periodic work fares."""

import getpass
from dataclasses import asdict
from datetime import datetime

from cyclopts import App
from rich.console import Console
from rich.table import Table

from tael import alerts
from tael.alerts import INSTALLATION, StoredAlert
from tael.alerts.routes import alert_view
from tael.base.jobs import states
from tael.cli.connection import connect, transaction
from tael.cli.printing import print_json

app = App(name="alerts", help="Alerts: list them, say that somebody knows.")


@app.default
async def listed(*, closed: bool = False, limit: int = 50, book: int = 1, json: bool = False) -> None:
    """List what is open about the installation and about a book, and with --closed what was."""
    async with connect() as db, db.transaction() as tx:
        found = [
            one for owner in dict.fromkeys((INSTALLATION, book))
            for one in await alerts.page(tx, book=owner, limit=limit, only_open=not closed)
        ]  # fmt: skip
    if json:
        print_json([{"book": one.book, **alert_view(one).model_dump(mode="json")} for one in found])
    else:
        _show(found)


@app.command
async def acknowledge(alert: int, *, book: int = 1, json: bool = False) -> None:
    """Say that you know of an alert; `--book 0` for one about the installation."""
    async with transaction() as (tx, now):
        done = await alerts.acknowledge(tx, book=book, id=alert, by=getpass.getuser(), now=now)
    if json:
        print_json({"book": done.book, **alert_view(done).model_dump(mode="json")})
    else:
        Console().print(f"{done.kind} {done.subject}: acknowledged by {done.acknowledged_by}", markup=False)


async def jobs(*, json: bool = False) -> None:
    """List the periodic jobs: when they ran, how long that took, and what went wrong."""
    async with transaction() as (tx, now):
        found = await states(tx)
    if json:
        print_json([{**asdict(one), "lag_s": one.lag_s(now), "running": one.runs_now(now)} for one in found])
        return
    table = Table("job", "every", "lag", "last run", "took", "runs", "failures", "in a row", "last error")
    for one in found:
        table.add_row(
            one.name, f"{one.every_s} s", f"{one.lag_s(now)} s", _time(one.last_started),
            "" if one.last_ms is None else f"{one.last_ms} ms", str(one.runs), str(one.failures),
            str(one.failed_in_row), one.last_error or "",
        )  # fmt: skip
    Console().print(table)


def _show(found: list[StoredAlert]) -> None:
    table = Table("book", "id", "severity", "kind", "since", "times", "acknowledged", "what")
    for one in found:
        state = one.text_en if one.closed_at is None else f"closed {_time(one.closed_at)}: {one.text_en}"
        table.add_row(
            str(one.book), str(one.id), one.severity, one.kind, _time(one.opened_at), str(one.times),
            one.acknowledged_by or "", state,
        )  # fmt: skip
    Console().print(table)


def _time(at: datetime | None) -> str:
    return "" if at is None else f"{at:%Y-%m-%d %H:%M:%S}"
