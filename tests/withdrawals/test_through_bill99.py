"""Withdrawals through the 99bill simulator with two members: only what stands inside a sealed answer moves money, and a
bank may send a payout back for seven days."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from shop import BOOK, Shop
from tael import alerts
from tael.channels.accounts import AccountRow
from tael_sandbox import Bill99MerchantView, Fault, NewBill99Merchant

from .payout_desk import PayoutDesk, furnish

DAY_S = 86_400
BALANCES = (1_000, 10_000_000)


@dataclass(kw_only=True)
class Desk(PayoutDesk):
    """A shop that pays bank cards through two members of 99bill: the first choice has 10.00, the second plenty. Orders
    end when the test says so."""

    members: list[Bill99MerchantView]

    async def ask(self, amount: int) -> str:
        """A withdrawal that li has approved, and that 99bill was asked for."""
        no = await self.approved(amount)
        await self.pay()
        return no

    async def days(self, count: int) -> None:
        """Let days pass, and do each day what is due."""
        for _ in range(count):
            await self.shop.advance(DAY_S)
            await self.shop.system.payer.run_due()

    async def paid(self) -> int:
        """What 99bill has really paid, and did not get back."""
        return sum(one.amount_minor for one in await self.shop.sim.bill99.orders() if one.status == "111")

    async def asked(self) -> int:
        """How often 99bill was called."""
        return await self.shop.count("channel_exchange")

    async def alarms(self) -> list[tuple[str, str]]:
        """What a person is told now."""
        async with self.shop.db.transaction() as tx:
            return [(one.kind, one.subject) for one in await alerts.page(tx, book=BOOK, limit=99, only_open=True)]


@pytest.fixture
async def desk(shop: Shop) -> AsyncIterator[Desk]:
    sim = shop.sim.bill99
    members = [await sim.create_merchant(NewBill99Merchant(settle_s=0, balance_minor=money)) for money in BALANCES]
    rows = [
        AccountRow(
            book=BOOK, id=shop.system.platform.ids.next(), name=f"bill99-{place}", channel="bill99", mode="test",
            state="active", mchid=member.member_code, appid="", base_url=member.base_url, config={},
            secret_refs={
                "member_key": f"file:{member.private_key_path}",
                "bill99_certificate": f"file:{member.bill99_certificate_path}",
            },
            qps={}, changed_at=shop.clock.now(),
        ) for place, member in enumerate(members)
    ]  # fmt: skip
    payee = {"kind": "bank_card", "number": "6222020200012345678", "holder": "王小明", "bank": "工商银行"}
    opened = Desk(members=members, **await furnish(shop, payee, rows))
    yield opened
    await opened.check()


@pytest.mark.parametrize(("end", "code", "finally_", "left"), [
    ("settle", "", "paid", 99_500), ("fail", "B0001", "failed", 100_000),
])  # fmt: skip
async def test_the_bank_says_how_it_ended(desk: Desk, end: str, code: str, finally_: str, left: int) -> None:
    no = await desk.ask(500)
    assert await desk.call_back(no) == (409, "withdrawal_under_way"), "a bank does not wait for the payee"
    assert (await desk.state(no), await desk.money()) == ("paying", (100_000, 500))
    (number,) = await desk.attempts(no)
    await (desk.shop.sim.bill99.settle(number) if end == "settle" else desk.shop.sim.bill99.fail(number, code))
    view = await desk.climb(no, finally_)
    assert ([one["state"] for one in view["attempts"]], code in str(view["reason"])) == ([finally_], True)
    assert (await desk.money(), await desk.paid()) == ((left, 0), 100_000 - left)
    assert await desk.shop.count("route_hold", f"state = '{'used' if finally_ == 'paid' else 'released'}'") == 1


async def test_the_member_was_too_poor_so_the_next_one_pays_under_a_new_number(desk: Desk) -> None:
    no = await desk.ask(500)
    (first,) = await desk.attempts(no)
    await desk.shop.sim.bill99.fail(first, "6001")
    await desk.shop.advance(10)
    await desk.shop.system.payer.run_due()
    again, second = await desk.attempts(no)
    assert (again, second != first) == (first, True)
    orders = {one.order_id: one.member_code for one in await desk.shop.sim.bill99.orders()}
    assert orders == {first: desk.members[0].member_code, second: desk.members[1].member_code}
    await desk.shop.sim.bill99.settle(second)
    view = await desk.climb(no, "paid")
    assert [one["state"] for one in view["attempts"]] == ["failed", "paid"]
    assert (await desk.money(), await desk.paid()) == ((99_500, 0), 500)
    assert await desk.shop.count("route_hold", "state = 'released'") == 1
    assert await desk.shop.count("route_hold", "state = 'used'") == 1


async def test_a_no_outside_the_seal_frees_nothing_and_the_same_number_is_asked_again(desk: Desk) -> None:
    """Not enough money, says the envelope. Anybody could have written that."""
    no = await desk.ask(5_000)
    await desk.shop.advance(60)
    await desk.shop.system.payer.run_due()
    (number,) = await desk.attempts(no)
    assert (await desk.state(no), await desk.money()) == ("unknown", (100_000, 5_000))
    await desk.shop.sim.bill99.top_up(5_000, member_code=desk.members[0].member_code)
    assert (await desk.climb(no, "paying"))["state"] == "paying"
    await desk.shop.sim.bill99.settle(number)
    view = await desk.climb(no, "paid")
    assert ([one["attempt_no"] for one in view["attempts"]], view["state"]) == ([number], "paid")
    assert (await desk.money(), await desk.paid()) == ((95_000, 0), 5_000)


FAULTS = [
    "drop_before_commit", "5xx_before_commit", "commit_then_drop_reply", "5xx_after_commit", "truncated_body",
    "html_body", "garbage_body", "bad_signature", "bad_seal", "unsigned", "unsealed", "other_order",
    "error_after_commit",
]  # fmt: skip


@pytest.mark.parametrize("kind", FAULTS)
async def test_a_broken_payout_is_paid_once(desk: Desk, kind: str) -> None:
    await desk.shop.sim.bill99.fault(Fault(operation="pay", kind=kind))
    no = await desk.ask(500)
    assert (await desk.state(no), await desk.money()) == ("unknown", (100_000, 500))
    await desk.climb(no, "paying")
    (number,) = await desk.attempts(no)
    await desk.shop.sim.bill99.settle(number)
    view = await desk.climb(no, "paid")
    assert [(one["attempt_no"], one["state"]) for one in view["attempts"]] == [(number, "paid")]
    assert (await desk.money(), await desk.paid(), len(await desk.shop.sim.bill99.orders())) == ((99_500, 0), 500, 1)


async def test_returned_on_the_third_day(desk: Desk) -> None:
    no = await desk.ask(500)
    (number,) = await desk.attempts(no)
    await desk.shop.sim.bill99.settle(number)
    await desk.climb(no, "paid")
    await desk.days(2)
    assert (await desk.state(no), await desk.money()) == ("paid", (99_500, 0))
    await desk.shop.sim.bill99.return_(number, "B17")
    await desk.days(1)
    view = await desk.view(no)
    assert (view["state"], view["reason"], await desk.money()) == ("returned", "returned: B17", (100_000, 0))
    assert (await desk.paid(), await desk.shop.count("task", "queue = 'payout'")) == (0, 0)
    calls = await desk.asked()
    await desk.days(2)
    assert (await desk.asked(), await desk.alarms()) == (calls, [])


async def test_on_the_eighth_day_nobody_asks_any_more(desk: Desk) -> None:
    no = await desk.ask(500)
    (number,) = await desk.attempts(no)
    await desk.shop.sim.bill99.settle(number)
    await desk.climb(no, "paid")
    before = await desk.asked()
    await desk.days(7)
    calls = await desk.asked()
    assert 6 <= calls - before <= 7, "once a day"
    await desk.days(1)
    await desk.shop.sim.bill99.return_(number, "B17")
    await desk.days(2)
    assert (await desk.asked(), await desk.shop.count("task", "queue = 'payout'")) == (calls, 0)
    assert (await desk.state(no), await desk.money()) == ("paid", (99_500, 0))


async def test_unknown_for_days_stays_held_and_a_person_is_told(desk: Desk) -> None:
    sim = desk.shop.sim.bill99
    await sim.fault(Fault(operation="pay", kind="commit_then_drop_reply"))
    await sim.fault(Fault(operation="query", kind="5xx_before_commit", count=None))
    no = await desk.ask(500)
    (number,) = await desk.attempts(no)
    await desk.days(2)
    assert (await desk.state(no), await desk.money(), await desk.alarms()) == ("unknown", (100_000, 500), [])
    await desk.days(2)
    assert (await desk.state(no), await desk.money()) == ("unknown", (100_000, 500))
    assert await desk.alarms() == [("payout_unknown", number)]
    await sim.heal()
    await sim.settle(number)
    assert (await desk.climb(no, "paid"))["state"] == "paid"
    assert (await desk.money(), await desk.paid(), await desk.alarms()) == ((99_500, 0), 500, [])


async def test_what_99bill_may_have_forgotten_is_never_sent_again(desk: Desk) -> None:
    """It answers questions about seven days only: on the seventh, not found may mean paid long ago."""
    sim = desk.shop.sim.bill99
    await sim.fault(Fault(operation="pay", kind="drop_before_commit"))
    await sim.fault(Fault(operation="query", kind="5xx_before_commit", count=None))
    no = await desk.ask(500)
    (number,) = await desk.attempts(no)
    await desk.days(7)
    await sim.heal()
    await desk.days(2)
    assert (await sim.orders(), await desk.state(no), await desk.money()) == ([], "unknown", (100_000, 500))
    assert await desk.alarms() == [("payout_unknown", number)]
