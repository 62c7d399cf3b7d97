"""Who may call, and which key answers."""

import asyncio

import pytest
from tael_sandbox_shop import NOON_MS, Shop

from tael_sandbox import ChangeMerchant, Sandbox

NOON_S = NOON_MS // 1000
PATH = "/v3/pay/transactions/out-trade-no/T0000000001?mchid={mchid}"


@pytest.mark.parametrize(
    ("said", "status"),
    [
        ({}, 404),
        ({"mchid": "1900000000"}, 401),
        ({"serial_no": "ABCDEF"}, 401),
        ({"nonce_str": "other"}, 401),
        ({"timestamp": str(NOON_S + 1)}, 401),
        ({"timestamp": "soon"}, 401),
        ({"timestamp": "9" * 5000}, 401),
        ({"signature": ""}, 401),
        ({"signature": "not base64!"}, 401),
        ({"signature": "AAAA"}, 401),
        ({"extra": "x"}, 401),
    ],
)
async def test_a_value_changed_after_signing(shop: Shop, said: dict[str, str], status: int) -> None:
    target = PATH.format(mchid=shop.merchant.mchid)
    reply = await shop.call("GET", target, Authorization=shop.authorize("GET", target, b"", **said))
    assert reply.status_code == status


@pytest.mark.parametrize(
    ("headers", "outcome"),
    [
        ({"Authorization": ""}, (401, "SIGN_ERROR")),
        ({"Authorization": "Bearer x"}, (401, "SIGN_ERROR")),
        ({"Authorization": "WECHATPAY2-SHA256-RSA2048 mchid"}, (401, "SIGN_ERROR")),
        ({"Accept": "text/html"}, (400, "PARAM_ERROR")),
        ({"User-Agent": ""}, (400, "PARAM_ERROR")),
        ({"Accept": "*/*"}, (404, "ORDER_NOT_EXIST")),
    ],
)
async def test_headers(shop: Shop, headers: dict[str, str], outcome: tuple[int, str]) -> None:
    reply = await shop.call("GET", PATH.format(mchid=shop.merchant.mchid), **headers)
    assert (reply.status_code, reply.json()["code"]) == outcome


async def test_the_five_pairs_may_come_in_any_order(shop: Shop) -> None:
    target = PATH.format(mchid=shop.merchant.mchid)
    scheme, _, pairs = shop.authorize("GET", target, b"").partition(" ")
    turned = ",".join(reversed(pairs.split(",")))
    reply = await shop.call("GET", target, Authorization=f"{scheme} {turned}")
    assert reply.status_code == 404


@pytest.mark.parametrize(
    ("seconds", "status"), [(0, 404), (-299, 404), (299, 404), (-300, 401), (300, 401), (-86_400, 401)]
)
async def test_five_minutes_each_way(shop: Shop, seconds: int, status: int) -> None:
    shop.now = NOON_S + seconds
    assert (await shop.query()).status_code == status


async def test_a_tampered_body_is_refused(shop: Shop) -> None:
    target = "/v3/pay/transactions/native"
    header = shop.authorize("POST", target, b'{"amount":{"total":1}}')
    reply = await shop.call("POST", target, b'{"amount":{"total":9}}', Authorization=header)
    assert (reply.status_code, reply.json()["code"]) == (401, "SIGN_ERROR")
    assert "wechatpay-signature" not in reply.headers


async def test_the_target_is_verified_as_it_was_on_the_wire(shop: Shop) -> None:
    await shop.order(out_trade_no="A|B*C_1")
    assert (await shop.query("A%7CB%2AC_1")).json()["out_trade_no"] == "A|B*C_1"
    target = PATH.format(mchid=shop.merchant.mchid).replace("T0000000001", "A%7CB%2AC_1")
    unencoded = target.replace("%7C", "|").replace("%2A", "*")
    reply = await shop.call("GET", target, Authorization=shop.authorize("GET", unencoded, b""))
    assert reply.status_code == 401


