"""Faults of Alipay calls: what the caller sees, and what was done all the same; and every code that is claimed."""

import re
from pathlib import Path
from shutil import copytree

import httpx2
import pytest
from cryptography.exceptions import InvalidSignature
from tael_sandbox_alipay import NUMBER, PAYEE, Door, Store, Unsigned

import tael_sandbox.alipay
from tael_sandbox import Fault, Refused, Sandbox, SandboxProcess
from tael_sandbox.alipay.state import FAULTS

LOST, NOT_JSON, FORGED = "lost", "not JSON", "forged"


async def _seen(store: Store, method: str, content: dict[str, object]) -> str:
    """What a careful caller makes of a reply."""
    try:
        reply = await store.post(store.signed(method, content))
        said = store.read(reply.content)
    except httpx2.TransportError:
        return LOST
    except Unsigned as unsigned:
        return f"unsigned {unsigned.said.get('sub_code', unsigned.said['code'])}"
    except InvalidSignature:
        return FORGED
    except (ValueError, StopIteration):
        return f"{NOT_JSON} {reply.status_code}"
    return str(said.get("sub_code") or said["code"])


@pytest.mark.parametrize(
    ("fault", "seen", "done"),
    [
        ({"kind": "drop_before_commit"}, LOST, False),
        ({"kind": "5xx_before_commit"}, "not JSON 502", False),
        ({"kind": "40005"}, "unsigned isv.app-call-limited", False),
        ({"kind": "40005", "code": "isv.method-call-limited"}, "unsigned isv.method-call-limited", False),
        ({"kind": "gateway_error", "code": "isv.invalid-app-id"}, "unsigned isv.invalid-app-id", False),
        ({"kind": "gateway_error", "status": 20001, "code": "aop.invalid-auth-token"},
         "unsigned aop.invalid-auth-token", False),
        ({"kind": "20000_before_commit"}, "aop.unknow-error", False),
        ({"kind": "20000_before_commit", "code": "ACQ.SYSTEM_ERROR"}, "ACQ.SYSTEM_ERROR", False),
        ({"kind": "error", "code": "ACQ.ACCESS_FORBIDDEN"}, "ACQ.ACCESS_FORBIDDEN", False),
        ({"kind": "error", "code": "ACQ.BUYER_BALANCE_NOT_ENOUGH"}, "ACQ.BUYER_BALANCE_NOT_ENOUGH", False),
        ({"kind": "error", "code": "ACQ.PAYMENT_FAIL"}, "ACQ.PAYMENT_FAIL", False),
        ({"kind": "20000_after_commit"}, "aop.unknow-error", True),
        ({"kind": "20000_after_commit", "code": "SYSTEM_ERROR"}, "SYSTEM_ERROR", True),
        ({"kind": "commit_then_drop_reply"}, LOST, True),
        ({"kind": "5xx_after_commit"}, "not JSON 500", True),
        ({"kind": "html_body"}, "not JSON 200", True),
        ({"kind": "empty_body"}, "not JSON 200", True),
        ({"kind": "garbage_body"}, "not JSON 200", True),
        ({"kind": "truncated_body"}, LOST, True),
        ({"kind": "bad_signature"}, FORGED, True),
        ({"kind": "unsigned"}, "unsigned 10000", True),
        ({"kind": "delay_ms", "delay_ms": 30}, "10000", True),
    ],
)  # fmt: skip
@pytest.mark.parametrize("method", ["fund.trans.uni.transfer", "trade.refund"])
async def test_one_fault(sim, store, method: str, fault: dict[str, object], seen: str, done: bool) -> None:
    await store.order()
    await sim.alipay.pay(NUMBER)
    content: dict[str, object] = {"out_trade_no": NUMBER, "refund_amount": "1.00", "out_request_no": "r1"}
    if method == "fund.trans.uni.transfer":
        content = {
            "out_biz_no": "T1", "trans_amount": "1.00", "product_code": "TRANS_ACCOUNT_NO_PWD",
            "biz_scene": "DIRECT_TRANSFER", "order_title": "x", "payee_info": PAYEE,
        }  # fmt: skip
    await sim.alipay.fault(Fault(operation=method, **fault))
    assert await _seen(store, method, content) == seen
    if method == "trade.refund":
        assert len((await sim.alipay.trade(NUMBER)).refunds) == done
    else:
        assert len(await sim.alipay.transfers()) == done
    assert await _seen(store, method, content) == "10000"


