"""`tael ledger verify | balance | balances | statement | holds | post`: look into the books, and book by hand."""

import sys
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated, Literal
from uuid import UUID

from cyclopts import App, Parameter
from rich.console import Console
from rich.table import Table

from tael.base.money import format_minor
from tael.cli.connection import connect, transaction
from tael.cli.printing import print_json
from tael.ledger import accounts
from tael.ledger.accounts import Balance, Side
from tael.ledger.posting import Ledger
from tael.ledger.records import HOLD, RELEASE, REVERSE, SETTLE, AccountId, BookId, Posting, posting_id
from tael.ledger.refusals import require_posted
from tael.ledger.statement import balance_at
from tael.ledger.statement import holds as holds_of
from tael.ledger.statement import statement as statement_of
from tael.ledger.verify import verify as check

app = App(name="ledger", help="The books: verify, balances, statements, postings by hand.")

_FLAGS = {"post": 0, "hold": HOLD, "settle": SETTLE, "release": RELEASE, "reverse": REVERSE}


@app.command
async def verify(*, book: int = 1, json: bool = False) -> None:
    """Check every row of a book; exit code 1 when anything is not as it was written."""
    async with connect() as db:
        report = await check(db, BookId(book))
    if json:
        print_json({"ok": report.ok, **asdict(report)})
    else:
        table = Table("check", "found", title=f"book {book}: {report.postings} postings, {report.accounts} accounts")
        for name, count in report.counts.items():
            table.add_row(name, str(count) if count else "✓", style="red" if count else "")
        Console().print(table)
        for finding in report.findings:
            Console().print(f"{finding.check}: {finding.where} {finding.what}", style="red")
    if not report.ok:
        sys.exit(1)


@app.command
async def balance(account: int, *, at: datetime | None = None, book: int = 1, json: bool = False) -> None:
    """What an account holds now, or held AT a past instant (UTC unless it names a zone)."""
    async with connect() as db, db.transaction() as tx:
        if at is None:
            found = await accounts.balance(tx, BookId(book), AccountId(account))
        else:
            instant = at.replace(tzinfo=at.tzinfo or UTC)
            found = await balance_at(tx, BookId(book), AccountId(account), instant)
    _show_balances([found], as_json=json)


@app.command
async def balances(*accounts_: int, book: int = 1, json: bool = False) -> None:
    """What these accounts hold; without any, the first hundred accounts of the book."""
    async with connect() as db, db.transaction() as tx:
        ids = [AccountId(account) for account in accounts_]
        if not ids:
            records = await tx.fetch("select id from account where book = $1 order by id limit 100", book)
            ids = [AccountId(record["id"]) for record in records]
        found = await accounts.balances(tx, BookId(book), ids)
    _show_balances(found, as_json=json)


@app.command
async def statement(
    account: int, *, side: Literal["debit", "credit", "both"] = "both", code: int = 0, oldest_first: bool = False,
    beyond: int | None = None, limit: int = 50, book: int = 1, json: bool = False,
) -> None:  # fmt: skip
    """An account's entries with opening and closing balance, newest first; BEYOND continues after that entry number."""
    chosen: Side | Literal["both"] = side
    async with connect() as db, db.transaction() as tx:
        entries = await statement_of(
            tx, BookId(book), AccountId(account), side=chosen, code=code, newest_first=not oldest_first,
            beyond=beyond, limit=limit,
        )  # fmt: skip
    if json:
        print_json([{**asdict(entry), "opening": entry.opening} for entry in entries])
        return
    table = Table("entry", "at", "kind", "side", "amount", "opening", "closing", "held", "counterpart", "order")
    for entry in entries:
        currency = entry.closing.currency
        table.add_row(
            str(entry.seq), f"{entry.at:%Y-%m-%d %H:%M:%S}", entry.kind, entry.side,
            format_minor(entry.amount, currency),
            format_minor(entry.opening, currency), format_minor(entry.closing.total, currency),
            format_minor(entry.closing.held, currency), str(entry.counterpart), entry.order_no or "",
        )  # fmt: skip
    Console().print(table)


@app.command
async def holds(account: int, *, book: int = 1, limit: int = 100, json: bool = False) -> None:
    """The open holds (冻结) of an account."""
    async with connect() as db, db.transaction() as tx:
        found = await holds_of(tx, BookId(book), AccountId(account), limit=limit)
    if json:
        print_json([asdict(hold) for hold in found])
        return
    table = Table("id", "debit", "credit", "minor units", "expires")
    for hold in found:
        table.add_row(
            str(hold.id), str(hold.debit), str(hold.credit), str(hold.amount), str(hold.expires_at or "never")
        )
    Console().print(table)


@app.command
async def post(
    kind: Literal["post", "hold", "settle", "release", "reverse"], key: str, *,
    debit: int = 0, credit: int = 0,
    amount: Annotated[int | None, Parameter(help="Minor units; left out on settle, release, reverse = all")] = None,
    currency: str = "", code: int = 0,
    reference: Annotated[str | None, Parameter(help="KEY or id of the hold or the reversed posting")] = None,
    timeout_s: int = 0, order_no: str | None = None, book: int = 1, json: bool = False,
) -> None:  # fmt: skip
    """Post one movement by hand. KEY makes it idempotent: the same command again changes nothing."""
    posting = Posting(
        book=BookId(book), id=posting_id("manual", key), debit=AccountId(debit), credit=AccountId(credit),
        amount=amount, currency=currency, code=code, flags=_FLAGS[kind], reference=_reference(reference),
        timeout_s=timeout_s, order_no=order_no,
    )  # fmt: skip
    async with transaction() as (tx, now):
        (result,) = await Ledger().post(tx, [posting], now=now)
        require_posted([result])
    pos = result.row.pos if result.row else None
    shown = {"id": str(posting.id), "outcome": result.outcome.value, "amount": result.amount, "pos": pos}
    if json:
        print_json(shown)
    else:
        Console().print(f"{shown['outcome']} at position {pos}: {result.amount} minor units, id {posting.id}")


def _reference(text: str | None) -> UUID | None:
    """An id as it stands, anything else as the key of an earlier command."""
    if text is None:
        return None
    try:
        return UUID(text)
    except ValueError:
        return posting_id("manual", text)


def _show_balances(found: Sequence[Balance], *, as_json: bool) -> None:
    if as_json:
        print_json([{**asdict(one), "total": one.total, "held": one.held, "available": one.available} for one in found])
        return
    table = Table("account", "currency", "total", "held", "available", "entries", "")
    for one in found:
        table.add_row(
            str(one.account), one.currency, format_minor(one.total, one.currency), format_minor(one.held, one.currency),
            format_minor(one.available, one.currency), str(one.seq), "closed" if one.closed else "",
        )  # fmt: skip
    Console().print(table)
