"""Paying a WeChat user from the merchant's balance (transfer bills): asking, querying, calling back. Pure.

    request -> ACCEPTED | WAIT_USER_CONFIRM with the token that opens the user's confirmation page
    query   -> the state; only this and the notice can say that money moved or came back
    cancel  -> CANCELING: the wish was accepted, no more

The reply to a request is only an acceptance. Should it show a final state (a repetition of an old request), we call it
processing and let the query decide. No refusal is final either: "other than 200 never means failed".

What WeChat wants to know about the purpose stands in the merchant account's config:

    transfer_scene_id             the agreed scene, such as 1000 (marketing), 1005 (commission), 1006 (reimbursement)
    transfer_scene_report_infos   JSON list of {"info_type": .., "info_content": ..}, the texts that the scene demands
    transfer_recv_perception      what the payee is told the money is for; optional, one of the scene's words
"""

import base64
import re
from datetime import datetime

import msgspec
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, OAEP
from cryptography.hazmat.primitives.hashes import SHA1

from tael.channels.contract import (
    MerchantAccount,
    Operation,
    PayoutNotPossible,
    PayoutRef,
    PayoutRequest,
    PayoutState,
    PayoutView,
    Result,
    WechatUser,
)
from tael.channels.exchange import HttpRequest, HttpResponse
from tael.channels.reading import Unreadable
from tael.channels.verdicts import absence_is_an_answer
from tael.channels.wechat.keys import keys_of
from tael.channels.wechat.replies import judge
from tael.channels.wechat.signing import signed_request
from tael.channels.wechat.spec import PAYOUT_NUMBER, SPEC, takes_notices
from tael.channels.wechat.transfer_bills import read_acceptance, read_bill

TARGET = "/v3/fund-app/mch-transfer/transfer-bills"
UNSENT = HttpRequest("POST", TARGET, (), b"")
NAMED_FROM_MINOR = 200_000
UNNAMED_BELOW_MINOR = 30
_SCENE, _REPORTS, _PERCEPTION = "transfer_scene_id", "transfer_scene_report_infos", "transfer_recv_perception"
# The channel's choice of hash. OAEP asks of it no more than SHA-1 still gives.
_SEALING = OAEP(mgf=MGF1(SHA1()), algorithm=SHA1(), label=None)  # noqa: S303


class _Report(msgspec.Struct, forbid_unknown_fields=True):
    info_type: str
    info_content: str


_reports = msgspec.json.Decoder(list[_Report])


def check(account: MerchantAccount, request: PayoutRequest) -> None:
    """Refuse what WeChat would refuse, and any payout of a paused account. Raises `PayoutNotPossible`."""
    if account.state != "active":
        raise PayoutNotPossible("the merchant account is paused", param="merchant_account")
    check_content(account, request)


def check_content(account: MerchantAccount, request: PayoutRequest) -> None:
    """Refuse what WeChat would refuse. Raises `PayoutNotPossible` naming the field or the missing setting."""
    amount, payee = request.amount, request.payee
    openid, name = (payee.openid, payee.name or "") if isinstance(payee, WechatUser) else ("", "")
    wrong = {
        "merchant_account": not account.appid,
        _SCENE: not re.fullmatch(r"[0-9]{1,36}", account.config.get(_SCENE, "")),
        _REPORTS: _read_reports(account) is None,
        "number": not PAYOUT_NUMBER.fullmatch(request.number),
        "currency": amount.currency not in SPEC.currencies,
        "amount": not SPEC.min_minor <= amount.minor <= SPEC.max_minor,
        "payee": not re.fullmatch(r"[!-~]{1,64}", openid),
        "payee_name": len(name) > 64 or not name.isprintable() or (not name and amount.minor >= NAMED_FROM_MINOR),
        "remark": not 1 <= len(request.remark) <= 32 or not request.remark.isprintable(),
        "notify_url": not takes_notices(account, request.notify_url),
    }
    for field, is_wrong in wrong.items():
        if is_wrong:
            raise PayoutNotPossible(f"WeChat Pay does not take this {field}", param=field)


