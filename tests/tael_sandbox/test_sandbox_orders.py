"""Placing, querying and closing orders: what WeChat Pay accepts, and the code of every refusal."""

import pytest
from tael_sandbox_shop import NOON_MS, ORDER, Shop

from tael_sandbox import NewMerchant, Sandbox
from tael_sandbox.ids import Ids

DAY_MS = 86_400_000


@pytest.mark.parametrize(
    ("method", "changes", "outcome"),
    [
        ("native", {}, "code_url"),
        ("jsapi", {"payer": {"openid": "o1"}}, "prepay_id"),
        ("app", {}, "prepay_id"),
        ("h5", {"scene_info": {"payer_client_ip": "1.2.3.4", "h5_info": {"type": "Wap"}}}, "h5_url"),
        ("native", {"out_trade_no": "a_-|*1"}, "code_url"),
        ("native", {"out_trade_no": "x" * 32}, "code_url"),
        ("native", {"amount": {"total": 1}}, "code_url"),
        ("native", {"something_new": [1]}, "code_url"),
        ("native", {"notify_url": "http://127.0.0.1:1/n"}, "code_url"),
        ("native", {"time_expire": "2027-02-01T12:00:00+08:00"}, "code_url"),
        ("jsapi", {}, "PARAM_ERROR /payer/openid"),
        ("h5", {}, "PARAM_ERROR /scene_info/h5_info/type"),
        ("native", {"out_trade_no": "x" * 33}, "PARAM_ERROR /out_trade_no"),
        ("native", {"out_trade_no": "short"}, "PARAM_ERROR /out_trade_no"),
        ("native", {"out_trade_no": "line123\n"}, "PARAM_ERROR /out_trade_no"),
        ("native", {"out_trade_no": "with space"}, "PARAM_ERROR /out_trade_no"),
        ("native", {"out_trade_no": None}, "PARAM_ERROR /"),
        ("native", {"description": ""}, "PARAM_ERROR /description"),
        ("native", {"description": "x" * 128}, "PARAM_ERROR /description"),
        ("native", {"amount": {"total": 0}}, "PARAM_ERROR /amount/total"),
        ("native", {"amount": {"total": -1}}, "PARAM_ERROR /amount/total"),
        ("native", {"amount": {"total": 1.5}}, "PARAM_ERROR /amount/total"),
        ("native", {"amount": {"total": "100"}}, "PARAM_ERROR /amount/total"),
        ("native", {"amount": {"total": 1, "currency": "USD"}}, "PARAM_ERROR /amount/currency"),
        ("native", {"notify_url": "https://shop.cn/n?a=1"}, "PARAM_ERROR /notify_url"),
        ("native", {"notify_url": "http://shop.cn/n"}, "PARAM_ERROR /notify_url"),
        ("native", {"notify_url": "https://[bad/n"}, "PARAM_ERROR /notify_url"),
        ("native", {"time_expire": "tomorrow"}, "PARAM_ERROR /time_expire"),
        ("native", {"time_expire": "2027-02-01T12:00:00"}, "PARAM_ERROR /time_expire"),
        ("native", {"attach": "x" * 129}, "PARAM_ERROR /attach"),
        ("native", {"appid": "wx0000000000000000"}, "APPID_MCHID_NOT_MATCH"),
        ("native", {"mchid": "1999999999"}, "MCH_NOT_EXISTS"),
    ],
)
async def test_placing(shop: Shop, method: str, changes: dict[str, object], outcome: str) -> None:
    reply = await shop.order(method, **changes)
    said = reply.json()
    if reply.status_code == 200:
        assert list(said) == [outcome]
    else:
        assert " ".join((said["code"], said["detail"]["field"]) if "detail" in said else (said["code"],)) == outcome
    assert shop.genuine(reply.headers, reply.content)


@pytest.mark.parametrize(
    ("raw", "code"),
    [(b"", "PARAM_ERROR"), (b"{", "PARAM_ERROR"), (b"[]", "PARAM_ERROR"), (b"\xff\xfe", "PARAM_ERROR")],
)
async def test_body_that_is_no_order(shop: Shop, raw: bytes, code: str) -> None:
    reply = await shop.call("POST", "/v3/pay/transactions/native", raw)
    assert (reply.status_code, reply.json()["code"]) == (400, code)


@pytest.mark.parametrize(
    ("first", "again", "outcome"),
    [
        ("nothing", {}, "same"),
        ("nothing", {"time_expire": "2027-02-01T12:00:00+08:00"}, "same"),
        ("nothing", {"amount": {"total": 101}}, "OUT_TRADE_NO_USED"),
        ("nothing", {"description": "tea"}, "OUT_TRADE_NO_USED"),
        ("scan", {}, "same"),
        ("pay", {}, "ORDERPAID"),
        ("pay", {"amount": {"total": 101}}, "ORDERPAID"),
        ("expire", {}, "ORDER_CLOSED"),
    ],
)
async def test_placing_again(sim: Sandbox, shop: Shop, first: str, again: dict[str, object], outcome: str) -> None:
    placed = (await shop.order()).json()
    if first != "nothing":
        await getattr(sim, first)(ORDER["out_trade_no"])
    said = (await shop.order(**again)).json()
    assert ("same" if said == placed else said["code"]) == outcome


