"""Faults of single calls: what the caller sees, and what the channel did all the same."""

import asyncio

import httpx2
import pytest
from tael_sandbox_shop import ORDER, Shop

from tael_sandbox import Fault, Refused, Sandbox

NUMBER = ORDER["out_trade_no"]
LOST = "lost"


@pytest.mark.parametrize(
    ("fault", "seen", "placed"),
    [
        ({"kind": "drop_before_commit"}, LOST, False),
        ({"kind": "5xx_before_commit"}, (500, "SYSTEM_ERROR", False), False),
        ({"kind": "5xx_before_commit", "status": 502, "code": "BANK_ERROR"}, (502, "BANK_ERROR", False), False),
        ({"kind": "429"}, (429, "FREQUENCY_LIMITED", False), False),
        ({"kind": "error", "status": 403, "code": "RULE_LIMIT"}, (403, "RULE_LIMIT", False), False),
        ({"kind": "commit_then_drop_reply"}, LOST, True),
        ({"kind": "5xx_after_commit"}, (500, "SYSTEM_ERROR", False), True),
        ({"kind": "html_body"}, (502, "not JSON", False), True),
        ({"kind": "html_body", "status": 200}, (200, "not JSON", False), True),
        ({"kind": "empty_body"}, (200, "not JSON", False), True),
        ({"kind": "garbage_body"}, (200, "not JSON", True), True),
        ({"kind": "truncated_body"}, LOST, True),
        ({"kind": "bad_signature"}, (200, "", False), True),
        ({"kind": "unsigned"}, (200, "", False), True),
        ({"kind": "stale_timestamp"}, (200, "", True), True),
        ({"kind": "delay_ms", "delay_ms": 30}, (200, "", True), True),
    ],
)
async def test_one_fault_on_an_order(
    sim: Sandbox, shop: Shop, fault: dict[str, object], seen: object, placed: bool
) -> None:
    await sim.fault(Fault(operation="create", **fault))
    try:
        reply = await shop.order()
    except httpx2.TransportError:
        assert seen == LOST
    else:
        assert (reply.status_code, _code(reply), shop.genuine(reply.headers, reply.content)) == seen
    assert (await shop.query()).status_code == (200 if placed else 404)
    assert (await shop.order()).status_code == 200


@pytest.mark.parametrize("operation", ["create", "query", "close"])
async def test_a_fault_hits_its_operation_its_order_and_its_count(sim: Sandbox, shop: Shop, operation: str) -> None:
    calls = {"create": shop.order, "query": shop.query, "close": shop.close}
    await shop.order()
    await sim.fault(Fault(operation=operation, kind="5xx_before_commit", count=2, out_trade_no=NUMBER))
    await sim.fault(Fault(operation=operation, kind="5xx_before_commit", out_trade_no="another"))
    for name, call in calls.items():
        if name != operation:
            assert (await call()).status_code < 500
    statuses = [(await calls[operation]()).status_code for _ in range(3)]
    assert [status == 500 for status in statuses] == [True, True, False]


async def test_a_reply_lost_after_close_leaves_the_order_closed(sim: Sandbox, shop: Shop) -> None:
    await shop.order()
    await sim.fault(Fault(operation="close", kind="commit_then_drop_reply"))
    with pytest.raises(httpx2.TransportError):
        await shop.close()
    assert await shop.state() == "CLOSED"


async def test_a_delayed_reply_outlives_the_callers_patience(sim: Sandbox, shop: Shop) -> None:
    await sim.fault(Fault(operation="create", kind="delay_ms", delay_ms=400))
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await shop.order()
    assert (await sim.order(NUMBER)).state == "NOTPAY"


async def test_faults_until_further_notice_and_healing(sim: Sandbox, shop: Shop) -> None:
    await sim.fault(Fault(operation="query", kind="429", count=None))
    assert [(await shop.query()).status_code for _ in range(3)] == [429] * 3
    await sim.heal()
    assert (await shop.query()).status_code == 404


@pytest.mark.parametrize(
    ("operation", "kind", "count"),
    [("create", "signtest", 1), ("notify", "429", 1), ("close", "notify_inside_create", 1), ("query", "429", 0)],
)
async def test_faults_that_make_no_sense(sim: Sandbox, operation: str, kind: str, count: int) -> None:
    with pytest.raises(Refused) as refused:
        await sim.fault(Fault(operation=operation, kind=kind, count=count))
    assert refused.value.status == 400


async def test_the_witness_counts_calls(sim: Sandbox, shop: Shop) -> None:
    await sim.fault(Fault(operation="query", kind="drop_before_commit"))
    await shop.order()
    with pytest.raises(httpx2.TransportError):
        await shop.query()
    await shop.close("nothing")
    await shop.call("GET", "/v3/nowhere")
    seen = await sim.requests()
    assert seen.counts == {"create": 1, "query": 1, "close": 1, "refused": 1}
    assert [(one.operation, one.status, one.code) for one in seen.calls] == [
        ("create", 200, ""),
        ("query", 0, ""),
        ("close", 404, "ORDER_NOT_EXIST"),
        ("refused", 404, "RESOURCE_NOT_EXISTS"),
    ]


async def test_a_body_of_more_than_a_megabyte_is_not_read(shop: Shop) -> None:
    reply = await shop.call("POST", "/v3/pay/transactions/native", b" " * ((1 << 20) + 1))
    assert reply.status_code == 413


def _code(reply: httpx2.Response) -> str:
    try:
        return reply.json().get("code", "")
    except ValueError:
        return "not JSON"
