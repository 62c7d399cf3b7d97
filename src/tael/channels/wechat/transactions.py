"""A payment as WeChat describes it, the same in a query's answer and inside a notice.

NOTPAY -> unpaid   USERPAYING -> paying   SUCCESS -> paid   REFUND -> refunded (it was paid first)
CLOSED, REVOKED -> closed   PAYERROR -> failed   any other word -> unreadable, so nothing is concluded
"""

from datetime import UTC, datetime

import msgspec

from tael.base.money import Money
from tael.channels.contract import PaymentState, PaymentView
from tael.channels.reading import Unreadable, read_as, read_money, read_name
from tael.channels.wechat.spec import PAYMENT_NUMBER

_STATES = {
    "NOTPAY": PaymentState.UNPAID,
    "USERPAYING": PaymentState.PAYING,
    "SUCCESS": PaymentState.PAID,
    "REFUND": PaymentState.REFUNDED,
    "CLOSED": PaymentState.CLOSED,
    "REVOKED": PaymentState.CLOSED,
    "PAYERROR": PaymentState.FAILED,
}


class _Amount(msgspec.Struct):
    total: int | None = None
    currency: str | None = None


class _Payer(msgspec.Struct):
    openid: str | None = None


class _Transaction(msgspec.Struct):
    out_trade_no: str
    trade_state: str
    appid: str | None = None
    mchid: str | None = None
    transaction_id: str | None = None
    success_time: str | None = None
    amount: _Amount | None = None
    payer: _Payer | None = None


_decoder = msgspec.json.Decoder(_Transaction)


def read_transaction(body: bytes) -> PaymentView:
    """The view in a transaction's JSON. Raises `Unreadable`; a paid view is complete or unreadable."""
    found = read_as(_decoder, body, "transaction")
    state = _STATES.get(found.trade_state)
    if state is None:
        raise Unreadable("trade_state")
    if not PAYMENT_NUMBER.fullmatch(found.out_trade_no):
        raise Unreadable("out_trade_no")
    view = PaymentView(
        number=found.out_trade_no,
        state=state,
        channel_ref=read_name(found.transaction_id),
        amount=_total(found.amount),
        mchid=read_name(found.mchid),
        appid=read_name(found.appid),
        paid_at=read_time(found.success_time) if found.success_time else None,
        payer=read_name(found.payer.openid) if found.payer else None,
    )
    paid = state in (PaymentState.PAID, PaymentState.REFUNDED)
    if paid and None in (view.channel_ref, view.amount, view.mchid, view.appid, view.paid_at):
        raise Unreadable("incomplete")
    if paid and view.amount is not None and view.amount.minor == 0:
        raise Unreadable("nothing was paid")
    return view


def read_time(text: str) -> datetime:
    """An RFC 3339 time with its offset, as UTC. Raises `Unreadable`."""
    try:
        instant = datetime.fromisoformat(text)
        if instant.tzinfo is None:
            raise Unreadable("time")
        return instant.astimezone(UTC)
    except (ValueError, OverflowError) as problem:
        raise Unreadable("time") from problem


def _total(amount: _Amount | None) -> Money | None:
    """The order's full amount (`total`), not what coupons leave to the payer; None while a currency is not given."""
    if amount is None or amount.total is None or amount.currency is None:
        return None
    return read_money(amount.total, amount.currency)
