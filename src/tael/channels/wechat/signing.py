"""WeChat Pay v3 signatures: RSA-PKCS1-v1.5 with SHA-256 over lines that each end in a newline, the last one too.

request    METHOD, path?query exactly as on the wire, unix seconds, nonce, body    signed by us
reply      unix seconds, nonce, body                                               signed by the platform
notice     the same as a reply
hand-off   app id, unix seconds, nonce, prepay id                                  signed by us, checked by the app
"""

import base64
import binascii
import re
from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import Literal
from urllib.parse import quote

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA256

from tael.base.clock import milliseconds
from tael.channels.contract import MerchantAccount
from tael.channels.exchange import HttpRequest
from tael.channels.wechat.keys import Keyring, keys_of, well_formed

SCHEME = "WECHATPAY2-SHA256-RSA2048"
FRESH_S = 300
_PROBE = "WECHATPAY/SIGNTEST/"
_SIGNED_BY = ("wechatpay-timestamp", "wechatpay-nonce", "wechatpay-signature", "wechatpay-serial")


class Flaw(StrEnum):
    """Why a reply or notice is not proven to come from the platform."""

    UNSIGNED = "unsigned"
    AMBIGUOUS = "ambiguous_signature"
    MALFORMED = "malformed_signature"
    STALE = "stale_signature"
    PROBE = "signature_probe"
    UNKNOWN_KEY = "unknown_key"
    WRONG = "wrong_signature"


def seconds(now: datetime) -> int:
    """Whole unix seconds."""
    return milliseconds(now) // 1000


def lines(*parts: str) -> bytes:
    """The text that is signed."""
    return "".join(f"{part}\n" for part in parts).encode()


def sign(key: RSAPrivateKey, message: bytes) -> str:
    """Our signature, base64."""
    return base64.b64encode(key.sign(message, PKCS1v15(), SHA256())).decode()


def encoded(part: str) -> str:
    """A part of a target, percent-encoded before signing, because the platform signs what it sees on the wire."""
    return quote(part, safe="")


def signed_request(
    account: MerchantAccount, method: Literal["GET", "POST"], target: str, body: bytes, *, now: datetime, nonce: str
) -> HttpRequest:
    """A request with all headers the platform wants. `target` must already be percent-encoded: it is signed as is."""
    keys, stamp = keys_of(account), str(seconds(now))
    signature = sign(keys.private_key, lines(method, target, stamp, nonce) + body + b"\n")
    proof = (
        f'{SCHEME} mchid="{account.mchid}",nonce_str="{nonce}",signature="{signature}",'
        f'timestamp="{stamp}",serial_no="{keys.serial}"'
    )
    headers = [("Accept", "application/json"), ("User-Agent", "tael"), ("Authorization", proof)]
    if announced := keys.keyring.announced(now=now):
        headers.append(("Wechatpay-Serial", announced))
    if method == "POST":
        headers.append(("Content-Type", "application/json"))
    return HttpRequest(method, target, tuple(headers), body)


def examine(headers: Sequence[tuple[str, str]], body: bytes, keyring: Keyring, *, now: datetime) -> Flaw | None:
    """What is wrong with the signature of a reply or notice, or None. Never raises, whatever the bytes are."""
    given = [(name.lower(), value) for name, value in headers]
    found = [[value for name, value in given if name == wanted] for wanted in _SIGNED_BY]
    scheme = [value for name, value in given if name == "wechatpay-signature-type"]
    if any(len(values) == 0 for values in found):
        return Flaw.UNSIGNED
    if any(len(values) > 1 for values in found) or len(scheme) > 1:
        return Flaw.AMBIGUOUS
    stamp, nonce, signature, name = (values[0] for values in found)
    if signature.startswith(_PROBE):
        return Flaw.PROBE
    if not re.fullmatch(r"[0-9]{1,12}", stamp) or not re.fullmatch(r"[!-~]{1,128}", nonce) or not well_formed(name):
        return Flaw.MALFORMED
    if scheme and scheme[0] != SCHEME:
        return Flaw.MALFORMED
    if abs(seconds(now) - int(stamp)) >= FRESH_S:
        return Flaw.STALE
    return _verify(lines(stamp, nonce) + body + b"\n", signature, name, keyring, now)


def _verify(message: bytes, signature: str, name: str, keyring: Keyring, now: datetime) -> Flaw | None:
    key = keyring.find(name, now=now)
    if key is None:
        return Flaw.UNKNOWN_KEY
    try:
        key.verify(base64.b64decode(signature, validate=True), message, PKCS1v15(), SHA256())
    except (binascii.Error, ValueError):
        return Flaw.MALFORMED
    except InvalidSignature:
        return Flaw.WRONG
    return None
