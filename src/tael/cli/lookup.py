"""`tael lookup ANYTHING` and `tael lost`: the whole story of a number, and what was lost on the way."""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Annotated

from cyclopts import Parameter
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from tael.base.clock import DatabaseClock
from tael.base.errors import JsonValue
from tael.cli.connection import connect
from tael.cli.printing import print_json
from tael.lookup import Answer, Story, count_losses, look_up
from tael.lookup.views import lookup_view

_ARROWS = {"in": "→", "out": "←", "inside": "·"}
"""Towards the platform, away from it, within it."""
_COLOURS = {
    "exchange": "cyan", "notice": "cyan", "callback": "magenta", "delivery": "magenta", "posting": "green",
    "suspense": "yellow", "task": "yellow",
}  # fmt: skip


async def lookup(
    anything: str, *, book: int = 1,
    raw: Annotated[bool, Parameter(help="With what was sent to channels and came back, redacted")] = False,
    json: bool = False,
) -> None:  # fmt: skip
    """Find any number (an order's, an attempt's, a channel's, your own, an id) and tell the whole story."""
    async with connect() as db, db.transaction() as tx:
        answer = await look_up(tx, book=book, text=anything)
    if json:
        print_json(lookup_view(answer))
        return
    out = Console()
    _show_hits(out, answer)
    for story in answer.stories:
        _show_story(out, story)
        if raw:
            _show_bodies(out, story)


async def lost(
    *, since: Annotated[datetime | None, Parameter(help="UTC unless it names a zone; a day ago")] = None,
    until: datetime | None = None, book: int = 1, json: bool = False,
) -> None:  # fmt: skip
    """Count what was lost: outside, where a notice never came; inside, where the business does not know yet."""
    async with connect() as db:
        now = (await DatabaseClock.synchronised(db)).now()
        last = _in_utc(until) if until else now
        first = _in_utc(since) if since else last - timedelta(days=1)
        losses = await count_losses(db, book=book, since=first, until=last, now=now)
    if json:
        print_json(asdict(losses))
        return
    table = Table("lost", "where", "count", title=f"{first:%Y-%m-%d %H:%M} to {last:%Y-%m-%d %H:%M} UTC")
    for channel, one in losses.external.items():
        table.add_row("outside", f"{channel}: settled because we asked, of {one.paid} paid", str(one.recovered))
    inside = losses.internal
    table.add_row("inside", "orders concerned", str(inside.orders))
    table.add_row("inside", "events not published (given up)", f"{inside.unpublished} ({inside.parked})")
    table.add_row("inside", "callbacks not arrived (given up)", f"{inside.undelivered} ({inside.dead})")
    table.add_row("inside", "products not made in time", str(inside.unfulfilled))
    Console().print(table)


def _show_hits(out: Console, answer: Answer) -> None:
    table = Table("found", "by", "number", "about", "")
    for hit in answer.hits:
        facts = "  ".join(f"{name}={_short(value)}" for name, value in hit.facts.items())
        table.add_row(hit.kind, hit.by, escape(hit.number), escape(hit.about or ""), escape(facts))
    out.print(table)


def _show_story(out: Console, story: Story) -> None:
    table = Table("time (UTC)", "", "what", "who", "what happened", title=story.number, title_justify="left")
    number = story.number
    for one in story.entries:
        if one.number != number:
            number = one.number
            table.add_row("", "", "", "", f"[dim]{escape(number)}[/dim]")
        table.add_row(
            f"{one.at:%m-%d %H:%M:%S.%f}"[:-3], _ARROWS[one.way], one.what, escape(one.actor), escape(one.text),
            style=_COLOURS.get(one.what, ""),
        )  # fmt: skip
    out.print(table)
    if story.cut:
        out.print("There is more than is shown here.", style="yellow")


def _show_bodies(out: Console, story: Story) -> None:
    for one in story.entries:
        if one.what == "exchange":
            out.rule(f"{one.at:%H:%M:%S} {_of(one.data, 'operation')} {one.number}", align="left")
            for part in ("request", "response"):
                out.print(f"{part} sha256 {_of(one.data, f'{part}_sha256')}", style="dim", markup=False)
                out.print(_of(one.data, f"{part}_body"), markup=False, highlight=False)


def _of(data: Mapping[str, JsonValue], name: str) -> str:
    return str(data.get(name) or "-")


def _short(value: JsonValue) -> str:
    return f"{len(value)} entries" if isinstance(value, list) else str(value)


def _in_utc(at: datetime) -> datetime:
    return at.replace(tzinfo=at.tzinfo or UTC)
