"""Giving money back: ``trade.refund`` and ``trade.fastpay.refund.query``.

``out_request_no`` names one refund: the same number and amount again is the same refund (``fund_change`` N), another
amount is refused. ``refund_fee`` is what was given back so far, all refunds together.
"""

from msgspec import Struct

from tael_sandbox.alipay import user
from tael_sandbox.alipay.call import Call, Named, Yuan, amount, trade_of
from tael_sandbox.alipay.refusals import Refusal
from tael_sandbox.alipay.show import Fund, logon_id
from tael_sandbox.alipay.trades import Trade
from tael_sandbox.alipay.yuan import yuan
from tael_sandbox.china_time import china_time


class Body(Named, frozen=True):
    """A wish to give back a part or all."""

    refund_amount: Yuan = ""
    out_request_no: str = ""
    refund_reason: str = ""


class Asked(Named, frozen=True):
    """A question for one refund."""

    out_request_no: str = ""
    query_options: tuple[str, ...] = ()


class RefundSaid(Struct, frozen=True):
    """The node of a refund. ``fund_change`` Y: this call moved the money."""

    code: str
    msg: str
    out_trade_no: str
    trade_no: str
    buyer_user_id: str
    buyer_logon_id: str
    fund_change: str
    refund_fee: str
    gmt_refund_pay: str
    refund_detail_item_list: tuple[Fund, ...]


class FoundSaid(Struct, frozen=True, omit_defaults=True):
    """The node of a refund query; without the amounts when there is no such refund."""

    code: str
    msg: str
    out_trade_no: str = ""
    trade_no: str = ""
    out_request_no: str = ""
    refund_reason: str = ""
    total_amount: str = ""
    refund_amount: str = ""
    refund_status: str = ""
    gmt_refund_pay: str = ""


def refund(call: Call) -> RefundSaid:
    """``trade.refund``. Raises ``Refusal``."""
    body = call.read(Body)
    trade = trade_of(call, body)
    amount_minor = amount(body.refund_amount, refuse="ACQ.REASON_TRADE_REFUND_FEE_ERR")
    number = body.out_request_no or trade.out_trade_no
    if not body.out_request_no and amount_minor != trade.terms.total_minor:
        raise Refusal("ACQ.INVALID_PARAMETER", message="部分退款必须传入out_request_no")
    if len(number) > 64:
        raise Refusal("ACQ.INVALID_PARAMETER")
    had = trade.refund(number)
    if had is not None:
        if had.amount_minor != amount_minor:
            raise Refusal("ACQ.DISCORDANT_REPEAT_REQUEST")
        return _said(trade, change="N", at_ms=had.at_ms, amount_minor=had.amount_minor)
    _check(call, trade, amount_minor)
    user.refund(call.alipay, trade, amount_minor=amount_minor, out_request_no=number, reason=body.refund_reason)
    after = trade_of(call, body)
    return _said(after, change="Y", at_ms=after.refunds[-1].at_ms, amount_minor=amount_minor)


def query(call: Call) -> FoundSaid:
    """``trade.fastpay.refund.query``. Raises ``Refusal``."""
    asked = call.read(Asked)
    trade = trade_of(call, asked)
    if not asked.out_request_no:
        raise Refusal("ACQ.INVALID_PARAMETER")
    found = trade.refund(asked.out_request_no)
    if found is None:
        return FoundSaid("10000", "Success")
    return FoundSaid(
        code="10000",
        msg="Success",
        out_trade_no=trade.out_trade_no,
        trade_no=trade.trade_no,
        out_request_no=found.out_request_no,
        refund_reason=found.reason,
        total_amount=yuan(trade.paid_minor),
        refund_amount=yuan(found.amount_minor),
        refund_status="REFUND_SUCCESS",
        gmt_refund_pay=china_time(found.at_ms) if "gmt_refund_pay" in asked.query_options else "",
    )


def _check(call: Call, trade: Trade, amount_minor: int) -> None:
    if trade.state == "TRADE_FINISHED":
        raise Refusal("ACQ.TRADE_HAS_FINISHED")
    if trade.state == "TRADE_CLOSED" and trade.refunds:
        raise Refusal("ACQ.REFUND_AMT_NOT_EQUAL_TOTAL")
    if trade.state != "TRADE_SUCCESS":
        raise Refusal("ACQ.TRADE_STATUS_ERROR")
    if amount_minor > trade.paid_minor - trade.refunded_minor:
        raise Refusal("ACQ.REFUND_AMT_NOT_EQUAL_TOTAL")
    if amount_minor > call.alipay.balance_minor(call.merchant):
        raise Refusal("ACQ.SELLER_BALANCE_NOT_ENOUGH")


def _said(trade: Trade, *, change: str, at_ms: int, amount_minor: int) -> RefundSaid:
    return RefundSaid(
        code="10000",
        msg="Success",
        out_trade_no=trade.out_trade_no,
        trade_no=trade.trade_no,
        buyer_user_id=trade.buyer_id,
        buyer_logon_id=logon_id(trade),
        fund_change=change,
        refund_fee=yuan(trade.refunded_minor),
        gmt_refund_pay=china_time(at_ms),
        refund_detail_item_list=(Fund(yuan(amount_minor)),),
    )
