"""The keys of one member of 99bill: ours signs and opens, 99bill's verifies and seals. Loaded once."""

from collections.abc import Mapping
from dataclasses import dataclass

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key
from cryptography.x509 import load_pem_x509_certificate

from tael.channels.contract import BadCredentials, ChannelKeys, MerchantAccount

_MIN_BITS = 2048


@dataclass(frozen=True, slots=True, eq=False)
class Bill99Keys(ChannelKeys):
    """Our private key and 99bill's public key."""

    member: RSAPrivateKey
    bill99: RSAPublicKey


def keys_of(account: MerchantAccount) -> Bill99Keys:
    """The loaded keys of a 99bill member."""
    assert isinstance(account.keys, Bill99Keys)
    return account.keys


def load(secrets: Mapping[str, bytes]) -> Bill99Keys:
    """Parse the secrets `member_key` and `bill99_certificate`. Raises `BadCredentials`, which never quotes them."""
    return Bill99Keys(_member_key(secrets.get("member_key", b"")), _bill99_key(secrets.get("bill99_certificate", b"")))


def _member_key(pem: bytes) -> RSAPrivateKey:
    try:
        key = load_pem_private_key(pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as problem:
        raise BadCredentials("member_key is not an unencrypted PEM private key", param="member_key") from problem
    if not isinstance(key, RSAPrivateKey) or key.key_size < _MIN_BITS:
        raise BadCredentials("member_key must be RSA with 2048 bits or more", param="member_key")
    return key


def _bill99_key(pem: bytes) -> RSAPublicKey:
    """99bill's certificate, or its public key alone. When it expires 99bill hands out another; it is not checked here,
    because a certificate that is one day too old must not leave payouts without an answer."""
    param = "bill99_certificate"
    try:
        certified = b"BEGIN CERTIFICATE" in pem
        key = load_pem_x509_certificate(pem).public_key() if certified else load_pem_public_key(pem)
    except (ValueError, UnsupportedAlgorithm) as problem:
        raise BadCredentials("bill99_certificate is neither a PEM certificate nor a key", param=param) from problem
    if not isinstance(key, RSAPublicKey) or key.key_size < _MIN_BITS:
        raise BadCredentials("bill99_certificate must hold an RSA key with 2048 bits or more", param=param)
    return key
