"""Ending a trade: ``trade.close`` while it is unpaid, ``trade.cancel`` whatever it is, which can give money back."""

from msgspec import Struct

from tael_sandbox.alipay import user
from tael_sandbox.alipay.call import Call, Named, find, trade_of
from tael_sandbox.alipay.refusals import Refusal
from tael_sandbox.alipay.trades import Closed


class CloseSaid(Struct, frozen=True):
    """The node of a closed trade."""

    code: str
    msg: str
    out_trade_no: str
    trade_no: str


class CancelSaid(Struct, frozen=True, omit_defaults=True):
    """The node of a cancelled trade. ``action`` is there when this call did something: ``close`` or ``refund``."""

    code: str
    msg: str
    out_trade_no: str = ""
    trade_no: str = ""
    retry_flag: str = ""
    action: str = ""


def close(call: Call) -> CloseSaid:
    """``trade.close``: an unpaid trade ends; closing twice is fine. Raises ``Refusal``."""
    trade = trade_of(call, call.read(Named))
    if trade.payments:
        raise Refusal("ACQ.TRADE_STATUS_ERROR")
    if trade.state == "WAIT_BUYER_PAY":
        call.alipay.record(Closed(trade.app_id, trade.out_trade_no, call.alipay.clock.now_ms(), "asked"))
    return CloseSaid("10000", "Success", trade.out_trade_no, trade.trade_no)


def cancel(call: Call) -> CancelSaid:
    """``trade.cancel``: an unpaid trade is closed, a paid one given back in full, a link can no longer be opened.
    Raises ``Refusal``.
    """
    named = call.read(Named)
    trade = find(call, named)
    if trade is None:
        return CancelSaid("10000", "Success", named.out_trade_no, named.trade_no, "N")
    action = ""
    match trade.state:
        case "TRADE_FINISHED":
            raise Refusal("ACQ.TRADE_HAS_FINISHED", retry_flag="N")
        case "TRADE_SUCCESS":
            left_minor = trade.paid_minor - trade.refunded_minor
            if left_minor > call.alipay.balance_minor(call.merchant):
                raise Refusal("ACQ.SELLER_BALANCE_NOT_ENOUGH", retry_flag="N")
            user.refund(call.alipay, trade, out_request_no=f"CANCEL{trade.out_trade_no}", reason="撤销")
            action = "refund"
        case "WAIT_BUYER_PAY" | "LINK":
            call.alipay.record(Closed(trade.app_id, trade.out_trade_no, call.alipay.clock.now_ms(), "cancelled"))
            action = "close" if trade.exists else ""
        case "TRADE_CLOSED" | "DEAD":
            pass
    return CancelSaid("10000", "Success", trade.out_trade_no, trade.trade_no, "N", action)
