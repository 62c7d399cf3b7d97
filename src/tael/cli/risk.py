"""`tael risk rules | show | test | publish | shadow | freeze | unfreeze | verdict`: rules, verdicts, freezes."""

import getpass
from pathlib import Path
from typing import Annotated, cast

import msgspec
from cyclopts import App, Parameter
from rich.console import Console
from rich.table import Table

from tael.base.clock import DatabaseClock
from tael.base.errors import JsonValue
from tael.cli.connection import connect, transaction
from tael.cli.printing import print_json
from tael.risk import InvalidRuleSet, Risk, freezing, install_shipped, rule_sets, shapes
from tael.risk.rule_sets import Written, read_toml
from tael.risk.tables import read_table, refusal
from tael.risk.verdicts import find_verdict

app = App(name="risk", help="Risk control: rules, what they said, and frozen accounts.")

File = Annotated[Path, Parameter(help="A decision table: JSON (JDM), or TOML with operation, note and content")]


@app.command
async def rules(operation: str | None = None, *, book: int = 1, json: bool = False) -> None:
    """List the versions of rules, newest first, and the shipped ones that are active."""
    async with transaction() as (tx, now):
        await install_shipped(tx, now=now)
        found = await rule_sets.listed(tx, book=book, operation=operation)
    views = [shapes.rule_set_out(one) for one in found]
    if json:
        print_json(views)
        return
    table = Table("operation", "version", "origin", "state", "author", "active since", "note")
    for one in views:
        since = f"{one.activated_at:%Y-%m-%d %H:%M}" if one.activated_at else ""
        table.add_row(one.operation, str(one.version), one.origin, one.state, one.author, since, one.note)
    Console().print(table)


@app.command
async def show(operation: str, version: int, *, book: int = 1, json: bool = False) -> None:
    """Show the table of one version; `--book 0` for what is shipped."""
    async with connect() as db, db.transaction() as tx:
        found = await rule_sets.find(tx, book=book, operation=operation, version=version)
    view = shapes.with_content(found)
    if json:
        print_json(view)
        return
    Console().print(f"{operation} version {version}: {found.state}. {found.note}")
    _show_table(found.content)
    for problem in view.problems:
        Console().print(problem, style="red", markup=False)


@app.command(name="test")
async def try_out(
    file: File, *, operation: str | None = None, days: int = 30, book: int = 1, json: bool = False
) -> None:  # fmt: skip
    """Check a table, and say what it would have done with the operations of the last DAYS days."""
    written = _read(file, operation)
    async with connect() as db:
        now = (await DatabaseClock.synchronised(db)).now()
        async with db.report() as tx:
            found = await Risk().dry_run(
                tx, book=book, operation=written.operation, content=written.content, days=days, now=now
            )
    if json:
        print_json(shapes.report_out(found))
        return
    console = Console()
    console.print(f"would have stopped {found.stopped:,} of {found.judged:,}, sent {found.review:,} to review")
    console.print(f"stopped now and not then: {found.newly_stopped:,}; the other way round: {found.released:,}")
    for rule, count in found.by_rule.items():
        console.print(f"  {rule}: {count:,}")
    for one in found.examples:
        console.print(f"  {one.number} of {one.person}: {one.was} -> {one.would_be} {', '.join(one.rules)}")
    if not found.complete:
        console.print("there are more operations; only the newest were tried")


@app.command
async def publish(
    file: File, *, operation: str | None = None, note: str = "", book: int = 1, json: bool = False
) -> None:  # fmt: skip
    """Store a table as the next version and put it into service, after checking it."""
    await _publish(_read(file, operation), note=note, book=book, aside=False, as_json=json)


@app.command
async def shadow(
    file: File, *, operation: str | None = None, note: str = "", book: int = 1, json: bool = False
) -> None:  # fmt: skip
    """Store a table as the next version and evaluate it beside the active one, without effect."""
    await _publish(_read(file, operation), note=note, book=book, aside=True, as_json=json)


@app.command
async def freeze(account: int, *, reason: str, book: int = 1, json: bool = False) -> None:
    """Freeze a customer's account: nothing new is debited from it."""
    async with transaction() as (tx, now):
        done = await freezing.freeze(tx, book=book, account=account, reason=reason, by=_who(), now=now)
    _show_freeze(done, as_json=json)


@app.command
async def unfreeze(account: int, *, reason: str, book: int = 1, json: bool = False) -> None:
    """Lift the freeze of an account."""
    async with transaction() as (tx, now):
        done = await freezing.unfreeze(tx, book=book, account=account, reason=reason, by=_who(), now=now)
    _show_freeze(done, as_json=json)


@app.command
async def verdict(operation: str, number: str, *, book: int = 1, json: bool = False) -> None:
    """Show what was said about an operation, with the facts and the rows that held."""
    async with connect() as db, db.transaction() as tx:
        view = shapes.verdict_out(await find_verdict(tx, book=book, operation=operation, number=number))
    if json:
        print_json(view)
        return
    console = Console()
    by = f"{view.origin} version {view.version}"
    console.print(f"{number}: {view.outcome.value} by {by} at {view.at:%Y-%m-%d %H:%M:%S}")
    for rule, texts in view.reasons.items():
        console.print(f"  {rule}: {texts['zh']} ({texts['en']})", markup=False)
    for name, value in view.facts.items():
        console.print(f"  {name} = {value}", markup=False)
    if view.shadow is not None:
        console.print(f"  shadow: {view.shadow}", markup=False)


async def _publish(written: Written, *, note: str, book: int, aside: bool, as_json: bool) -> None:
    operation = written.operation
    async with transaction() as (tx, now):
        made = await rule_sets.draft(
            tx, book=book, operation=operation, content=written.content, note=note or written.note, author=_who(),
            now=now,
        )  # fmt: skip
        if aside:
            done = await rule_sets.shadow(tx, book=book, operation=operation, version=made.version)
        else:
            done = await rule_sets.activate(
                tx, book=book, operation=operation, version=made.version, author=_who(), now=now
            )
    if as_json:
        print_json(shapes.rule_set_out(done))
    else:
        Console().print(f"{operation} version {done.version}: {done.state}")


def _read(file: Path, operation: str | None) -> Written:
    """The rule set in a file. Raises `InvalidRuleSet` when it is neither JSON nor TOML, or for no operation."""
    try:
        text = file.read_text("utf-8")
        if file.suffix == ".toml":
            written = read_toml(text)
        else:
            content = cast("dict[str, JsonValue]", msgspec.json.decode(text, type=dict[str, object]))
            written = Written(operation or "", "", content)
    except (OSError, ValueError) as problem:
        raise refusal([f"{file}: {problem}"]) from None
    if operation not in (None, written.operation) or not written.operation:
        raise refusal(["which operation is it for? (--operation)"])
    return written


def _who() -> str:
    return getpass.getuser()


def _show_freeze(done: freezing.Freeze | None, *, as_json: bool) -> None:
    view = None if done is None else shapes.freeze_out(done)
    if as_json:
        print_json(view)
    elif view is None:
        Console().print("never frozen")
    else:
        Console().print(f"account {view.account_id}: {'frozen' if view.frozen else 'free'}, freeze {view.number}")


def _show_table(content: dict[str, JsonValue]) -> None:
    try:
        read = read_table(content)
    except InvalidRuleSet:
        return  # what is wrong with it is shown below
    table = Table(*(column.field or "condition" for column in read.columns), "outcome", "rule")
    for row in read.rows:
        table.add_row(*row.cells, row.outcome.value, row.rule)
    Console().print(table)
