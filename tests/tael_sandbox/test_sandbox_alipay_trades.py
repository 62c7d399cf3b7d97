"""Trades at the simulated Alipay: what it accepts, which states it shows, and the code of every refusal."""

from urllib.parse import urlencode

import pytest
from tael_sandbox_alipay import NUMBER, Store, Unsigned

from tael_sandbox import ChangeAlipayMerchant, NewAlipayMerchant, Refused, Sandbox


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({}, "10000"),
        ({"total_amount": 0.01}, "10000"),
        ({"total_amount": 1}, "10000"),
        ({"total_amount": "1.5"}, "10000"),
        ({"total_amount": "100000000"}, "10000"),
        ({"out_trade_no": "a_Z9" * 16}, "10000"),
        ({"timeout_express": "90m"}, "10000"),
        ({"time_expire": "2027-01-15 17:00:00"}, "10000"),
        ({"something_new": [1]}, "10000"),
        ({"total_amount": "0"}, "ACQ.TOTAL_FEE_EXCEED"),
        ({"total_amount": "0.001"}, "ACQ.TOTAL_FEE_EXCEED"),
        ({"total_amount": "-1"}, "ACQ.TOTAL_FEE_EXCEED"),
        ({"total_amount": "1e2"}, "ACQ.TOTAL_FEE_EXCEED"),
        ({"total_amount": "100000000.01"}, "ACQ.TOTAL_FEE_EXCEED"),
        ({"out_trade_no": "a-b"}, "ACQ.INVALID_PARAMETER"),
        ({"out_trade_no": "x" * 65}, "ACQ.INVALID_PARAMETER"),
        ({"subject": ""}, "ACQ.INVALID_PARAMETER"),
        ({"subject": "x" * 257}, "ACQ.INVALID_PARAMETER"),
        ({"product_code": "QUICK_WAP_WAY"}, "ACQ.INVALID_PARAMETER"),
        ({"timeout_express": "soon"}, "ACQ.INVALID_PARAMETER"),
        ({"time_expire": "2027-01-15 15:00:00"}, "ACQ.INVALID_PARAMETER"),
        ({"notify_url": "http://elsewhere.cn/n"}, "ACQ.INVALID_PARAMETER"),
        ({"notify_url": "https://[bad/n"}, "ACQ.INVALID_PARAMETER"),
    ],
)
async def test_placing(sim: Sandbox, store: Store, changes: dict[str, object], code: str) -> None:
    said = await store.order(**changes)
    assert (said.get("sub_code") or said["code"]) == code
    assert len(await sim.alipay.trades()) == (code == "10000")
    if code == "10000":
        assert str(said["qr_code"]).startswith(sim.base_url + "/alipay/q/")


async def test_there_is_no_trade_before_the_code_is_scanned(sim: Sandbox, store: Store) -> None:
    qr_code = str((await store.order())["qr_code"])
    assert await store.state() == "ACQ.TRADE_NOT_EXIST"
    assert await store.code("trade.close", {"out_trade_no": NUMBER}) == "ACQ.TRADE_NOT_EXIST"
    scanned = await sim.alipay.scan(qr_code)
    assert (await store.state(), len(scanned.trade_no)) == ("WAIT_BUYER_PAY", 28)
    await sim.alipay.pay(NUMBER)
    said = await store.ask("trade.query", {"trade_no": scanned.trade_no})
    assert (said["trade_status"], said["total_amount"], said["send_pay_date"]) == (
        "TRADE_SUCCESS", "1.00", "2027-01-15 16:00:00",
    )  # fmt: skip


async def test_a_known_number(sim: Sandbox, store: Store) -> None:
    first = await store.order()
    assert await store.order() == first
    assert (await store.order(subject="tea"))["sub_code"] == "ACQ.CONTEXT_INCONSISTENT"
    assert (await store.order(total_amount="1.01"))["sub_code"] == "ACQ.CONTEXT_INCONSISTENT"
    await sim.advance(7_200)
    with pytest.raises(Refused):
        await sim.alipay.scan(NUMBER)
    second = await store.order()
    assert second["qr_code"] != first["qr_code"]
    await sim.alipay.pay(NUMBER)
    assert (await store.order())["sub_code"] == "ACQ.TRADE_HAS_SUCCESS"
    await store.refund("1.00", "r1")
    assert (await store.order())["sub_code"] == "ACQ.TRADE_HAS_CLOSE"


async def test_time_is_over(sim: Sandbox, store: Store) -> None:
    await store.order(timeout_express="5m")
    await sim.alipay.scan(NUMBER)
    await store.order(timeout_express="5m", out_trade_no="unopened")
    await sim.advance(299)
    assert await store.state() == "WAIT_BUYER_PAY"
    await sim.advance(1)
    assert (await store.state(), await store.state("unopened")) == ("TRADE_CLOSED", "ACQ.TRADE_NOT_EXIST")
    with pytest.raises(Refused):
        await sim.alipay.pay(NUMBER)


