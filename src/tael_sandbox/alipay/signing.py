"""Alipay's canonical strings and signatures, written from the protocol's description alone.

    request   every parameter with a value but ``sign`` (``sign_type`` stays), sorted by name, k=v joined by &
    reply     the text of the node ``<method>_response`` exactly as it stands in the body
    notice    like a request, without ``sign_type`` too

Nothing is URL-encoded in them. RSA2 is RSASSA-PKCS1-v1_5 with SHA-256 in base64, over bytes of the caller's charset.
"""

import base64
import binascii
from collections.abc import Mapping

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256, HashAlgorithm

_PADDING, _HASH = PKCS1v15(), SHA256()
CHARSETS = {"utf-8": "utf-8", "utf8": "utf-8", "gbk": "gbk", "gb2312": "gbk", "gb18030": "gb18030"}


def canonical(said: Mapping[str, str], *, without: frozenset[str]) -> str:
    """The text that is signed."""
    return "&".join(f"{name}={value}" for name, value in sorted(said.items()) if value and name not in without)


def request_is_genuine(key: RSAPublicKey, said: Mapping[str, str], *, charset: str) -> bool:
    """Whether the app signed exactly these parameters."""
    text = canonical(said, without=frozenset({"sign"}))
    return is_signed(key, text.encode(charset, "replace"), said.get("sign", ""))


def sign_notice(key: RSAPrivateKey, said: Mapping[str, str], *, charset: str, by: HashAlgorithm = _HASH) -> str:
    """Sign the parameters of a notice or of a return to the merchant's page."""
    text = canonical(said, without=frozenset({"sign", "sign_type"}))
    return base64.b64encode(key.sign(text.encode(charset, "replace"), _PADDING, by)).decode()


def is_signed(key: RSAPublicKey, message: bytes, signature: str) -> bool:
    """Whether ``signature`` (base64) over ``message`` is good."""
    try:
        key.verify(base64.b64decode(signature.replace(" ", "+"), validate=True), message, _PADDING, _HASH)
    except (InvalidSignature, binascii.Error, ValueError):
        return False
    return True


def sign_reply(key: RSAPrivateKey, node: bytes) -> str:
    """Sign the node of a reply."""
    return base64.b64encode(key.sign(node, _PADDING, _HASH)).decode()


def node(said: object, *, charset: str) -> bytes:
    """A reply's node as Alipay writes it: every slash is escaped."""
    return msgspec.json.encode(said).replace(b"/", rb"\/").decode().encode(charset, "replace")


def envelope(name: str, said: bytes, *, sign: str | None, certificate_sn: str = "") -> bytes:
    """The whole body. ``sign`` None: unsigned, as a failure of the gateway; the certificate's SN stands before it."""
    parts = [b'"%s":%s' % (name.encode(), said)]
    if certificate_sn:
        parts.append(b'"alipay_cert_sn":"%s"' % certificate_sn.encode())
    if sign is not None:
        parts.append(b'"sign":"%s"' % sign.encode())
    return b"{%s}" % b",".join(parts)
