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


class Merchants:
    """All members of one sandbox, in a folder each."""

    def __init__(self, folder: Path) -> None:
        """Load what the folder holds; it is created (0700) when missing."""
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._folder = folder
        known = [_load(path) for path in folder.iterdir() if (path / "merchant.json").exists()]
        self._merchants = {one.member_code: one for one in sorted(known, key=lambda one: one.about.place)}

    def __len__(self) -> int:
        """How many there are."""
        return len(self._merchants)

    def all(self) -> list[Merchant]:
        """Every member, oldest first."""
        return list(self._merchants.values())

    def get(self, member_code: str) -> Merchant | None:
        """The member with this code."""
        return self._merchants.get(member_code)

    def folder(self, member_code: str) -> Path:
        """Where this member's key files are."""
        return self._folder / member_code

    def save(self, merchant: Merchant) -> None:
        """Add or replace a member, on disk first. Blocks for a few syncs."""
        folder = self.folder(merchant.member_code)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        files = {
            "member_key.pem": private_pem(merchant.member_key),
            "member_certificate.pem": merchant.member_certificate,
            "bill99_key.pem": private_pem(merchant.bill99_key),
            "bill99_certificate.pem": merchant.bill99_certificate,
            "merchant.json": msgspec.json.encode(merchant.about).decode(),
        }
        for name, text in files.items():
            write_private(folder / name, text)
        self._merchants[merchant.member_code] = merchant


def _load(folder: Path) -> Merchant:
    return Merchant(
        member_code=folder.name,
        about=msgspec.json.decode((folder / "merchant.json").read_bytes(), type=About),
        member_key=load_key(folder / "member_key.pem"),
        member_certificate=(folder / "member_certificate.pem").read_text(),
        bill99_key=load_key(folder / "bill99_key.pem"),
        bill99_certificate=(folder / "bill99_certificate.pem").read_text(),
    )


def _certificate(key: rsa.RSAPrivateKey, name: str, now_ms: int) -> str:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    starts = datetime.fromtimestamp(now_ms // 1000, UTC) - timedelta(days=1)
    builder = x509.CertificateBuilder(subject, subject, key.public_key(), secrets.randbits(120) | 1 << 124)
    signed = builder.not_valid_before(starts).not_valid_after(starts + _TEN_YEARS).sign(key, hashes.SHA256())
    return signed.public_bytes(serialization.Encoding.PEM).decode()
