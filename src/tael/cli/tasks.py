"""`tael tasks dead | revive`: work that was given up, such as a payment still unknown after three days."""

import sys

from cyclopts import App

from tael.base import tasks
from tael.cli.connection import connect, transaction
from tael.cli.printing import print_json

app = App(name="tasks", help="Dead letters of the delay queue.")


@app.command
async def dead(*, queue: str = "recover", limit: int = 100) -> None:
    """Print dead letters as JSON lines, oldest first."""
    async with connect() as db, db.transaction() as tx:
        for letter in await tasks.dead_letters(tx, queue, limit=limit):
            print_json(letter)


@app.command
async def revive(key: str, *, queue: str = "recover", book: int = 1) -> None:
    """Put a dead letter back into its queue, due now; exit code 1 when there is none."""
    async with transaction() as (tx, now):
        found = await tasks.revive(tx, queue, book=book, key=key, now=now)
    sys.stdout.write("revived\n" if found else "no such dead letter\n")
    if not found:
        sys.exit(1)