@pytest.mark.parametrize(
    ("acts", "closed", "after"),
    [
        (("scan",), "10000", "TRADE_CLOSED"),
        (("expire",), "ACQ.TRADE_NOT_EXIST", "ACQ.TRADE_NOT_EXIST"),
        (("scan", "expire"), "10000", "TRADE_CLOSED"),
        (("scan", "decline"), "10000", "TRADE_CLOSED"),
        (("pay",), "ACQ.TRADE_STATUS_ERROR", "TRADE_SUCCESS"),
        (("pay", "finish"), "ACQ.TRADE_STATUS_ERROR", "TRADE_FINISHED"),
        (("pay", "refund"), "ACQ.TRADE_STATUS_ERROR", "TRADE_CLOSED"),
    ],
)
async def test_closing(sim: Sandbox, store: Store, acts: tuple[str, ...], closed: str, after: str) -> None:
    await store.order()
    for act in acts:
        await getattr(sim.alipay, act)(NUMBER)
    for _ in range(2):
        assert await store.code("trade.close", {"out_trade_no": NUMBER}) == closed
        assert await store.state() == after


@pytest.mark.parametrize(
    ("acts", "action", "after"),
    [
        ((), None, "ACQ.TRADE_NOT_EXIST"),
        (("scan",), "close", "TRADE_CLOSED"),
        (("pay",), "refund", "TRADE_CLOSED"),
        (("pay", "refund"), None, "TRADE_CLOSED"),
    ],
)
async def test_cancelling(sim: Sandbox, store: Store, acts: tuple[str, ...], action: str | None, after: str) -> None:
    await store.order()
    for act in acts:
        await getattr(sim.alipay, act)(NUMBER)
    said = await store.ask("trade.cancel", {"out_trade_no": NUMBER})
    assert (said["code"], said["retry_flag"], said.get("action"), await store.state()) == ("10000", "N", action, after)
    assert "action" not in await store.ask("trade.cancel", {"out_trade_no": NUMBER})
    with pytest.raises(Refused):
        await sim.alipay.pay(NUMBER)


async def test_cancelling_what_never_was_and_what_is_finished(sim: Sandbox, store: Store) -> None:
    assert (await store.ask("trade.cancel", {"out_trade_no": "never"})).get("action") is None
    await store.order()
    await sim.alipay.pay(NUMBER)
    await sim.alipay.finish(NUMBER)
    assert await store.code("trade.cancel", {"out_trade_no": NUMBER}) == "ACQ.TRADE_HAS_FINISHED"
    assert (await store.refund("1.00", "r1"))["sub_code"] == "ACQ.TRADE_HAS_FINISHED"


@pytest.mark.parametrize(
    ("changes", "outcome"),
    [
        ({}, "10000"),
        ({"total_amount": "1000.01"}, "10003"),
        ({"auth_code": "11" + "0" * 16}, "ACQ.PAYMENT_AUTH_CODE_INVALID"),
        ({"auth_code": ""}, "ACQ.PAYMENT_AUTH_CODE_INVALID"),
        ({"scene": "face"}, "ACQ.INVALID_PARAMETER"),
    ],
)
async def test_a_bar_code(sim: Sandbox, store: Store, changes: dict[str, str], outcome: str) -> None:
    content = {"out_trade_no": "B1", "total_amount": "5.00", "subject": "tea", "scene": "bar_code"}
    content |= {"auth_code": "28" + "7" * 16} | changes
    assert await store.code("trade.pay", content) == outcome
    if outcome == "10003":
        assert await store.code("trade.pay", content) == "10003"
        assert await store.state("B1") == "WAIT_BUYER_PAY"
        await sim.alipay.pay("B1")
    if outcome in ("10000", "10003"):
        assert await store.state("B1") == "TRADE_SUCCESS"
        assert await store.code("trade.pay", content) == "ACQ.TRADE_HAS_SUCCESS"
        again = content | {"out_trade_no": "B2"}
        assert await store.code("trade.pay", again) == "ACQ.PAYMENT_AUTH_CODE_INVALID"


