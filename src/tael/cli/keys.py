"""`tael key create | list | revoke`: API keys. A key is shown once, when it is made."""

import sys

from cyclopts import App
from rich.console import Console
from rich.table import Table

from tael.app import master_key
from tael.base.settings import Settings
from tael.cli.connection import connect, transaction
from tael.cli.printing import print_json
from tael.guard import keys
from tael.ledger import BookId, open_book

app = App(name="key", help="API keys and the books they belong to.")


@app.command
async def create(
    *, book: int = 1, name: str = "", scope: tuple[str, ...] = keys.SCOPES, company: str = "", person: str | None = None
) -> None:
    """Make a key for a book and print it; it cannot be shown again.

    Parameters
    ----------
    book: the company's book; opened if it does not exist yet
    name: what the key is for
    scope: a permission, may be repeated; all by default
    company: name of the book when it is opened now
    person: whom the key belongs to; what one person proposes another has to approve, whatever key is used
    """
    settings = Settings()
    async with transaction() as (tx, now):
        await open_book(tx, BookId(book), name=company or f"book {book}", now=now)
        key = await keys.issue(
            tx, book=book, mode=settings.mode, name=name, scopes=scope, pepper=master_key(settings), now=now,
            person=person,
        )  # fmt: skip
    sys.stdout.write(f"{key}\n")


@app.command(name="list")
async def list_(*, book: int = 1, json: bool = False) -> None:
    """Show the keys of a book; never their secrets."""
    async with connect() as db, db.transaction() as tx:
        found = await keys.listed(tx, book=book)
    if json:
        shown = [
            {"id": one.id, "kind": one.kind, "name": one.name, "last4": one.last4, "scopes": sorted(one.scopes)}
            | {"person": one.owner, "expires_at": one.expires_at, "revoked_at": one.revoked_at}
            for one in found
        ]
        print_json(shown)
        return
    table = Table("id", "kind", "name", "person", "ends with", "expires", "revoked")
    for one in found:
        table.add_row(
            one.id, one.kind, one.name, one.owner or "", one.last4, str(one.expires_at or ""),
            str(one.revoked_at or ""),
        )  # fmt: skip
    Console().print(table)


@app.command
async def revoke(key_id: str, *, book: int = 1) -> None:
    """Make a key useless; running processes notice within five seconds."""
    async with transaction() as (tx, now):
        done = await keys.revoke(tx, book=book, key_id=key_id, now=now)
    sys.stdout.write("revoked\n" if done else "no such key\n")
    if not done:
        sys.exit(1)
