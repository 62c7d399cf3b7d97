"""Numbers the channel hands out, derived from a seed.

Every id is a keyed hash of what it names (merchant, order number, how many times), so the same seed and the same
story give the same ids in any run, whatever the order in which requests arrive, and nothing has to be remembered
across a restart. Nonces are the exception: they are random, because a cipher's nonce must never come back.
"""

import hashlib
import secrets

_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


class Ids:
    """Deterministic ids of one sandbox."""

    def __init__(self, seed: str) -> None:
        """Take the seed of this sandbox; any text."""
        self._key = hashlib.blake2b(seed.encode(), digest_size=32).digest()

    def digits(self, length: int, *parts: object) -> str:
        """Decimal digits."""
        return str(self._number(parts) % 10**length).zfill(length)

    def hexadecimal(self, length: int, *parts: object) -> str:
        """Lower-case hexadecimal digits, at most 64."""
        return self._digest(parts).hex()[:length]

    def letters(self, length: int, *parts: object) -> str:
        """Digits and letters of both cases."""
        number = self._number(parts)
        found: list[str] = []
        for _ in range(length):
            number, index = divmod(number, 62)
            found.append(_ALPHABET[index])
        return "".join(found)

    def nonce(self, length: int = 32) -> str:
        """A fresh value for a signature or a cipher; ``length`` is even."""
        return secrets.token_hex(length // 2).upper()

    def _number(self, parts: tuple[object, ...]) -> int:
        return int.from_bytes(self._digest(parts), "big")

    def _digest(self, parts: tuple[object, ...]) -> bytes:
        text = "\x1f".join(str(part) for part in parts)
        return hashlib.blake2b(text.encode(), key=self._key, digest_size=32).digest()
