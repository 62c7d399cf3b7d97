"""The story: payments, payouts, refunds and transfers, in most of which something goes wrong that must not matter.

What needs time is begun first: recovery and the questions about payouts wait ten real seconds, a request whose worker
died stays locked for twenty. Everything else is played meanwhile.
"""

import asyncio
from dataclasses import dataclass

from tael_demo import scenes_books, scenes_payment, scenes_recharge, scenes_withdrawal
from tael_demo.play import Play

_PEOPLE = 5


@dataclass(frozen=True, slots=True)
class Story:
    """Plays on a stage. `pressed`: keys of somebody who is there to approve; None approves by API."""

    play: Play
    pressed: "asyncio.Queue[str] | None"

    async def tell(self) -> None:
        """All scenes; raises `Broken` at the first assertion that fails."""
        play = self.play
        owners = range(play.run * 10, play.run * 10 + _PEOPLE)
        alice, bob, carol, dave, shop = [await play.company.open_account(owner) for owner in owners]
        unnoticed = await scenes_recharge.lose_notice(play, dave)
        unanswered = await scenes_payment.lose_reply(play, shop)
        await scenes_recharge.scanned(play, alice)
        await scenes_recharge.repeated(play, bob)
        await scenes_recharge.killed(play, carol)
        customer = await scenes_withdrawal.bind(play, alice, owners[0])
        await scenes_withdrawal.approved(play, customer, self.pressed)
        await scenes_withdrawal.routed(play, customer)
        await scenes_withdrawal.lost(play, customer)
        await scenes_withdrawal.refused(play, customer)
        await scenes_payment.transferred(play, alice, bob)
        await scenes_payment.paid_twice(play, shop)
        await scenes_recharge.recovered(play, dave, unnoticed)
        sale = await scenes_payment.found(play, unanswered)
        await scenes_payment.refunded(play, shop, sale)
        await scenes_withdrawal.paid(play, customer)
        await scenes_recharge.after_the_kill(play, carol)
        await scenes_books.balanced(play)
