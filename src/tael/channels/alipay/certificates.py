"""A certificate of Alipay's that a reply named and we do not hold: downloaded by its SN, and believed only if it is of
the same organisation and its chain ends in our root file. Who signed the reply that brings it proves nothing more, but
must be one whom we would believe.
"""

import base64
import binascii
from datetime import datetime

import msgspec
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm

from tael.channels.alipay.envelope import members, text
from tael.channels.alipay.keys import Certificate, Keyring, keys_of, read_certificate, trusted
from tael.channels.alipay.replies import judge_with
from tael.channels.alipay.signing import signed_request
from tael.channels.alipay.writing import read_json
from tael.channels.contract import BadCredentials, MerchantAccount, Operation, Result
from tael.channels.exchange import HttpRequest, HttpResponse
from tael.channels.reading import Unreadable

METHOD = "alipay.open.app.alipaycert.download"


class _Download(msgspec.Struct):
    alipay_cert_content: str


_decoder = msgspec.json.Decoder(_Download)


def build_download(account: MerchantAccount, sn: str, *, now: datetime) -> HttpRequest:
    """The question for the certificate with this SN."""
    return signed_request(account, METHOD, {"alipay_cert_sn": sn}, now=now)


def parse_download(
    account: MerchantAccount, sn: str, sent: HttpRequest, response: HttpResponse, *, now: datetime
) -> Result[Certificate]:
    """The certificate, if it is the one we asked for and trusted. It may sign its own delivery."""
    held = keys_of(account).keyring

    def read(node: bytes) -> Certificate:
        return _read(held, node, sn, now=now)

    keyring = Keyring(held.public_key, dict(held.certificates), held.roots)
    try:
        delivered = read(members(response.body)[f"{METHOD.replace('.', '_')}_response"])
        named = members(response.body).get("alipay_cert_sn", b'""')
        if text(named) == delivered.sn:
            keyring.certificates[delivered.sn] = delivered
    except (Unreadable, KeyError):
        pass  # then nobody but the certificates that we hold may have signed it, and `judge` reads it again
    return judge_with(keyring, Operation.KEYS, METHOD, sent, response, now=now, read=read)


def _read(held: Keyring, node: bytes, sn: str, *, now: datetime) -> Certificate:
    content = read_json(_decoder, node).alipay_cert_content
    try:
        chain = x509.load_pem_x509_certificates(base64.b64decode(content, validate=True))
        certificate = read_certificate(chain[0])
    except (ValueError, binascii.Error, UnsupportedAlgorithm, BadCredentials) as problem:
        raise Unreadable("certificate") from problem
    if certificate.sn != sn or not held.resembles(certificate) or not trusted(chain, held.roots, now=now):
        raise Unreadable("a certificate that is not trusted")
    return certificate
