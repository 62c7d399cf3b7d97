"""Paying a user of Alipay from the merchant's balance: asking, and querying. Pure. Certificate mode only.

    request -> SUCCESS at once, mostly; or DEALING, WAIT_PAY, FAIL .. as in `transfers`
    query   -> the state; "no such order" means pending: repeat the identical request

`out_biz_no` is the payout's number: identical content again is the same transfer. "System error", code 20000 and no
answer at all say nothing. Notices come to the app's gateway address, which is set in Alipay's console: the request's
`notify_url` is not sent.
"""

import re
from collections.abc import Mapping
from datetime import datetime

from tael.channels.alipay.keys import keys_of
from tael.channels.alipay.replies import judge
from tael.channels.alipay.signing import GATEWAY, signed_request
from tael.channels.alipay.spec import LEAST_PAYOUT_MINOR, NUMBER, SPEC
from tael.channels.alipay.transfers import read_transfer
from tael.channels.alipay.writing import plain, yuan
from tael.channels.contract import (
    AlipayUser,
    ChannelError,
    ErrorKind,
    MerchantAccount,
    Operation,
    Outcome,
    PayoutNotPossible,
    PayoutRef,
    PayoutRequest,
    PayoutState,
    PayoutView,
    Result,
    Retry,
)
from tael.channels.evidence import evidence
from tael.channels.exchange import HttpRequest, HttpResponse
from tael.channels.reading import Unreadable
from tael.channels.verdicts import absence_is_an_answer

TRANSFER, QUERY = "alipay.fund.trans.uni.transfer", "alipay.fund.trans.common.query"
_PRODUCT: Mapping[str, object] = {"product_code": "TRANS_ACCOUNT_NO_PWD", "biz_scene": "DIRECT_TRANSFER"}
_IDENTITIES = {
    "ALIPAY_USER_ID": re.compile(r"2088[0-9]{12}"),
    "ALIPAY_OPEN_ID": re.compile(r"[0-9A-Za-z_\-]{1,128}"),
    "ALIPAY_LOGON_ID": re.compile(r"[!-~]{1,100}"),
}
_UNSENT = HttpRequest("POST", GATEWAY, (), b"")


def check(account: MerchantAccount, request: PayoutRequest) -> None:
    """Refuse what Alipay would refuse, and any payout of a paused account. Raises `PayoutNotPossible`."""
    if account.state != "active":
        raise PayoutNotPossible("the merchant account is paused", param="merchant_account")
    check_content(account, request)


def check_content(account: MerchantAccount, request: PayoutRequest) -> None:
    """Refuse what Alipay would refuse. Raises `PayoutNotPossible` naming the field."""
    if not keys_of(account).by_certificate:
        raise PayoutNotPossible("Alipay pays out only in certificate mode", param="merchant_account")
    amount, payee = request.amount, request.payee
    user = payee if isinstance(payee, AlipayUser) else AlipayUser("", "")
    form, name = _IDENTITIES.get(user.identity_type), user.name or ""
    unnamed = user.identity_type == "ALIPAY_LOGON_ID" and not name
    wrong = {
        "merchant_account": not account.appid,
        "number": not NUMBER.fullmatch(request.number),
        "currency": amount.currency not in SPEC.currencies,
        "amount": not LEAST_PAYOUT_MINOR <= amount.minor <= SPEC.max_minor,
        "payee": form is None or not form.fullmatch(user.identity),
        "payee_name": len(name) > 128 or not name.isprintable() or unnamed,
        "remark": not 1 <= len(request.remark) <= 128 or not request.remark.isprintable(),
    }
    for field, is_wrong in wrong.items():
        if is_wrong:
            raise PayoutNotPossible(f"Alipay does not take this {field}", param=field)


def build_payout(account: MerchantAccount, request: PayoutRequest, *, now: datetime) -> HttpRequest:
    """The order to pay; the same content each time.

    The account may be paused meanwhile: repeating what was once asked is how its end is found out.
    """
    check_content(account, request)
    payee = request.payee
    assert isinstance(payee, AlipayUser)
    named = {"name": payee.name} if payee.name else {}
    content: Mapping[str, object] = {
        "out_biz_no": request.number,
        "trans_amount": yuan(request.amount),
        **_PRODUCT,
        "order_title": plain(request.remark),
        "remark": plain(request.remark),
        "payee_info": {"identity": payee.identity, "identity_type": payee.identity_type, **named},
    }
    return signed_request(account, TRANSFER, content, now=now)


def parse_payout(
    account: MerchantAccount, request: PayoutRequest, sent: HttpRequest, response: HttpResponse, *, now: datetime
) -> Result[PayoutView]:
    """The state in the reply to `build_payout`; DECLINED for the few codes that end this number for good."""

    def read(node: bytes) -> PayoutView:
        return _about(request.number, read_transfer(node, account, asked=request.amount))

    return judge(account, Operation.PAYOUT, TRANSFER, sent, response, now=now, read=read)


def build_query_payout(account: MerchantAccount, ref: PayoutRef, *, now: datetime) -> HttpRequest:
    """The question for a payout's state."""
    return signed_request(account, QUERY, {"out_biz_no": ref.number, **_PRODUCT}, now=now)


def parse_query_payout(
    account: MerchantAccount, ref: PayoutRef, sent: HttpRequest, response: HttpResponse, *, now: datetime
) -> Result[PayoutView]:
    """The state in the reply to `build_query_payout`. "No such order" is an answer, which means pending."""

    def read(node: bytes) -> PayoutView:
        return _about(ref.number, read_transfer(node, account))

    answer = judge(account, Operation.QUERY_PAYOUT, QUERY, sent, response, now=now, read=read)
    return absence_is_an_answer(answer, PayoutView(number=ref.number, state=PayoutState.NOT_FOUND))


def cannot_cancel() -> Result[PayoutView]:
    """Alipay knows no way to call a transfer back: a no to the wish, which says nothing about the payout."""
    error = ChannelError(
        kind=ErrorKind.DECLINED, code="not_cancellable", message="", http=None, retry=Retry.QUERY_FIRST
    )
    return Result(Outcome.DECLINED, None, error, evidence(_UNSENT, None, elapsed_ms=0))


def _about(number: str, view: PayoutView) -> PayoutView:
    if view.number != number:
        raise Unreadable("an answer about another payout")
    return view
