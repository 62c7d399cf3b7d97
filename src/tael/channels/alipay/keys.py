"""The keys of one Alipay app: ours, loaded once, and Alipay's, which in certificate mode may change while we run.

Two modes exist. In *public-key* mode Alipay's key was copied from the console. In *certificate* mode both sides have
certificates: requests name ours and the root, replies name Alipay's (`alipay_cert_sn`), and one that we do not hold is
downloaded and believed only if it names the organisation that the one in our files names, and its chain ends in our
root file: the root alone says little, because every app's own certificate ends there. Transfers need this mode.

A certificate is named by its SN, the MD5 of its issuer's name and its serial number; a root file by the SNs of its RSA
certificates. Parsing a key costs 28 ms, so every key stays parsed.
"""

import asyncio
import base64
import binascii
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.serialization import (
    load_der_private_key,
    load_der_public_key,
    load_pem_private_key,
    load_pem_public_key,
)

from tael.channels.contract import BadCredentials, ChannelKeys, MerchantAccount

RETRY = timedelta(seconds=60)
_RSA_SIGNATURES = "1.2.840.113549.1.1."
_MIN_BITS = 2048
_PROBLEMS = (ValueError, TypeError, UnsupportedAlgorithm, binascii.Error)


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate of Alipay's: its SN, its key, when it stops being trusted, and the organisation it names."""

    sn: str
    key: RSAPublicKey
    expires_at: datetime
    organisation: tuple[str, ...]


@dataclass(slots=True)
class Keyring:
    """Alipay's keys: `public_key` in public-key mode, else `certificates` by SN and the `roots` they must end in.

    A reply by an unknown certificate asks for its download, at most one a minute. Notices do not name a certificate, so
    any that we hold may have signed one; they never cause a download.
    """

    public_key: RSAPublicKey | None
    certificates: dict[str, Certificate]
    roots: tuple[x509.Certificate, ...]
    renewing: asyncio.Lock = field(default_factory=asyncio.Lock)
    attempted_at: datetime | None = None
    missed: str | None = None

    def find(self, sn: str | None, *, now: datetime) -> RSAPublicKey | None:
        """The key that a reply's `alipay_cert_sn` stands for, unless unknown or expired."""
        if self.public_key is not None:
            return self.public_key
        held = self.certificates.get(sn or "")
        return held.key if held and now < held.expires_at else None

    def every(self, *, now: datetime) -> list[RSAPublicKey]:
        """Every key that may have signed a notice."""
        if self.public_key is not None:
            return [self.public_key]
        return [held.key for held in self.certificates.values() if now < held.expires_at]

    def due(self, *, now: datetime) -> bool:
        """Whether the missed certificate should be asked for now."""
        return self.missed is not None and (self.attempted_at is None or now >= self.attempted_at + RETRY)

    def resembles(self, certificate: Certificate) -> bool:
        """Whether it names the same organisation as those that we hold."""
        return any(held.organisation == certificate.organisation for held in self.certificates.values())

    def take(self, certificate: Certificate) -> None:
        """Trust one more certificate; the older ones stay until they expire."""
        self.certificates = {certificate.sn: certificate, **self.certificates}


@dataclass(frozen=True, slots=True, eq=False)
class AlipayKeys(ChannelKeys):
    """Our private key, in certificate mode the SNs of our certificate and of the root file, and Alipay's keyring."""

    private_key: RSAPrivateKey
    app_sn: str | None
    root_sn: str | None
    keyring: Keyring

    @property
    def by_certificate(self) -> bool:
        """Whether the app is in certificate mode."""
        return self.app_sn is not None


def keys_of(account: MerchantAccount) -> AlipayKeys:
    """The loaded keys of an Alipay merchant account."""
    assert isinstance(account.keys, AlipayKeys)
    return account.keys


def load(secrets: Mapping[str, bytes], config: Mapping[str, str]) -> AlipayKeys:
    """Parse and lint the secrets of an account. Raises `BadCredentials`, which never quotes them.

    Secrets: `app_private_key`; in public-key mode `alipay_public_key`; in certificate mode `app_cert`, `alipay_cert`
    and `alipay_root_cert`, the three files of the console. Keys are PEM or the bare base64 that the console shows.
    Config: `mode` is `certificate` or `public_key`; by default whichever the secrets are for.
    """
    private = _private_key(secrets)
    mode = config.get("mode") or ("certificate" if "app_cert" in secrets else "public_key")
    match mode:
        case "public_key":
            key = _public_key(secrets.get("alipay_public_key", b""))
            return AlipayKeys(private, None, None, Keyring(key, {}, ()))
        case "certificate":
            app, root = _first(secrets, "app_cert"), _all(secrets, "alipay_root_cert")
            if _rsa(app, "app_cert").public_numbers() != private.public_key().public_numbers():
                raise BadCredentials("app_cert is not the certificate of app_private_key", param="app_cert")
            held = read_certificate(_first(secrets, "alipay_cert"))
            named = root_sn(root)
            if not named:
                raise BadCredentials("alipay_root_cert has no RSA certificate", param="alipay_root_cert")
            return AlipayKeys(private, certificate_sn(app), named, Keyring(None, {held.sn: held}, tuple(root)))
        case _:
            raise BadCredentials("mode must be certificate or public_key", param="mode")