async def test_an_order_of_another_type_with_the_same_number_is_refused(shop: Shop) -> None:
    await shop.order("native")
    assert (await shop.order("app")).json()["code"] == "OUT_TRADE_NO_USED"


async def test_a_link_is_renewed_after_two_hours_and_both_name_the_order(sim: Sandbox, shop: Shop) -> None:
    first = (await shop.order()).json()["code_url"]
    await sim.advance(7199)
    shop.now = NOON_MS // 1000 + 7199
    assert (await shop.order()).json()["code_url"] == first
    await sim.advance(1)
    second = (await shop.order()).json()["code_url"]
    assert second != first
    await sim.pay(first)
    assert await shop.state() == "SUCCESS"


@pytest.mark.parametrize(
    ("asked", "lives_ms"),
    [
        (None, 7 * DAY_MS),
        ("2027-01-15T16:00:01+08:00", 60_000),
        ("2020-01-01T00:00:00+08:00", 60_000),
        ("2027-01-15T16:05:00+08:00", 300_000),
        ("2027-01-15T08:05:00Z", 300_000),
        ("2099-01-01T00:00:00+08:00", 90 * DAY_MS),
    ],
)
async def test_how_long_an_order_lives(sim: Sandbox, shop: Shop, asked: str | None, lives_ms: int) -> None:
    await shop.order(time_expire=asked)
    await sim.advance(lives_ms // 1000 - 1)
    shop.now = NOON_MS // 1000 + lives_ms // 1000 - 1
    assert await shop.state() == "NOTPAY"
    await sim.advance(1)
    assert await shop.state() == "CLOSED"


async def test_query_of_a_paid_order_shows_coupon_and_payer(sim: Sandbox, shop: Shop) -> None:
    await shop.order()
    await sim.pay(ORDER["out_trade_no"], coupon_minor=30)
    said = (await shop.query()).json()
    assert said["amount"] == {"total": 100, "currency": "CNY", "payer_total": 70, "payer_currency": "CNY"}
    assert [one["amount"] for one in said["promotion_detail"]] == [30]
    assert said["success_time"] == "2027-01-15T16:00:00+08:00"
    assert len(said["transaction_id"]) == 28
    by_id = await shop.call("GET", f"/v3/pay/transactions/id/{said['transaction_id']}?mchid={shop.merchant.mchid}")
    assert by_id.json() == said


@pytest.mark.parametrize(
    ("target", "outcome"),
    [
        ("out-trade-no/T0000000001?mchid={mchid}", (200, "")),
        ("out-trade-no/T0000000009?mchid={mchid}", (404, "ORDER_NOT_EXIST")),
        ("out-trade-no/T0000000001", (400, "PARAM_ERROR")),
        ("out-trade-no/T0000000001?mchid=1", (403, "NO_AUTH")),
        ("id/4200000000202701150000000000?mchid={mchid}", (404, "ORDER_NOT_EXIST")),
        ("elsewhere/T0000000001?mchid={mchid}", (404, "RESOURCE_NOT_EXISTS")),
    ],
)
async def test_querying(shop: Shop, target: str, outcome: tuple[int, str]) -> None:
    await shop.order()
    reply = await shop.call("GET", "/v3/pay/transactions/" + target.format(mchid=shop.merchant.mchid))
    assert (reply.status_code, reply.json().get("code", "")) == outcome


@pytest.mark.parametrize(
    ("before", "outcome"),
    [
        (None, (404, "ORDER_NOT_EXIST")),
        ("nothing", (204, "")),
        ("close", (204, "")),
        ("expire", (204, "")),
        ("scan", (202, "USERPAYING")),
        ("pay", (400, "ORDERPAID")),
    ],
)
async def test_closing(sim: Sandbox, shop: Shop, before: str | None, outcome: tuple[int, str]) -> None:
    if before is not None:
        await shop.order()
    if before == "close":
        await shop.close()
    elif before in ("expire", "scan", "pay"):
        await getattr(sim, before)(ORDER["out_trade_no"])
    reply = await shop.close()
    assert (reply.status_code, reply.json()["code"] if reply.content else "") == outcome
    assert shop.genuine(reply.headers, reply.content)


async def test_merchants_do_not_see_each_other(sim: Sandbox, shop: Shop) -> None:
    other = Shop(await sim.create_merchant(NewMerchant()), now=shop.now)
    async with other.http:
        await shop.order()
        assert (await other.query()).json()["code"] == "ORDER_NOT_EXIST"
        assert (await other.order(mchid=shop.merchant.mchid)).json()["code"] == "NO_AUTH"
        assert (await other.order()).status_code == 200


async def test_the_same_seed_gives_the_same_ids(sim: Sandbox, shop: Shop) -> None:
    await shop.order()
    paid = await sim.pay(ORDER["out_trade_no"])
    ids = Ids("tests")
    link = ids.letters(9, "link", shop.merchant.mchid, ORDER["out_trade_no"], 1)
    notice = ids.hexadecimal(32, "notice", shop.merchant.mchid, ORDER["out_trade_no"], 1)
    assert (paid.code_url, paid.payments[0].notice_id) == (f"weixin://wxpay/bizpayurl?pr={link}", notice)
    assert (shop.merchant.mchid, shop.merchant.appid) == ("1656034332", "wx670391a781fb55fa")
