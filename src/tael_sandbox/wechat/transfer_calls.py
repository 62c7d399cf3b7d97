"""Transfers to users, ``/v3/fund-app/mch-transfer/transfer-bills``: asking, querying by either number, cancelling.

The same number with the same content is the same transfer; with other content it is refused. The user's name comes
encrypted for the key that the request names, must be there from 2,000.00 yuan and must not below 0.30. Where the real
name is known and another is given, or where a quota of the merchant is exceeded, the transfer is accepted and fails.
A bill can be queried for thirty days.
"""

import base64
import binascii
from typing import Annotated

import msgspec
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, OAEP
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA1
from msgspec import UNSET, Meta, Struct, UnsetType

from tael_sandbox.wechat.bodies import check_url, missing, read
from tael_sandbox.wechat.merchants import NO_QUOTA, Merchant
from tael_sandbox.wechat.refusals import Detail, Refusal
from tael_sandbox.wechat.state import Wechat
from tael_sandbox.wechat.transaction import china_time
from tael_sandbox.wechat.transfers import Next, Report, Transfer, TransferAsked, TransferMoved, TransferTerms

OVERDUE = "OVERDUE_CLOSE"
_NAMED_FROM_MINOR, _UNNAMED_BELOW_MINOR = 200_000, 30
_DAY_MS = 86_400_000
_KEPT_MS = 30 * _DAY_MS
_CHINA_MS = 8 * 3_600_000
# The protocol's choice of hash.
_OPENING = OAEP(mgf=MGF1(SHA1()), algorithm=SHA1(), label=None)  # noqa: S303


class Body(Struct, frozen=True):
    """What a transfer request may say; fields that are not listed are ignored."""

    appid: Annotated[str, Meta(min_length=1, max_length=32)]
    out_bill_no: Annotated[str, Meta(pattern=r"\A[0-9A-Za-z]{1,32}\Z")]
    transfer_scene_id: Annotated[str, Meta(min_length=1, max_length=36)]
    openid: Annotated[str, Meta(min_length=1, max_length=64)]
    transfer_amount: Annotated[int, Meta(ge=1, le=10_000_000_000)]
    transfer_remark: Annotated[str, Meta(min_length=1, max_length=32)]
    transfer_scene_report_infos: Annotated[tuple[Report, ...], Meta(min_length=1)]
    user_name: str = ""
    user_recv_perception: str = ""
    notify_url: Annotated[str, Meta(max_length=256)] = ""


class Acceptance(Struct, frozen=True):
    """The answer to a request; ``package_info`` opens the page on which the user confirms."""

    out_bill_no: str
    transfer_bill_no: str
    create_time: str
    state: str
    package_info: str | UnsetType = UNSET


class Cancellation(Struct, frozen=True):
    """The answer to a cancellation: it was heard."""

    out_bill_no: str
    transfer_bill_no: str
    state: str
    update_time: str


class Bill(Struct, frozen=True):
    """One transfer as a query shows it and, without ``appid``, as a notice carries it."""

    mch_id: str
    out_bill_no: str
    transfer_bill_no: str
    state: str
    transfer_amount: int
    transfer_remark: str
    openid: str
    create_time: str
    update_time: str
    appid: str | UnsetType = UNSET
    fail_reason: str | UnsetType = UNSET


_DECODER = msgspec.json.Decoder(Body)


