"""The pages a buyer of Alipay sees, and the way back to the shop."""

import re
from urllib.parse import parse_qsl, urlencode, urlsplit

import httpx2
import pytest
from tael_sandbox_alipay import NUMBER, Door, Store

from tael_sandbox import Sandbox

PRODUCTS = {
    "trade.page.pay": "FAST_INSTANT_TRADE_PAY",
    "trade.wap.pay": "QUICK_WAP_WAY",
    "trade.app.pay": "QUICK_MSECURITY_PAY",
}


async def _open(store: Store, method: str = "trade.page.pay", **common: str) -> httpx2.Response:
    content = {"out_trade_no": NUMBER, "total_amount": "88.80", "subject": "<b>tea</b>"}
    said = store.signed(method, content | {"product_code": PRODUCTS[method]}, **common)
    first = await store.http.get(f"{store.merchant.gateway}?{urlencode(said)}")
    assert first.status_code == 302, first.text
    return await store.http.get(first.headers["location"])


async def _press(store: Store, page: str, action: str) -> httpx2.Response:
    form = re.search(rf'<form method="post" action="{action}">(.*?)</form>', page, re.DOTALL)
    assert form is not None
    fields = dict(re.findall(r'name="(\w+)" value="([^"]*)"', form[1]))
    base = store.merchant.gateway.removesuffix("/gateway.do")
    back = await store.http.post(base + action, data=fields)
    return await store.http.get(base + back.headers["location"])


@pytest.mark.parametrize("method", PRODUCTS)
async def test_a_person_pays_and_goes_back_to_the_shop(sim: Sandbox, store: Store, door: Door, method: str) -> None:
    page = await _open(store, method, notify_url=door.url, return_url="https://shop.example.cn/done?a=1")
    assert "¥ 88.80" in page.text
    assert "&lt;b&gt;tea" in page.text
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert await store.state() == "ACQ.TRADE_NOT_EXIST"
    refused = await _press(store, page.text, "/alipay/decline")
    assert "the payment was declined" in refused.text
    after = await _press(store, refused.text, "/alipay/pay")
    assert "<strong>Paid</strong>" in after.text
    assert "<button" not in after.text
    await sim.drain()
    assert store.hears(door.heard[0])["total_amount"] == "88.80"
    link = re.search(r'<a href="(https://shop[^"]+)"', after.text)
    assert link is not None
    back = urlsplit(link[1].replace("&amp;", "&"))
    said = store.hears(back.query.removeprefix("a=1&").encode())
    assert (said["out_trade_no"], said["method"]) == (NUMBER, f"alipay.{method}.return")
    assert dict(parse_qsl(back.query))["a"] == "1"


async def test_a_qr_code_opens_a_page_and_the_list_shows_it(sim: Sandbox, store: Store) -> None:
    said = await store.order()
    page = await store.http.get(str(said["qr_code"]), params={"lang": "zh"})
    assert "付款" in page.text
    listed = await store.http.get(f"{sim.base_url}/alipay", headers={"Accept-Language": "zh-CN"})
    assert NUMBER in listed.text
    assert "最近的交易" in listed.text
    assert (await store.http.get(f"{sim.base_url}/alipay/q/nothing")).status_code == 404
    assert (await store.http.post(f"{sim.base_url}/alipay/pay", data={"link": "nothing"})).status_code == 404


async def test_other_web_pages_may_not_press(sim: Sandbox, store: Store) -> None:
    await store.order()
    for path in ("/_sim/alipay/pay", "/alipay/pay"):
        reply = await store.http.post(sim.base_url + path, headers={"Origin": "https://evil.example"})
        assert reply.status_code == 403


async def test_a_page_that_is_refused(store: Store) -> None:
    content = {"out_trade_no": NUMBER, "total_amount": "1.00", "subject": "tea", "product_code": "OTHER"}
    assert await store.code("trade.page.pay", content) == "ACQ.INVALID_PARAMETER"


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "nothing", "", 404),
        ("POST", "pay", "{", 400),
        ("POST", "pay", "{}", 400),
        ("POST", "pay", '{"name":"nothing"}', 404),
        ("POST", "pay", '{"name":"A0000000001","amount_minor":0}', 409),
        ("POST", "refund", '{"name":"A0000000001"}', 409),
        ("POST", "finish", '{"name":"A0000000001"}', 409),
        ("POST", "renotify", '{"name":"A0000000001"}', 409),
        ("POST", "settle", '{"name":"nothing"}', 404),
        ("POST", "top_up", '{"amount_minor":0}', 409),
        ("POST", "merchants", '{"app_id":"../x"}', 409),
        ("POST", "merchants/none", "{}", 404),
        ("POST", "rotate", '{"app_id":"none"}', 404),
    ],
)
async def test_control_refuses(sim, store, method: str, path: str, body: str, status: int) -> None:
    await store.order()
    reply = await store.http.request(method, f"{sim.base_url}/_sim/alipay/{path}", content=body)
    assert (reply.status_code, bool(reply.json()["error"])) == (status, True)
