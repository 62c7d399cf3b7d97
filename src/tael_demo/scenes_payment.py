"""Sales: a reply of Alipay's that is lost, one order paid through two channels, money back, and between customers.

A sale through Alipay begins before scene 1, because recovery waits ten real seconds before it asks.
"""

from tael_demo.company import Order, Problem, Refund
from tael_demo.play import Broken, Play, granted, yuan
from tael_sandbox import Fault


async def lose_reply(play: Play, shop: str) -> Order:
    """Ask Alipay for a QR code, and let its answer be lost after it has taken the order."""
    await play.stage.sandbox.alipay.fault(Fault(operation="trade.precreate", kind="commit_then_drop_reply"))
    return granted(await play.company.sell(shop, 45_00, channel="alipay", number=f"TEA-{play.run}"))


async def found(play: Play, asked: Order) -> Order:
    """Recovery has asked under the same number, so there is one trade."""
    play.title("lost reply", "¥45.00 at Alipay; it took the order before scene 1, and its answer was lost")
    alipay = play.stage.sandbox.alipay
    play.check("the company was told that nobody knows", asked.attempts[-1].state == "unknown")
    order = await play.until_state(asked, "paying")
    play.say("recovery asked after 10 s, under the same number, and has the QR code")
    await alipay.pay(order.code)
    await play.until_state(order, "paid")
    trades = [one for one in await alipay.trades() if one.out_trade_no == asked.number]
    play.check("Alipay knows one trade and one payment", [len(one.payments) for one in trades] == [1])
    play.check("booked once", await play.show_entries(order.order_no) == 1)
    await play.until_told(order.order_no)
    return order


async def paid_twice(play: Play, shop: str) -> None:
    """The buyer changes to Alipay, pays there, and pays the old QR code too."""
    play.title("paid twice", "¥60.00: the buyer changes to Alipay, pays, and pays the old WeChat code as well")
    sandbox, company = play.stage.sandbox, play.company
    first = granted(await company.sell(shop, 60_00, channel="wechat", number=f"POT-{play.run}"))
    second = await company.through(first, "alipay")
    await sandbox.alipay.pay(second.code)
    await play.until_state(second, "paid")
    await sandbox.pay(first.number, force=True)
    refund_no = ""

    async def suspended() -> bool:
        nonlocal refund_no
        items = await company.suspended(first.order_no)
        refund_no = items[0].refund_no or "" if items else ""
        return bool(refund_no)

    await play.until(suspended, "the second payment is in suspense, and its refund has begun by itself")

    async def is_back() -> bool:
        return (await company.refund(refund_no)).state == "paid"

    await play.until(is_back, "it has gone back to WeChat Pay")
    there = [one for one in await sandbox.refunds() if one.out_trade_no == first.number]
    play.check("WeChat Pay gave it back once, in full", [one.refund_minor for one in there] == [60_00])
    await play.show_entries(first.order_no)
    await play.show_entries(refund_no)
    available = (await company.account(shop)).available
    play.check(f"the shop has it once: available {yuan(available)}", available == 60_00)


async def refunded(play: Play, shop: str, order: Order) -> None:
    """A part, more than is left, and the rest."""
    play.title("refund", "of the ¥45.00: a part, then more than is left, then the rest")
    part = await _give_back(play, order, 15_00)
    play.say(f"refund {part.refund_no} of {yuan(part.amount)} at {part.channel}")
    over = await play.company.give_back(order, 30_01, number=f"BACK-{play.run}-over")
    refused = isinstance(over, Problem) and over.code == "refund_exceeds"
    play.check("¥30.01 more is refused: refund_exceeds", refused)
    rest = await _give_back(play, order, 30_00)
    play.say("the rest is sent three seconds after the part, as Alipay wants it")
    order = await play.until_state(order, "refunded")
    play.check(f"{yuan(order.refunded_amount)} went back", order.refunded_amount == 45_00)
    for one in (part, rest):
        await play.show_entries(one.refund_no)
    trades = await play.stage.sandbox.alipay.trades()
    there = [[back.amount_minor for back in one.refunds] for one in trades if one.out_trade_no == order.number]
    play.check("Alipay gave back the same two amounts, once each", there == [[15_00, 30_00]])
    available = (await play.company.account(shop)).available
    play.check(f"the shop has only the other sale: available {yuan(available)}", available == 60_00)


async def transferred(play: Play, payer: str, payee: str) -> None:
    """From one customer to another, in one commit."""
    play.title("transfer", "¥12.00 from one customer to another, the request sent twice")
    company = play.company
    before = [(await company.account(one)).available for one in (payer, payee)]
    done = [await company.transfer(payer, payee, 12_00, key=f"dinner-{play.run}") for _ in range(2)]
    await play.show_entries(done[0].order_no)
    after = [(await company.account(one)).available for one in (payer, payee)]
    play.check("both requests are one transfer", done[0].order_no == done[1].order_no)
    moved = [after[0] - before[0], after[1] - before[1]] == [-12_00, 12_00]
    play.check(f"available {yuan(after[0])} and {yuan(after[1])}", moved)


async def _give_back(play: Play, order: Order, amount: int) -> Refund:
    refund = await play.company.give_back(order, amount, number=f"BACK-{play.run}-{amount}")
    if isinstance(refund, Problem):
        raise Broken(f"the refund was refused: {refund.code}")
    return refund
