"""Seal what must be read again but never lie open: bank cards, names, ids of people at a channel.

    v1 | kid | nonce | ciphertext and tag        AES-256-GCM, a random nonce of 96 bits each time

The keys derive from the installation's master key by HKDF, one for sealing and one for the blind index, so the master
key itself never encrypts anything. `kid` names the master key: after a change of it what was sealed before is still
opened, as long as the older key is given too. The place (table, column, row) is authenticated, so a sealed value that
is copied into another row does not open there.
"""

import hashlib
import hmac
import os
from collections.abc import Sequence

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from tael.base.errors import TaelError

_NONCE = 12
_KID = 8


class SealBroken(TaelError):
    """A sealed value cannot be opened: it was changed or moved, or its master key is not configured.
    zh: 加密字段无法解密：内容被改动、被移位，或未配置对应的主密钥。
    """

    status = 500


class Sealer:
    """Seals and opens. Holds keys, never prints them."""

    __slots__ = ("_blind", "_kid", "_opening")

    def __init__(self, master_key: bytes, *, older: Sequence[bytes] = ()) -> None:
        """`older`: master keys of the past, newest first; they open, and only `master_key` seals and indexes."""
        self._kid = _name(master_key)
        self._opening = {_name(key): AESGCM(_derive(key, b"tael sealing 1")) for key in (*older, master_key)}
        self._blind = _derive(master_key, b"tael blind index 1")

    def seal(self, content: bytes, *, place: str) -> bytes:
        """The sealed form of `content`, to be stored at `place` such as `payee.sealed.1.42`."""
        nonce = os.urandom(_NONCE)
        return b"|".join((b"v1", self._kid, nonce + self._opening[self._kid].encrypt(nonce, content, place.encode())))

    def open(self, sealed: bytes, *, place: str) -> bytes:
        """What was sealed for `place`. Raises `SealBroken`, and says nothing about the content."""
        version, _, rest = sealed.partition(b"|")
        kid, bar, box = rest[:_KID], rest[_KID : _KID + 1], rest[_KID + 1 :]
        key = self._opening.get(kid)
        if (version, bar) != (b"v1", b"|") or key is None or len(box) <= _NONCE:
            raise SealBroken(place)
        try:
            return key.decrypt(box[:_NONCE], box[_NONCE:], place.encode())
        except InvalidTag as problem:
            raise SealBroken(place) from problem

    def blind(self, *parts: str) -> str:
        """A keyed digest by which equal contents are found without being known; 64 hexadecimal digits."""
        named = b"".join(len(part.encode()).to_bytes(4, "big") + part.encode() for part in parts)
        return hmac.digest(self._blind, named, hashlib.sha256).hex()


def _name(master_key: bytes) -> bytes:
    return _derive(master_key, b"tael key name 1")[: _KID // 2].hex().encode()


def _derive(master_key: bytes, purpose: bytes) -> bytes:
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=purpose).derive(master_key)