async def test_an_absolute_target_as_proxies_send_it(shop: Shop) -> None:
    target, host = PATH.format(mchid=shop.merchant.mchid), shop.merchant.base_url
    lines = (f"GET {host}{target} HTTP/1.1", "host: 127.0.0.1", "accept: application/json", "user-agent: raw")
    lines += ("connection: close", f"authorization: {shop.authorize('GET', target, b'')}", "", "")
    reader, writer = await asyncio.open_connection("127.0.0.1", int(host.rpartition(":")[2]))
    writer.write("\r\n".join(lines).encode())
    assert b"ORDER_NOT_EXIST" in await reader.read()
    writer.close()


@pytest.mark.parametrize(
    ("mode", "asked", "signs"),
    [
        ("public_key", None, "public_key"),
        ("public_key", "public_key", "public_key"),
        ("certificate", None, "certificate"),
        ("certificate", "public_key", "certificate"),
        ("both", None, "certificate"),
        ("both", "certificate", "certificate"),
        ("both", "public_key", "public_key"),
        ("both", "7777", "certificate"),
    ],
)
async def test_which_key_signs_a_reply(sim: Sandbox, shop: Shop, mode: str, asked: str | None, signs: str) -> None:
    await sim.change_merchant(shop.merchant.mchid, ChangeMerchant(mode=mode))
    ids = {"public_key": shop.merchant.public_key_id, "certificate": shop.merchant.platform_certificates[0].serial}
    headers = {} if asked is None else {"Wechatpay-Serial": ids.get(asked, asked)}
    reply = await shop.call("GET", PATH.format(mchid=shop.merchant.mchid), **headers)
    assert reply.headers["wechatpay-serial"] == ids[signs]
    assert shop.genuine(reply.headers, reply.content)
    assert reply.headers["wechatpay-signature-type"] == "WECHATPAY2-SHA256-RSA2048"
    assert reply.headers["wechatpay-timestamp"] == str(NOON_S)
    assert reply.headers["request-id"]


async def test_certificates_are_sealed_and_rotate_in_steps(sim: Sandbox, shop: Shop) -> None:
    first = await _served(shop)
    assert first == {one.serial: one.pem for one in shop.merchant.platform_certificates}
    shop.merchant = await sim.rotate("add")
    old, new = (one.serial for one in shop.merchant.platform_certificates)
    assert set(await _served(shop)) == {old, new}
    assert (await shop.query()).headers["wechatpay-serial"] == old
    shop.merchant = await sim.rotate("switch")
    assert set(await _served(shop)) == {old, new}
    reply = await shop.query()
    assert reply.headers["wechatpay-serial"] == new
    assert shop.genuine(reply.headers, reply.content)
    shop.merchant = await sim.rotate("retire")
    assert set(await _served(shop)) == {new}


async def test_in_public_key_mode_there_is_no_certificate(sim: Sandbox, shop: Shop) -> None:
    await sim.change_merchant(shop.merchant.mchid, ChangeMerchant(mode="public_key"))
    reply = await shop.call("GET", "/v3/certificates")
    assert (reply.status_code, reply.json()["code"]) == (404, "RESOURCE_NOT_EXISTS")


async def test_signatures_can_follow_the_machine_while_sandbox_days_pass(sim: Sandbox, shop: Shop) -> None:
    await sim.set_clock(wire="machine")
    await sim.advance(86_400)
    shop.now = None
    await shop.order()
    reply = await shop.query()
    assert reply.status_code == 200
    assert abs(int(reply.headers["wechatpay-timestamp"]) - NOON_S) > 300


async def _served(shop: Shop) -> dict[str, str]:
    reply = await shop.call("GET", "/v3/certificates")
    assert shop.genuine(reply.headers, reply.content)
    return {one["serial_no"]: _opened(shop, one["encrypt_certificate"]) for one in reply.json()["data"]}


def _opened(shop: Shop, sealed: dict[str, str]) -> str:
    assert sealed["associated_data"] == "certificate"
    return shop.decrypt(sealed).decode()
