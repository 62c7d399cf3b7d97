"""Golden vectors: the SDK `wechatpayv3`, driven with the same key, time and nonce, must produce the same bytes."""

import base64
import json
import re

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from wechatpayv3 import WeChatPay, WeChatPayType
from wechatpayv3 import utils as sdk

from channels.otherside import (
    APIV3,
    APPID,
    MCHID,
    MERCHANT_SERIAL,
    NOW,
    NUMBER,
    PUBLIC_KEY_ID,
    account,
    key,
    notice,
    payment,
    private_pem,
    public_pem,
    sealed,
    signature_headers,
    transaction,
)
from tael.channels.contract import Method, PaymentRef
from tael.channels.wechat.keys import keys_of
from tael.channels.wechat.notices import Sealed, unseal, verify
from tael.channels.wechat.payments import build_close, build_create, build_query, sign_app, sign_jsapi
from tael.channels.wechat.signing import examine

NONCE = "0123456789ABCDEF0123456789ABCDEF"
ACCOUNT = account()


@pytest.fixture
def client() -> WeChatPay:
    return WeChatPay(
        WeChatPayType.NATIVE, MCHID, private_pem("merchant").decode(), MERCHANT_SERIAL, APPID, APIV3,
        "https://pay.example.com/n", public_key=public_pem("platform").decode(), public_key_id=PUBLIC_KEY_ID,
    )  # fmt: skip


def fields(authorization: str) -> dict[str, str]:
    scheme, _, rest = authorization.partition(" ")
    assert scheme == "WECHATPAY2-SHA256-RSA2048"
    return dict(re.findall(r'(\w+)="([^"]*)"', rest))


REQUESTS = [
    build_create(ACCOUNT, payment(), now=NOW, nonce=NONCE),
    build_create(ACCOUNT, payment(Method.JSAPI), now=NOW, nonce=NONCE),
    build_query(ACCOUNT, PaymentRef(NUMBER), now=NOW, nonce=NONCE),
    build_query(ACCOUNT, PaymentRef(NUMBER, "4200001234202603021234567890"), now=NOW, nonce=NONCE),
    build_close(ACCOUNT, PaymentRef(NUMBER), now=NOW, nonce=NONCE),
]


@pytest.mark.parametrize("request_", REQUESTS, ids=[request.target for request in REQUESTS])
def test_authorization_is_the_sdks(request_, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sdk.time, "time", NOW.timestamp)
    theirs = sdk.build_authorization(
        request_.target, request_.method, MCHID, MERCHANT_SERIAL, key("merchant"), request_.body.decode(), NONCE
    )
    ours = dict(request_.headers)
    assert fields(ours["Authorization"]) == fields(theirs)
    assert ours["Wechatpay-Serial"] == PUBLIC_KEY_ID
    assert {"Accept", "User-Agent"} <= ours.keys()


def test_canonical_text_is_five_lines_that_end_in_newlines():
    built = build_query(ACCOUNT, PaymentRef(NUMBER), now=NOW, nonce=NONCE)
    signature = base64.b64decode(fields(dict(built.headers)["Authorization"])["signature"])
    text = f"GET\n/v3/pay/transactions/out-trade-no/{NUMBER}?mchid={MCHID}\n1772424306\n{NONCE}\n\n"
    key("merchant").public_key().verify(signature, text.encode(), padding.PKCS1v15(), hashes.SHA256())


def test_jsapi_and_app_parameters_are_signed_like_the_sdks(client: WeChatPay):
    ours = sign_jsapi(ACCOUNT, "wx2014", now=NOW, nonce=NONCE)
    assert ours["paySign"] == client.sign([APPID, "1772424306", NONCE, "prepay_id=wx2014"])
    assert (ours["package"], ours["signType"], ours["timeStamp"]) == ("prepay_id=wx2014", "RSA", "1772424306")
    app = sign_app(ACCOUNT, "wx2014", now=NOW, nonce=NONCE)
    assert app["sign"] == client.sign([APPID, "1772424306", NONCE, "wx2014"])
    assert (app["package"], app["partnerid"]) == ("Sign=WXPay", MCHID)


def test_sealed_parts_open_like_the_sdks():
    seal = sealed(json.dumps(transaction()).encode())
    theirs = sdk.aes_decrypt(seal["nonce"], seal["ciphertext"], seal["associated_data"], APIV3)
    ours = unseal(
        keys_of(ACCOUNT), Sealed(seal["algorithm"], seal["ciphertext"], seal["nonce"], seal["associated_data"])
    )
    assert ours.decode() == theirs


def test_the_sdk_believes_what_we_believe(client: WeChatPay):
    raw = notice()
    headers = {name.title(): value for name, value in signature_headers(raw)}
    assert client.callback(headers, raw)["resource"]["out_trade_no"] == NUMBER
    assert verify(ACCOUNT, list(headers.items()), raw, now=NOW).subject.number == NUMBER


def test_an_empty_204_is_signed_over_an_empty_line():
    assert examine(signature_headers(b""), b"", keys_of(ACCOUNT).keyring, now=NOW) is None


def test_create_body_is_what_the_documentation_says():
    body = json.loads(build_create(ACCOUNT, payment(Method.H5), now=NOW, nonce=NONCE).body)
    assert body == {
        "appid": APPID, "mchid": MCHID, "description": "充值 1 元", "out_trade_no": NUMBER,
        "time_expire": "2026-03-02T12:35:06+08:00", "notify_url": "https://pay.example.com/v1/notices/wechat/7",
        "amount": {"total": 100, "currency": "CNY"},
        "scene_info": {"payer_client_ip": "203.0.113.9", "h5_info": {"type": "Wap"}},
    }  # fmt: skip


def test_the_same_request_later_has_the_same_body():
    first, later = (build_create(ACCOUNT, payment(), now=NOW, nonce=nonce).body for nonce in ("a" * 32, "b" * 32))
    assert first == later