def build_payout(account: MerchantAccount, request: PayoutRequest, *, now: datetime, nonce: str) -> HttpRequest:
    """The order to pay; the same content each time, though a sealed name never looks the same twice.

    The account may be paused meanwhile: repeating what was once asked is how its end is found out.
    """
    check_content(account, request)
    assert isinstance(request.payee, WechatUser)
    body: dict[str, object] = {
        "appid": account.appid,
        "out_bill_no": request.number,
        "transfer_scene_id": account.config[_SCENE],
        "openid": request.payee.openid,
        "transfer_amount": request.amount.minor,
        "transfer_remark": request.remark,
        "notify_url": request.notify_url,
        "transfer_scene_report_infos": _read_reports(account),
    }
    if request.payee.name and request.amount.minor >= UNNAMED_BELOW_MINOR:
        body["user_name"] = _sealed(account, request.payee.name, now=now)
    if perception := account.config.get(_PERCEPTION):
        body["user_recv_perception"] = perception
    return signed_request(account, "POST", TARGET, msgspec.json.encode(body), now=now, nonce=nonce)


def parse_payout(
    account: MerchantAccount, request: PayoutRequest, sent: HttpRequest, response: HttpResponse, *, now: datetime
) -> Result[PayoutView]:
    """What the acceptance says; never a final state. Any refusal is UNKNOWN: query, then repeat the same request."""

    def read(body: bytes) -> PayoutView:
        return _about(request.number, read_acceptance(body, mchid=account.mchid))

    return judge(account, Operation.PAYOUT, sent, response, expected=200, now=now, read=read)


def build_query_payout(account: MerchantAccount, ref: PayoutRef, *, now: datetime, nonce: str) -> HttpRequest:
    """The question for a payout's state."""
    return signed_request(account, "GET", _target(ref), b"", now=now, nonce=nonce)


def parse_query_payout(
    account: MerchantAccount, ref: PayoutRef, sent: HttpRequest, response: HttpResponse, *, now: datetime
) -> Result[PayoutView]:
    """The state in the reply to `build_query_payout`. "No such bill" is an answer, which means pending."""

    def read(body: bytes) -> PayoutView:
        return _about(ref.number, read_bill(body))

    answer = judge(account, Operation.QUERY_PAYOUT, sent, response, expected=200, now=now, read=read)
    return absence_is_an_answer(answer, PayoutView(number=ref.number, state=PayoutState.NOT_FOUND))


def build_cancel_payout(account: MerchantAccount, ref: PayoutRef, *, now: datetime, nonce: str) -> HttpRequest:
    """The wish to call a payout back; it has no body, and the empty body is signed."""
    return signed_request(account, "POST", f"{_target(ref)}/cancel", b"", now=now, nonce=nonce)


def parse_cancel_payout(
    account: MerchantAccount, ref: PayoutRef, sent: HttpRequest, response: HttpResponse, *, now: datetime
) -> Result[PayoutView]:
    """Whether the wish was accepted; never a final state."""

    def read(body: bytes) -> PayoutView:
        return _about(ref.number, read_acceptance(body, mchid=account.mchid))

    return judge(account, Operation.CANCEL_PAYOUT, sent, response, expected=200, now=now, read=read)


def _read_reports(account: MerchantAccount) -> list[_Report] | None:
    """The scene's report texts; None when the config does not hold them properly."""
    try:
        found = _reports.decode(account.config.get(_REPORTS, ""))
    except (ValueError, RecursionError):
        return None
    good = all(one.info_type and one.info_content and len(one.info_content) <= 32 for one in found)
    return found if found and good else None


def _sealed(account: MerchantAccount, name: str, *, now: datetime) -> str:
    """A personal word, encrypted for the platform with the key that the request names."""
    keyring = keys_of(account).keyring
    key = keyring.find(keyring.announced(now=now) or "", now=now)
    assert key is not None, "nothing is built before we hold a platform key"
    return base64.b64encode(key.encrypt(name.encode(), _SEALING)).decode()


def _target(ref: PayoutRef) -> str:
    assert PAYOUT_NUMBER.fullmatch(ref.number), "payout numbers are ours and fit"
    return f"{TARGET}/out-bill-no/{ref.number}"


def _about(number: str, view: PayoutView) -> PayoutView:
    if view.number != number:
        raise Unreadable("an answer about another payout")
    return view
