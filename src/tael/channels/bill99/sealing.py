"""How 99bill seals a message, and the only place where its old cryptography is allowed.

    signed data        SHA1withRSA (PKCS #1 v1.5) over the plaintext, with the sender's private key
    encrypted data     AES-128-CBC, PKCS #5 padding, an initialisation vector of zeros, under a fresh data key
    digital envelope   the data key (16 characters), RSA PKCS #1 v1.5 for the receiver

All three in base64. None of it is our choice: it is the protocol. What makes it bearable, and what must stay so:

- each message has a data key of its own, so that the fixed vector never meets the same key twice;
- SHA-1 is broken for collisions, not for second preimages: nobody can make another text fit 99bill's signature, and we
  sign only texts that we wrote ourselves;
- whatever is wrong with a seal has one and the same answer, and only replies to our own calls are ever opened, so
  nobody can ask us whether a padding was right.

A signature has no time and no nonce in it: an old reply stays genuine. Whoever reads one compares the order's number.
"""

import base64
import binascii
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.padding import PKCS7

DATA_KEY_BYTES = 16
_VECTOR = bytes(16)


class BadSeal(Exception):
    """The message cannot be opened with our key, or the sender's signature is not on what was inside."""


@dataclass(frozen=True, slots=True)
class Sealed:
    """A sealed message; each part in base64."""

    signed_data: str
    encrypted_data: str
    digital_envelope: str


def seal(plaintext: bytes, *, data_key: bytes, signer: RSAPrivateKey, receiver: RSAPublicKey) -> Sealed:
    """Sign and encrypt. `data_key` is used once and never again."""
    padder, encryptor = PKCS7(128).padder(), Cipher(AES(data_key), CBC(_VECTOR)).encryptor()
    padded = padder.update(plaintext) + padder.finalize()
    return Sealed(
        signed_data=_text(signer.sign(plaintext, PKCS1v15(), SHA1())),  # noqa: S303
        encrypted_data=_text(encryptor.update(padded) + encryptor.finalize()),
        digital_envelope=_text(receiver.encrypt(data_key, PKCS1v15())),
    )


def unseal(sealed: Sealed, *, receiver: RSAPrivateKey, signer: RSAPublicKey) -> bytes:
    """The plaintext that `signer` signed for `receiver`. Raises `BadSeal`, whatever the parts are."""
    try:
        data_key = receiver.decrypt(_bytes(sealed.digital_envelope), PKCS1v15())
        if len(data_key) != DATA_KEY_BYTES:
            raise BadSeal
        decryptor, unpadder = Cipher(AES(data_key), CBC(_VECTOR)).decryptor(), PKCS7(128).unpadder()
        padded = decryptor.update(_bytes(sealed.encrypted_data)) + decryptor.finalize()
        plaintext = unpadder.update(padded) + unpadder.finalize()
        signer.verify(_bytes(sealed.signed_data), plaintext, PKCS1v15(), SHA1())  # noqa: S303
    except (ValueError, binascii.Error, InvalidSignature) as problem:
        raise BadSeal from problem
    return plaintext


def _text(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def _bytes(text: str) -> bytes:
    """Base64, broken into lines or not."""
    return base64.b64decode("".join(text.split()), validate=True)
