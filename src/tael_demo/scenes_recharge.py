"""Recharges, each with something going wrong that must not matter.

paid by scanning                       the notice comes again and again, the request twice
Tael is killed while the channel is being called, and carries on
the notice is lost, and recovery asks
"""

import asyncio
import time

import httpx2

from tael_demo.company import Order, Problem
from tael_demo.play import PATIENCE_S, Broken, Play, granted, yuan
from tael_sandbox import Fault


async def scanned(play: Play, account: str) -> None:
    """The journey when nothing goes wrong."""
    play.title("recharge", "¥100.00 by WeChat QR code: scanned, notice verified, booked")
    started = time.monotonic_ns()
    order = await _recharge(play, account, 100_00)
    play.say(f"order {order.order_no}")
    await play.stage.sandbox.pay(order.code)
    await play.until_state(order, "paid")
    play.say(f"{(time.monotonic_ns() - started) // 1_000_000} ms from request to booking")
    await _show_booking(play, account, 100_00)
    await play.until_told(order.order_no)


async def repeated(play: Play, account: str) -> None:
    """Notices, requests and clicks that come more than once."""
    play.title("repetition", "¥30.00, the channel is told nine times to send its notice again")
    sandbox = play.stage.sandbox
    order = await _recharge(play, account, 30_00)
    await sandbox.pay(order.number)
    await asyncio.gather(*(sandbox.renotify(order.number) for _ in range(9)))
    await sandbox.drain()
    tried = [one for one in (await sandbox.deliveries()).tried if one.out_trade_no == order.number]
    held = len(tried) > 1 and all(one.accepted for one in tried)
    play.check(f"{len(tried)} notices, each answered as accepted", held)
    await _show_booking(play, account, 30_00)
    first = await _recharge(play, account, 20_00)
    second = await _recharge(play, account, 20_00)
    play.check("the same Idempotency-Key gives the same order", first.order_no == second.order_no)
    clicked = await play.company.recharge(account, 20_00, key=f"click-{play.run}")
    refused = isinstance(clicked, Problem) and clicked.code == "duplicate_submission"
    play.check("a double click with another key is refused", refused)


async def killed(play: Play, account: str) -> None:
    """The process dies between the intent and the channel's answer; what came of it shows `after_the_kill`."""
    play.title("kill -9", "¥80.00, Tael dies while WeChat Pay is being asked for the QR code")
    sandbox, known = play.stage.sandbox, len(await play.stage.sandbox.orders())
    await sandbox.fault(Fault(operation="create", kind="delay_ms", delay_ms=3000))
    asking = asyncio.create_task(_recharge(play, account, 80_00))

    async def arrived() -> bool:
        return len(await sandbox.orders()) > known

    await play.until(arrived, "the channel has the request")
    pid = await play.stage.server.kill()
    play.check(f"process {pid} killed before it could answer", await _failed(asking))
    await play.stage.server.start()
    play.say("started again; the order was committed before the call, so recovery will find it in 10 s")


async def after_the_kill(play: Play, account: str) -> None:
    """The order that was under way is one order, and can be paid."""
    play.title("after the kill", "the ¥80.00 whose process died: found, paid, and asked for again")
    sandbox = play.stage.sandbox
    order = await play.until_state(await play.company.latest_order(account), "paying")
    await sandbox.pay(order.code)
    await play.until_state(order, "paid")
    again = await _repeat(play, account, 80_00)
    play.check("repeating the request answers with the same order", again.order_no == order.order_no)
    there = [one for one in await sandbox.orders() if one.out_trade_no == order.number]
    play.check("the channel knows one order and one payment", [len(one.payments) for one in there] == [1])
    await _show_booking(play, account, 80_00)


async def lose_notice(play: Play, account: str) -> Order:
    """Pay and let every notice of it vanish."""
    order = await _recharge(play, account, 50_00)
    await play.stage.sandbox.fault(Fault(operation="notify", kind="drop", count=50, out_trade_no=order.number))
    await play.stage.sandbox.pay(order.number)
    return order


async def recovered(play: Play, account: str, order: Order) -> None:
    """Recovery has found what no notice told."""
    play.title("lost order", "¥50.00 paid before scene 1, every notice dropped; recovery asks after 10 s")
    order = await play.until_state(order, "paid")
    play.say(f"order {order.order_no}, paid at the channel {order.paid_at}")
    tried = [one for one in (await play.stage.sandbox.deliveries()).tried if one.out_trade_no == order.number]
    play.check("no notice ever arrived", not any(one.accepted for one in tried))
    await _show_booking(play, account, 50_00)
    await play.until_told(order.order_no)


async def _recharge(play: Play, account: str, amount: int) -> Order:
    return granted(await play.company.recharge(account, amount, key=f"demo-{account}-{amount}"))


async def _repeat(play: Play, account: str, amount: int) -> Order:
    """Repeat a request whose first worker died: refused as in flight until its lock is over, then answered."""
    until = time.monotonic() + PATIENCE_S
    while time.monotonic() < until:
        order = await play.company.recharge(account, amount, key=f"demo-{account}-{amount}")
        if isinstance(order, Order):
            return order
        await asyncio.sleep(0.5)
    raise Broken("the repeated request is still refused")


async def _show_booking(play: Play, account: str, amount: int) -> None:
    entries = await play.company.entries(account)
    for entry in entries:
        shown = yuan(entry.amount)
        play.say(f"Dr {entry.counterpart_subject} {shown}   Cr customer.balance {shown}")
    available = (await play.company.account(account)).available
    play.check(f"booked once: available {yuan(available)}", len(entries) == 1 and available == amount)


async def _failed(asking: "asyncio.Task[Order]") -> bool:
    try:
        await asking
    except httpx2.TransportError:
        return True
    return False
