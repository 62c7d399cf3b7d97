"""A payment as Alipay describes it, nearly the same in a query's answer and in a notice.

WAIT_BUYER_PAY -> unpaid   TRADE_SUCCESS, TRADE_FINISHED -> paid
TRADE_CLOSED   -> closed; but refunded when it tells when it was paid: that word stands for both ends of a trade
any other word -> unreadable, so nothing is concluded
"""

from dataclasses import dataclass

import msgspec

from tael.channels.alipay.spec import CURRENCY
from tael.channels.alipay.writing import read_json, read_number, read_time, read_yuan
from tael.channels.contract import MerchantAccount, PaymentState, PaymentView
from tael.channels.reading import Unreadable, read_name


class Trade(msgspec.Struct):
    """What replies and notices say about a trade. `send_pay_date` (query) and `gmt_payment` (notice): paid then."""

    out_trade_no: str
    trade_status: str
    trade_no: str = ""
    total_amount: str = ""
    trans_currency: str = ""
    send_pay_date: str = ""
    gmt_payment: str = ""
    buyer_user_id: str = ""
    buyer_open_id: str = ""
    buyer_id: str = ""
    refund_fee: str = ""


@dataclass(frozen=True, slots=True)
class Seller:
    """Whose trade it is: said in a notice; a query is answered to the one who asked."""

    mchid: str
    appid: str


_decoder = msgspec.json.Decoder(Trade)


def read_trade(node: bytes, account: MerchantAccount) -> PaymentView:
    """The view in a query's node. Raises `Unreadable`."""
    return view_of(read_json(_decoder, node), Seller(account.mchid, account.appid))


def view_of(trade: Trade, seller: Seller) -> PaymentView:
    """What a trade means. Raises `Unreadable`; a paid view is complete or unreadable."""
    paid = trade.send_pay_date or trade.gmt_payment
    state = _state(trade, was_paid=bool(paid))
    view = PaymentView(
        number=read_number(trade.out_trade_no),
        state=state,
        channel_ref=read_name(trade.trade_no),
        amount=read_yuan(trade.total_amount) if trade.total_amount else None,
        mchid=seller.mchid,
        appid=seller.appid,
        paid_at=read_time(paid) if paid else None,
        payer=read_name(trade.buyer_user_id or trade.buyer_id or trade.buyer_open_id),
    )
    if trade.trans_currency not in ("", CURRENCY):
        raise Unreadable("currency")
    if state in (PaymentState.PAID, PaymentState.REFUNDED):
        if None in (view.channel_ref, view.amount, view.paid_at):
            raise Unreadable("incomplete")
        if view.amount is not None and view.amount.minor == 0:
            raise Unreadable("nothing was paid")
    return view


def _state(trade: Trade, *, was_paid: bool) -> PaymentState:
    match trade.trade_status:
        case "WAIT_BUYER_PAY":
            return PaymentState.UNPAID
        case "TRADE_SUCCESS" | "TRADE_FINISHED":
            return PaymentState.REFUNDED if trade.refund_fee else PaymentState.PAID
        case "TRADE_CLOSED":
            return PaymentState.REFUNDED if was_paid else PaymentState.CLOSED
        case _:
            raise Unreadable("trade_status")
