"""A trade as ``trade.pay`` and ``trade.query`` show it, and asking for one."""

from msgspec import Struct

from tael_sandbox.alipay.call import Call, Named, trade_of
from tael_sandbox.alipay.trades import Trade
from tael_sandbox.alipay.yuan import yuan
from tael_sandbox.china_time import china_time


class Fund(Struct, frozen=True):
    """Where a part of the money came from or went back to."""

    amount: str
    fund_channel: str = "ALIPAYACCOUNT"


class TradeSaid(Struct, frozen=True, omit_defaults=True):
    """The node about a trade; amounts and dates of a payment are there once it is paid."""

    code: str
    msg: str
    out_trade_no: str
    trade_no: str
    trade_status: str = ""
    total_amount: str = ""
    buyer_pay_amount: str = ""
    receipt_amount: str = ""
    invoice_amount: str = ""
    point_amount: str = ""
    buyer_user_id: str = ""
    buyer_logon_id: str = ""
    gmt_payment: str = ""
    send_pay_date: str = ""
    fund_bill_list: tuple[Fund, ...] = ()


def query(call: Call) -> TradeSaid:
    """``trade.query``: the trade as it stands. Raises ``Refusal`` ACQ.TRADE_NOT_EXIST before the link was opened."""
    trade = trade_of(call, call.read(Named))
    if trade.payments:
        return _shown(trade, status=trade.state, queried=True)
    return TradeSaid(
        code="10000",
        msg="Success",
        out_trade_no=trade.out_trade_no,
        trade_no=trade.trade_no,
        trade_status=trade.state,
        total_amount=yuan(trade.terms.total_minor),
        buyer_pay_amount="0.00",
        receipt_amount="0.00",
        buyer_user_id=trade.buyer_id,
        buyer_logon_id=logon_id(trade),
    )


def paid(trade: Trade) -> TradeSaid:
    """What the reply of a bar code payment says."""
    return _shown(trade, status="", queried=False)


def logon_id(trade: Trade) -> str:
    """The buyer's login, blurred as Alipay shows it."""
    return f"buy***{trade.buyer_id[-3:]}@sandbox.com"


def _shown(trade: Trade, *, status: str, queried: bool) -> TradeSaid:
    last = trade.payments[-1]
    total, at = yuan(last.total_minor), china_time(last.at_ms)
    return TradeSaid(
        code="10000",
        msg="Success",
        out_trade_no=trade.out_trade_no,
        trade_no=trade.trade_no,
        trade_status=status,
        total_amount=total,
        buyer_pay_amount=total,
        receipt_amount=total,
        invoice_amount=total,
        point_amount="0.00",
        buyer_user_id=trade.buyer_id,
        buyer_logon_id=logon_id(trade),
        gmt_payment="" if queried else at,
        send_pay_date=at if queried else "",
        fund_bill_list=(Fund(total),),
    )
