"""Notices: everything a stranger, another merchant or a broken channel may send to the one door without a key."""

import base64
from collections.abc import Callable

from attacks.arena import Arena, Call, Case
from attacks.cases.letters import Letter, write

_XXE_FILE = b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY f SYSTEM "file:///etc/passwd">]><xml><a>&f;</a></xml>'
_XXE_HTTP = b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY f SYSTEM "http://127.0.0.1:9/x">]><xml><a>&f;</a></xml>'
_LAUGHS = b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]><xml>&b;</xml>'
_DTD = b'<?xml version="1.0"?><!DOCTYPE x SYSTEM "http://127.0.0.1:9/x.dtd"><xml/>'


def _posted(content: bytes, **headers: str) -> Callable[[Arena], Call]:
    def build(arena: Arena) -> Call:
        path = f"/v1/notices/wechat/{arena.shop.merchant_account}"
        return Call("POST", path, content, {name.replace("_", "-"): value for name, value in headers.items()}, "")

    return build


def _signed(content: bytes) -> Callable[[Arena], Call]:
    """Anything at all, signed by the platform itself."""
    return lambda arena: write(arena, body=lambda good: content).call(arena)


def _letter(**changes: object) -> Callable[[Arena], Call]:
    return lambda arena: write(arena, **changes).call(arena)


def _spoilt(change: Callable[[Letter], Letter]) -> Callable[[Arena], Call]:
    return lambda arena: change(write(arena)).call(arena)


def _to(path: str) -> Callable[[Arena], Call]:
    def build(arena: Arena) -> Call:
        call = write(arena).call(arena)
        return Call("POST", path, call.content, call.headers, "")

    return build


def _header(name: str, value: str | None) -> Callable[[Letter], Letter]:
    return lambda letter: letter.with_header(name, value)


def _probe(letter: Letter) -> Letter:
    """What WeChat sends to see whether signatures are checked."""
    return letter.with_header(_SIGNATURE, "WECHATPAY/SIGNTEST/" + letter.headers[_SIGNATURE])


_SIGNATURE = "Wechatpay-Signature"
_STRANGERS = [
    ("N01", "external entity of a file", _XXE_FILE), ("N02", "external entity over HTTP", _XXE_HTTP),
    ("N03", "entities that explode", _LAUGHS), ("N04", "a document type", _DTD), ("N05", "an empty body", b""),
    ("N05", "JSON without a signature", b'{"id":"1","event_type":"TRANSACTION.SUCCESS"}'),
    ("N19", "a form with a parameter twice", b"trade_status=SUCCESS&total_amount=1&total_amount=100"),
    ("N20", "a form in GBK", b"subject=" + "充值".encode("gbk")),
]  # fmt: skip
_ENVELOPES = [
    ("N05", "wrong signature", _header(_SIGNATURE, base64.b64encode(b"x" * 256).decode())),
    ("N05", "a probe", _probe),
    ("N05", "an empty signature", _header(_SIGNATURE, "")),
    ("N05", "no signature", _header(_SIGNATURE, None)),
    ("S14", "no timestamp", _header("Wechatpay-Timestamp", None)),
    ("S14", "a timestamp that is no number", _header("Wechatpay-Timestamp", "soon")),
    ("N06", "no serial", _header("Wechatpay-Serial", None)),
    ("N06", "an unknown serial", _header("Wechatpay-Serial", "7" * 40)),
    ("S17", "an algorithm called none", _header("Wechatpay-Signature-Type", "none")),
    ("S11", "another body under this signature", lambda letter: letter.with_body(letter.body + b" ")),
]  # fmt: skip
_PLACES = [
    ("of another channel", "/v1/notices/alipay/1", 404), ("of no channel", "/v1/notices/x/1", 404),
    ("to an account that is not", "/v1/notices/wechat/999", 404), ("to account 0", "/v1/notices/wechat/0", 404),
    ("to a word", "/v1/notices/wechat/abc", 404), ("to NUL", "/v1/notices/wechat/%00", 404),
    ("to Arabic digits", "/v1/notices/wechat/%D9%A1", 404),
    ("to 5,000 digits", "/v1/notices/wechat/" + "9" * 5000, 404),
    ("to minus one", "/v1/notices/wechat/-1", 404),
]  # fmt: skip

CASES = [
    *(Case(id, what, _posted(content, Content_Type="text/xml"), 401, "FAIL") for id, what, content in _STRANGERS),
    Case("N05", "claims to be localhost", _posted(b"{}", Host="localhost", X_Forwarded_For="127.0.0.1"), 401, "FAIL"),
    *(Case(id, what, _spoilt(change), 401, "FAIL") for id, what, change in _ENVELOPES),
    Case("S14", "301 seconds old", _letter(age_s=301), 401, "FAIL"),
    Case("S14", "301 seconds early", _letter(age_s=-301), 401, "FAIL"),
    Case("N08", "signed with another merchant's key", _letter(signer="stranger"), 401, "FAIL"),
    Case("N08", "sealed for another merchant", _letter(apiv3_key="0" * 32), 401, "FAIL"),
    Case("N22", "associated data changed", _letter(associated="other"), 401, "FAIL"),
    Case("N04", "XML, signed by the platform", _signed(_XXE_FILE), 400, "FAIL"),
    Case("N04", "not JSON, signed", _signed(b"SUCCESS"), 400, "FAIL"),
    Case("N23", "65,537 bytes", _posted(b" " * 65_537), 413, "body_too_large"),
    Case("N23", "10 MB", _posted(b" " * 10_000_000), 413, "body_too_large"),
    *(Case("N13", what, _to(path), status, "FAIL") for what, path, status in _PLACES),
    Case("N25", "a browser comes back with success", lambda arena: Call(
        "GET", f"/v1/notices/wechat/{arena.shop.merchant_account}?trade_state=SUCCESS&out_trade_no=1", key=""),
         404, "not_found"),
    Case("N28", "an order we do not have", _letter(out_trade_no="RC0000000000000000000000000000X9"), 404, "FAIL",
         evidence="channel_notice"),
    Case("N10", "the other company's order", _letter(out_trade_no="{foreign_order}"), 404, "FAIL",
         evidence="channel_notice"),
    Case("N08", "the money of another merchant", _letter(mchid="1900000000"), 422, "FAIL", evidence="channel_notice"),
    Case("N08", "the money of another app", _letter(appid="wx0000000000000000"), 422, "FAIL",
         evidence="channel_notice"),
]  # fmt: skip
