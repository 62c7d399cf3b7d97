"""Asking for a refund, ``POST /v3/refund/domestic/refunds``, and about one, ``GET .../{out_refund_no}``.

The same number with the same content is the same refund, whatever became of it; with other content it is refused. A
payment is refunded within 365 days, in at most 50 parts, never above what was paid, and only from money that the
merchant has with the platform. What a coupon paid goes back to the coupon, in proportion; the last part takes the rest.
"""

from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from tael_sandbox.wechat.bodies import check_url, missing, read
from tael_sandbox.wechat.merchants import Merchant
from tael_sandbox.wechat.orders import PAID_STATES, Paid
from tael_sandbox.wechat.refunds import Refund, RefundAsked, RefundTerms
from tael_sandbox.wechat.refusals import Refusal
from tael_sandbox.wechat.state import Wechat
from tael_sandbox.wechat.transaction import china_time

_MOST_PARTS = 50
_LONGEST_MS = 365 * 86_400_000
_Fen = Annotated[int, Meta(ge=1, le=10_000_000_000)]


class _Asked(Struct, frozen=True):
    refund: _Fen
    total: _Fen
    currency: Literal["CNY"]


class Body(Struct, frozen=True):
    """What a refund request may say; fields that are not listed are ignored."""

    out_refund_no: Annotated[str, Meta(pattern=r"\A[0-9A-Za-z_\-|*@]{1,64}\Z")]
    amount: _Asked
    transaction_id: Annotated[str, Meta(max_length=32)] = ""
    out_trade_no: Annotated[str, Meta(max_length=32)] = ""
    reason: Annotated[str, Meta(max_length=80)] = ""
    notify_url: Annotated[str, Meta(max_length=256)] = ""


class Amount(Struct, frozen=True):
    """Who gets what of a refund, in fen."""

    total: int
    refund: int
    payer_total: int
    payer_refund: int
    settlement_total: int
    settlement_refund: int
    discount_refund: int
    currency: str


class Shown(Struct, frozen=True):
    """One refund in the words of the API."""

    refund_id: str
    out_refund_no: str
    transaction_id: str
    out_trade_no: str
    channel: str
    user_received_account: str
    create_time: str
    status: str
    funds_account: str
    amount: Amount
    success_time: str | UnsetType = UNSET


_DECODER = msgspec.json.Decoder(Body)


def ask(wechat: Wechat, merchant: Merchant, *, raw: bytes) -> Shown:
    """Accept the refund, or find it accepted. Raises ``Refusal``."""
    body = read(_DECODER, raw)
    if body.notify_url:
        check_url(wechat, body.notify_url)
    paid = _payment(wechat, merchant, body)
    terms = RefundTerms(
        out_trade_no=paid.out_trade_no,
        transaction_id=paid.transaction_id,
        refund_minor=body.amount.refund,
        total_minor=body.amount.total,
        reason=body.reason,
        notify_url=body.notify_url,
    )
    known = wechat.refund(merchant.mchid, body.out_refund_no)
    if known is None:
        _check(wechat, merchant, paid, terms)
        wechat.record(_accepted(wechat, merchant, paid, body.out_refund_no, terms))
    elif known.asked.terms != terms:
        raise Refusal("INVALID_REQUEST", message="该退款单号已存在且参数不一致")
    return query(wechat, merchant, out_refund_no=body.out_refund_no)


def query(wechat: Wechat, merchant: Merchant, *, out_refund_no: str) -> Shown:
    """The refund as it stands. Raises ``Refusal`` RESOURCE_NOT_EXISTS."""
    refund = wechat.refund(merchant.mchid, out_refund_no)
    if refund is None:
        raise Refusal("RESOURCE_NOT_EXISTS", message="退款单不存在")
    return show(wechat, refund)


