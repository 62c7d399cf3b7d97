"""The cashier page, the hand-off to WeChat clients, and who may press what."""

import re

import pytest
from tael_sandbox_shop import NOON_MS, ORDER, Ear, Shop

from tael_sandbox import AppParams, JsapiParams, Refused, Sandbox

NUMBER = ORDER["out_trade_no"]


async def test_a_person_pays_by_pressing_the_button(sim: Sandbox, shop: Shop, ear: Ear) -> None:
    code_url = (await shop.order(notify_url=ear.url)).json()["code_url"]
    page = await shop.http.get(f"{sim.base_url}/cashier", params={"code_url": code_url})
    assert "¥ 1.00" in page.text
    assert 'class="pill">Sandbox' in page.text
    assert "<script" not in page.text
    back = await _press(shop, page.text, "/cashier/pay")
    assert back.status_code == 303
    after = await shop.http.get(sim.base_url + back.headers["location"])
    assert "<strong>Paid</strong>" in after.text
    assert "<button" not in after.text
    await sim.drain()
    assert shop.read(ear.heard[0])["out_trade_no"] == NUMBER


async def test_a_person_declines_and_may_pay_later(sim: Sandbox, shop: Shop) -> None:
    code_url = (await shop.order()).json()["code_url"]
    page = await shop.http.get(f"{sim.base_url}/cashier", params={"code_url": code_url, "lang": "zh"})
    assert "付款" in page.text
    back = await _press(shop, page.text, "/cashier/decline")
    after = await shop.http.get(sim.base_url + back.headers["location"])
    assert "付款被拒绝" in after.text
    await _press(shop, after.text, "/cashier/pay")
    assert await shop.state() == "SUCCESS"


async def test_pressing_twice_pays_once(sim: Sandbox, shop: Shop) -> None:
    code_url = (await shop.order()).json()["code_url"]
    page = await shop.http.get(f"{sim.base_url}/cashier", params={"code_url": code_url})
    for _ in range(2):
        assert (await _press(shop, page.text, "/cashier/pay")).status_code == 303
    assert len((await sim.order(NUMBER)).payments) == 1


@pytest.mark.parametrize(
    ("path", "headers", "outcome"),
    [
        ("/", {}, (200, "Latest orders")),
        ("/", {"Accept-Language": "zh-CN,zh;q=0.9"}, (200, "最近的订单")),
        ("/?lang=zh", {}, (200, "最近的订单")),
        ("/cashier?code_url=weixin://wxpay/bizpayurl?pr=nothing", {}, (404, "does not exist")),
        ("/cashier", {}, (404, "does not exist")),
        ("/nowhere", {}, (404, "does not exist")),
    ],
)
async def test_pages(sim, shop, path: str, headers: dict[str, str], outcome: tuple[int, str]) -> None:
    await shop.order()
    page = await shop.http.get(sim.base_url + path, headers=headers)
    assert (page.status_code, outcome[1] in page.text) == (outcome[0], True)


async def test_text_of_a_merchant_is_not_markup(sim: Sandbox, shop: Shop) -> None:
    code_url = (await shop.order(description="<script>alert(1)</script>")).json()["code_url"]
    for page in (
        await shop.http.get(f"{sim.base_url}/cashier", params={"code_url": code_url}),
        await shop.http.get(f"{sim.base_url}/"),
    ):
        assert "<script>" not in page.text
        assert "&lt;script&gt;" in page.text
        assert "default-src 'none'" in page.headers["content-security-policy"]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Host": "evil.example"}, 403),
    ],
)
async def test_other_web_pages_may_not_press(sim, shop, headers: dict[str, str], status: int) -> None:
    await shop.order()
    reply = await shop.http.post(f"{sim.base_url}/_sim/pay", json={"out_trade_no": NUMBER}, headers=headers)
    assert reply.status_code == status


