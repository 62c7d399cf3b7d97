"""The merchants this platform serves, each with app ids, keys and the mode its keys are used in; kept as folders on
disk.
"""

from dataclasses import dataclass
from pathlib import Path

import msgspec
from msgspec import Struct

from tael_sandbox.keyfiles import write_private
from tael_sandbox.merchants import ABOUT, MerchantFolders
from tael_sandbox.wechat.keys import Keyring, Mode


class Quota(Struct, frozen=True, forbid_unknown_fields=True):
    """Limits on transfers; 0 is none. Days are China's. What exceeds one is accepted and then fails."""

    single_minor: int = 0
    day_minor: int = 0
    payee_day_minor: int = 0
    payee_day_count: int = 0


NO_QUOTA = Quota()


class About(Struct, frozen=True, kw_only=True):
    """What is kept beside the keys. ``fee_per_10000`` is what the channel keeps of a payment; ``notify_by_public_key``
    is the share (per thousand orders) of notices signed with the public key while certificates are still in use.
    ``settles_after_s`` is how long refunds and cancellations take; 0: until somebody says so.
    """

    place: int
    appids: tuple[str, ...]
    mode: Mode
    notify_by_public_key: int = 1000
    fee_per_10000: int = 60
    settles_after_s: int = 5
    quota: Quota = NO_QUOTA


@dataclass(frozen=True, slots=True)
class Merchant:
    """One merchant."""

    mchid: str
    about: About
    keys: Keyring

    def fee_minor(self, total_minor: int) -> int:
        """The fee on a payment, rounded half up to whole minor units."""
        return (total_minor * self.about.fee_per_10000 + 5_000) // 10_000


class Merchants(MerchantFolders[Merchant]):
    """All merchants of one sandbox, by merchant number."""

    def save(self, merchant: Merchant) -> None:
        """Add or replace a merchant, on disk first."""
        self.keep(merchant.mchid, merchant)

    def load(self, folder: Path) -> Merchant:
        """Read a merchant from its folder."""
        about = msgspec.json.decode((folder / ABOUT).read_bytes(), type=About)
        return Merchant(folder.name, about, Keyring.load(folder))

    def write(self, merchant: Merchant, folder: Path) -> None:
        """Write all its files."""
        merchant.keys.save(folder)
        write_private(folder / ABOUT, msgspec.json.encode(merchant.about).decode())