def show(wechat: Wechat, refund: Refund) -> Shown:
    """A refund in the words of the API."""
    asked, terms = refund.asked, refund.asked.terms
    paid = wechat.orders.payment(terms.transaction_id)
    return Shown(
        refund_id=asked.refund_id,
        out_refund_no=asked.out_refund_no,
        transaction_id=terms.transaction_id,
        out_trade_no=terms.out_trade_no,
        channel="ORIGINAL",
        user_received_account="支付用户零钱",
        create_time=china_time(asked.at_ms),
        status=refund.state,
        funds_account="AVAILABLE",
        amount=Amount(
            total=terms.total_minor,
            refund=terms.refund_minor,
            payer_total=paid.payer_minor,
            payer_refund=asked.payer_minor,
            settlement_total=paid.total_minor,
            settlement_refund=terms.refund_minor,
            discount_refund=asked.coupon_minor,
            currency="CNY",
        ),
        success_time=china_time(refund.ended_ms) if refund.state == "SUCCESS" else UNSET,
    )


def _payment(wechat: Wechat, merchant: Merchant, body: Body) -> Paid:
    """The payment that is meant, by the platform's number or the merchant's."""
    if not body.transaction_id and not body.out_trade_no:
        raise missing("/transaction_id")
    by_number = wechat.order(merchant.mchid, body.out_trade_no) if body.out_trade_no else None
    order = wechat.orders.paid_as(body.transaction_id) if body.transaction_id else by_number
    if order is None or order.mchid != merchant.mchid:
        raise Refusal("RESOURCE_NOT_EXISTS", message="订单号不存在")
    if body.out_trade_no and order.out_trade_no != body.out_trade_no:
        raise Refusal("INVALID_REQUEST", message="微信支付订单号与商户订单号不匹配")
    if order.state not in PAID_STATES:
        raise Refusal("INVALID_REQUEST", message="订单未支付成功")
    return wechat.orders.payment(body.transaction_id) if body.transaction_id else order.payments[-1]


def _check(wechat: Wechat, merchant: Merchant, paid: Paid, terms: RefundTerms) -> None:
    """Whether a new refund is possible."""
    if terms.total_minor != paid.total_minor:
        raise Refusal("INVALID_REQUEST", message="订单金额或退款金额与之前请求不一致")
    if wechat.clock.now_ms() - paid.at_ms > _LONGEST_MS:
        raise Refusal("INVALID_REQUEST", message="订单已超过可退款的最大期限")
    if len(wechat.refunds.of(paid.transaction_id)) >= _MOST_PARTS:
        raise Refusal("INVALID_REQUEST", message="一笔订单最多部分退款50次")
    if wechat.refunds.refunded_minor(paid.transaction_id) + terms.refund_minor > paid.total_minor:
        raise Refusal("INVALID_REQUEST", message="累计退款金额大于支付金额")
    if wechat.balance(merchant.mchid) < terms.refund_minor:
        raise Refusal("NOT_ENOUGH", message="基本账户余额不足，请充值后重新发起")


def _accepted(wechat: Wechat, merchant: Merchant, paid: Paid, out_refund_no: str, terms: RefundTerms) -> RefundAsked:
    now_ms, name = wechat.clock.now_ms(), (merchant.mchid, out_refund_no)
    before = wechat.refunds.refunded_minor(paid.transaction_id)
    after = before + terms.refund_minor
    coupon = paid.coupon_minor * after // paid.total_minor - paid.coupon_minor * before // paid.total_minor
    fee = paid.fee_minor * after // paid.total_minor - paid.fee_minor * before // paid.total_minor
    return RefundAsked(
        mchid=merchant.mchid,
        out_refund_no=out_refund_no,
        terms=terms,
        at_ms=now_ms,
        refund_id=f"503{wechat.ids.digits(26, 'refund', *name)}",
        notice_id=wechat.ids.hexadecimal(32, "refund notice", *name),
        payer_minor=terms.refund_minor - coupon,
        coupon_minor=coupon,
        fee_minor=fee,
        settles_ms=now_ms + merchant.about.settles_after_s * 1000 if merchant.about.settles_after_s else 0,
    )
