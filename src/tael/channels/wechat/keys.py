"""The keys of one WeChat merchant account: ours, loaded once, and the platform's, which may change while we run.

Two ways to know the platform's key exist side by side. In *public-key* mode the key was copied from the merchant
console and has an id `PUB_KEY_ID_...`; it never expires. In *certificate* mode certificates are downloaded, sealed
with the APIv3 key, and change every few years with an overlap. A signature always names its key, so verification
looks the name up and never assumes "the" key. Parsing a key costs 28 ms, so every key stays parsed.
"""

import asyncio
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal, TypeAlias

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key

from tael.channels.contract import BadCredentials, ChannelKeys, MerchantAccount

PlatformKeys: TypeAlias = Literal["public_key", "certificates", "both"]
REFRESH = timedelta(hours=12)
RETRY = timedelta(seconds=60)
_SERIAL = re.compile(r"[0-9A-Fa-f]{1,64}|PUB_KEY_ID_[0-9A-Za-z]{1,64}")
_MIN_BITS = 2048


@dataclass(frozen=True, slots=True)
class Certificate:
    """A platform certificate: its normal serial, its key, and when it stops being trusted."""

    serial: str
    key: RSAPublicKey
    expires_at: datetime


@dataclass(slots=True)
class Keyring:
    """The platform's keys by name. Only a successful download changes it, and replaces the certificates as a whole.

    A signature by an unknown certificate asks for a download, at most one a minute; verification itself never
    causes one, so strangers' notices cannot make us call out.
    """

    public_key_id: str | None
    public_key: RSAPublicKey | None
    downloads: bool
    certificates: dict[str, Certificate] = field(default_factory=dict[str, Certificate])
    renewing: asyncio.Lock = field(default_factory=asyncio.Lock)
    attempted_at: datetime | None = None
    renewed_at: datetime | None = None
    missed: bool = False

    def find(self, name: str, *, now: datetime) -> RSAPublicKey | None:
        """The key that `name` (as in Wechatpay-Serial) stands for, unless unknown or expired."""
        if name.startswith("PUB_KEY_ID_"):
            return self.public_key if name == self.public_key_id else None
        certificate = self.certificates.get(normal_serial(name))
        return certificate.key if certificate and now < certificate.expires_at else None

    def announced(self, *, now: datetime) -> str | None:
        """The key we ask the platform to sign with: the public key if we have it, else the newest certificate."""
        if self.public_key_id is not None:
            return self.public_key_id
        valid = [held for held in self.certificates.values() if now < held.expires_at]
        return max(valid, key=lambda held: held.expires_at).serial if valid else None

    def due(self, *, now: datetime) -> bool:
        """Whether the certificates should be downloaded now."""
        if not self.downloads or (self.attempted_at is not None and now < self.attempted_at + RETRY):
            return False
        return self.missed or self.renewed_at is None or now >= self.renewed_at + REFRESH or self._expiring(now)

    def replace(self, certificates: list[Certificate], *, now: datetime) -> None:
        """Take over what was downloaded and verified; what is no longer listed is no longer trusted."""
        self.certificates = {held.serial: held for held in certificates}
        self.renewed_at, self.missed = now, False

    def _expiring(self, now: datetime) -> bool:
        return self.announced(now=now + REFRESH) is None


@dataclass(frozen=True, slots=True, eq=False)
class WechatKeys(ChannelKeys):
    """Our side: serial of the merchant certificate, its private key, the APIv3 key; and the platform's keyring."""

    serial: str
    private_key: RSAPrivateKey
    sealed: AESGCM
    keyring: Keyring


def keys_of(account: MerchantAccount) -> WechatKeys:
    """The loaded keys of a WeChat merchant account."""
    assert isinstance(account.keys, WechatKeys)
    return account.keys


def load(secrets: Mapping[str, bytes], config: Mapping[str, str]) -> WechatKeys:
    """Parse and lint the secrets of an account. Raises `BadCredentials`, which never quotes them.

    Secrets: `merchant_key` (PEM), `apiv3_key` (32 characters), in public-key mode `public_key` (PEM).
    Config: `serial_no` of the merchant certificate, `public_key_id`, `platform_keys` (see `PlatformKeys`).
    """
    serial = config.get("serial_no", "")
    if not re.fullmatch(r"[0-9A-Fa-f]{8,64}", serial):
        raise BadCredentials("serial_no must be the hexadecimal serial of the merchant certificate", param="serial_no")
    return WechatKeys(serial.upper(), _private_key(secrets), _apiv3(secrets), _keyring(secrets, config))


def well_formed(name: str) -> bool:
    """Whether `name` could be a certificate serial or a public key id."""
    return _SERIAL.fullmatch(name) is not None


def normal_serial(serial: str) -> str:
    """Upper-case hexadecimal without leading zeros, the form the keyring uses."""
    return serial.upper().lstrip("0")


def _private_key(secrets: Mapping[str, bytes]) -> RSAPrivateKey:
    try:
        key = load_pem_private_key(secrets.get("merchant_key", b""), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as problem:
        raise BadCredentials("merchant_key is not an unencrypted PEM private key", param="merchant_key") from problem
    if not isinstance(key, RSAPrivateKey) or key.key_size < _MIN_BITS:
        raise BadCredentials("merchant_key must be RSA with 2048 bits or more", param="merchant_key")
    return key


def _apiv3(secrets: Mapping[str, bytes]) -> AESGCM:
    key = secrets.get("apiv3_key", b"").strip()
    if len(key) != 32 or not key.isalnum():
        raise BadCredentials("apiv3_key must be exactly 32 letters and digits", param="apiv3_key")
    if len(set(key)) < 8:
        raise BadCredentials("apiv3_key is too easy to guess", param="apiv3_key")
    return AESGCM(key)


def _keyring(secrets: Mapping[str, bytes], config: Mapping[str, str]) -> Keyring:
    pem, name = secrets.get("public_key"), config.get("public_key_id")
    mode = config.get("platform_keys") or ("certificates" if pem is None else "public_key")
    if mode not in ("public_key", "certificates", "both"):
        raise BadCredentials("platform_keys must be public_key, certificates or both", param="platform_keys")
    if mode == "certificates":
        return Keyring(None, None, downloads=True)
    if name is None or not name.startswith("PUB_KEY_ID_") or not well_formed(name):
        raise BadCredentials("public_key_id must look like PUB_KEY_ID_0123...", param="public_key_id")
    return Keyring(name, _public_key(pem or b""), downloads=mode == "both")


def _public_key(pem: bytes) -> RSAPublicKey:
    try:
        key = load_pem_public_key(pem)
    except (ValueError, UnsupportedAlgorithm) as problem:
        raise BadCredentials("public_key is not a PEM public key", param="public_key") from problem
    if not isinstance(key, RSAPublicKey) or key.key_size < _MIN_BITS:
        raise BadCredentials("public_key must be RSA with 2048 bits or more", param="public_key")
    return key
