"""What is signed between us and Alipay, how we sign it and how a signature is checked. RSA2 only: SHA-256, PKCS#1 v1.5.

request   every parameter with a value but `sign`, sorted by name, k=v joined by &, nothing encoded   signed by us
reply     the text of the node `alipay_..._response`, byte for byte                                    signed by Alipay
notice    every parameter but `sign` and `sign_type`, sorted and joined as above, as bytes             signed by Alipay

SHA-1 (`sign_type=RSA`) is neither used nor accepted.
"""

import base64
import binascii
from collections.abc import Iterable, Mapping
from datetime import datetime
from enum import StrEnum
from urllib.parse import urlencode

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256

from tael.channels.alipay.keys import keys_of
from tael.channels.alipay.writing import china_time
from tael.channels.contract import MerchantAccount
from tael.channels.exchange import HttpRequest

GATEWAY = "/gateway.do"
SIGN_TYPE = "RSA2"
_HEADERS = (
    ("Accept", "application/json"),
    ("User-Agent", "tael"),
    ("Content-Type", "application/x-www-form-urlencoded; charset=utf-8"),
)


class Flaw(StrEnum):
    """Why a reply or notice is not proven to come from Alipay."""

    UNSIGNED = "unsigned"
    MALFORMED = "malformed_signature"
    UNKNOWN_KEY = "unknown_key"
    WRONG = "wrong_signature"


def canonical(parameters: Mapping[str, str]) -> str:
    """The text of a request that is signed."""
    return "&".join(f"{name}={value}" for name, value in sorted(parameters.items()) if value and name != "sign")


def sign(key: RSAPrivateKey, message: bytes) -> str:
    """Our signature, base64."""
    return base64.b64encode(key.sign(message, PKCS1v15(), SHA256())).decode()


def signed_parameters(
    account: MerchantAccount, method: str, content: Mapping[str, object], *, now: datetime, **common: str | None
) -> dict[str, str]:
    """All parameters of a call of `method`; `common` adds such as `notify_url`."""
    keys = keys_of(account)
    given = {
        "app_id": account.appid,
        "method": method,
        "format": "JSON",
        "charset": "utf-8",
        "sign_type": SIGN_TYPE,
        "timestamp": china_time(now),
        "version": "1.0",
        "app_cert_sn": keys.app_sn,
        "alipay_root_cert_sn": keys.root_sn,
        **common,
        "biz_content": msgspec.json.encode(content).decode(),
    }
    parameters = {name: value for name, value in given.items() if value}
    return parameters | {"sign": sign(keys.private_key, canonical(parameters).encode())}


def signed_request(
    account: MerchantAccount, method: str, content: Mapping[str, object], *, now: datetime, **common: str | None
) -> HttpRequest:
    """A call of `method`: the content in the body, everything else in the address, as Alipay's own clients do."""
    parameters = signed_parameters(account, method, content, now=now, **common)
    body = urlencode({"biz_content": parameters.pop("biz_content")}).encode()
    return HttpRequest("POST", f"{GATEWAY}?{urlencode(parameters)}", _HEADERS, body)


def flaw_of(message: bytes, signature: str, keys: Iterable[RSAPublicKey]) -> Flaw | None:
    """What is wrong with a signature that one of `keys` should have made, or None. Never raises."""
    try:
        given = base64.b64decode(signature, validate=True)
    except (binascii.Error, ValueError):
        return Flaw.MALFORMED
    if base64.b64encode(given).decode() != signature:  # unused bits: the same signature in other words
        return Flaw.MALFORMED
    flaw = Flaw.UNKNOWN_KEY
    for key in keys:
        try:
            key.verify(given, message, PKCS1v15(), SHA256())
        except InvalidSignature:
            flaw = Flaw.WRONG
        else:
            return None
    return flaw