async def test_refunds_add_up(sim: Sandbox, store: Store) -> None:
    await store.order()
    await sim.alipay.pay(NUMBER)
    first = await store.refund("0.30", "r1")
    again = await store.refund("0.30", "r1")
    assert [(one["fund_change"], one["refund_fee"]) for one in (first, again)] == [("Y", "0.30"), ("N", "0.30")]
    assert (await store.refund("0.40", "r1"))["sub_code"] == "ACQ.DISCORDANT_REPEAT_REQUEST"
    assert (await store.refund("0.71", "r2"))["sub_code"] == "ACQ.REFUND_AMT_NOT_EQUAL_TOTAL"
    assert await store.state() == "TRADE_SUCCESS"
    assert (await store.refund("0.70", "r2"))["refund_fee"] == "1.00"
    assert await store.state() == "TRADE_CLOSED"
    assert (await store.refund("0.30", "r1"))["refund_fee"] == "1.00"
    assert (await store.refund("0.01", "r3"))["sub_code"] == "ACQ.REFUND_AMT_NOT_EQUAL_TOTAL"
    asked = {"out_trade_no": NUMBER, "query_options": ["gmt_refund_pay"]}
    found = await store.ask("trade.fastpay.refund.query", asked | {"out_request_no": "r2"})
    assert (found["refund_amount"], found["refund_status"], found["total_amount"], found["gmt_refund_pay"]) == (
        "0.70", "REFUND_SUCCESS", "1.00", "2027-01-15 16:00:00",
    )  # fmt: skip
    nothing = await store.ask("trade.fastpay.refund.query", asked | {"out_request_no": "r9"})
    assert nothing == {"code": "10000", "msg": "Success"}


@pytest.mark.parametrize(
    ("acts", "content", "code"),
    [
        ((), {}, "ACQ.TRADE_NOT_EXIST"),
        (("scan",), {}, "ACQ.TRADE_STATUS_ERROR"),
        (("scan", "expire"), {}, "ACQ.TRADE_STATUS_ERROR"),
        (("pay",), {"refund_amount": "0"}, "ACQ.REASON_TRADE_REFUND_FEE_ERR"),
        (("pay",), {"refund_amount": "0.001"}, "ACQ.REASON_TRADE_REFUND_FEE_ERR"),
        (("pay",), {"refund_amount": "0.50", "out_request_no": ""}, "ACQ.INVALID_PARAMETER"),
        (("pay",), {"refund_amount": "1.00", "out_request_no": ""}, "10000"),
        (("pay",), {"refund_amount": 1}, "10000"),
        (("pay",), {"out_trade_no": ""}, "ACQ.INVALID_PARAMETER"),
    ],
)
async def test_refusing_refunds(sim, store, acts: tuple[str, ...], content: dict[str, object], code: str) -> None:
    await store.order()
    for act in acts:
        await getattr(sim.alipay, act)(NUMBER)
    usual = {"out_trade_no": NUMBER, "refund_amount": "1.00", "out_request_no": "r1"}
    assert await store.code("trade.refund", usual | content) == code


async def test_a_seller_without_money_cannot_refund(sim: Sandbox, store: Store) -> None:
    poor = await sim.alipay.create_merchant(NewAlipayMerchant(fee_per_10000=1_000))
    other = Store(poor, http=store.http)
    await other.order()
    await sim.alipay.pay(NUMBER)
    assert (await other.refund("1.00", "r1"))["sub_code"] == "ACQ.SELLER_BALANCE_NOT_ENOUGH"
    assert await other.code("trade.cancel", {"out_trade_no": NUMBER}) == "ACQ.SELLER_BALANCE_NOT_ENOUGH"
    await sim.alipay.top_up(100, app_id=poor.app_id)
    assert (await other.refund("1.00", "r1"))["fund_change"] == "Y"
    book = await sim.book()
    assert (book.balances[f"alipay/merchant/{poor.app_id}"], book.sum_minor) == (100, 0)


async def test_a_merchant_sees_only_its_own(sim: Sandbox, store: Store) -> None:
    other = Store(await sim.alipay.create_merchant(NewAlipayMerchant()), http=store.http)
    await store.order()
    paid = await sim.alipay.pay(NUMBER)
    for named in ({"out_trade_no": NUMBER}, {"trade_no": paid.trade_no}):
        assert await other.code("trade.query", named) == "ACQ.TRADE_NOT_EXIST"


async def test_days_without_a_bill(store: Store) -> None:
    method = "data.dataservice.bill.downloadurl.query"
    assert await store.code(method, {"bill_type": "trade", "bill_date": "2027-01-14"}) == "BILL_NOT_EXIST"
    assert await store.code(method, {"bill_type": "trade", "bill_date": "yesterday"}) == "INVALID_PARAMETER"


async def test_the_book_by_hand(sim: Sandbox, store: Store) -> None:
    merchant = f"alipay/merchant/{sim.alipay.merchant.app_id}"
    assert sim.alipay.merchant.balance_minor == 10_000_000
    await store.order(total_amount="100.00")
    await sim.alipay.pay(NUMBER)
    assert (await sim.book()).balances[merchant] == 10_000_000 + 10_000 - 60
    await store.refund("33.33", "r1")
    await store.refund("66.67", "r2")
    book = await sim.book()
    assert (book.balances[merchant], book.balances["alipay/fees"], book.sum_minor) == (10_000_000, 0, 0)
    assert book.paid[sim.alipay.merchant.app_id].total_minor == 10_000


