"""The merchants of a channel on disk: a folder each, with key files and ``merchant.json``, which says what is beside
the keys, among that the ``place`` in the order of creation.
"""

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Generic, TypeVar

import msgspec
from msgspec import Struct

from tael_sandbox.control import Unknown

ABOUT = "merchant.json"
_M = TypeVar("_M")


class _Placed(Struct):
    place: int


class MerchantFolders(ABC, Generic[_M]):
    """All merchants of one channel, known by the name of their folder."""

    def __init__(self, folder: Path) -> None:
        """Load what the folder holds; it is created (0700) when missing."""
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._folder = folder
        known = [path for path in folder.iterdir() if (path / ABOUT).exists()]
        self._merchants = {path.name: self.load(path) for path in sorted(known, key=_place)}

    def __len__(self) -> int:
        """How many there are."""
        return len(self._merchants)

    def all(self) -> list[_M]:
        """Every merchant, oldest first."""
        return list(self._merchants.values())

    def get(self, name: str) -> _M | None:
        """The merchant with this name."""
        return self._merchants.get(name)

    def owner(self, name: str) -> _M:
        """The merchant that something recorded belongs to."""
        return self._merchants[name]

    def first_or_named(self, name: str) -> _M:
        """The merchant that a control call means: the first one when no name is given. Raises ``Unknown``."""
        found = self.get(name) if name else next(iter(self._merchants.values()), None)
        if found is None:
            raise Unknown("no such merchant")
        return found

    def folder(self, name: str) -> Path:
        """Where this merchant's key files are."""
        return self._folder / name

    def keep(self, name: str, merchant: _M) -> None:
        """Add or replace a merchant, on disk first. Blocks for a few syncs."""
        folder = self.folder(name)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.write(merchant, folder)
        self._merchants[name] = merchant

    @abstractmethod
    def load(self, folder: Path) -> _M:
        """Read a merchant from its folder."""

    @abstractmethod
    def write(self, merchant: _M, folder: Path) -> None:
        """Write all its files, ``merchant.json`` last."""


def _place(folder: Path) -> int:
    return msgspec.json.decode((folder / ABOUT).read_bytes(), type=_Placed).place
