"""The seal from 99bill's side: AES-128-CBC from a vector of zeros, its key in an RSA envelope, SHA1withRSA over all."""

import base64
import binascii

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from msgspec import Struct

_BLOCK = 16
_NO_VECTOR = b"\0" * _BLOCK


class Seal(Struct, frozen=True):
    """The parts of a sealed text, in base64."""

    signed: str
    encrypted: str
    envelope: str


class Broken(Exception):
    """The seal is not the sender's, not for us, or damaged."""


def put(text: bytes, *, data_key: bytes, sender: rsa.RSAPrivateKey, reader: rsa.RSAPublicKey) -> Seal:
    """Seal a text under a data key of 16 bytes."""
    missing = _BLOCK - len(text) % _BLOCK
    cipher = Cipher(algorithms.AES(data_key), modes.CBC(_NO_VECTOR)).encryptor()
    encrypted = cipher.update(text + bytes([missing] * missing)) + cipher.finalize()
    signed = sender.sign(text, padding.PKCS1v15(), hashes.SHA1())  # noqa: S303
    envelope = reader.encrypt(data_key, padding.PKCS1v15())
    return Seal(*(base64.b64encode(part).decode() for part in (signed, encrypted, envelope)))


def take(seal: Seal, *, sender: rsa.RSAPublicKey, reader: rsa.RSAPrivateKey) -> bytes:
    """Open a seal. Raises ``Broken``."""
    try:
        data_key = reader.decrypt(base64.b64decode(seal.envelope), padding.PKCS1v15())
        cipher = Cipher(algorithms.AES(data_key), modes.CBC(_NO_VECTOR)).decryptor()
        padded = cipher.update(base64.b64decode(seal.encrypted)) + cipher.finalize()
        filled = padded[-1] if padded else 0
        if len(data_key) != _BLOCK or not 1 <= filled <= _BLOCK or padded[-filled:] != bytes([filled] * filled):
            raise Broken
        text = padded[:-filled]
        sender.verify(base64.b64decode(seal.signed), text, padding.PKCS1v15(), hashes.SHA1())  # noqa: S303
    except (ValueError, binascii.Error, InvalidSignature) as error:
        raise Broken from error
    return text
