"""A notice of WeChat Pay: check who signed it and when, then open its sealed part. Pure.

    size -> signature over the raw bytes (or probe, stale, unknown key ...) -> envelope -> AES-256-GCM -> content

What is told: TRANSACTION.SUCCESS (a payment), REFUND.SUCCESS | ABNORMAL | CLOSED, MCHTRANSFER.BILL.FINISHED (a payout).

The signature proves the platform; the seal proves that it was meant for this merchant account, because the
platform's key is the same for all merchants and the APIv3 key is not.
"""

import base64
import binascii
import hashlib
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import NoReturn

import msgspec
from cryptography.exceptions import InvalidTag

from tael.base.errors import TaelError
from tael.channels.contract import (
    BadNotification,
    MalformedNotification,
    MerchantAccount,
    PaymentView,
    PayoutView,
    RefundView,
    SignatureProbe,
    UnknownSigningKey,
    VerifiedEvent,
)
from tael.channels.exchange import HttpReply
from tael.channels.reading import Unreadable, read_as
from tael.channels.wechat.keys import WechatKeys, keys_of
from tael.channels.wechat.refunds import read_refund_notice
from tael.channels.wechat.signing import Flaw, examine
from tael.channels.wechat.transactions import read_time, read_transaction
from tael.channels.wechat.transfer_bills import FINISHED, read_bill_notice

LIMIT = 64 * 1024
_ALGORITHM = "AEAD_AES_256_GCM"


class Sealed(msgspec.Struct):
    """A sealed part of a notice or of the certificate list."""

    algorithm: str
    ciphertext: str
    nonce: str
    associated_data: str = ""
    original_type: str = ""


class _Notice(msgspec.Struct):
    id: str
    create_time: str
    event_type: str
    resource: Sealed


def _read_payment(body: bytes, event: str) -> PaymentView:
    return read_transaction(body)


_notices = msgspec.json.Decoder(_Notice)
# event type -> the type its content says it has, and who reads that
_READERS: Mapping[str, tuple[str, Callable[[bytes, str], PaymentView | RefundView | PayoutView]]] = {
    "TRANSACTION.SUCCESS": ("transaction", _read_payment),
    "REFUND.SUCCESS": ("refund", read_refund_notice),
    "REFUND.ABNORMAL": ("refund", read_refund_notice),
    "REFUND.CLOSED": ("refund", read_refund_notice),
    FINISHED: ("mch_payment", read_bill_notice),
}


def verify(account: MerchantAccount, headers: Sequence[tuple[str, str]], raw: bytes, *, now: datetime) -> VerifiedEvent:
    """Check and open a notice. Raises `BadNotification` or one of its subclasses, and nothing else."""
    keys = keys_of(account)
    if len(raw) > LIMIT:
        raise MalformedNotification("too large")
    flaw = examine(headers, raw, keys.keyring, now=now)
    if flaw is not None:
        _refuse(flaw, keys)
    try:
        return _open(keys, raw)
    except Unreadable as problem:
        raise MalformedNotification(f"unreadable {problem}") from problem


def unseal(keys: WechatKeys, sealed: Sealed) -> bytes:
    """Open a sealed part with the APIv3 key. Raises `Unreadable` or cryptography's `InvalidTag`."""
    try:
        ciphertext = base64.b64decode(sealed.ciphertext, validate=True)
        nonce, bound = sealed.nonce.encode("ascii"), sealed.associated_data.encode()
    except (binascii.Error, ValueError) as problem:
        raise Unreadable("seal") from problem
    if sealed.algorithm != _ALGORITHM or len(nonce) != 12 or len(ciphertext) < 16:
        raise Unreadable("seal")
    return keys.sealed.decrypt(nonce, ciphertext, bound)


def acknowledge() -> HttpReply:
    """204: WeChat stops repeating the notice."""
    return HttpReply(204, (), b"")


def refuse(problem: TaelError) -> HttpReply:
    """4xx or 5xx with WeChat's FAIL body: it repeats the notice. The status decides, the body is for its operators."""
    body = msgspec.json.encode({"code": "FAIL", "message": type(problem).__name__})
    status = problem.status if problem.status >= 400 else 500
    return HttpReply(status, (("content-type", "application/json"),), body)


def _refuse(flaw: Flaw, keys: WechatKeys) -> NoReturn:
    match flaw:
        case Flaw.PROBE:
            raise SignatureProbe
        case Flaw.UNKNOWN_KEY:
            keys.keyring.missed = True
            raise UnknownSigningKey
        case Flaw.UNSIGNED | Flaw.AMBIGUOUS | Flaw.MALFORMED | Flaw.STALE | Flaw.WRONG:
            raise BadNotification(flaw.value)


def _open(keys: WechatKeys, raw: bytes) -> VerifiedEvent:
    notice = read_as(_notices, raw, "envelope")
    original, read = _READERS.get(notice.event_type, ("", None))
    if read is None or notice.resource.original_type not in ("", original):
        raise Unreadable("event type")
    if not 1 <= len(notice.id) <= 64 or not notice.id.isascii() or not notice.id.isprintable():
        raise Unreadable("id")
    try:
        content = unseal(keys, notice.resource)
    except InvalidTag as problem:
        raise BadNotification("sealed with another key") from problem
    return VerifiedEvent(
        id=notice.id,
        kind=notice.event_type,
        occurred_at=read_time(notice.create_time),
        subject=read(content, notice.event_type),
        sha256=hashlib.sha256(raw).hexdigest(),
    )
