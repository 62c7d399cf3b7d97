"""A refund at WeChat Pay: asking for it, asking about it, and how it is described in replies and in notices.

PROCESSING -> processing   SUCCESS -> refunded   CLOSED -> closed (the money stays with us)
ABNORMAL -> abnormal (the payer's card is dead, the money is back at the merchant account: a person decides)

No error code says that a refund failed: WeChat wants the same number again after any of them, so nothing but a signed
CLOSED ends one without money. A query calls the state `status`, a notice calls it `refund_status`.
"""

from datetime import datetime

import msgspec

from tael.channels.contract import MerchantAccount, Operation, RefundRef, RefundRequest, RefundState, RefundView, Result
from tael.channels.exchange import HttpRequest, HttpResponse
from tael.channels.reading import Unreadable, read_as, read_money, read_name
from tael.channels.verdicts import absence_is_an_answer
from tael.channels.wechat.replies import judge
from tael.channels.wechat.signing import encoded, signed_request
from tael.channels.wechat.spec import CURRENCY, PAYMENT_NUMBER, REFUND_NUMBER, SPEC, takes_notices
from tael.channels.wechat.transactions import read_time

TARGET = "/v3/refund/domestic/refunds"
_LONGEST_REASON = 80
_STATES = {
    "PROCESSING": RefundState.PROCESSING,
    "SUCCESS": RefundState.REFUNDED,
    "CLOSED": RefundState.CLOSED,
    "ABNORMAL": RefundState.ABNORMAL,
}


class _Amount(msgspec.Struct):
    """Notices name no currency; domestic refunds have only one."""

    refund: int
    currency: str = CURRENCY


class _Refund(msgspec.Struct):
    out_refund_no: str
    out_trade_no: str
    refund_id: str
    amount: _Amount
    status: str | None = None
    refund_status: str | None = None
    success_time: str | None = None
    mchid: str | None = None


_decoder = msgspec.json.Decoder(_Refund)


def build_refund(account: MerchantAccount, request: RefundRequest, *, now: datetime, nonce: str) -> HttpRequest:
    """The order to refund. The same request gives the same body: sending it again is the same refund."""
    assert REFUND_NUMBER.fullmatch(request.number), "refund numbers are ours and fit"
    assert request.amount.currency == request.total.currency == CURRENCY, "a payment is refunded in its currency"
    assert SPEC.min_minor <= request.amount.minor <= request.total.minor, "not more than was paid"
    assert takes_notices(account, request.notify_url), "notices go where those of payments go"
    payment = (
        {"transaction_id": request.payment_ref} if request.payment_ref else {"out_trade_no": request.payment_number}
    )
    shown = "".join(char for char in request.reason if char.isprintable())[:_LONGEST_REASON]
    body: dict[str, object] = {
        **payment,
        "out_refund_no": request.number,
        **({"reason": shown} if shown else {}),
        "notify_url": request.notify_url,
        "amount": {"refund": request.amount.minor, "total": request.total.minor, "currency": CURRENCY},
    }
    return signed_request(account, "POST", TARGET, msgspec.json.encode(body), now=now, nonce=nonce)


def parse_refund(
    account: MerchantAccount, request: RefundRequest, sent: HttpRequest, response: HttpResponse, *, now: datetime
) -> Result[RefundView]:
    """The state in the reply to `build_refund`, usually PROCESSING. Any refusal is UNKNOWN: repeat the same request."""

    def read(body: bytes) -> RefundView:
        return _read_own(account, request.number, body)

    return judge(account, Operation.REFUND, sent, response, expected=200, now=now, read=read)


def build_query_refund(account: MerchantAccount, ref: RefundRef, *, now: datetime, nonce: str) -> HttpRequest:
    """The question for a refund's state."""
    return signed_request(account, "GET", f"{TARGET}/{encoded(ref.number)}", b"", now=now, nonce=nonce)


def parse_query_refund(
    account: MerchantAccount, ref: RefundRef, sent: HttpRequest, response: HttpResponse, *, now: datetime
) -> Result[RefundView]:
    """The state in the reply to `build_query_refund`. "No such refund" is an answer, which means pending."""

    def read(body: bytes) -> RefundView:
        return _read_own(account, ref.number, body)

    answer = judge(account, Operation.QUERY_REFUND, sent, response, expected=200, now=now, read=read)
    return absence_is_an_answer(answer, RefundView(number=ref.number, state=RefundState.NOT_FOUND))


def read_refund_notice(body: bytes, event: str) -> RefundView:
    """The refund inside a notice `REFUND.SUCCESS`, `.ABNORMAL` or `.CLOSED`. Raises `Unreadable`."""
    found = read_as(_decoder, body, "refund")
    if event != f"REFUND.{found.refund_status}":
        raise Unreadable("a refund that contradicts its event")
    return _view(found, found.refund_status, mchid=read_name(found.mchid))


def _read_own(account: MerchantAccount, number: str, body: bytes) -> RefundView:
    """Replies name no merchant: they go to the one who asked."""
    found = read_as(_decoder, body, "refund")
    if found.out_refund_no != number:
        raise Unreadable("an answer about another refund")
    return _view(found, found.status, mchid=account.mchid)


def _view(found: _Refund, status: str | None, *, mchid: str | None) -> RefundView:
    state = _STATES.get(status or "")
    if state is None or found.amount.refund < SPEC.min_minor:
        raise Unreadable("refund")
    if not REFUND_NUMBER.fullmatch(found.out_refund_no) or not PAYMENT_NUMBER.fullmatch(found.out_trade_no):
        raise Unreadable("number")
    refunded_at = read_time(found.success_time) if found.success_time else None
    if state is RefundState.REFUNDED and None in (read_name(found.refund_id), refunded_at, mchid):
        raise Unreadable("incomplete")
    return RefundView(
        number=found.out_refund_no,
        state=state,
        payment_number=found.out_trade_no,
        channel_ref=read_name(found.refund_id),
        amount=read_money(found.amount.refund, found.amount.currency),
        mchid=mchid,
        refunded_at=refunded_at if state is RefundState.REFUNDED else None,
    )
