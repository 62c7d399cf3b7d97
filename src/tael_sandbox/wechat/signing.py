"""WeChat Pay v3 signatures and seals, written from the protocol's description alone.

    request    method, target as on the wire, seconds, nonce, body        checked with the merchant's certificate
    reply      seconds, nonce, body                                       made with a platform key
    seal       AEAD_AES_256_GCM, key = the 32 characters of the APIv3 key

Each part is a line and ends with a line feed, the last and an empty one too.
All signatures are RSASSA-PKCS1-v1_5 with SHA-256 in base64.
"""

import base64
import binascii
import re
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256

from tael_sandbox.wechat.refusals import Refusal

SCHEME = "WECHATPAY2-SHA256-RSA2048"
_PAIR = re.compile(r'\s*([a-z_]+)="([^"]*)"\s*')
_NEEDED = frozenset({"mchid", "nonce_str", "signature", "timestamp", "serial_no"})
_PADDING, _HASH = PKCS1v15(), SHA256()


@dataclass(frozen=True, slots=True)
class Authorization:
    """The five values of a request's Authorization header."""

    mchid: str
    nonce: str
    signature: str
    timestamp: str
    serial: str


def read_authorization(header: str) -> Authorization:
    """Parse the header; the pairs may come in any order. Raises ``Refusal`` SIGN_ERROR."""
    scheme, _, rest = header.partition(" ")
    pairs: dict[str, str] = {}
    for piece in rest.split(","):
        found = _PAIR.fullmatch(piece)
        if found is None or found[1] in pairs:
            raise Refusal("SIGN_ERROR", message="Http头Authorization格式错误")
        pairs[found[1]] = found[2]
    if scheme != SCHEME or pairs.keys() != _NEEDED:
        raise Refusal("SIGN_ERROR", message="Http头Authorization认证类型不正确或缺少参数")
    return Authorization(pairs["mchid"], pairs["nonce_str"], pairs["signature"], pairs["timestamp"], pairs["serial_no"])


def request_is_genuine(key: RSAPublicKey, said: Authorization, *, method: str, target: str, body: bytes) -> bool:
    """Whether the merchant signed exactly this request."""
    message = f"{method}\n{target}\n{said.timestamp}\n{said.nonce}\n".encode() + body + b"\n"
    return is_signed(key, message, said.signature)


def is_signed(key: RSAPublicKey, message: bytes, signature: str) -> bool:
    """Whether ``signature`` (base64) over ``message`` is good."""
    try:
        key.verify(base64.b64decode(signature, validate=True), message, _PADDING, _HASH)
    except (InvalidSignature, binascii.Error, ValueError):
        return False
    return True


def sign_reply(key: RSAPrivateKey, *, seconds: int, nonce: str, body: bytes) -> str:
    """Sign a reply or a notice; an empty body still has its line."""
    message = f"{seconds}\n{nonce}\n".encode() + body + b"\n"
    return base64.b64encode(key.sign(message, _PADDING, _HASH)).decode()


def seal(apiv3_key: str, plain: bytes, *, nonce: str, associated: str) -> str:
    """Encrypt and authenticate; base64 of ciphertext followed by the tag. ``nonce`` is 12 ASCII characters."""
    sealed = AESGCM(apiv3_key.encode()).encrypt(nonce.encode(), plain, associated.encode())
    return base64.b64encode(sealed).decode()
