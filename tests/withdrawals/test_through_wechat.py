"""Withdrawals through the WeChat Pay simulator, over HTTP on both sides: confirmed, lost, late, refused, poor."""

from collections.abc import AsyncIterator

import pytest

from shop import BOOK, Shop
from tael import routing
from tael.routing import Route
from tael_sandbox import Fault, TransferView

from .payout_desk import PayoutDesk, furnish

CONFIG = """{"transfer_scene_id": "1000",
             "transfer_scene_report_infos": "[{\\"info_type\\": \\"活动名称\\", \\"info_content\\": \\"提现\\"}]"}"""


class Desk(PayoutDesk):
    """A shop that pays WeChat users."""

    async def ask(self, amount: int = 5_000) -> str:
        """A withdrawal that li has approved, and that nobody was asked for yet."""
        return await self.approved(amount)

    async def attempt(self, no: str) -> str:
        """Our number at the channel."""
        return (await self.attempts(no))[-1]

    async def transfer(self) -> TransferView:
        """The only transfer that WeChat knows."""
        (found,) = await self.shop.sim.transfers()
        return found


@pytest.fixture
async def desk(shop: Shop) -> AsyncIterator[Desk]:
    async with shop.db.transaction() as tx:
        await tx.execute(
            "update merchant_account set config = config || $1::jsonb, changed_at = changed_at + interval '1 s'", CONFIG
        )
        route = Route(BOOK, "payout", shop.merchant_account, "CNY", "wechat", "sandbox", 0)
        await routing.put_route(tx, route, now=shop.clock.now())
    appid = shop.system.platform.accounts.get(book=BOOK, id=shop.merchant_account).appid
    payee = {"kind": "wechat_user", "number": "oUser1", "app_id": appid, "holder": "张三"}
    opened = Desk(**await furnish(shop, payee))
    yield opened
    await opened.check()


async def paid_at_wechat(desk: Desk) -> int:
    return sum(one.amount_minor for one in await desk.shop.sim.transfers() if one.state == "SUCCESS")


async def test_confirmed_by_the_payee(desk: Desk) -> None:
    no = await desk.ask()
    await desk.pay()
    view = await desk.view(no)
    assert (view["state"], view["attempts"][0]["handoff"]["type"]) == ("paying", "confirmation")
    assert await desk.money() == (100_000, 5_000)
    await desk.shop.sim.confirm_transfer(await desk.attempt(no))
    await desk.shop.sim.drain()
    view = await desk.view(no)
    assert view["state"] == "paid", "the notice is enough"
    assert view["attempts"][0]["channel_ref"]
    assert (await desk.money(), await paid_at_wechat(desk)) == ((95_000, 0), 5_000)
    assert await desk.shop.count("task", "queue = 'payout'") == 0
    await desk.shop.deliver()
    topics = [row["topic"] for row in await rows(desk, "select topic from event order by id")]
    assert topics == [
        "withdrawal.created", "withdrawal.approved", "withdrawal.confirmation_needed", "withdrawal.paid"
    ]  # fmt: skip


async def test_the_notice_is_lost(desk: Desk) -> None:
    no = await desk.ask()
    await desk.shop.sim.fault(Fault(operation="notify", kind="drop", count=None))
    await desk.pay()
    await desk.shop.sim.confirm_transfer(await desk.attempt(no))
    assert (await desk.climb(no, "paid"))["state"] == "paid"
    assert await desk.money() == (95_000, 0)


FAULTS = [
    ("drop_before_commit", False), ("5xx_before_commit", False), ("429", False), ("error", False),
    ("commit_then_drop_reply", True), ("5xx_after_commit", True), ("garbage_body", True), ("bad_signature", True),
    ("unsigned", True), ("empty_body", True),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "done"), FAULTS)
async def test_a_broken_payout_is_paid_once(desk: Desk, kind: str, done: bool) -> None:
    no = await desk.ask()
    await desk.shop.sim.fault(
        Fault(operation="transfer", kind=kind, status=400 if kind == "error" else 0, code="NEW_CODE")
    )
    await desk.pay()
    assert len(await desk.shop.sim.transfers()) == done
    assert (await desk.view(no))["state"] == "unknown"
    assert await desk.money() == (100_000, 5_000)
    assert (await desk.climb(no, "paying"))["state"] == "paying"
    (transfer,) = await desk.shop.sim.transfers()
    assert transfer.out_bill_no == await desk.attempt(no)
    await desk.shop.sim.confirm_transfer(transfer.out_bill_no)
    assert (await desk.climb(no, "paid"))["state"] == "paid"
    assert (await desk.money(), await paid_at_wechat(desk)) == ((95_000, 0), 5_000)


@pytest.mark.parametrize("end", ["fail", "cancel", "overdue"])
async def test_a_payout_that_fails_gives_the_money_back(desk: Desk, end: str) -> None:
    no = await desk.ask()
    await desk.pay()
    number = await desk.attempt(no)
    if end == "fail":
        await desk.shop.sim.fail_transfer(number)
    elif end == "cancel":
        await desk.shop.sim.cancel_transfer(number)
    else:
        await desk.shop.advance(86_401)
    await desk.shop.sim.drain()
    view = await desk.climb(no, "failed")
    assert (view["state"], await desk.money()) == ("failed", (100_000, 0))
    assert await paid_at_wechat(desk) == 0
    assert await desk.shop.count("route_hold", "state = 'released'") == 1


