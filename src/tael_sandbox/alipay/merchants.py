"""The merchants Alipay serves here, one app each, with keys and limits; kept as folders on disk."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec
from msgspec import Struct

from tael_sandbox.alipay.keys import Keyring
from tael_sandbox.keyfiles import write_private

Mode = Literal["certificate", "public_key"]


class Limits(Struct, frozen=True):
    """How much may be transferred, in fen."""

    single_minor: int = 500_000_00
    day_minor: int = 2_000_000_00
    month_minor: int = 30_000_000_00


class About(Struct, frozen=True, kw_only=True):
    """What is kept beside the keys. ``gateway_url``: where messages of the app go, such as those on transfers."""

    place: int
    seller_id: str
    mode: Mode
    gateway_url: str = ""
    fee_per_10000: int = 60
    limits: Limits = Limits()


@dataclass(frozen=True, slots=True)
class Merchant:
    """One merchant and its app."""

    app_id: str
    about: About
    keys: Keyring

    @property
    def account(self) -> str:
        """Its account in the channel's book."""
        return f"alipay/merchant/{self.app_id}"

    def fee_minor(self, total_minor: int) -> int:
        """The fee on a payment, rounded half up to whole minor units."""
        return (total_minor * self.about.fee_per_10000 + 5_000) // 10_000


class Merchants:
    """All merchants of one sandbox, in a folder each."""

    def __init__(self, folder: Path) -> None:
        """Load what the folder holds; it is created (0700) when missing."""
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._folder = folder
        known = [_load(path) for path in folder.iterdir() if (path / "merchant.json").exists()]
        self._merchants = {one.app_id: one for one in sorted(known, key=lambda one: one.about.place)}

    def __len__(self) -> int:
        """How many there are."""
        return len(self._merchants)

    def all(self) -> list[Merchant]:
        """Every merchant, oldest first."""
        return list(self._merchants.values())

    def get(self, app_id: str) -> Merchant | None:
        """The merchant with this app."""
        return self._merchants.get(app_id)

    def folder(self, app_id: str) -> Path:
        """Where this merchant's key files are."""
        return self._folder / app_id

    def save(self, merchant: Merchant) -> None:
        """Add or replace a merchant, on disk first. Blocks for a few syncs."""
        folder = self.folder(merchant.app_id)
        merchant.keys.save(folder)
        write_private(folder / "merchant.json", json.dumps(msgspec.to_builtins(merchant.about)))
        self._merchants[merchant.app_id] = merchant


def _load(folder: Path) -> Merchant:
    about = msgspec.json.decode((folder / "merchant.json").read_bytes(), type=About)
    return Merchant(folder.name, about, Keyring.load(folder))
