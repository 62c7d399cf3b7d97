"""The platform's certificates: downloaded, unsealed with the APIv3 key, and believed only if the reply is signed by
one of them. The seal alone proves the sender, the signature proves that the list is fresh and whole.
"""

from datetime import datetime

import msgspec
from cryptography import x509
from cryptography.exceptions import InvalidTag, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from tael.channels.contract import MerchantAccount, Operation, Result
from tael.channels.exchange import HttpRequest, HttpResponse
from tael.channels.reading import Unreadable
from tael.channels.wechat.keys import Certificate, Keyring, WechatKeys, keys_of, normal_serial
from tael.channels.wechat.notices import Sealed, unseal
from tael.channels.wechat.replies import judge_with
from tael.channels.wechat.signing import signed_request


class _Entry(msgspec.Struct):
    serial_no: str
    encrypt_certificate: Sealed


class _List(msgspec.Struct):
    data: list[_Entry]


_lists = msgspec.json.Decoder(_List)


def build_certificates(account: MerchantAccount, *, now: datetime, nonce: str) -> HttpRequest:
    """The question for the list of valid certificates."""
    return signed_request(account, "GET", "/v3/certificates", b"", now=now, nonce=nonce)


def parse_certificates(
    account: MerchantAccount, sent: HttpRequest, response: HttpResponse, *, now: datetime
) -> Result[list[Certificate]]:
    """The certificates valid now, at least one. They may sign their own list: their seal was checked first."""
    keys = keys_of(account)
    trusted = keys.keyring
    if response.status == 200:
        trusted = _with_candidates(keys, response.body)

    def read(body: bytes) -> list[Certificate]:
        found = [held for held in _read(keys, body) if now < held.expires_at]
        if not found:
            raise Unreadable("no valid certificate")
        return found

    return judge_with(trusted, Operation.KEYS, sent, response, expected=200, now=now, read=read)


def _with_candidates(keys: WechatKeys, body: bytes) -> Keyring:
    """The known keys and those in the list, to verify the list's own signature."""
    held = keys.keyring
    try:
        candidates = {certificate.serial: certificate for certificate in _read(keys, body)}
    except Unreadable:
        candidates = {}
    return Keyring(held.public_key_id, held.public_key, downloads=True, certificates=held.certificates | candidates)


def _read(keys: WechatKeys, body: bytes) -> list[Certificate]:
    try:
        return [_certificate(keys, entry) for entry in _lists.decode(body).data]
    except (ValueError, RecursionError, InvalidTag, UnsupportedAlgorithm) as problem:
        raise Unreadable("certificates") from problem


def _certificate(keys: WechatKeys, entry: _Entry) -> Certificate:
    certificate = x509.load_pem_x509_certificate(unseal(keys, entry.encrypt_certificate))
    serial, key = f"{certificate.serial_number:X}", certificate.public_key()
    if serial != normal_serial(entry.serial_no) or not isinstance(key, RSAPublicKey) or key.key_size < 2048:
        raise Unreadable("certificate")
    return Certificate(serial, key, certificate.not_valid_after_utc)
