"""The merchants Alipay serves here, one app each, with keys and limits; kept as folders on disk."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec
from msgspec import Struct

from tael_sandbox.alipay.keys import Keyring
from tael_sandbox.keyfiles import write_private
from tael_sandbox.merchants import ABOUT, MerchantFolders

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


class Merchants(MerchantFolders[Merchant]):
    """All merchants of one sandbox, by app id."""

    def save(self, merchant: Merchant) -> None:
        """Add or replace a merchant, on disk first."""
        self.keep(merchant.app_id, merchant)

    def load(self, folder: Path) -> Merchant:
        """Read a merchant from its folder."""
        about = msgspec.json.decode((folder / ABOUT).read_bytes(), type=About)
        return Merchant(folder.name, about, Keyring.load(folder))

    def write(self, merchant: Merchant, folder: Path) -> None:
        """Write all its files."""
        merchant.keys.save(folder)
        write_private(folder / ABOUT, msgspec.json.encode(merchant.about).decode())
