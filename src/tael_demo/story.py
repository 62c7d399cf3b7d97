"""The story: four recharges, each with something going wrong that must not matter.

    1  paid by scanning            2  the notice is lost, recovery asks
    3  the notice comes ten times  4  Tael is killed while the channel is being called

Scene 2 waits ten real seconds for recovery; the other scenes are played meanwhile.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import httpx2
from rich.console import Console
from tael.ledger.verify import verify

from tael.base.money import format_minor
from tael_demo.stage import BOOK, Stage
from tael_sandbox import Fault

_PATIENCE_S = 60


class Broken(Exception):
    """An assertion of the demo did not hold."""


@dataclass(slots=True)
class Story:
    """Plays on a stage and prints; `checks` counts the assertions that held."""

    stage: Stage
    out: Console
    run: int
    checks: int = 0

    async def play(self) -> None:
        """All scenes; raises `Broken` at the first assertion that fails."""
        lost, alice, bob, carol = await asyncio.gather(*(self._customer(n) for n in (2, 1, 3, 4)))
        waiting = await self._lose_notice(lost)
        await self._scanned(alice)
        await self._repeated(bob)
        await self._killed(carol)
        await self._recovered(lost, waiting)
        await self._balanced()

    async def _scanned(self, account: str) -> None:
        self._title(1, "recharge", "¥100.00 by WeChat QR code: scanned, notice verified, booked")
        started = time.monotonic()
        order = await self._recharge(account, 100_00)
        self._say(f"order {order['order_no']}")
        await self.stage.sandbox.pay(order["attempts"][0]["handoff"]["text"])
        await self._until_paid(order["order_no"])
        self._say(f"{round((time.monotonic() - started) * 1000)} ms from request to booking")
        await self._show_booking(account, 100_00)
        await self._told(order["order_no"])

    async def _lose_notice(self, account: str) -> str:
        """Pay and let the channel's notice vanish; answers the order number. Recovery will find it."""
        order = await self._recharge(account, 50_00)
        number = order["attempts"][0]["attempt_no"]
        await self.stage.sandbox.fault(Fault(operation="notify", kind="drop", count=50, out_trade_no=number))
        await self.stage.sandbox.pay(number)
        return order["order_no"]

    async def _recovered(self, account: str, order_no: str) -> None:
        self._title(2, "lost order", "¥50.00 paid, every notice dropped on purpose: recovery asks after 10 s")
        order = await self._order(order_no)
        self._say(f"order {order_no} is {order['state']} here and paid at the channel; waiting for recovery")
        await self._until_paid(order_no)
        number = order["attempts"][0]["attempt_no"]
        tried = [one for one in (await self.stage.sandbox.deliveries()).tried if one.out_trade_no == number]
        self._check("no notice ever arrived", not any(one.accepted for one in tried))
        await self._show_booking(account, 50_00)
        await self._told(order_no)

    async def _repeated(self, account: str) -> None:
        self._title(3, "repetition", "¥30.00, the channel sends its notice ten times at once")
        order = await self._recharge(account, 30_00)
        number = order["attempts"][0]["attempt_no"]
        await self.stage.sandbox.pay(number)
        await asyncio.gather(*(self.stage.sandbox.renotify(number) for _ in range(9)))
        await self.stage.sandbox.drain()
        tried = [one for one in (await self.stage.sandbox.deliveries()).tried if one.out_trade_no == number]
        self._check(
            f"{len(tried)} notices, each answered as accepted", len(tried) >= 10 and all(t.accepted for t in tried)
        )
        await self._show_booking(account, 30_00)
        again = await self._recharge(account, 30_00, key=f"repeat-{self.run}", expect=(201,))
        same = await self._recharge(account, 30_00, key=f"repeat-{self.run}", expect=(201,))
        self._check("the same Idempotency-Key gives the same order", again["order_no"] == same["order_no"])

    async def _killed(self, account: str) -> None:
        self._title(4, "kill -9", "¥80.00, Tael dies while WeChat Pay is being asked for the QR code")
        sandbox, key = self.stage.sandbox, f"killed-{self.run}"
        before = (await sandbox.requests()).counts.get("create", 0)
        await sandbox.fault(Fault(operation="create", kind="delay_ms", delay_ms=3000))
        asking = asyncio.create_task(self._recharge(account, 80_00, key=key))
        await self._until(lambda: self._created_since(before), "the channel has the request")
        pid = await self.stage.server.kill()
        self._check(f"process {pid} killed before it could answer", await _failed(asking))
        await self.stage.server.start()
        self._say("started again; the order was committed before the call, so recovery finds it")
        (order,) = (await self._get(f"/v1/recharges?account_id={account}&limit=1"))["data"]
        order = await self._until_state(order["order_no"], {"paying"})
        await sandbox.pay(order["attempts"][0]["handoff"]["text"])
        await self._until_paid(order["order_no"])
        same = await self._repeat(account, key)
        self._check("repeating the request answers with the same order", same["order_no"] == order["order_no"])
        orders = [one for one in await sandbox.orders() if one.out_trade_no == order["attempts"][0]["attempt_no"]]
        self._check("the channel knows one order and one payment", len(orders) == 1 and len(orders[0].payments) == 1)
        await self._show_booking(account, 80_00)

    async def _balanced(self) -> None:
        self._title(5, "the books", "every row of the ledger is checked, and compared with the channel's own book")
        report = await verify(self.stage.db, BOOK)
        self._check("ledger verified: sums zero, every chain unbroken", report.ok)
        paid = sum(one.total_minor for one in (await self.stage.sandbox.book()).paid.values())
        booked = await self._booked()
        self._check(f"the channel was paid {_yuan(paid)}, Tael booked {_yuan(booked)}", paid == booked)

    async def _customer(self, number: int) -> str:
        made = await self.stage.http.post(
            "/v1/accounts", json={"owner": str(self.run * 10 + number), "currency": "CNY"}
        )
        made.raise_for_status()
        return made.json()["id"]

    async def _recharge(self, account: str, amount: int, *, key: str = "", expect: tuple[int, ...] = (201,)) -> dict:
        body = {
            "account_id": account, "amount": amount, "currency": "CNY", "channel": "wechat", "method": "native",
            "description": "Recharge 充值",
        }  # fmt: skip
        headers = {"Idempotency-Key": key or f"demo-{account}-{amount}"}
        answer = await self.stage.http.post("/v1/recharges", json=body, headers=headers)
        if answer.status_code not in expect:
            raise Broken(f"POST /v1/recharges answered {answer.status_code}: {answer.text}")
        return answer.json()

    async def _repeat(self, account: str, key: str) -> dict:
        """Repeat a request whose first worker died: 409 until its lock is over, then the answer."""
        until = time.monotonic() + _PATIENCE_S
        while True:
            order = await self._recharge(account, 80_00, key=key, expect=(200, 201, 202, 409))
            if "order_no" in order:
                return order
            if time.monotonic() > until:
                raise Broken(f"still refused: {order}")
            await asyncio.sleep(0.5)

    async def _show_booking(self, account: str, amount: int) -> None:
        entries = (await self._get(f"/v1/accounts/{account}/entries"))["data"]
        for entry in entries:
            amount_shown = _yuan(entry["amount"])
            self._say(f"Dr {entry['counterpart_subject']} {amount_shown}   Cr customer.balance {amount_shown}")
        balance = (await self._get(f"/v1/accounts/{account}"))["available"]
        self._check(f"booked once: available {_yuan(balance)}", len(entries) == 1 and balance == amount)

    async def _told(self, order_no: str) -> None:
        async def told() -> bool:
            return any(order_no.encode() in body for body in self.stage.receiver.kept["/shop"].values())

        await self._until(told, "the business was told, signature verified")

    async def _created_since(self, before: int) -> bool:
        return (await self.stage.sandbox.requests()).counts.get("create", 0) > before

    async def _until_paid(self, order_no: str) -> None:
        await self._until_state(order_no, {"paid"})

    async def _until_state(self, order_no: str, states: set[str]) -> dict:
        order: dict = {}

        async def reached() -> bool:
            nonlocal order
            order = await self._order(order_no)
            return order["state"] in states

        await self._until(reached, f"order is {' or '.join(states)}")
        return order

    async def _until(self, holds: Callable[[], Awaitable[bool]], what: str) -> None:
        until = time.monotonic() + _PATIENCE_S
        while not await holds():
            if time.monotonic() > until:
                raise Broken(what)
            await asyncio.sleep(0.02)
        self._check(what, True)

    async def _order(self, order_no: str) -> dict:
        return await self._get(f"/v1/recharges/{order_no}")

    async def _get(self, path: str) -> dict:
        answer = await self.stage.http.get(path)
        answer.raise_for_status()
        return answer.json()

    async def _booked(self) -> int:
        """What the channel owes us by our books, over all runs in this data folder."""
        async with self.stage.db.transaction() as tx:
            booked = await tx.fetchval("select coalesce(sum(amount), 0)::bigint from posting where code in (101, 102)")
        assert isinstance(booked, int)
        return booked

    def _title(self, number: int, name: str, text: str) -> None:
        self.out.print(f"\n[bold]{number} {name}[/]  {text}")

    def _say(self, text: str) -> None:
        self.out.print(f"    {text}", highlight=False)

    def _check(self, what: str, held: bool) -> None:
        if not held:
            raise Broken(what)
        self.checks += 1
        self.out.print(f"  [green]✓[/] {what}", highlight=False)


async def _failed(asking: "asyncio.Task[dict]") -> bool:
    try:
        await asking
    except (httpx2.TransportError, Broken):
        return True
    return False


def _yuan(minor: int) -> str:
    return f"¥{format_minor(minor, 'CNY')}"
