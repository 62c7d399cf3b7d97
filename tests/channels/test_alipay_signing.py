"""What is signed between us and Alipay: the text, the certificates' names, and what a broken signature looks like.

The recorded texts and signatures are those of two public SDKs; this program shares no code with them.
"""

import json
from pathlib import Path
from urllib.parse import parse_qsl, unquote_to_bytes

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key

from channels.otherside import NOW, key
from channels.otherside_alipay import account, certificate, elliptic_root, signature, sn
from tael.channels.alipay.keys import certificate_sn, root_sn
from tael.channels.alipay.signing import Flaw, canonical, flaw_of, sign, signed_parameters, signed_request
from tael.channels.exchange import HttpRequest

VECTORS = json.loads((Path(__file__).parents[1] / "peers" / "alipay_vectors.json").read_bytes())
RECORDED = [
    pytest.param(vector, id=f"{sdk} {name}")
    for sdk in ("python-alipay-sdk", "alipay-sdk-python")
    for name, vector in VECTORS[sdk].items()
]


@pytest.mark.parametrize("vector", RECORDED)
def test_text_and_signature_are_those_of_the_sdk(vector: dict):
    text = canonical(vector["parameters"])
    assert text == vector["text"]
    private = load_pem_private_key(VECTORS["private_key"].encode(), None)
    assert sign(private, text.encode(vector["charset"])) == vector["sign"]
    public = load_pem_public_key(VECTORS["public_key"].encode())
    assert flaw_of(text.encode(vector["charset"]), vector["sign"], [public]) is None


def test_the_names_of_certificates_are_those_of_the_sdk():
    found = VECTORS["certificates"]
    assert certificate_sn(x509.load_pem_x509_certificate(found["app"].encode())) == found["sn"]["app_cert_sn"]
    assert certificate_sn(x509.load_pem_x509_certificate(found["alipay"].encode())) == found["sn"]["alipay_cert_sn"]
    assert root_sn(x509.load_pem_x509_certificates(found["root"].encode())) == found["sn"]["alipay_root_cert_sn"]


def test_a_root_file_is_named_by_its_rsa_certificates_only():
    one, other = certificate("ali-root"), certificate("other-root")
    assert certificate_sn(certificate("app")) == sn("app")
    assert root_sn([one, elliptic_root(), other]) == f"{sn('ali-root')}_{sn('other-root')}"
    assert root_sn([elliptic_root()]) == ""


def parameters(request: HttpRequest) -> dict[str, str]:
    return dict(parse_qsl(request.target.partition("?")[2])) | dict(parse_qsl(request.body.decode()))


@pytest.mark.parametrize("keys", ["public_key", "certificate"])
def test_a_request_carries_all_that_is_signed_and_nothing_empty(keys: str):
    content = {"out_trade_no": "A1", "subject": '咖啡 "大" \\ 50% & = + / } {'}
    sent = signed_request(account(keys=keys), "alipay.trade.query", content, now=NOW, notify_url=None)
    given = parameters(sent)
    names = {"app_id", "method", "format", "charset", "sign_type", "sign", "timestamp", "version", "biz_content"}
    certificates = {"app_cert_sn": sn("app"), "alipay_root_cert_sn": sn("ali-root")} if keys == "certificate" else {}
    assert given.keys() == names | certificates.keys()
    assert given | certificates == given
    assert (given["timestamp"], given["sign_type"]) == ("2026-03-02 12:05:06", "RSA2")
    assert json.loads(given["biz_content"]) == content
    text = "&".join(f"{name}={value}" for name, value in sorted(given.items()) if name != "sign")
    assert flaw_of(text.encode(), given["sign"], [key("app").public_key()]) is None
    assert unquote_to_bytes(sent.body.replace(b"+", b" ")).startswith(b'biz_content={"out_trade_no"')


def test_the_same_call_is_signed_alike_so_it_can_be_repeated():
    calls = [signed_parameters(account(), "alipay.trade.query", {"out_trade_no": "A1"}, now=NOW) for _ in range(2)]
    assert calls[0] == calls[1]


GOOD = signature(b"text")
OTHER_WORDS = GOOD[:-3] + chr(ord(GOOD[-3]) + 1) + "=="  # the last letter before the padding has unused bits
BROKEN = [
    ("empty", "", Flaw.WRONG),
    ("not base64", "%%%", Flaw.MALFORMED),
    ("with a line break", GOOD[:76] + "\n" + GOOD[76:], Flaw.MALFORMED),
    ("unused bits set", OTHER_WORDS, Flaw.MALFORMED),
    ("not ASCII", "签名", Flaw.MALFORMED),
    ("too short", GOOD[:20], Flaw.WRONG),
    ("of another text", signature(b"Text"), Flaw.WRONG),
    ("of another key", signature(b"text", signer="stranger"), Flaw.WRONG),
    ("SHA-1", signature(b"text", by=SHA1()), Flaw.WRONG),
]


@pytest.mark.parametrize(("given", "flaw"), [case[1:] for case in BROKEN], ids=[case[0] for case in BROKEN])
def test_a_broken_signature_is_a_flaw_and_never_an_error(given: str, flaw: Flaw):
    assert flaw_of(b"text", GOOD, [key("alipay").public_key()]) is None
    assert flaw_of(b"text", given, [key("alipay").public_key()]) is flaw
    assert flaw_of(b"text", GOOD, []) is Flaw.UNKNOWN_KEY