async def test_an_h5_link_opens_the_cashier_for_five_minutes(sim: Sandbox, shop: Shop) -> None:
    scene = {"payer_client_ip": "1.2.3.4", "h5_info": {"type": "Wap"}}
    link = (await shop.order("h5", scene_info=scene)).json()["h5_url"]
    assert (await shop.http.get(link)).status_code == 200
    assert (await shop.http.get(link + "x")).status_code == 404
    await sim.advance(300)
    assert (await shop.http.get(link)).status_code == 404


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({}, 200),
        ({"nonceStr": "other"}, 409),
        ({"timeStamp": "1"}, 409),
        ({"appId": "wx1"}, 409),
        ({"package": "prepay_id=wx1"}, 409),
        ({"signType": "MD5"}, 409),
        ({"paySign": "AAAA"}, 409),
    ],
)
async def test_jsapi_parameters(sim, shop, changes: dict[str, str], status: int) -> None:
    prepay_id = (await shop.order("jsapi", payer={"openid": "o1"})).json()["prepay_id"]
    appid, package = shop.merchant.appid, f"prepay_id={prepay_id}"
    said = {"appId": appid, "timeStamp": "1800000000", "nonceStr": "n", "package": package, "signType": "RSA"}
    said["paySign"] = shop.sign(f"{appid}\n1800000000\nn\n{package}\n".encode())
    assert await _opened(sim.open_jsapi(JsapiParams(**said | changes))) == status


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({}, 200),
        ({"noncestr": "other"}, 409),
        ({"partnerid": "1"}, 409),
        ({"package": "Sign"}, 409),
        ({"prepayid": "x"}, 409),
    ],
)
async def test_app_parameters(sim, shop, changes: dict[str, str], status: int) -> None:
    prepay_id = (await shop.order("app")).json()["prepay_id"]
    appid, mchid = shop.merchant.appid, shop.merchant.mchid
    said = {"appid": appid, "partnerid": mchid, "prepayid": prepay_id, "package": "Sign=WXPay"}
    said |= {"noncestr": "n", "timestamp": "1800000000"}
    said["sign"] = shop.sign(f"{appid}\n1800000000\nn\n{prepay_id}\n".encode())
    assert await _opened(sim.open_app(AppParams(**said | changes))) == status


async def test_a_prepay_id_is_good_for_two_hours(sim: Sandbox, shop: Shop) -> None:
    prepay_id = (await shop.order("jsapi", payer={"openid": "o1"})).json()["prepay_id"]
    appid, package = shop.merchant.appid, f"prepay_id={prepay_id}"
    sign = shop.sign(f"{appid}\n1\nn\n{package}\n".encode())
    said = JsapiParams(appId=appid, timeStamp="1", nonceStr="n", package=package, signType="RSA", paySign=sign)
    await sim.advance(7_199)
    assert await _opened(sim.open_jsapi(said)) == 200
    await sim.advance(1)
    assert await _opened(sim.open_jsapi(said)) == 409


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "nothing", "", 404),
        ("POST", "pay", "{", 400),
        ("POST", "pay", '{"out_trade_no":5}', 400),
        ("POST", "pay", '{"unknown":1}', 400),
        ("POST", "pay", '{"out_trade_no":"nothing"}', 404),
        ("POST", "pay", '{"out_trade_no":"T0000000001","amount_minor":0}', 409),
        ("POST", "pay", '{"out_trade_no":"T0000000001","coupon_minor":101}', 409),
        ("POST", "refund", '{"out_trade_no":"T0000000001"}', 409),
        ("POST", "renotify", '{"out_trade_no":"T0000000001"}', 409),
        ("POST", "decline", '{"out_trade_no":"T0000000001","state":"SUCCESS"}', 409),
        ("POST", "merchants", '{"mchid":"../x"}', 409),
        ("POST", "merchants/none", "{}", 404),
        ("POST", "rotate", '{"mchid":"none"}', 404),
        ("POST", "rotate", '{"stage":"none"}', 400),
        ("POST", "clock", '{"mode":"fast"}', 400),
        ("POST", "faults", '{"operation":"create","kind":"none"}', 400),
    ],
)
async def test_control_refuses(sim, shop, method: str, path: str, body: str, status: int) -> None:
    await shop.order()
    reply = await shop.http.request(method, f"{sim.base_url}/_sim/{path}", content=body)
    assert reply.status_code == status
    assert reply.json()["error"]


async def test_the_clock_can_stand_run_and_jump(sim: Sandbox) -> None:
    assert (await sim.clock()).now_ms == NOON_MS
    assert (await sim.advance(10)).now_ms == NOON_MS + 10_000
    real = await sim.set_clock(mode="real")
    assert abs(real.now_ms - NOON_MS) > 10_000
    assert (await sim.advance(1000)).now_ms - real.now_ms >= 1_000_000


async def _press(shop: Shop, page: str, action: str) -> object:
    form = re.search(rf'<form method="post" action="{action}">(.*?)</form>', page, re.DOTALL)
    fields = dict(re.findall(r'name="(\w+)" value="([^"]*)"', form[1]))
    return await shop.http.post(shop.merchant.base_url + action, data=fields)


async def _opened(opening: object) -> int:
    try:
        await opening
    except Refused as refused:
        return refused.status
    return 200
