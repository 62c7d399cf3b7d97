"""The keys of one merchant's app and of Alipay towards it, made on the spot and kept in a folder.

    app       private key + certificate: signs requests; Alipay keeps the public half
    alipay    private keys, each with a certificate, in a life of  signing -> served: signs replies and notices
    root      the certificates both chains end in; one of them is not RSA, as in the real root file

A certificate is named by its SN: MD5 of issuer name and serial number. The root file's SN joins those of its RSA
certificates.
"""

import hashlib
import json
import secrets
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cache, lru_cache
from pathlib import Path
from typing import cast

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

from tael_sandbox.keyfiles import load_key, new_key, private_pem, public_pem, write_private

_RSA_SIGNATURES = "1.2.840.113549.1.1."
_TEN_YEARS = timedelta(days=3650)
_Subject = rsa.RSAPublicKey | ec.EllipticCurvePublicKey


@dataclass(frozen=True, slots=True)
class Signer:
    """A key of Alipay's and the certificate that names it."""

    sn: str
    key: rsa.RSAPrivateKey
    certificate_pem: str

    @property
    def public_key_pem(self) -> str:
        """What a merchant in public-key mode checks with."""
        return public_pem(self.key.public_key())


@dataclass(frozen=True, slots=True)
class Keyring:
    """Everything between one app and Alipay. The last of ``signers`` signs; earlier ones can still be downloaded."""

    app_key_pem: str
    app_public: rsa.RSAPublicKey
    app_certificate_pem: str
    root_pem: str
    signers: tuple[Signer, ...]

    @classmethod
    def generate(cls, app_id: str, *, now_ms: int) -> "Keyring":
        """Make all keys of an app; takes about a tenth of a second."""
        key = new_key()
        return cls(
            app_key_pem=private_pem(key),
            app_public=key.public_key(),
            app_certificate_pem=_pem(_issue(key.public_key(), name=app_id, now_ms=now_ms)),
            root_pem=_authority().root_pem,
            signers=(_new_signer(now_ms),),
        )

    @property
    def signing(self) -> Signer:
        """The key that signs."""
        return self.signers[-1]

    @property
    def app_sn(self) -> str:
        """SN of the app's certificate."""
        return certificate_sn(self.app_certificate_pem)

    @property
    def root_sn(self) -> str:
        """SN of the root file."""
        return root_sn(self.root_pem)

    def rotated(self, *, now_ms: int) -> "Keyring":
        """A new key of Alipay's signs from now on."""
        return replace(self, signers=(*self.signers, _new_signer(now_ms)))

    def save(self, folder: Path) -> None:
        """Write every key as a file of its own (0600) into ``folder`` (0700)."""
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        files = {
            "app_key.pem": self.app_key_pem,
            "app_certificate.pem": self.app_certificate_pem,
            "alipay_root.pem": self.root_pem,
            "alipay_public_key.pem": self.signing.public_key_pem,
            "alipay_certificate.pem": self.signing.certificate_pem,
        }
        for signer in self.signers:
            files[f"alipay_certificate_{signer.sn}.pem"] = signer.certificate_pem
            files[f"alipay_certificate_{signer.sn}.key"] = private_pem(signer.key)
        files["signers.json"] = json.dumps([signer.sn for signer in self.signers])
        for name, text in files.items():
            write_private(folder / name, text)

    @classmethod
    def load(cls, folder: Path) -> "Keyring":
        """Read back what ``save`` wrote."""
        names = cast("list[str]", json.loads((folder / "signers.json").read_text()))
        certificate = (folder / "app_certificate.pem").read_text()
        app_public = x509.load_pem_x509_certificate(certificate.encode()).public_key()
        assert isinstance(app_public, rsa.RSAPublicKey), "we only make RSA keys for apps"
        return cls(
            app_key_pem=(folder / "app_key.pem").read_text(),
            app_public=app_public,
            app_certificate_pem=certificate,
            root_pem=(folder / "alipay_root.pem").read_text(),
            signers=tuple(
                Signer(
                    sn,
                    load_key(folder / f"alipay_certificate_{sn}.key"),
                    (folder / f"alipay_certificate_{sn}.pem").read_text(),
                )
                for sn in names
            ),
        )


@lru_cache(256)
def certificate_sn(pem: str) -> str:
    """Lower-case hex MD5 of the issuer's name (most specific part first) followed by the decimal serial number."""
    return _sn(x509.load_pem_x509_certificate(pem.encode()))


@lru_cache(256)
def root_sn(pem: str) -> str:
    """The SNs of those certificates of a root file that are signed with RSA, joined by ``_``."""
    found = x509.load_pem_x509_certificates(pem.encode())
    return "_".join(_sn(one) for one in found if one.signature_algorithm_oid.dotted_string.startswith(_RSA_SIGNATURES))


def _sn(certificate: x509.Certificate) -> str:
    text = f"{certificate.issuer.rfc4514_string()}{certificate.serial_number}"
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


@dataclass(frozen=True, slots=True)
class _Authority:
    key: rsa.RSAPrivateKey
    name: x509.Name
    root_pem: str


@cache
def _authority() -> _Authority:
    """The certificate authority of this process: every folder keeps the root file it was made with."""
    key, other, name = new_key(), ec.generate_private_key(ec.SECP256R1()), _name("Sandbox Root CA R1")
    started = int(datetime.now(UTC).timestamp()) * 1000
    mine = _sign(key.public_key(), name=name, issuer=name, key=key, now_ms=started)
    second = _name("Sandbox Root CA E1")
    theirs = _sign(other.public_key(), name=second, issuer=second, key=other, now_ms=started)
    return _Authority(key, name, f"{_pem(mine)}\n{_pem(theirs)}")


def _new_signer(now_ms: int) -> Signer:
    key = new_key()
    certificate = _issue(key.public_key(), name="Alipay (sandbox)", now_ms=now_ms)
    return Signer(_sn(certificate), key, _pem(certificate))


def _issue(public: rsa.RSAPublicKey, *, name: str, now_ms: int) -> x509.Certificate:
    authority = _authority()
    return _sign(public, name=_name(name), issuer=authority.name, key=authority.key, now_ms=now_ms)


def _sign(
    public: _Subject,
    *,
    name: x509.Name,
    issuer: x509.Name,
    key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey,
    now_ms: int,
) -> x509.Certificate:
    starts = datetime.fromtimestamp(now_ms // 1000, UTC) - timedelta(days=1)
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(secrets.randbits(120) | 1 << 124)
        .not_valid_before(starts)
        .not_valid_after(starts + _TEN_YEARS)
        .sign(key, hashes.SHA256())
    )


def _name(text: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.COUNTRY_NAME, "CN"),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Sandbox"),
            x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, "Certification Authority"),
            x509.NameAttribute(NameOID.COMMON_NAME, text),
        ]
    )


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()
