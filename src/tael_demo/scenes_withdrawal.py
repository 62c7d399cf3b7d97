"""Four withdrawals of one customer in one day: approved by a person, routed, lost and found, refused.

    asked -> frozen -> approved by a second person -> routed -> accepted by the bank -> paid, told when asked

99bill tells nothing by itself, so each payout is asked about after ten real seconds; `paid` waits for all of them.
"""

import asyncio
import time
from dataclasses import dataclass, field

from tael_demo.company import Problem, Withdrawal
from tael_demo.merchants import BANKS
from tael_demo.play import Broken, Play, yuan
from tael_demo.stage import CHECKER, MAKER
from tael_sandbox import Bill99OrderView, Fault

_PERSON_S = 300
"""How long the demo waits for a person before the checker decides by API."""
_PAUSE_S = 0.2


@dataclass(slots=True)
class Customer:
    """Who withdraws, and what was begun: numbers of withdrawals in order."""

    account: str
    payee: str
    asked: list[str] = field(default_factory=list[str])


async def bind(play: Play, account: str, owner: int) -> Customer:
    """The customer with a bank card."""
    payee = await play.company.bind_card(owner, card=f"6225{owner:012d}", holder="王小明")
    return Customer(account, payee)


async def approved(play: Play, customer: Customer, pressed: "asyncio.Queue[str] | None") -> None:
    """Frozen first; nothing leaves before another person than the one who asked has approved."""
    play.title("withdrawal", "¥30.00 to a bank card: frozen, approved by a second person, paid")
    company, first = play.company, BANKS[0]
    await company.limit_payouts(
        play.stage.merchants.ids[first], daily=await company.used_today(first) + 30_00, priority=1
    )
    withdrawal = await _ask(play, customer, 30_00)
    play.say(f"withdrawal {withdrawal.order_no}, {MAKER} asks")
    await play.show_entries(withdrawal.order_no)
    has = await company.account(customer.account)
    shown = f"available {yuan(has.available)}, frozen {yuan(has.held)}, {withdrawal.state}"
    play.check(shown, (has.available, has.held, withdrawal.state) == (70_00, 30_00, "reviewing"))
    own = await company.approve_own(withdrawal)
    play.check(f"{MAKER}'s own approval is refused: {own.code}", own.code == "self_approval")
    play.say(f"approve in the console: {play.stage.to_decide(f'withdrawals/{withdrawal.order_no}')}")
    decided = await _decided(play, withdrawal, pressed)
    if decided.state == "invalid":
        has = await company.account(customer.account)
        play.check(f"rejected in the console: available {yuan(has.available)} again", has.available == 100_00)
        play.say(f"{MAKER} asks once more, and {CHECKER} approves by API")
        decided = await _approve(play, await _ask(play, customer, 30_00, description="提现 2"))
    customer.asked.append(decided.order_no)
    assert decided.approval is not None, "it has just been decided"
    who = [one.checker for one in decided.approval.decisions]
    play.check(f"approved by {', '.join(who)}", who == [CHECKER])
    await _accepted(play, decided, bank=BANKS[0])


async def routed(play: Play, customer: Customer) -> None:
    """The first merchant account has no quota left today, so the next by priority pays."""
    play.title("routing", "¥25.00 more; the first bank account has reached its limit of the day")
    withdrawal = await _ask(play, customer, 25_00)
    customer.asked.append(withdrawal.order_no)
    considered = await play.company.explain_payout(25_00, channel="bill99")
    for one in considered:
        quota, limit = one.quotas[0], one.quotas[0].amount_limit
        room = "no limit" if limit is None else f"limit {yuan(limit)}"
        play.say(f"{one.label}   today {yuan(quota.used_amount + quota.held_amount)}, {room}: {one.verdict}")
    verdicts = [(one.label, one.verdict) for one in considered]
    full = verdicts == [(BANKS[0], "daily_limit"), (BANKS[1], "chosen")]
    play.check("explained before it happens", full)
    await _accepted(play, await _approve(play, withdrawal), bank=BANKS[1])


async def lost(play: Play, customer: Customer) -> None:
    """The bank takes the payout and its answer is lost: nobody knows, so nothing is paid again and nothing released."""
    play.title("unknown payout", "¥20.00; the bank takes it, and its answer is lost")
    withdrawal = await _ask(play, customer, 20_00)
    customer.asked.append(withdrawal.order_no)
    await play.stage.sandbox.bill99.fault(Fault(operation="pay", kind="commit_then_drop_reply"))
    await _approve(play, withdrawal)

    async def unknown() -> bool:
        return (await play.company.withdrawal(withdrawal.order_no)).state == "unknown"

    await play.until(unknown, "withdrawal is unknown, neither paid nor failed")
    has = await play.company.account(customer.account)
    held = has.available == 25_00 and has.held >= 20_00
    play.check(f"its ¥20.00 stay frozen: available {yuan(has.available)}, frozen {yuan(has.held)}", held)


