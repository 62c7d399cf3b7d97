"""What every scene has at hand: the stage, the company, and words for what happens and for what must hold."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from rich.console import Console

from tael.base.money import format_minor
from tael.ledger.statement import ENTRY_KINDS
from tael_demo.company import Company, Order, Problem
from tael_demo.stage import BOOK, Stage

PATIENCE_S = 60
_KINDS = {"post": "", "hold": "   frozen", "settle": "   out of what was frozen", "release": "   free again"}


class Broken(Exception):
    """An assertion of the demo did not hold."""


@dataclass(slots=True)
class Play:
    """Tells and checks; `checks` counts the assertions that held, `run` makes numbers and keys of this run unique."""

    stage: Stage
    company: Company
    out: Console
    run: int
    scenes: int = 0
    checks: int = 0

    def title(self, name: str, text: str) -> None:
        """Begin a scene."""
        self.scenes += 1
        self.out.print(f"\n[bold]{self.scenes} {name}[/]  {text}", highlight=False)

    def say(self, text: str) -> None:
        """Tell what happened."""
        self.out.print(f"    {text}", highlight=False)

    def check(self, what: str, held: bool) -> None:
        """An assertion. Raises `Broken`."""
        if not held:
            raise Broken(what)
        self.checks += 1
        self.out.print(f"  [green]✓[/] {what}", highlight=False)

    async def until(self, holds: Callable[[], Awaitable[bool]], what: str) -> None:
        """An assertion that needs time. Raises `Broken` after a minute."""
        until = time.monotonic() + PATIENCE_S
        while not await holds():
            if time.monotonic() > until:
                raise Broken(what)
            await asyncio.sleep(0.02)
        self.check(what, held=True)

    async def until_state(self, order: Order, state: str) -> Order:
        """The order, as soon as it has come to this state."""
        present = order

        async def reached() -> bool:
            nonlocal present
            present = await self.company.order(order.order_no)
            return present.state == state

        await self.until(reached, f"order is {state}")
        return present

    async def until_told(self, number: str) -> None:
        """A callback about this number has arrived."""

        async def told() -> bool:
            return any(number.encode() in body for body in self.stage.receiver.kept["/shop"].values())

        await self.until(told, "the business was told, signature verified")

    async def show_entries(self, order_no: str) -> int:
        """Print what was booked for an order; answers how many entries."""
        async with self.stage.db.transaction() as tx:
            rows = await tx.fetch(_ENTRIES, BOOK, order_no)
        for row in rows:
            shown, kind = yuan(row["amount"]), _KINDS[ENTRY_KINDS[row["kind"]]]
            self.say(f"Dr {row['debit']} {shown}   Cr {row['credit']} {shown}{kind}")
        return len(rows)


def granted(order: Order | Problem) -> Order:
    """The order. Raises `Broken` when it was refused."""
    if isinstance(order, Problem):
        raise Broken(f"the order was refused: {order.code}")
    return order


def yuan(minor: int) -> str:
    """Fen as people write them."""
    return f"{'-' if minor < 0 else ''}¥{format_minor(abs(minor), 'CNY')}"


_ENTRIES = """
    select p.kind, p.amount, d.subject as debit, c.subject as credit
    from posting p
        join account d on d.book = p.book and d.id = p.debit
        join account c on c.book = p.book and c.id = p.credit
    where p.book = $1 and (p.order_no = $2
        or p.reference = any(array(select id from posting where book = $1 and order_no = $2)))
    order by p.pos"""
