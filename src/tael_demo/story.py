"""The story: four recharges, each with something going wrong that must not matter.

    1  paid by scanning           2  the notice comes again and again, the request twice
    3  Tael is killed while the channel is being called
    4  the notice is lost, and recovery asks

The customer of scene 4 pays at the very beginning: recovery waits ten real seconds before it asks, and the other
scenes are played meanwhile.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import httpx2
from rich.console import Console

from tael.base.money import format_minor
from tael.ledger import BookId
from tael.ledger.verify import verify
from tael_demo.company import Company, Order, Problem
from tael_demo.stage import BOOK, Stage
from tael_sandbox import Fault

_PATIENCE_S = 60


class Broken(Exception):
    """An assertion of the demo did not hold."""


@dataclass(slots=True)
class Story:
    """Plays on a stage and prints; `checks` counts the assertions that held, `run` makes keys of this run unique."""

    stage: Stage
    company: Company
    out: Console
    run: int
    checks: int = 0

    async def play(self) -> None:
        """All scenes; raises `Broken` at the first assertion that fails."""
        owners = range(self.run * 10, self.run * 10 + 4)
        alice, bob, carol, dave = [await self.company.open_account(owner) for owner in owners]
        waiting = await self._lose_notice(dave)
        await self._scanned(alice)
        await self._repeated(bob)
        await self._killed(carol)
        await self._recovered(dave, waiting)
        await self._balanced()

    async def _scanned(self, account: str) -> None:
        self._title(1, "recharge", "¥100.00 by WeChat QR code: scanned, notice verified, booked")
        started = time.monotonic_ns()
        order = await self._recharge(account, 100_00)
        self._say(f"order {order.order_no}")
        await self.stage.sandbox.pay(order.code)
        await self._until_state(order, "paid")
        self._say(f"{(time.monotonic_ns() - started) // 1_000_000} ms from request to booking")
        await self._show_booking(account, 100_00)
        await self._told(order)

    async def _repeated(self, account: str) -> None:
        self._title(2, "repetition", "¥30.00, the channel is told nine times to send its notice again")
        order = await self._recharge(account, 30_00)
        await self.stage.sandbox.pay(order.number)
        await asyncio.gather(*(self.stage.sandbox.renotify(order.number) for _ in range(9)))
        await self.stage.sandbox.drain()
        tried = [one for one in (await self.stage.sandbox.deliveries()).tried if one.out_trade_no == order.number]
        held = len(tried) > 1 and all(one.accepted for one in tried)
        self._check(f"{len(tried)} notices, each answered as accepted", held)
        await self._show_booking(account, 30_00)
        first = await self._recharge(account, 20_00)
        second = await self._recharge(account, 20_00)
        self._check("the same Idempotency-Key gives the same order", first.order_no == second.order_no)
        clicked = await self.company.recharge(account, 20_00, key=f"click-{self.run}")
        refused = isinstance(clicked, Problem) and clicked.code == "duplicate_submission"
        self._check("a double click with another key is refused", refused)

    async def _killed(self, account: str) -> None:
        self._title(3, "kill -9", "¥80.00, Tael dies while WeChat Pay is being asked for the QR code")
        sandbox, known = self.stage.sandbox, len(await self.stage.sandbox.orders())
        await sandbox.fault(Fault(operation="create", kind="delay_ms", delay_ms=3000))
        asking = asyncio.create_task(self._recharge(account, 80_00))

        async def arrived() -> bool:
            return len(await sandbox.orders()) > known

        await self._until(arrived, "the channel has the request")
        pid = await self.stage.server.kill()
        self._check(f"process {pid} killed before it could answer", await _failed(asking))
        await self.stage.server.start()
        self._say("started again; the order was committed before the call, so recovery finds it")
        order = await self._until_state(await self.company.latest_order(account), "paying")
        await sandbox.pay(order.code)
        await self._until_state(order, "paid")
        again = await self._repeat(account, 80_00)
        self._check("repeating the request answers with the same order", again.order_no == order.order_no)
        there = [one for one in await sandbox.orders() if one.out_trade_no == order.number]
        self._check("the channel knows one order and one payment", [len(one.payments) for one in there] == [1])
        await self._show_booking(account, 80_00)

    async def _lose_notice(self, account: str) -> Order:
        """Pay and let every notice of it vanish; recovery will find it."""
        order = await self._recharge(account, 50_00)
        await self.stage.sandbox.fault(Fault(operation="notify", kind="drop", count=50, out_trade_no=order.number))
        await self.stage.sandbox.pay(order.number)
        return order

    async def _recovered(self, account: str, order: Order) -> None:
        self._title(4, "lost order", "¥50.00 paid before scene 1, every notice dropped; recovery asks after 10 s")
        order = await self._until_state(order, "paid")
        self._say(f"order {order.order_no}, paid at the channel {order.paid_at}")
        tried = [one for one in (await self.stage.sandbox.deliveries()).tried if one.out_trade_no == order.number]
        self._check("no notice ever arrived", not any(one.accepted for one in tried))
        await self._show_booking(account, 50_00)
        await self._told(order)

    async def _balanced(self) -> None:
        self._title(5, "the books", "checked row by row, and compared with the channel's own book")
        report = await verify(self.stage.db, BookId(BOOK))
        self._check(f"{report.postings} postings verified: sums are zero, every chain is unbroken", report.ok)
        async with self.stage.db.report() as tx:
            booked = await tx.fetchval("select coalesce(sum(amount), 0)::bigint from posting where code in (101, 102)")
        assert isinstance(booked, int)
        paid = sum(one.total_minor for one in (await self.stage.sandbox.book()).paid.values())
        self._check(f"the channel was paid {_yuan(paid)}, Tael booked {_yuan(booked)}", paid == booked)

    async def _recharge(self, account: str, amount: int) -> Order:
        order = await self.company.recharge(account, amount, key=f"demo-{account}-{amount}")
        if isinstance(order, Problem):
            raise Broken(f"the recharge was refused: {order.code}")
        return order

    async def _repeat(self, account: str, amount: int) -> Order:
        """Repeat a request whose first worker died: refused as in flight until its lock is over, then answered."""
        until = time.monotonic() + _PATIENCE_S
        while time.monotonic() < until:
            order = await self.company.recharge(account, amount, key=f"demo-{account}-{amount}")
            if isinstance(order, Order):
                return order
            await asyncio.sleep(0.5)
        raise Broken("the repeated request is still refused")

    async def _show_booking(self, account: str, amount: int) -> None:
        entries = await self.company.entries(account)
        for entry in entries:
            shown = _yuan(entry.amount)
            self._say(f"Dr {entry.counterpart_subject} {shown}   Cr customer.balance {shown}")
        available = await self.company.available(account)
        self._check(f"booked once: available {_yuan(available)}", len(entries) == 1 and available == amount)

    async def _told(self, order: Order) -> None:
        async def told() -> bool:
            return any(order.order_no.encode() in body for body in self.stage.receiver.kept["/shop"].values())

        await self._until(told, "the business was told, signature verified")

    async def _until_state(self, order: Order, state: str) -> Order:
        present = order

        async def reached() -> bool:
            nonlocal present
            present = await self.company.order(order.order_no)
            return present.state == state

        await self._until(reached, f"order is {state}")
        return present

    async def _until(self, holds: Callable[[], Awaitable[bool]], what: str) -> None:
        until = time.monotonic() + _PATIENCE_S
        while not await holds():
            if time.monotonic() > until:
                raise Broken(what)
            await asyncio.sleep(0.02)
        self._check(what, held=True)

    def _title(self, number: int, name: str, text: str) -> None:
        self.out.print(f"\n[bold]{number} {name}[/]  {text}", highlight=False)

    def _say(self, text: str) -> None:
        self.out.print(f"    {text}", highlight=False)

    def _check(self, what: str, held: bool) -> None:
        if not held:
            raise Broken(what)
        self.checks += 1
        self.out.print(f"  [green]✓[/] {what}", highlight=False)


async def _failed(asking: "asyncio.Task[Order]") -> bool:
    try:
        await asking
    except httpx2.TransportError:
        return True
    return False


def _yuan(minor: int) -> str:
    return f"¥{format_minor(minor, 'CNY')}"
