"""A refund at Alipay: asking for it, and asking about it. Pure.

reply with fund_change Y                        -> refunded: this call moved the money
reply with fund_change N, or without            -> UNKNOWN: nothing moved now, perhaps earlier: query
query with an amount, REFUND_SUCCESS or no word -> refunded
query without an amount                         -> not_found: repeat the identical request

`out_request_no` is the refund's number: the same number and amount again never adds up. `refund_fee` in a reply is the
sum of all refunds of the payment, never the amount of this one. Alipay wants ten seconds between a refund and the
question for it; asked earlier, a refund under way may seem not to be there, which is why that only means pending.
"""

from collections.abc import Mapping
from datetime import datetime

import msgspec

from tael.channels.alipay.replies import Undecided, judge
from tael.channels.alipay.signing import signed_request
from tael.channels.alipay.spec import CURRENCY, NUMBER, SPEC
from tael.channels.alipay.writing import plain, read_json, read_time, read_yuan, yuan
from tael.channels.contract import MerchantAccount, Operation, RefundRef, RefundRequest, RefundState, RefundView, Result
from tael.channels.exchange import HttpRequest, HttpResponse
from tael.channels.reading import Unreadable

REFUND, QUERY = "alipay.trade.refund", "alipay.trade.fastpay.refund.query"
_LONGEST_REASON = 80


class _Taken(msgspec.Struct):
    out_trade_no: str
    refund_fee: str
    fund_change: str = ""
    trade_no: str = ""
    gmt_refund_pay: str = ""


class _Found(msgspec.Struct):
    out_trade_no: str = ""
    out_request_no: str = ""
    refund_amount: str = ""
    refund_status: str = ""
    gmt_refund_pay: str = ""


_taken, _found = msgspec.json.Decoder(_Taken), msgspec.json.Decoder(_Found)


def build_refund(account: MerchantAccount, request: RefundRequest, *, now: datetime) -> HttpRequest:
    """The order to refund. The same request gives the same content: sending it again is the same refund."""
    assert NUMBER.fullmatch(request.number), "refund numbers are ours and fit"
    assert request.amount.currency == request.total.currency == CURRENCY, "a payment is refunded in its currency"
    assert SPEC.min_minor <= request.amount.minor <= request.total.minor, "not more than was paid"
    shown = "".join(char for char in request.reason if char.isprintable())[:_LONGEST_REASON]
    content: Mapping[str, object] = {
        "out_trade_no": request.payment_number,
        **({"trade_no": request.payment_ref} if request.payment_ref else {}),
        "refund_amount": yuan(request.amount),
        "out_request_no": request.number,
        **({"refund_reason": plain(shown)} if shown else {}),
    }
    return signed_request(account, REFUND, content, now=now)


def parse_refund(
    account: MerchantAccount, request: RefundRequest, sent: HttpRequest, response: HttpResponse, *, now: datetime
) -> Result[RefundView]:
    """Refunded, if this very call moved the money. The amount is the one asked for: Alipay refunds it or nothing."""

    def read(node: bytes) -> RefundView:
        found = read_json(_taken, node)
        if found.out_trade_no != request.payment_number:
            raise Unreadable("an answer about another payment")
        if found.fund_change != "Y":
            raise Undecided("fund_change_n")
        if read_yuan(found.refund_fee).minor < request.amount.minor:
            raise Unreadable("less came back than this refund")
        return RefundView(
            number=request.number,
            state=RefundState.REFUNDED,
            payment_number=found.out_trade_no,
            amount=request.amount,
            mchid=account.mchid,
            refunded_at=read_time(found.gmt_refund_pay) if found.gmt_refund_pay else None,
        )

    return judge(account, Operation.REFUND, REFUND, sent, response, now=now, read=read)


def build_query_refund(account: MerchantAccount, ref: RefundRef, *, now: datetime) -> HttpRequest:
    """The question for a refund's state."""
    content = {
        "out_trade_no": ref.payment_number,
        "out_request_no": ref.number,
        "query_options": ["gmt_refund_pay"],
    }
    return signed_request(account, QUERY, content, now=now)


def parse_query_refund(
    account: MerchantAccount, ref: RefundRef, sent: HttpRequest, response: HttpResponse, *, now: datetime
) -> Result[RefundView]:
    """The refund in the reply to `build_query_refund`; an empty reply means that there is none yet."""

    def read(node: bytes) -> RefundView:
        found = read_json(_found, node)
        if not found.refund_amount and not found.out_request_no and not found.refund_status:
            return RefundView(number=ref.number, state=RefundState.NOT_FOUND)
        if (found.out_request_no, found.out_trade_no) != (ref.number, ref.payment_number):
            raise Unreadable("an answer about another refund")
        if found.refund_status not in ("", "REFUND_SUCCESS"):
            raise Undecided("refund_status")
        amount = read_yuan(found.refund_amount)
        if amount.minor < SPEC.min_minor:
            raise Unreadable("nothing was refunded")
        return RefundView(
            number=found.out_request_no,
            state=RefundState.REFUNDED,
            payment_number=found.out_trade_no,
            amount=amount,
            mchid=account.mchid,
            refunded_at=read_time(found.gmt_refund_pay) if found.gmt_refund_pay else None,
        )

    return judge(account, Operation.QUERY_REFUND, QUERY, sent, response, now=now, read=read)
