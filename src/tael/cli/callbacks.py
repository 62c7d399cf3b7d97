"""`tael callbacks endpoints | deliveries | dead | replay`: what businesses were told, and telling them again."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Literal

from cyclopts import App
from rich.console import Console
from rich.table import Table

from tael.base.clock import DatabaseClock
from tael.base.db import Database
from tael.base.errors import JsonValue
from tael.callbacks import deliveries as sent
from tael.callbacks import endpoints as registered
from tael.callbacks import replay as again
from tael.callbacks.deliveries import Delivery
from tael.callbacks.shapes import delivery_out, endpoint_out
from tael.cli.connection import connect
from tael.cli.printing import print_json

app = App(name="callbacks", help="Callbacks to businesses: endpoints, deliveries, dead letters, replay.")


@app.command
async def endpoints(*, book: int = 1, json: bool = False) -> None:
    """List the endpoints of a book: where it is told, and whether they are in service."""
    async with connect() as db:
        found = await registered.listed(db, book=book)
    rows: list[dict[str, JsonValue]] = [endpoint_out(endpoint).model_dump() for endpoint in found]
    _show(rows, ["id", "url", "topics", "status", "reason", "failures"], as_json=json)


@app.command
async def deliveries(
    endpoint: int,
    *,
    status: Literal["waiting", "delivered", "dead"] | None = None,
    limit: int = 50,
    book: int = 1,
    json: bool = False,
) -> None:
    """List what was sent to an endpoint or waits to be sent, newest event first."""
    async with connect() as db:
        found = await sent.listed(db, book=book, endpoint_id=endpoint, status=status, before=None, limit=limit)
    _show_deliveries(found, as_json=json)


@app.command
async def dead(*, limit: int = 50, book: int = 1, json: bool = False) -> None:
    """List dead letters: messages that were given up after 75 h 35 m or because their endpoint is out of service."""
    async with connect() as db:
        found = await sent.dead_letters(db, book=book, limit=limit)
    _show_deliveries(found, as_json=json)


@app.command
async def replay(
    endpoint: int,
    delivery: int | None = None,
    *,
    hours: int = 24,
    scope: again.Scope = "undelivered",
    book: int = 1,
    json: bool = False,
) -> None:
    """Send one delivery again, or without its id everything of the last HOURS that was not delivered (or all)."""
    async with connect() as db:
        now = (await DatabaseClock.synchronised(db)).now()
        window = again.Window(now - timedelta(hours=hours), now, scope)
        if delivery is None:
            queued = await _replay_window(db, window, book=book, endpoint=endpoint, now=now)
        else:
            await again.resend(db, book=book, endpoint_id=endpoint, event_id=delivery, now=now)
            queued = 1
    print(f'{{"queued": {queued}}}' if json else f"{queued} queued")


async def _replay_window(db: Database, window: again.Window, *, book: int, endpoint: int, now: datetime) -> int:
    """Page by page to the end of the window; answers how many messages were queued."""
    queued, has_more = 0, True
    while has_more:
        page = await again.resend_window(db, window, book=book, endpoint_id=endpoint, now=now)
        queued, has_more = queued + page.queued, page.has_more
        window = replace(window, after=page.last_id or 0)
    return queued


def _show_deliveries(found: Sequence[Delivery], *, as_json: bool) -> None:
    rows: list[dict[str, JsonValue]] = [delivery_out(one).model_dump() for one in found]
    columns = ["id", "endpoint_id", "status", "attempts", "last_error", "topic"]
    _show(rows, columns, as_json=as_json)


def _show(rows: Sequence[dict[str, JsonValue]], columns: Sequence[str], *, as_json: bool) -> None:
    if as_json:
        print_json(rows)
        return
    table = Table(box=None, pad_edge=False)
    for column in columns:  # ids are there to be copied: they are never cut
        table.add_column(column, overflow="fold", no_wrap=column not in ("url", "topics", "topic", "reason"))
    for row in rows:
        values = (row[column] for column in columns)
        table.add_row(
            *(", ".join(map(str, value)) if isinstance(value, list) else str(value or "") for value in values)
        )
    Console().print(table)
