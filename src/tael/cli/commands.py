"""The root command and the commands that concern a whole installation."""

import logging
import os
import sys
from typing import Annotated

from cyclopts import App, Parameter
from rich.console import Console

from tael import __version__
from tael.app import master_key
from tael.base import logs
from tael.base.clock import DatabaseClock
from tael.base.errors import TaelError, code
from tael.base.migrate import migrate as migrate_database
from tael.base.settings import Settings
from tael.cli import (
    adjustments,
    alerts,
    callbacks,
    catalogue,
    channels,
    doctor,
    faults,
    keys,
    ledger,
    lookup,
    refunds,
    risk,
    routing,
    serve,
    tasks,
    transfers,
    withdrawals,
)
from tael.cli.connection import connect, database_url
from tael.cli.printing import print_json
from tael.console import access

app = App(name="tael", help="Payments and a double-entry ledger in one PostgreSQL transaction.", version=__version__)
for part in (
    keys.app,
    channels.app,
    callbacks.app,
    ledger.app,
    routing.app,
    risk.app,
    tasks.app,
    faults.app,
    adjustments.app,
    transfers.app,
    withdrawals.app,
    refunds.app,
    alerts.app,
):
    app.command(part)
app.command(alerts.jobs)
app.command(lookup.lookup)
app.command(lookup.lost)
app.command(doctor.doctor)
app.command(catalogue.errors)
app.command(catalogue.openapi)


@app.command
def up(*, workers: Annotated[int, Parameter(help="Processes; each serves and works")] = 1, json: bool = False) -> None:
    """Run Tael: the API, the console and the background work, until Ctrl-C or SIGTERM."""
    settings = Settings()
    logs.configure(json=json or not sys.stderr.isatty())
    with database_url(settings) as dsn:
        serve.serve(settings, dsn, workers=workers)


@app.command
async def migrate() -> None:
    """Bring the database schema up to date."""
    async with connect() as db:
        applied = await migrate_database(db)
    Console().print("\n".join(f"applied {one.number:04d} {one.name}" for one in applied) or "nothing to do")


@app.command
async def console(
    *,
    person: Annotated[str, Parameter(help="Who will look; on a test system this person may also decide")] = "-",
    json: bool = False,
) -> None:
    """Print a link that opens the console for a day."""
    settings = Settings()
    async with connect() as db:
        clock = await DatabaseClock.synchronised(db)
    base = settings.public_url.rstrip("/") or f"http://{settings.host}:{settings.port}"
    link = f"{base}/console?key={access.make_key(master_key(settings), now=clock.now(), person=person)}"
    if json:
        print_json({"url": link})
    else:
        sys.stdout.write(f"{link}\n")


@app.command
def demo(*arguments: Annotated[str, Parameter(allow_leading_hyphen=True)]) -> None:
    """Start everything with a simulated channel, play real flows, leave it running (see `tael demo --help`)."""
    os.execv(sys.executable, [sys.executable, "-m", "tael_demo", *arguments])  # noqa: S606


def run() -> None:
    """Run the command line; a refusal ends with its message and exit code 1. Warnings go to standard error."""
    logs.configure(level=logging.WARNING, json=not sys.stderr.isatty())
    try:
        app(backend="asyncio", result_action="return_none")
    except TaelError as refusal:
        Console(stderr=True).print(f"{code(type(refusal))}: {refusal}", style="red", markup=False)
        sys.exit(1)
