"""The keys of one merchant and of the platform that serves it, made on the spot and kept in a folder.

merchant    private key + API certificate: signs requests; the platform keeps only the public half in use
platform    certificates in a life of  pending -> signing -> served -> gone, and one public key with an id
APIv3 key   32 ASCII characters that seal certificates and notifications
"""

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal, cast

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from tael_sandbox.keyfiles import load_key, new_key, private_pem, public_pem, write_private

Mode = Literal["certificate", "public_key", "both"]
Stage = Literal["pending", "signing", "served"]

_FIVE_YEARS = timedelta(days=5 * 365)


@dataclass(frozen=True, slots=True)
class Certificate:
    """A platform certificate with its private key. ``serial`` is upper-case hex, as in the ``Wechatpay-Serial``
    header.
    """

    serial: str
    key: rsa.RSAPrivateKey
    pem: str
    starts: datetime
    ends: datetime
    stage: Stage


@dataclass(frozen=True, slots=True)
class Keyring:
    """Everything secret or public between one merchant and the platform."""

    mchid: str
    merchant_key_pem: str
    merchant_certificate_pem: str
    merchant_serial: str
    merchant_public: rsa.RSAPublicKey
    apiv3_key: str
    public_key_id: str
    public_key: rsa.RSAPrivateKey
    public_key_pem: str
    certificates: tuple[Certificate, ...] = field(default=())

    @classmethod
    def generate(cls, mchid: str, *, now_ms: int) -> "Keyring":
        """Make all keys of a merchant; takes about a fifth of a second. One platform certificate signs from the
        start.
        """
        merchant_key, public_key = new_key(), new_key()
        starts = _starts(now_ms)
        certificate = _issue(merchant_key, name=f"merchant {mchid}", starts=starts)
        ring = cls(
            mchid=mchid,
            merchant_key_pem=private_pem(merchant_key),
            merchant_certificate_pem=_certificate_pem(certificate),
            merchant_serial=_serial(certificate),
            merchant_public=merchant_key.public_key(),
            apiv3_key=secrets.token_hex(16),
            public_key_id=f"PUB_KEY_ID_01{mchid}{secrets.randbelow(10**20):020d}",
            public_key=public_key,
            public_key_pem=public_pem(public_key.public_key()),
        )
        return ring.with_certificate(now_ms=now_ms).switched()

    @property
    def signing(self) -> Certificate:
        """The certificate that signs."""
        return next(one for one in self.certificates if one.stage == "signing")

    def with_certificate(self, *, now_ms: int) -> "Keyring":
        """Rotation, first step: a new certificate is served beside the others but does not sign yet."""
        key, starts = new_key(), _starts(now_ms)
        issued = _issue(key, name="WeChat Pay platform (sandbox)", starts=starts)
        made = Certificate(_serial(issued), key, _certificate_pem(issued), starts, starts + _FIVE_YEARS, "pending")
        return replace(self, certificates=(*self.certificates, made))

    def switched(self) -> "Keyring":
        """Rotation, second step: the newest certificate signs, the others are still served."""
        newest = self.certificates[-1].serial
        staged = tuple(replace(one, stage="signing" if one.serial == newest else "served") for one in self.certificates)
        return replace(self, certificates=staged)

    def retired(self) -> "Keyring":
        """Rotation, last step: certificates that no longer sign are not served any more."""
        return replace(self, certificates=tuple(one for one in self.certificates if one.stage != "served"))

    def save(self, folder: Path) -> None:
        """Write every key as a file of its own (0600) into ``folder`` (0700), then ``keys.json`` that names them."""
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        files = {
            "merchant_key.pem": self.merchant_key_pem,
            "merchant_certificate.pem": self.merchant_certificate_pem,
            "apiv3_key": self.apiv3_key,
            "platform_public_key.pem": self.public_key_pem,
            "platform_private_key.pem": private_pem(self.public_key),
        }
        for one in self.certificates:
            files[f"platform_certificate_{one.serial}.pem"] = one.pem
            files[f"platform_certificate_{one.serial}.key"] = private_pem(one.key)
        files["keys.json"] = json.dumps(
            {
                "mchid": self.mchid,
                "public_key_id": self.public_key_id,
                "certificates": [{"serial": one.serial, "stage": one.stage} for one in self.certificates],
            }
        )
        for name, text in files.items():
            write_private(folder / name, text)

    @classmethod
    def load(cls, folder: Path) -> "Keyring":
        """Read back what ``save`` wrote."""
        index = cast("dict[str, object]", json.loads((folder / "keys.json").read_text()))
        listed = cast("list[Mapping[str, str]]", index["certificates"])
        merchant_pem = (folder / "merchant_certificate.pem").read_text()
        merchant = x509.load_pem_x509_certificate(merchant_pem.encode())
        merchant_public = merchant.public_key()
        assert isinstance(merchant_public, rsa.RSAPublicKey), "we only make RSA keys"
        return cls(
            mchid=cast(str, index["mchid"]),
            merchant_key_pem=(folder / "merchant_key.pem").read_text(),
            merchant_certificate_pem=merchant_pem,
            merchant_serial=_serial(merchant),
            merchant_public=merchant_public,
            apiv3_key=(folder / "apiv3_key").read_text(),
            public_key_id=cast(str, index["public_key_id"]),
            public_key=load_key(folder / "platform_private_key.pem"),
            public_key_pem=(folder / "platform_public_key.pem").read_text(),
            certificates=tuple(_load_certificate(folder, one) for one in listed),
        )


def _load_certificate(folder: Path, listed: Mapping[str, str]) -> Certificate:
    name = f"platform_certificate_{listed['serial']}"
    pem = (folder / f"{name}.pem").read_text()
    read = x509.load_pem_x509_certificate(pem.encode())
    return Certificate(
        serial=listed["serial"],
        key=load_key(folder / f"{name}.key"),
        pem=pem,
        starts=read.not_valid_before_utc,
        ends=read.not_valid_after_utc,
        stage=cast(Stage, listed["stage"]),
    )


def _starts(now_ms: int) -> datetime:
    """A day before now, so that a client whose clock is a little behind accepts the certificate."""
    return datetime.fromtimestamp(now_ms // 1000, UTC) - timedelta(days=1)


def _issue(key: rsa.RSAPrivateKey, *, name: str, starts: datetime) -> x509.Certificate:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(secrets.randbits(152) | 1 << 156)
        .not_valid_before(starts)
        .not_valid_after(starts + _FIVE_YEARS)
        .sign(key, hashes.SHA256())
    )


def _serial(certificate: x509.Certificate) -> str:
    return f"{certificate.serial_number:X}"


def _certificate_pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()
