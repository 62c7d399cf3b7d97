"""Golden vectors: what Alipay's SDKs sign and check for fixed keys and parameters, kept in ``alipay_vectors.json``.

The file is what an adapter is compared with; here it is compared with the SDKs. TAEL_RECORD_VECTORS=1 writes it anew
from them, with the keys that it holds.
"""

import base64
import json
import os
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import parse_qsl, urlencode

import pytest
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from peers_alipay import Client
from test_alipay_sdk_python import keys

FILE = Path(__file__).parent / "alipay_vectors.json"
RECORD = os.environ.get("TAEL_RECORD_VECTORS") == "1"
AT = "2027-01-15 16:00:00"
APP = "2021000000000001"
ODD = '咖啡 "large" \\ 50% & more = + / } {'
# SDK method, biz_content, further parameters
REQUESTS = {
    "query": ("alipay.trade.query", {"out_trade_no": "A1"}, {}),
    "precreate": (
        "alipay.trade.precreate",
        {"out_trade_no": "A1", "total_amount": "0.01", "subject": ODD},
        {"notify_url": "https://shop.example.cn/notice?a=1&b=2"},
    ),
    "page": (
        "alipay.trade.page.pay",
        {"out_trade_no": "A1", "total_amount": "88.80", "subject": ODD, "product_code": "FAST_INSTANT_TRADE_PAY"},
        {"notify_url": "https://shop.example.cn/n", "return_url": "https://shop.example.cn/done?x=1"},
    ),
    "refund": (
        "alipay.trade.refund",
        {"out_trade_no": "A1", "refund_amount": "0.30", "out_request_no": "r1", "refund_reason": "颜色不对"},
        {},
    ),
    "transfer": (
        "alipay.fund.trans.uni.transfer",
        {
            "out_biz_no": "T1", "trans_amount": "10.00", "product_code": "TRANS_ACCOUNT_NO_PWD",
            "biz_scene": "DIRECT_TRANSFER", "order_title": "工资",
            "payee_info": {"identity": "2088123412341234", "identity_type": "ALIPAY_USER_ID", "name": "张三"},
        },
        {},
    ),
}  # fmt: skip
OFFICIAL = {
    "query": "AlipayTradeQuery", "precreate": "AlipayTradePrecreate", "page": "AlipayTradePagePay",
    "refund": "AlipayTradeRefund", "transfer": "AlipayFundTransUniTransfer",
}  # fmt: skip
NOTICES = {
    "payment": {
        "app_id": APP, "charset": "utf-8", "version": "1.0", "sign_type": "RSA2", "notify_id": "n1",
        "notify_time": AT, "out_trade_no": "A1", "trade_status": "TRADE_SUCCESS", "total_amount": "0.01",
        "subject": ODD, "fund_bill_list": '[{"amount":"0.01","fundChannel":"ALIPAYACCOUNT"}]', "a_new_field": "x=y&z",
    },
    "transfer": {
        "app_id": APP, "charset": "utf-8", "version": "1.1", "sign_type": "RSA2", "notify_id": "n2",
        "utc_timestamp": "1800000000000", "msg_method": "alipay.fund.trans.order.changed",
        "biz_content": '{"out_biz_no":"T1","status":"SUCCESS","trans_amount":"10.00"}',
    },
}  # fmt: skip


def _kept() -> dict[str, object]:
    return json.loads(FILE.read_text())


def _compare(section: str, name: str, said: object) -> None:
    kept = _kept()
    if RECORD:
        kept.setdefault(section, {})[name] = said
        FILE.write_text(json.dumps(kept, ensure_ascii=False, indent=2) + "\n")
    assert _kept()[section][name] == said


@pytest.fixture
async def simple(python_alipay_sdk: Path) -> AsyncIterator[Client]:
    kept = _kept()
    arguments = {
        "appid": APP, "app_private_key_string": kept["private_key"], "alipay_public_key_string": kept["public_key"],
    }  # fmt: skip
    settings = {"kind": "AliPay", "gateway": "", "arguments": arguments}
    async with Client.start(python_alipay_sdk, "client_python_alipay_sdk.py", **settings) as client:
        yield client


@pytest.fixture
async def certified(python_alipay_sdk: Path) -> AsyncIterator[Client]:
    kept = _kept()
    arguments = {
        "appid": APP, "app_private_key_string": kept["private_key"],
        "app_public_key_cert_string": kept["certificates"]["app"],
        "alipay_public_key_cert_string": kept["certificates"]["alipay"],
        "alipay_root_cert_string": kept["certificates"]["root"],
    }  # fmt: skip
    settings = {"kind": "DCAliPay", "gateway": "", "arguments": arguments}
    async with Client.start(python_alipay_sdk, "client_python_alipay_sdk.py", **settings) as client:
        yield client


@pytest.mark.parametrize("mode", ["public_key", "certificate"])
@pytest.mark.parametrize("name", REQUESTS)
async def test_what_python_alipay_sdk_signs(simple: Client, certified: Client, name: str, mode: str) -> None:
    method, content, more = REQUESTS[name]
    client = simple if mode == "public_key" else certified
    said = await client.ask("canonical", method=method, content=content, timestamp=AT, more=more)
    assert isinstance(said, dict)
    _compare("python-alipay-sdk", f"{name} {mode}", _vector(said, "utf-8"))


@pytest.mark.parametrize("charset", ["utf-8", "GBK"])
@pytest.mark.parametrize("name", REQUESTS)
async def test_what_alipay_sdk_python_signs(alipay_sdk_python: Path, name: str, charset: str) -> None:
    _, content, more = REQUESTS[name]
    kept = _kept()
    config = {"app_id": APP, "charset": charset} | keys(kept["private_key"], kept["public_key"])
    settings = {"port": 0, "config": config}
    async with Client.start(alipay_sdk_python, "client_alipay_sdk_python.py", **settings) as client:
        said = await client.ask("canonical", name=OFFICIAL[name], content=content, more=more, timestamp=AT)
    assert isinstance(said, dict)
    _compare("alipay-sdk-python", f"{name} {charset}", _vector(said, charset))


@pytest.mark.parametrize("name", NOTICES)
async def test_what_a_notice_is_checked_over(simple: Client, name: str) -> None:
    said = NOTICES[name]
    text = "&".join(f"{key}={value}" for key, value in sorted(said.items()) if key != "sign_type")
    key = load_pem_private_key(_kept()["private_key"].encode(), None)
    sign = base64.b64encode(key.sign(text.encode(), PKCS1v15(), SHA256())).decode()
    checked = await simple.ask("verified", data=said, signature=sign)
    assert checked == {"verdict": True, "text": text}
    _compare("notices", name, {"form": urlencode(said | {"sign": sign}), "text": text, "sign": sign})


async def test_certificate_numbers(certified: Client) -> None:
    said = await certified.ask("attributes", names=["app_cert_sn", "alipay_root_cert_sn"])
    alipay = await certified.ask("get_cert_sn", cert=_kept()["certificates"]["alipay"])
    assert isinstance(said, dict)
    _compare("certificates", "sn", said | {"alipay_cert_sn": alipay})


def _vector(said: dict[str, str], charset: str) -> dict[str, object]:
    """``parameters`` in the order of the wire, without ``sign``; ``text`` is what was signed."""
    pairs = dict(parse_qsl(said["wire"], encoding=charset))
    assert pairs.pop("sign") == said["sign"]
    return {"charset": charset, "parameters": pairs, "text": said["text"], "sign": said["sign"], "wire": said["wire"]}