async def test_forged_copies_and_unknown_certificates(sim: Sandbox, store: Store) -> None:
    said = store.signed("trade.query", {"out_trade_no": NUMBER})
    await store.order()
    await sim.alipay.scan(NUMBER)
    await sim.alipay.fault(Fault(operation="trade.query", kind="forged_copy"))
    body = (await store.post(said)).json()
    assert body["alipay_trade_query_response"]["forged"] == "Y"
    await sim.alipay.fault(Fault(operation="trade.query", kind="unknown_cert_sn"))
    assert (await store.post(said)).json()["alipay_cert_sn"] == "0" * 32


async def test_a_bar_code_that_needs_a_password_and_a_cancel_that_must_be_repeated(sim: Sandbox, store: Store) -> None:
    await sim.alipay.fault(Fault(operation="trade.pay", kind="user_paying"))
    content = {"out_trade_no": NUMBER, "total_amount": "1.00", "subject": "a", "scene": "bar_code"}
    content |= {"auth_code": "28" + "1" * 16}
    assert await store.code("trade.pay", content) == "10003"
    await sim.alipay.fault(Fault(operation="trade.cancel", kind="retry"))
    said = await store.ask("trade.cancel", {"out_trade_no": NUMBER})
    assert (said["code"], said["sub_code"], said["retry_flag"]) == ("20000", "ACQ.SYSTEM_ERROR", "Y")
    assert (await store.ask("trade.cancel", {"out_trade_no": NUMBER}))["action"] == "close"


async def test_a_fault_hits_its_operation_its_number_and_its_count(sim: Sandbox, store: Store) -> None:
    await store.order()
    await sim.alipay.scan(NUMBER)
    await sim.alipay.fault(Fault(operation="trade.query", kind="40005", count=2, out_trade_no=NUMBER))
    await sim.alipay.fault(Fault(operation="trade.query", kind="40005", count=None, out_trade_no="another"))
    codes = [await store.code("trade.query", {"out_trade_no": NUMBER}) for _ in range(3)]
    assert codes == ["isv.app-call-limited"] * 2 + ["10000"]
    await sim.heal()
    assert await store.code("trade.query", {"out_trade_no": "another"}) == "ACQ.TRADE_NOT_EXIST"


@pytest.mark.parametrize(
    ("operation", "kind"),
    [("create", "drop_before_commit"), ("trade.query", "429"), ("notify", "signtest"), ("trade.query", "user_paying")],
)
async def test_faults_that_make_no_sense(sim: Sandbox, operation: str, kind: str) -> None:
    with pytest.raises(Refused):
        await sim.alipay.fault(Fault(operation=operation, kind=kind))


async def test_the_witness_knows_the_channel(sim: Sandbox, store: Store) -> None:
    await store.order()
    await store.code("trade.query", {"out_trade_no": NUMBER}, app_id="1")
    seen = [(one.channel, one.operation, one.out_trade_no, one.code) for one in (await sim.requests()).calls]
    assert seen == [("alipay", "trade.precreate", NUMBER, ""), ("alipay", "refused", "", "isv.invalid-app-id")]


def test_every_claimed_code_is_provoked_by_some_test() -> None:
    text = "".join(path.read_text() for path in Path(__file__).parent.glob("test_sandbox_alipay_*.py"))
    claimed = set(re.findall(r"\b(?:ACQ\.|isv\.)?[A-Z][A-Z_]{5,}\b|isv\.[a-z-]+", tael_sandbox.alipay.__doc__))
    assert {code for code in claimed if code not in text} == set()
    assert all(operation in text for operation in FAULTS)


async def test_what_was_admitted_survives_kill_9(tmp_path, prepared, door: Door) -> None:
    copytree(prepared, tmp_path / "sim")
    async with SandboxProcess.start(tmp_path / "sim") as sim:
        store = Store(sim.alipay.merchant)
        async with store.http:
            door.script = [(500, "")]
            await store.order(notify_url=door.url)
            await sim.alipay.pay(NUMBER)
            await sim.drain()
            await store.refund("0.40", "r1")
            await store.transfer()
            before = (await sim.alipay.trades(), await sim.alipay.transfers(), (await sim.book()).balances)
            await sim.kill()
            await sim.restart()
            assert (await sim.alipay.trades(), await sim.alipay.transfers(), (await sim.book()).balances) == before
            assert (await sim.book()).sum_minor == 0
            assert sim.alipay.merchant.private_key_pem == store.merchant.private_key_pem
            assert (await store.transfer())["status"] == "SUCCESS"
            await sim.advance(240)
            told = {store.hears(one).get("out_biz_no", "") for one in door.heard}
            assert told == {"", "r1"}
