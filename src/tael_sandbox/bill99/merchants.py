"""The members 99bill serves here, each with its key, 99bill's key for it and both certificates; folders on disk."""

import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID
from msgspec import Struct

from tael_sandbox.keyfiles import load_key, new_key, private_pem, write_private
from tael_sandbox.merchants import ABOUT, MerchantFolders

_TEN_YEARS = timedelta(days=3650)


class About(Struct, frozen=True):
    """What is kept beside the keys. ``settle_s``: an accepted order is paid after that; 0: by hand only."""

    place: int
    settle_s: int = 5


@dataclass(frozen=True, slots=True)
class Merchant:
    """One member. ``member_key`` is its own, ``bill99_key`` what 99bill signs and opens with."""

    member_code: str
    about: About
    member_key: rsa.RSAPrivateKey
    member_certificate: str
    bill99_key: rsa.RSAPrivateKey
    bill99_certificate: str

    @property
    def account(self) -> str:
        """Its account in the channel's book."""
        return account_of(self.member_code)


def account_of(member_code: str) -> str:
    """The account of a member in the channel's book."""
    return f"bill99/merchant/{member_code}"


def new_merchant(member_code: str, about: About, *, now_ms: int) -> Merchant:
    """Make a member with all its keys; takes a tenth of a second."""
    member, bill99 = new_key(), new_key()
    ours, theirs = _certificate(bill99, "99bill (sandbox)", now_ms), _certificate(member, member_code, now_ms)
    return Merchant(member_code, about, member, theirs, bill99, ours)


class Merchants(MerchantFolders[Merchant]):
    """All members of one sandbox, by member code."""

    def save(self, merchant: Merchant) -> None:
        """Add or replace a member, on disk first."""
        self.keep(merchant.member_code, merchant)

    def load(self, folder: Path) -> Merchant:
        """Read a member from its folder."""
        return Merchant(
            member_code=folder.name,
            about=msgspec.json.decode((folder / ABOUT).read_bytes(), type=About),
            member_key=load_key(folder / "member_key.pem"),
            member_certificate=(folder / "member_certificate.pem").read_text(),
            bill99_key=load_key(folder / "bill99_key.pem"),
            bill99_certificate=(folder / "bill99_certificate.pem").read_text(),
        )

    def write(self, merchant: Merchant, folder: Path) -> None:
        """Write all its files."""
        files = {
            "member_key.pem": private_pem(merchant.member_key),
            "member_certificate.pem": merchant.member_certificate,
            "bill99_key.pem": private_pem(merchant.bill99_key),
            "bill99_certificate.pem": merchant.bill99_certificate,
            ABOUT: msgspec.json.encode(merchant.about).decode(),
        }
        for name, text in files.items():
            write_private(folder / name, text)


def _certificate(key: rsa.RSAPrivateKey, name: str, now_ms: int) -> str:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    starts = datetime.fromtimestamp(now_ms // 1000, UTC) - timedelta(days=1)
    builder = x509.CertificateBuilder(subject, subject, key.public_key(), secrets.randbits(120) | 1 << 124)
    signed = builder.not_valid_before(starts).not_valid_after(starts + _TEN_YEARS).sign(key, hashes.SHA256())
    return signed.public_bytes(serialization.Encoding.PEM).decode()
