"""What a notice says before it is sealed: ``TRANSACTION.SUCCESS``, ``REFUND.*``, ``MCHTRANSFER.BILL.FINISHED``; or,
when a fault wants it, the same with one lie in it.
"""

from dataclasses import dataclass, replace
from typing import cast

import msgspec

from tael_sandbox.courier import Notice
from tael_sandbox.faults import Fault
from tael_sandbox.wechat import refund_calls, transfer_calls
from tael_sandbox.wechat.refunds import Refund
from tael_sandbox.wechat.state import PAYMENT, REFUND, TRANSFER, Wechat
from tael_sandbox.wechat.transaction import show
from tael_sandbox.wechat.transfers import Transfer

_REFUND_WORDS = {"SUCCESS": "退款成功", "CLOSED": "退款关闭", "ABNORMAL": "退款异常"}
# Where each kind of notice has what a lie is about.
_PLACES: dict[str, dict[str, tuple[str, ...]]] = {
    PAYMENT: {
        "wrong_amount": ("amount", "total"),
        "wrong_currency": ("amount", "currency"),
        "wrong_appid": ("appid",),
        "wrong_mchid": ("mchid",),
        "other_order": ("out_trade_no",),
    },
    REFUND: {"wrong_amount": ("amount", "refund"), "wrong_mchid": ("mchid",), "other_order": ("out_refund_no",)},
    TRANSFER: {"wrong_amount": ("transfer_amount",), "wrong_mchid": ("mch_id",), "other_order": ("out_bill_no",)},
}


@dataclass(frozen=True, slots=True)
class Told:
    """Event, its summary for people, what kind of thing it is about, and the thing itself."""

    event: str
    summary: str
    original: str
    content: dict[str, object]


def tell(wechat: Wechat, notice: Notice) -> Told:
    """The truth."""
    key = (notice.mchid, notice.out_trade_no)
    match notice.topic:
        case "refund":
            refund = wechat.refunds.get(*key)
            assert refund is not None, "notices tell of refunds that exist"
            summary = _REFUND_WORDS[refund.state]
            return Told(f"REFUND.{refund.state}", summary, "refund", _refund(wechat, refund))
        case "transfer":
            transfer = wechat.transfers.get(*key)
            assert transfer is not None, "notices tell of transfers that exist"
            return Told("MCHTRANSFER.BILL.FINISHED", "商家转账单据终态通知", "mch_payment", _transfer(transfer))
        case _:
            return Told("TRANSACTION.SUCCESS", "支付成功", "transaction", _payment(wechat, notice))


def told_wrongly(wechat: Wechat, notice: Notice, fault: Fault) -> Told | None:
    """The truth but for what the fault wants; None when the fault is not about content."""
    place = _PLACES[notice.topic].get(fault.kind)
    if place is None:
        return None
    told = tell(wechat, notice)
    content = cast("dict[str, object]", msgspec.json.decode(msgspec.json.encode(told.content)))
    inside = content
    for step in place[:-1]:
        inside = cast("dict[str, object]", inside[step])
    inside[place[-1]] = _lie(fault, inside[place[-1]])
    return replace(told, content=content)


def _lie(fault: Fault, truth: object) -> object:
    match fault.kind:
        case "wrong_amount":
            return fault.amount_minor or cast(int, truth) + 1
        case "wrong_currency":
            return "USD"
        case "wrong_appid":
            return "wx0000000000000000"
        case "wrong_mchid":
            return "1900000000"
        case _:
            return fault.other_out_trade_no or f"X{cast(str, truth)[1:]}"


def _payment(wechat: Wechat, notice: Notice) -> dict[str, object]:
    """The payment that this notice tells of, which need not be the order's latest."""
    order = wechat.orders.get(notice.mchid, notice.out_trade_no)
    assert order is not None, "notices tell of orders that exist"
    payment = wechat.orders.payment(notice.transaction_id)
    return _plain(show(msgspec.structs.replace(order, state="SUCCESS"), payment=payment))


def _refund(wechat: Wechat, refund: Refund) -> dict[str, object]:
    """A notice has a merchant, another name for the state, four amounts and no currency."""
    shown = refund_calls.show(wechat, refund)
    said = _plain(shown)
    amounts = {"total": shown.amount.total, "refund": shown.amount.refund}
    amounts |= {"payer_total": shown.amount.payer_total, "payer_refund": shown.amount.payer_refund}
    kept = ("refund_id", "out_refund_no", "transaction_id", "out_trade_no", "user_received_account", "success_time")
    told = {name: said[name] for name in kept if name in said}
    return {"mchid": refund.asked.mchid, **told, "refund_status": refund.state, "amount": amounts}


def _transfer(transfer: Transfer) -> dict[str, object]:
    said = _plain(transfer_calls.show(transfer))
    return {name: value for name, value in said.items() if name not in ("appid", "transfer_remark")}


def _plain(shown: object) -> dict[str, object]:
    return cast("dict[str, object]", msgspec.to_builtins(shown))
