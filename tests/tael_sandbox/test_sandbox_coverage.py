"""Every state and code that the WeChat simulator claims to show (its package docstring) is provoked here."""

import re
from collections.abc import Awaitable, Callable

import pytest
from tael_sandbox_shop import ORDER, TRANSFER, Shop

import tael_sandbox.wechat
from tael_sandbox import ChangeMerchant, Fault, NewMerchant, Sandbox
from tael_sandbox.wechat.merchants import Quota

NUMBER, BILL = ORDER["out_trade_no"], TRANSFER["out_bill_no"]
Story = Callable[[Sandbox, Shop], Awaitable[str]]


def _state(*acts: str, **said: object) -> Story:
    """Place an order, let the user act, and say what the query shows."""

    async def tell(sim: Sandbox, shop: Shop) -> str:
        await shop.order()
        for act in acts:
            await getattr(sim, act)(NUMBER, **said)
        return await shop.state()

    return tell


def _refusal(*acts: str, call: str = "order", placed: bool = True, **said: object) -> Story:
    """Place an order, let the user act, call once more and say the code."""

    async def tell(sim: Sandbox, shop: Shop) -> str:
        if placed:
            await shop.order()
        for act in acts:
            await getattr(sim, act)(NUMBER)
        return (await getattr(shop, call)(**said)).json()["code"]

    return tell


def _fault(kind: str, **said: object) -> Story:
    async def tell(sim: Sandbox, shop: Shop) -> str:
        await sim.fault(Fault(operation="create", kind=kind, **said))
        return (await shop.order()).json()["code"]

    return tell


async def _sign_error(sim: Sandbox, shop: Shop) -> str:
    return (await shop.call("GET", "/v3/certificates", Authorization="none")).json()["code"]


async def _no_resource(sim: Sandbox, shop: Shop) -> str:
    return (await shop.call("GET", "/v3/nowhere")).json()["code"]


async def _no_auth(sim: Sandbox, shop: Shop) -> str:
    other = await sim.create_merchant(NewMerchant())
    return (await shop.order(mchid=other.mchid)).json()["code"]


def _refund(act: str | None = None, *, balance: bool = True, **said: object) -> Story:
    """Refund a paid order, let it end somehow, and say its state or the code of the refusal."""

    async def tell(sim: Sandbox, shop: Shop) -> str:
        await shop.order()
        await sim.pay(NUMBER)
        if not balance:
            await sim.draw_down((await sim.book()).balances[f"merchant/{sim.merchant.mchid}"])
        reply = (await shop.refund(**said)).json()
        if act is not None:
            await getattr(sim, act)(reply["out_refund_no"])
            reply = (await shop.call("GET", f"/v3/refund/domestic/refunds/{reply['out_refund_no']}")).json()
        return reply.get("code") or reply["status"]

    return tell


def _transfer(*acts: str, cancel: bool = False, **said: object) -> Story:
    """Transfer, let it end somehow, and say its state."""

    async def tell(sim: Sandbox, shop: Shop) -> str:
        await shop.transfer()
        for act in acts:
            await getattr(sim, act)(BILL, **said)
        return (await shop.cancel()).json()["state"] if cancel else (await shop.bill())["state"]

    return tell


def _failure(*, name: str = "张三", after_s: int = 5, **quota: int) -> Story:
    """Transfer against a known name and a quota, let time pass, and say why it failed."""

    async def tell(sim: Sandbox, shop: Shop) -> str:
        await sim.name_user("oUser1", "张三")
        await sim.change_merchant(sim.merchant.mchid, ChangeMerchant(quota=Quota(**quota)))
        await shop.transfer(name=name)
        await shop.transfer(out_bill_no="B0000000002")
        await sim.advance(after_s)
        shop.now += after_s
        first, second = await shop.bill(), await shop.bill("B0000000002")
        return first.get("fail_reason") or second["fail_reason"]

    return tell


async def _no_bill(sim: Sandbox, shop: Shop) -> str:
    return (await shop.bill("B9"))["code"]


STORIES: dict[str, Story] = {
    "NOTPAY": _state("decline"),
    "USERPAYING": _state("scan"),
    "SUCCESS": _state("scan", "pay"),
    "REFUND": _state("pay", "refund"),
    "CLOSED": _state("expire"),
    "PAYERROR": _state("decline", state="PAYERROR"),
    "REVOKED": _state("decline", state="REVOKED"),
    "PROCESSING": _refund(),
    "ABNORMAL": _refund("abnormal_refund"),
    "INVALID_REQUEST": _refund(amount={"refund": 101, "total": 100, "currency": "CNY"}),
    "NOT_ENOUGH": _refund(balance=False),
    "WAIT_USER_CONFIRM": _transfer(),
    "ACCEPTED": _transfer("move_transfer", state="ACCEPTED"),
    "TRANSFERING": _transfer("move_transfer", state="TRANSFERING"),
    "FAIL": _transfer("fail_transfer"),
    "CANCELING": _transfer(cancel=True),
    "CANCELLED": _transfer("cancel_transfer"),
    "NOT_FOUND": _no_bill,
    "NAME_NOT_CORRECT": _failure(name="李四"),
    "TRANSFER_QUOTA_EXCEED": _failure(single_minor=4_999),
    "DAY_RECEIVED_QUOTA_EXCEED": _failure(payee_day_minor=9_999),
    "DAY_RECEIVED_COUNT_EXCEED": _failure(payee_day_count=1),
    "OVERDUE_CLOSE": _failure(after_s=86_400),
    "PARAM_ERROR": _refusal(placed=False, description=""),
    "APPID_MCHID_NOT_MATCH": _refusal(placed=False, appid="wx1"),
    "MCH_NOT_EXISTS": _refusal(placed=False, mchid="1"),
    "ORDERPAID": _refusal("pay"),
    "ORDER_CLOSED": _refusal("expire"),
    "SIGN_ERROR": _sign_error,
    "NO_AUTH": _no_auth,
    "OUT_TRADE_NO_USED": _refusal(description="tea"),
    "ORDER_NOT_EXIST": _refusal(placed=False, call="query"),
    "RESOURCE_NOT_EXISTS": _no_resource,
    "FREQUENCY_LIMITED": _fault("429"),
    "SYSTEM_ERROR": _fault("5xx_after_commit"),
    "RULE_LIMIT": _fault("error", status=403, code="RULE_LIMIT"),
}


def test_the_stories_tell_all_that_is_claimed() -> None:
    claimed = set(re.findall(r"\b[A-Z]{2,}(?:_[A-Z]+)*\b", tael_sandbox.wechat.__doc__)) - {"API"}
    assert claimed == set(STORIES)


@pytest.mark.parametrize("word", STORIES)
async def test_a_story(sim: Sandbox, shop: Shop, word: str) -> None:
    assert await STORIES[word](sim, shop) == word


async def test_closing_while_the_user_types(sim: Sandbox, shop: Shop) -> None:
    assert await _refusal("scan", call="close")(sim, shop) == "USERPAYING"
