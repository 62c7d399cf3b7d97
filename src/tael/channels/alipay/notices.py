"""A notice of Alipay: a form; check who signed it and that it is ours, then read it. Pure.

    size -> the form, read in one way only -> RSA2 over all of it but sign and sign_type -> app_id, seller_id -> content

What is told: trade_status_sync (a payment, also after refunds of it), to the `notify_url` of the request; and
alipay.fund.trans.order.changed (a payout), to the app's gateway address. A refund is told as the state of its payment
with a *sum* of refunds, so it is no word about one refund: that is asked for.

A notice is repeated for 25 hours (and by hand later), and nothing in it says which repetition it is: an age limit would
refuse genuine ones. Somebody who has recorded a notice can therefore show it to us again. What protects is that the
content is signed, so that it can only say again what Alipay once said, and that settling the same payment or payout
again changes nothing.
"""

import hashlib
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from urllib.parse import unquote_to_bytes

import msgspec

from tael.base.errors import TaelError
from tael.channels.alipay.keys import keys_of
from tael.channels.alipay.signing import SIGN_TYPE, Flaw, flaw_of
from tael.channels.alipay.trades import Seller, Trade, view_of
from tael.channels.alipay.transfers import read_transfer
from tael.channels.alipay.writing import read_time
from tael.channels.contract import (
    BadNotification,
    MalformedNotification,
    MerchantAccount,
    PaymentView,
    PayoutView,
    VerifiedEvent,
)
from tael.channels.exchange import HttpReply
from tael.channels.reading import Unreadable

LIMIT = 64 * 1024
TRADE, TRANSFER = "trade_status_sync", "alipay.fund.trans.order.changed"
_MOST_PARAMETERS = 200
_CHARSETS = {"utf-8": "utf-8", "utf8": "utf-8", "gbk": "gbk", "gb2312": "gbk", "gb18030": "gb18030"}
_PARAMETER = re.compile(rb"&[0-9A-Za-z_.\-]{1,64}=")
_TEXT = (("content-type", "text/plain"),)


def verify(account: MerchantAccount, headers: Sequence[tuple[str, str]], raw: bytes, *, now: datetime) -> VerifiedEvent:
    """Check and open a notice. Raises `BadNotification` or one of its subclasses, and nothing else."""
    if len(raw) > LIMIT:
        raise MalformedNotification("too large")
    try:
        given = _parameters(raw)
        _check_signature(account, given, now=now)
        said = _decoded(given)
        _check_owner(account, said)
        return _read(account, said, raw)
    except Unreadable as problem:
        raise MalformedNotification(f"unreadable {problem}") from problem


def acknowledge() -> HttpReply:
    """`success`, exactly: Alipay stops repeating the notice."""
    return HttpReply(200, _TEXT, b"success")


def refuse(problem: TaelError) -> HttpReply:
    """4xx or 5xx and `failure`: Alipay repeats the notice."""
    return HttpReply(problem.status if problem.status >= 400 else 500, _TEXT, b"failure")


def _parameters(raw: bytes) -> dict[str, bytes]:
    """The form before it was encoded: names, and values as bytes of the sender's charset. Raises `Unreadable`.

    What is signed are the parameters joined by `&`, not where one ends and the next begins. A value that looks as if
    it held parameters could have been made of some, or be made into some, without a change of the signed text: a text
    that the payer chose would become the amount. What we send holds no such signs, so no genuine notice does.
    """
    parts = raw.split(b"&", _MOST_PARAMETERS)
    if len(parts) > _MOST_PARAMETERS:
        raise Unreadable("form")
    given: dict[str, bytes] = {}
    for part in parts:
        encoded, equals, value = part.replace(b"+", b" ").partition(b"=")
        try:
            name = unquote_to_bytes(encoded).decode("ascii")
        except UnicodeDecodeError as problem:
            raise Unreadable("form") from problem
        if not equals or not re.fullmatch(r"[0-9A-Za-z_.\-]{1,64}", name) or name in given:
            raise Unreadable("form")
        given[name] = unquote_to_bytes(value)
        if _PARAMETER.search(given[name]):
            raise Unreadable("form")
    return given


def _check_signature(account: MerchantAccount, given: Mapping[str, bytes], *, now: datetime) -> None:
    if given.get("sign_type") != SIGN_TYPE.encode() or not given.get("sign"):
        raise BadNotification(Flaw.UNSIGNED.value)
    # A sender that forgets to encode the plus signs of the signature turns them into spaces.
    signature = given["sign"].replace(b" ", b"+").decode("latin-1")
    signed = [(name.encode(), value) for name, value in sorted(given.items()) if name not in ("sign", "sign_type")]
    message = b"&".join(b"%s=%s" % one for one in signed)
    flaw = flaw_of(message, signature, keys_of(account).keyring.every(now=now))
    if flaw is not None:
        raise BadNotification(flaw.value)


def _decoded(given: Mapping[str, bytes]) -> dict[str, str]:
    charset = _CHARSETS.get(given.get("charset", b"utf-8").decode("latin-1").lower())
    if charset is None:
        raise Unreadable("charset")
    try:
        return {name: value.decode(charset) for name, value in given.items()}
    except UnicodeDecodeError as problem:
        raise Unreadable("charset") from problem


def _check_owner(account: MerchantAccount, said: Mapping[str, str]) -> None:
    """Alipay's key is the same for many apps: a genuine notice may still be somebody else's."""
    if said.get("app_id") != account.appid:
        raise BadNotification("of another app")
    if said.get("seller_id", account.mchid) != account.mchid:
        raise BadNotification("of another seller")


def _read(account: MerchantAccount, said: Mapping[str, str], raw: bytes) -> VerifiedEvent:
    subject: PaymentView | PayoutView
    if said.get("msg_method") == TRANSFER:
        kind = TRANSFER
        subject = read_transfer(said.get("biz_content", "").encode(), account)
        occurred_at = _milliseconds(said.get("utc_timestamp", ""))
    elif said.get("notify_type", TRADE) == TRADE and "msg_method" not in said:
        kind = TRADE
        subject = _payment(said)
        occurred_at = read_time(said.get("notify_time", ""))
    else:
        raise Unreadable("kind")
    id = said.get("notify_id", "")
    if not re.fullmatch(r"[!-~]{1,128}", id):
        raise Unreadable("id")
    sha256 = hashlib.sha256(raw).hexdigest()
    return VerifiedEvent(id=id, kind=kind, occurred_at=occurred_at, subject=subject, sha256=sha256)


def _payment(said: Mapping[str, str]) -> PaymentView:
    if not said.get("seller_id"):
        raise Unreadable("seller_id")
    try:
        trade = msgspec.convert(said, Trade)
    except msgspec.ValidationError as problem:
        raise Unreadable("trade") from problem
    return view_of(trade, Seller(said["seller_id"], said["app_id"]))


def _milliseconds(text: str) -> datetime:
    if not re.fullmatch(r"[0-9]{12,14}", text):
        raise Unreadable("time")
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=int(text))
