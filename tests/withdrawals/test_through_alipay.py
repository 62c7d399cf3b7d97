"""Withdrawals through the Alipay simulator with two merchant accounts: a final no for lack of money moves to the next
one, with a new number."""

from collections.abc import AsyncIterator

import pytest

from shop import BOOK, Shop
from tael.channels.accounts import AccountRow
from tael_sandbox import Fault, NewAlipayMerchant

from .payout_desk import PayoutDesk, furnish


class Desk(PayoutDesk):
    """A shop that pays Alipay users through two merchant accounts; the first choice has 10.00, the second plenty."""

    async def ask(self, amount: int) -> str:
        """A withdrawal that li has approved, and that Alipay was asked for."""
        no = await self.approved(amount)
        await self.pay()
        return no

    async def paid(self) -> int:
        """What Alipay has really paid."""
        transfers = await self.shop.sim.alipay.transfers()
        return sum(one.amount_minor for one in transfers if one.status == "SUCCESS")


@pytest.fixture
async def desk(shop: Shop) -> AsyncIterator[Desk]:
    rows: list[AccountRow] = []
    for place, money in enumerate((1_000, 10_000_000)):
        merchant = await shop.sim.alipay.create_merchant(NewAlipayMerchant(balance_minor=money))
        row = AccountRow(
            book=BOOK, id=shop.system.platform.ids.next(), name=f"alipay-{place}", channel="alipay", mode="test",
            state="active", mchid=merchant.seller_id, appid=merchant.app_id,
            base_url=merchant.gateway.removesuffix("/gateway.do"), config={},
            secret_refs={
                "app_private_key": f"file:{merchant.private_key_path}",
                "app_cert": f"file:{merchant.app_certificate_path}",
                "alipay_cert": f"file:{merchant.alipay_certificate_path}",
                "alipay_root_cert": f"file:{merchant.alipay_root_path}",
            },
            qps={}, changed_at=shop.clock.now(),
        )  # fmt: skip
        rows.append(row)
    payee = {"kind": "alipay_user", "number": "2088123412341234", "identity_type": "ALIPAY_USER_ID"}
    opened = Desk(**await furnish(shop, payee, rows))
    yield opened
    await opened.check()


async def test_paid_by_the_first(desk: Desk) -> None:
    no = await desk.ask(500)
    view = await desk.climb(no, "paid")
    assert [one["state"] for one in view["attempts"]] == ["paid"]
    assert (await desk.money(), await desk.paid()) == ((99_500, 0), 500)


async def test_too_poor_so_the_next_one_pays_under_a_new_number(desk: Desk) -> None:
    no = await desk.ask(5_000)
    view = await desk.climb(no, "paid")
    assert [one["state"] for one in view["attempts"]] == ["failed", "paid"]
    assert len({one["attempt_no"] for one in view["attempts"]}) == 2
    assert (await desk.money(), await desk.paid()) == ((95_000, 0), 5_000)
    assert await desk.shop.count("route_hold", "state = 'released'") == 1
    assert await desk.shop.count("route_hold", "state = 'used'") == 1


FAULTS = [
    "drop_before_commit", "commit_then_drop_reply", "5xx_after_commit", "garbage_body", "unsigned",
    "20000_before_commit", "20000_after_commit", "forged_copy",
]  # fmt: skip


@pytest.mark.parametrize("kind", FAULTS)
async def test_a_broken_payout_is_paid_once(desk: Desk, kind: str) -> None:
    await desk.shop.sim.alipay.fault(Fault(operation="fund.trans.uni.transfer", kind=kind))
    no = await desk.ask(500)
    assert (await desk.view(no))["state"] == "unknown"
    view = await desk.climb(no, "paid")
    assert [one["state"] for one in view["attempts"]] == ["paid"]
    assert (await desk.money(), await desk.paid()) == ((99_500, 0), 500)


@pytest.mark.parametrize(("first", "end", "finally_"), [
    ("dealing", "settle", "paid"), ("wait_pay", "fail", "failed"), ("dealing", "close", "failed"),
])  # fmt: skip
async def test_a_transfer_that_takes_its_time(desk: Desk, first: str, end: str, finally_: str) -> None:
    await desk.shop.sim.alipay.fault(Fault(operation="fund.trans.uni.transfer", kind=first))
    no = await desk.ask(500)
    assert await desk.call_back(no) == (409, "withdrawal_under_way"), "Alipay does not wait for the payee"
    assert (await desk.view(no))["state"] == "paying"
    assert await desk.money() == (100_000, 500)
    number = (await desk.view(no))["attempts"][0]["attempt_no"]
    sim = desk.shop.sim.alipay
    await {"settle": sim.settle_transfer, "fail": sim.fail_transfer, "close": sim.close_transfer}[end](number)
    view = await desk.climb(no, finally_)
    paid = 500 if finally_ == "paid" else 0
    assert (view["state"], await desk.money(), await desk.paid()) == (finally_, (100_000 - paid, 0), paid)