def ask(wechat: Wechat, merchant: Merchant, *, raw: bytes, serial: str) -> Acceptance:
    """Accept the transfer, or find it accepted. ``serial`` names the key that the name is encrypted for. Raises
    ``Refusal``.
    """
    body = read(_DECODER, raw)
    if body.appid not in merchant.about.appids:
        raise Refusal("APPID_MCHID_NOT_MATCH")
    if body.notify_url:
        check_url(wechat, body.notify_url)
    terms = _terms(body, _name(merchant, body, serial))
    known = wechat.transfer(merchant.mchid, body.out_bill_no)
    if known is None:
        if wechat.balance(merchant.mchid) < terms.amount_minor:
            raise Refusal("NOT_ENOUGH", message="商户运营账户资金不足")
        known = _accept(wechat, merchant, body.out_bill_no, terms)
    elif known.asked.terms != terms:
        raise Refusal("INVALID_REQUEST", message="商户单号已存在，且与原请求参数不一致")
    asked = known.asked
    return Acceptance(
        out_bill_no=asked.out_bill_no,
        transfer_bill_no=asked.transfer_bill_no,
        create_time=china_time(asked.at_ms),
        state=known.state,
        package_info=asked.package_info if known.state == "WAIT_USER_CONFIRM" else UNSET,
    )


def by_number(wechat: Wechat, merchant: Merchant, *, out_bill_no: str) -> Bill:
    """The bill with the merchant's number. Raises ``Refusal`` NOT_FOUND."""
    return show(_found(wechat, merchant, out_bill_no))


def by_bill(wechat: Wechat, merchant: Merchant, *, transfer_bill_no: str) -> Bill:
    """The bill with the platform's number. Raises ``Refusal`` NOT_FOUND."""
    return show(_found(wechat, merchant, wechat.transfers.number_of(merchant.mchid, transfer_bill_no)))


def cancel(wechat: Wechat, merchant: Merchant, *, out_bill_no: str) -> Cancellation:
    """Take note that the merchant wants the transfer back. Raises ``Refusal``: NOT_FOUND, INVALID_REQUEST when it has
    succeeded or failed.
    """
    transfer = _found(wechat, merchant, out_bill_no)
    if transfer.state in ("SUCCESS", "FAIL"):
        raise Refusal("INVALID_REQUEST", message="当前状态不允许撤销")
    now_ms = wechat.clock.now_ms()
    if transfer.state not in ("CANCELING", "CANCELLED"):
        after_ms = merchant.about.settles_after_s * 1000
        then = Next(now_ms + after_ms, "CANCELLED") if after_ms else None
        wechat.record(TransferMoved(merchant.mchid, out_bill_no, now_ms, "CANCELING", next=then))
        transfer = _found(wechat, merchant, out_bill_no)
    bill, changed = transfer.asked.transfer_bill_no, china_time(transfer.changed_ms)
    return Cancellation(out_bill_no, bill, transfer.state, changed)


def show(transfer: Transfer) -> Bill:
    """A transfer in the words of the API."""
    asked, terms = transfer.asked, transfer.asked.terms
    return Bill(
        mch_id=asked.mchid,
        out_bill_no=asked.out_bill_no,
        transfer_bill_no=asked.transfer_bill_no,
        state=transfer.state,
        transfer_amount=terms.amount_minor,
        transfer_remark=terms.remark,
        openid=terms.openid,
        create_time=china_time(asked.at_ms),
        update_time=china_time(transfer.changed_ms),
        appid=terms.appid,
        fail_reason=transfer.reason or UNSET,
    )


def _found(wechat: Wechat, merchant: Merchant, out_bill_no: str) -> Transfer:
    transfer = wechat.transfer(merchant.mchid, out_bill_no)
    if transfer is None or wechat.clock.now_ms() - transfer.asked.at_ms > _KEPT_MS:
        raise Refusal("NOT_FOUND")
    return transfer


def _name(merchant: Merchant, body: Body, serial: str) -> str:
    """The user's name in clear text; empty where none is given."""
    if not body.user_name:
        if body.transfer_amount >= _NAMED_FROM_MINOR:
            raise missing("/user_name")
        return ""
    if body.transfer_amount < _UNNAMED_BELOW_MINOR:
        raise _bad_name("not allowed below 0.30 yuan")
    key = _platform_key(merchant, serial)
    if key is None:
        raise _bad_name("Wechatpay-Serial names no key of the platform")
    try:
        return key.decrypt(base64.b64decode(body.user_name, validate=True), _OPENING).decode()
    except (binascii.Error, ValueError) as error:
        raise _bad_name("cannot be decrypted") from error