async def test_called_back(desk: Desk) -> None:
    """WeChat takes note, cancels after its own time, and says so."""
    no = await desk.ask()
    await desk.pay()
    assert await desk.call_back(no) == (200, "paying")
    assert (await desk.transfer()).state == "WAIT_USER_CONFIRM"
    await desk.pay()
    assert (await desk.transfer()).state == "CANCELING"
    assert (await desk.state(no), await desk.money()) == ("paying", (100_000, 5_000))
    assert await desk.call_back(no) == (200, "paying")
    view = await desk.climb(no, "failed")
    assert (view["state"], view["called_back_by"]) == ("failed", view["maker"])
    assert ((await desk.transfer()).state, await desk.money(), await paid_at_wechat(desk)) == (
        "CANCELLED", (100_000, 0), 0,
    )  # fmt: skip
    assert await desk.shop.count("route_hold", "state = 'released'") == 1
    assert await desk.shop.count("channel_exchange", "operation = 'cancel_payout' and outcome = 'succeeded'") >= 1
    assert await desk.call_back(no) == (409, "withdrawal_under_way")


@pytest.mark.parametrize("heard", [False, True])
async def test_called_back_too_late(desk: Desk, heard: bool) -> None:
    """The user confirms before WeChat hears of it, which is refused then, or while it is cancelling."""
    no = await desk.ask()
    await desk.pay()
    await desk.shop.sim.fault(Fault(operation="notify", kind="drop", count=None))
    assert await desk.call_back(no) == (200, "paying")
    if heard:
        await desk.pay()
    await desk.shop.sim.confirm_transfer(await desk.attempt(no))
    assert (await desk.climb(no, "paid"))["state"] == "paid"
    assert (await desk.money(), await paid_at_wechat(desk)) == ((95_000, 0), 5_000)


@pytest.mark.parametrize(("kind", "done"), FAULTS)
async def test_called_back_over_a_broken_line(desk: Desk, kind: str, done: bool) -> None:
    no = await desk.ask()
    await desk.pay()
    await desk.call_back(no)
    await desk.shop.sim.fault(
        Fault(operation="cancel_transfer", kind=kind, status=400 if kind == "error" else 0, code="NEW_CODE")
    )
    await desk.pay()
    assert ((await desk.transfer()).state == "CANCELING") == done
    assert (await desk.state(no), await desk.money()) == ("paying", (100_000, 5_000))
    assert (await desk.climb(no, "failed"))["state"] == "failed"
    assert (await desk.money(), await paid_at_wechat(desk)) == ((100_000, 0), 0)


async def test_a_poor_merchant_pays_after_topping_up_with_the_same_number(desk: Desk) -> None:
    await desk.shop.sim.draw_down(99_999_000)
    no = await desk.ask()
    await desk.pay()
    assert (await desk.climb(no, "paid"))["state"] == "unknown", "no refusal of WeChat's is final"
    assert await desk.money() == (100_000, 5_000)
    await desk.shop.sim.top_up(99_999_000)
    await desk.shop.advance(3_600)
    await desk.pay()
    view = await desk.climb(no, "paying")
    assert len(view["attempts"]) == 1
    await desk.shop.sim.confirm_transfer(await desk.attempt(no))
    assert (await desk.climb(no, "paid"))["state"] == "paid"
    assert await paid_at_wechat(desk) == 5_000


@pytest.mark.parametrize("kind", ["duplicate", "bad_signature", "wrong_amount", "late"])
async def test_notices_that_are_not_as_they_should_be(desk: Desk, kind: str) -> None:
    no = await desk.ask()
    await desk.pay()
    fault = {"duplicate": {"times": 3}, "wrong_amount": {"amount_minor": 1}, "late": {"late_s": 60}}.get(kind, {})
    await desk.shop.sim.fault(Fault(operation="notify", kind=kind, **fault))
    await desk.shop.sim.confirm_transfer(await desk.attempt(no))
    await desk.shop.sim.drain()
    assert (await desk.climb(no, "paid"))["state"] == "paid"
    assert (await desk.money(), await paid_at_wechat(desk)) == ((95_000, 0), 5_000)


async def test_an_openid_of_another_app_is_not_paid(desk: Desk) -> None:
    body = {"owner": "1001", "kind": "wechat_user", "number": "oUser1", "app_id": "wxother"}
    other = (await desk.shop.http.post("/v1/payees", json=body)).json()["id"]
    answer = await desk.shop.http.post(
        "/v1/withdrawals", headers={"Idempotency-Key": "other"},
        json={"account_id": desk.account, "payee_id": other, "amount": 5_000, "currency": "CNY", "description": "x"},
    )  # fmt: skip
    assert (answer.status_code, answer.json()["code"]) == (422, "no_payout_account")


async def rows(desk: Desk, sql: str) -> list[dict[str, object]]:
    async with desk.shop.db.transaction() as tx:
        return [dict(row) for row in await tx.fetch(sql)]