@pytest.mark.parametrize(
    ("common", "code"),
    [
        ({}, "10000"),
        ({"app_id": None}, "isv.missing-app-id"),
        ({"method": None}, "isv.missing-method"),
        ({"timestamp": None}, "isv.missing-timestamp"),
        ({"app_cert_sn": None}, "isv.missing-app-cert-sn"),
        ({"app_cert_sn": "1"}, "isv.invalid-app-cert-sn"),
        ({"alipay_root_cert_sn": "1"}, "isv.invalid-alipay-root-cert-sn"),
        ({"app_id": "2021999999999999"}, "isv.invalid-app-id"),
        ({"method": "alipay.trade.nothing"}, "isv.invalid-method"),
        ({"method": "trade.precreate"}, "isv.invalid-method"),
        ({"sign_type": "RSA"}, "isv.invalid-signature-type"),
        ({"charset": "ebcdic"}, "isv.invalid-charset"),
        ({"format": "XML"}, "isv.invalid-format"),
        ({"version": "2.0"}, "isv.invalid-version"),
        ({"timestamp": "2027-01-15T16:00:00Z"}, "isv.invalid-timestamp"),
        ({"format": "json"}, "10000"),
        ({"format": None}, "10000"),
        ({"a_new_one": "x y+z"}, "10000"),
    ],
)
async def test_the_gateway(store: Store, common: dict[str, str | None], code: str) -> None:
    content = {"out_trade_no": NUMBER, "total_amount": "1.00", "subject": "咖啡"}
    if code != "10000":
        with pytest.raises(Unsigned):
            await store.ask("trade.precreate", content, **common)
    assert await store.code("trade.precreate", content, **common) == code


async def test_a_tampered_request(store: Store) -> None:
    said = store.signed("trade.precreate", {"out_trade_no": NUMBER, "total_amount": "1.00", "subject": "a"})
    reply = await store.post(said | {"biz_content": said["biz_content"].replace("1.00", "9.00")})
    assert b'"alipay_trade_precreate_response":{"code":"40002"' in reply.content
    assert b"sign" not in reply.content.replace(b"invalid-signature", b"")


@pytest.mark.parametrize("charset", ["utf-8", "GBK"])
@pytest.mark.parametrize("way", ["GET", "split", "form", "absolute"])
async def test_every_way_to_send_a_request(sim: Sandbox, store: Store, charset: str, way: str) -> None:
    store.charset = charset
    said = store.signed("trade.precreate", {"out_trade_no": NUMBER, "total_amount": "1.00", "subject": "咖啡/+ &=中"})
    content = {"biz_content": said["biz_content"]}
    common = {name: value for name, value in said.items() if name != "biz_content"}
    gateway, form = store.merchant.gateway, {"content-type": "application/x-www-form-urlencoded"}
    match way:
        case "GET":
            reply = await store.http.get(f"{gateway}?{urlencode(said, encoding=charset)}")
        case "form":
            reply = await store.post(said)
        case "absolute":
            target = f"{gateway}?{urlencode(common, encoding=charset)}".encode()
            extensions = {"target": target}
            body = urlencode(content, encoding=charset)
            reply = await store.http.post(gateway, content=body, headers=form, extensions=extensions)
        case _:
            body = urlencode(content, encoding=charset)
            reply = await store.http.post(f"{gateway}?{urlencode(common)}", content=body, headers=form)
    assert rb"http:\/\/127.0.0.1" in reply.content
    assert store.read(reply.content)["code"] == "10000"
    assert (await sim.alipay.trade(NUMBER)).subject == "咖啡/+ &=中"


async def test_the_modes_and_a_new_key_of_alipays(sim: Sandbox, store: Store) -> None:
    await store.order()
    old = store.merchant
    store.merchant = await sim.alipay.rotate()
    assert store.merchant.alipay_cert_sn != old.alipay_cert_sn
    for sn in (old.alipay_cert_sn, store.merchant.alipay_cert_sn):
        said = await store.ask("open.app.alipaycert.download", {"alipay_cert_sn": sn})
        assert said["code"] == "10000"
    assert await store.code("open.app.alipaycert.download", {"alipay_cert_sn": "1"}) == "CERT_NOT_EXIST"
    store.merchant = await sim.alipay.change_merchant(old.app_id, ChangeAlipayMerchant(mode="public_key"))
    assert (await store.order())["code"] == "10000"
    assert await store.code("fund.trans.uni.transfer", {}) == "isv.insufficient-isv-permissions"