def certificate_sn(certificate: x509.Certificate) -> str:
    """MD5, in lower-case hex, of the issuer's name (most specific part first) and the decimal serial number."""
    named = f"{certificate.issuer.rfc4514_string()}{certificate.serial_number}"
    return hashlib.md5(named.encode(), usedforsecurity=False).hexdigest()


def root_sn(roots: list[x509.Certificate]) -> str:
    """The SNs of the root file's certificates that are signed with RSA, joined; others are there but not named."""
    return "_".join(certificate_sn(one) for one in roots if _signed_with_rsa(one))


def read_certificate(certificate: x509.Certificate) -> Certificate:
    """A certificate of Alipay's. Raises `BadCredentials` unless it is RSA and strong."""
    key, until = _rsa(certificate, "alipay_cert"), certificate.not_valid_after_utc
    named = certificate.subject.get_attributes_for_oid(x509.NameOID.ORGANIZATION_NAME)
    return Certificate(certificate_sn(certificate), key, until, tuple(str(one.value) for one in named))


def trusted(chain: list[x509.Certificate], roots: tuple[x509.Certificate, ...], *, now: datetime) -> bool:
    """Whether the first certificate of `chain` is signed by the next, and so on, up to one of `roots`; all in time."""
    if not chain or any(not one.not_valid_before_utc <= now < one.not_valid_after_utc for one in chain):
        return False
    for issued, issuer in pairwise(chain):
        if any(_issued(issued, root) for root in roots):
            return True
        if not _may_issue(issuer) or not _issued(issued, issuer):
            return False
    return any(_issued(chain[-1], root) for root in roots)


def _issued(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    if not _signed_with_rsa(certificate):
        return False
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, UnsupportedAlgorithm, InvalidSignature):
        # Another name, a key that does not fit or cannot be used, another signature: it was not issued by this one.
        return False
    return True


def _may_issue(certificate: x509.Certificate) -> bool:
    """Whether it is a certificate authority's: else the holder of any certificate could make more."""
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except (x509.ExtensionNotFound, ValueError):
        return False


def _signed_with_rsa(certificate: x509.Certificate) -> bool:
    return certificate.signature_algorithm_oid.dotted_string.startswith(_RSA_SIGNATURES)


def _private_key(secrets: Mapping[str, bytes]) -> RSAPrivateKey:
    given = secrets.get("app_private_key", b"").strip()
    try:
        bare = None if given.startswith(b"-----") else base64.b64decode(b"".join(given.split()), validate=True)
        key = load_pem_private_key(given, password=None) if bare is None else load_der_private_key(bare, password=None)
    except _PROBLEMS as problem:
        raise BadCredentials("app_private_key is not an unencrypted private key", param="app_private_key") from problem
    if not isinstance(key, RSAPrivateKey) or key.key_size < _MIN_BITS:
        raise BadCredentials("app_private_key must be RSA with 2048 bits or more", param="app_private_key")
    return key


def _public_key(given: bytes) -> RSAPublicKey:
    given = given.strip()
    try:
        bare = None if given.startswith(b"-----") else base64.b64decode(b"".join(given.split()), validate=True)
        key = load_pem_public_key(given) if bare is None else load_der_public_key(bare)
    except _PROBLEMS as problem:
        raise BadCredentials("alipay_public_key is not a public key", param="alipay_public_key") from problem
    if not isinstance(key, RSAPublicKey) or key.key_size < _MIN_BITS:
        raise BadCredentials("alipay_public_key must be RSA with 2048 bits or more", param="alipay_public_key")
    return key


def _all(secrets: Mapping[str, bytes], name: str) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(secrets.get(name, b""))
    except _PROBLEMS as problem:
        raise BadCredentials(f"{name} is not a PEM certificate", param=name) from problem


def _first(secrets: Mapping[str, bytes], name: str) -> x509.Certificate:
    """The first certificate of a file; those that issued it may follow."""
    return _all(secrets, name)[0]


def _rsa(certificate: x509.Certificate, name: str) -> RSAPublicKey:
    try:
        key = certificate.public_key()
    except _PROBLEMS as problem:
        raise BadCredentials(f"{name} has an unreadable key", param=name) from problem
    if not isinstance(key, RSAPublicKey) or key.key_size < _MIN_BITS:
        raise BadCredentials(f"{name} must be RSA with 2048 bits or more", param=name)
    return key
