"""Every state and code that the WeChat simulator claims to show (its package docstring) is provoked here."""

import re
from collections.abc import Awaitable, Callable

import pytest
from tael_sandbox_shop import ORDER, Shop

import tael_sandbox.wechat
from tael_sandbox import Fault, NewMerchant, Sandbox

NUMBER = ORDER["out_trade_no"]
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


STORIES: dict[str, Story] = {
    "NOTPAY": _state("decline"),
    "USERPAYING": _state("scan"),
    "SUCCESS": _state("scan", "pay"),
    "REFUND": _state("pay", "refund"),
    "CLOSED": _state("expire"),
    "PAYERROR": _state("decline", state="PAYERROR"),
    "REVOKED": _state("decline", state="REVOKED"),
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