def _bad_name(issue: str) -> Refusal:
    return Refusal("PARAM_ERROR", message="user_name无效", detail=Detail("/user_name", issue))


def _platform_key(merchant: Merchant, serial: str) -> RSAPrivateKey | None:
    keys = merchant.keys
    if serial == keys.public_key_id and merchant.about.mode != "certificate":
        return keys.public_key
    served = {one.serial: one.key for one in keys.certificates}
    return served.get(serial.upper()) if merchant.about.mode != "public_key" else None


def _terms(body: Body, name: str) -> TransferTerms:
    return TransferTerms(
        appid=body.appid,
        transfer_scene_id=body.transfer_scene_id,
        openid=body.openid,
        amount_minor=body.transfer_amount,
        remark=body.transfer_remark,
        notify_url=body.notify_url,
        user_name=name,
        user_recv_perception=body.user_recv_perception,
        reports=body.transfer_scene_report_infos,
    )


def _accept(wechat: Wechat, merchant: Merchant, out_bill_no: str, terms: TransferTerms) -> Transfer:
    now_ms, name = wechat.clock.now_ms(), (merchant.mchid, out_bill_no)
    flaw = _flaw(wechat, merchant, terms)
    soon_ms, late_ms = now_ms + max(1, merchant.about.settles_after_s) * 1000, now_ms + _DAY_MS
    then = Next(soon_ms, "FAIL", flaw) if flaw else Next(late_ms, "FAIL", OVERDUE)
    wechat.record(
        TransferAsked(
            mchid=merchant.mchid,
            out_bill_no=out_bill_no,
            terms=terms,
            at_ms=now_ms,
            transfer_bill_no=f"1330{wechat.ids.digits(36, 'transfer', *name)}",
            package_info=f"{wechat.ids.letters(40, 'package', *name)}==",
            notice_id=wechat.ids.hexadecimal(32, "transfer notice", *name),
            state="ACCEPTED" if flaw else "WAIT_USER_CONFIRM",
            next=then,
        )
    )
    accepted = wechat.transfers.get(*name)
    assert accepted is not None, "it was just accepted"
    return accepted


def _flaw(wechat: Wechat, merchant: Merchant, terms: TransferTerms) -> str:
    """Why this transfer is going to fail; empty when nothing speaks against it."""
    known = wechat.transfers.names.get(terms.openid, "")
    if terms.user_name and known and terms.user_name != known:
        return "NAME_NOT_CORRECT"
    quota = merchant.about.quota
    if quota == NO_QUOTA:
        return ""
    if 0 < quota.single_minor < terms.amount_minor:
        return "TRANSFER_QUOTA_EXCEED"
    day = _china_day(wechat.clock.now_ms())
    today = [
        one for one in wechat.transfers
        if one.asked.mchid == merchant.mchid and _china_day(one.asked.at_ms) == day
        and one.state not in ("FAIL", "CANCELLED") and (one.next is None or one.next.reason in ("", OVERDUE))
    ]  # fmt: skip
    theirs = [one.asked.terms.amount_minor for one in today if one.asked.terms.openid == terms.openid]
    if 0 < quota.payee_day_count < len(theirs) + 1:
        return "DAY_RECEIVED_COUNT_EXCEED"
    if 0 < quota.payee_day_minor < sum(theirs) + terms.amount_minor:
        return "DAY_RECEIVED_QUOTA_EXCEED"
    if 0 < quota.day_minor < sum(one.asked.terms.amount_minor for one in today) + terms.amount_minor:
        return "TRANSFER_QUOTA_EXCEED"
    return ""


def _china_day(at_ms: int) -> int:
    return (at_ms + _CHINA_MS) // _DAY_MS
