"""The merchants this platform serves, each with app ids, keys and the mode its keys are used in; kept as folders on
disk.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import msgspec
from msgspec import Struct

from tael_sandbox.keyfiles import write_private
from tael_sandbox.wechat.keys import Keyring, Mode


class Quota(Struct, frozen=True, forbid_unknown_fields=True):
    """Limits on transfers; 0 is none. Days are China's. What exceeds one is accepted and then fails."""

    single_minor: int = 0
    day_minor: int = 0
    payee_day_minor: int = 0
    payee_day_count: int = 0


NO_QUOTA = Quota()


@dataclass(frozen=True, slots=True)
class Merchant:
    """One merchant. ``fee_per_10000`` is what the channel keeps of a payment; ``notify_by_public_key`` is the share
    (per thousand orders) of notices signed with the public key while certificates are still in use.
    ``settles_after_s`` is how long refunds and cancellations take; 0: until somebody says so.
    """

    mchid: str
    appids: tuple[str, ...]
    mode: Mode
    keys: Keyring
    notify_by_public_key: int = 1000
    fee_per_10000: int = 60
    settles_after_s: int = 5
    quota: Quota = NO_QUOTA

    def fee_minor(self, total_minor: int) -> int:
        """The fee on a payment, rounded half up to whole minor units."""
        return (total_minor * self.fee_per_10000 + 5_000) // 10_000


class Merchants:
    """All merchants of one sandbox, in a folder each."""

    def __init__(self, folder: Path) -> None:
        """Load what the folder holds; it is created (0700) when missing."""
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._folder = folder
        self._merchants: dict[str, Merchant] = {}
        known = [path for path in folder.iterdir() if (path / "merchant.json").exists()]
        for path, about in sorted(
            ((path, _about(path)) for path in known), key=lambda pair: cast(int, pair[1]["place"])
        ):
            self._merchants[path.name] = _load(path, about)

    def __len__(self) -> int:
        """How many there are."""
        return len(self._merchants)

    def all(self) -> list[Merchant]:
        """Every merchant, oldest first."""
        return list(self._merchants.values())

    def get(self, mchid: str) -> Merchant | None:
        """The merchant with this number."""
        return self._merchants.get(mchid)

    def folder(self, mchid: str) -> Path:
        """Where this merchant's key files are."""
        return self._folder / mchid

    def save(self, merchant: Merchant) -> None:
        """Add or replace a merchant, on disk first. Blocks for a few syncs."""
        folder = self.folder(merchant.mchid)
        merchant.keys.save(folder)
        known = list(self._merchants)
        about = {
            "place": known.index(merchant.mchid) if merchant.mchid in known else len(known),
            "appids": merchant.appids,
            "mode": merchant.mode,
            "notify_by_public_key": merchant.notify_by_public_key,
            "fee_per_10000": merchant.fee_per_10000,
            "settles_after_s": merchant.settles_after_s,
            "quota": msgspec.to_builtins(merchant.quota),
        }
        write_private(folder / "merchant.json", json.dumps(about))
        self._merchants[merchant.mchid] = merchant


def _about(folder: Path) -> dict[str, object]:
    return cast("dict[str, object]", json.loads((folder / "merchant.json").read_text()))


def _load(folder: Path, about: dict[str, object]) -> Merchant:
    return Merchant(
        mchid=folder.name,
        appids=tuple(cast("list[str]", about["appids"])),
        mode=cast(Mode, about["mode"]),
        keys=Keyring.load(folder),
        notify_by_public_key=cast(int, about["notify_by_public_key"]),
        fee_per_10000=cast(int, about["fee_per_10000"]),
        settles_after_s=cast(int, about.get("settles_after_s", 5)),
        quota=msgspec.convert(about.get("quota", {}), Quota),
    )