async def refused(play: Play, customer: Customer) -> None:
    """Three a day is what the shipped rules allow a person."""
    play.title("risk control", "¥10.00, the fourth withdrawal of this customer today")
    said = await play.company.withdraw(customer.account, customer.payee, 10_00, key=f"out-{play.run}-{10_00}")
    if not isinstance(said, Problem):
        raise Broken("the fourth withdrawal of the day was allowed")
    play.check(f"refused: {said.code}, {said.reason}", said.code == "risk_refused")
    available = (await play.company.account(customer.account)).available
    play.check(f"nothing was frozen: available {yuan(available)}", available == 25_00)


async def paid(play: Play, customer: Customer) -> None:
    """What the banks say when asked; the lost one was paid once."""
    play.title("payouts", "99bill is asked after 10 s what became of the three withdrawals")
    for order_no in customer.asked:
        await _until(play, order_no, "paid")
        await play.show_entries(order_no)
    unknown = await play.company.withdrawal(customer.asked[-1])
    numbers = [one.attempt_no for one in unknown.attempts]
    there = [one.amount_minor for one in await play.stage.sandbox.bill99.orders() if one.order_id in numbers]
    play.check(
        "the one whose answer was lost was paid once, under its first number", (len(numbers), there) == (1, [20_00])
    )
    has = await play.company.account(customer.account)
    play.check(f"nothing is frozen any more, {yuan(has.total)} left", has.held == 0)
    await play.until_told(customer.asked[-1])


async def _ask(play: Play, customer: Customer, amount: int, *, description: str = "提现") -> Withdrawal:
    """Another description makes it another request: an identical one is refused for ten seconds as a double click."""
    said = await play.company.withdraw(
        customer.account,
        customer.payee,
        amount,
        key=f"out-{play.run}-{amount}-{len(description)}",
        description=description,
    )
    if isinstance(said, Problem):
        raise Broken(f"the withdrawal was refused: {said.code} {said.reason or ''}")
    return said


async def _approve(play: Play, withdrawal: Withdrawal) -> Withdrawal:
    said = await play.company.approve(withdrawal)
    if isinstance(said, Problem):  # somebody else was faster, in the console
        return await play.company.withdrawal(withdrawal.order_no)
    return said


async def _decided(play: Play, withdrawal: Withdrawal, pressed: "asyncio.Queue[str] | None") -> Withdrawal:
    """The withdrawal once somebody has decided: in the console, by a key, or the checker by API when nobody does."""
    if pressed is None:
        play.say(f"nobody is at the keyboard, so {CHECKER} approves by API")
        return await _approve(play, withdrawal)
    play.say("or press [bold]a[/] to approve here")
    until = time.monotonic() + _PERSON_S
    while time.monotonic() < until:
        try:
            async with asyncio.timeout(_PAUSE_S):
                if (await pressed.get()).lower() == "a":
                    return await _approve(play, withdrawal)
        except TimeoutError:
            present = await play.company.withdrawal(withdrawal.order_no)
            if present.state != "reviewing":
                return present
    play.say(f"nobody came, so {CHECKER} approves by API")
    return await _approve(play, withdrawal)


async def _accepted(play: Play, withdrawal: Withdrawal, *, bank: str) -> None:
    """The payout is at this bank, once."""
    there: list[Bill99OrderView] = []

    async def accepted() -> bool:
        attempts = (await play.company.withdrawal(withdrawal.order_no)).attempts
        numbers = {one.attempt_no for one in attempts if one.merchant_account == str(play.stage.merchants.ids[bank])}
        there[:] = [one for one in await play.stage.sandbox.bill99.orders() if one.order_id in numbers]
        return bool(there)

    await play.until(accepted, f"{bank} has accepted the payout")
    play.say(
        f"99bill order {there[0].order_seq_id}, {yuan(there[0].amount_minor)} to card …{there[0].bank_acct_id[-4:]}"
    )


async def _until(play: Play, order_no: str, state: str) -> None:
    async def reached() -> bool:
        return (await play.company.withdrawal(order_no)).state == state

    await play.until(reached, f"withdrawal {order_no} is {state}")
