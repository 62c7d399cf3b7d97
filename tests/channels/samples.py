"""One sample per channel for the contract suite: an account, a genuine notice, and for each ability (payments, refunds,
payouts) what is asked and how the other side answers.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta

from channels import bill99_side, otherside, otherside_alipay
from channels.otherside import NOW, NUMBER, wired
from tael.base.money import Money
from tael.channels.contract import (
    AlipayUser,
    MerchantAccount,
    Method,
    PaymentRequest,
    PaymentState,
    PayoutRequest,
    RefundRequest,
    WechatUser,
)


@dataclass(frozen=True)
class Payments:
    """A payment that can be opened, and the replies on the wire. `refused`: changes that this channel alone refuses."""

    request: Callable[..., PaymentRequest]
    handed_off: bytes
    paid: bytes
    closed: bytes
    refused: list[tuple[dict[str, object], str]] = field(default_factory=list)


@dataclass(frozen=True)
class Refunds:
    """A refund that can be asked for, and the replies on the wire."""

    request: Callable[..., RefundRequest]
    taken: bytes
    refunded: bytes


@dataclass(frozen=True)
class Payouts:
    """A payout that can be asked for, and the replies on the wire."""

    request: Callable[..., PayoutRequest]
    taken: bytes
    paid: bytes
    refused: list[tuple[dict[str, object], str]] = field(default_factory=list)


@dataclass(frozen=True)
class Sample:
    """How to drive one channel. `notice`: headers, body and the state that it tells, None where there are no notices;
    `fresh`: the age that a notice may have, None where the channel repeats old ones as they were."""

    account: Callable[..., MerchantAccount]
    notice: tuple[list[tuple[str, str]], bytes, object] | None = None
    fresh: timedelta | None = None
    payments: Payments | None = None
    refunds: Refunds | None = None
    payouts: Payouts | None = None


def _wechat_account(**other) -> MerchantAccount:
    account = otherside.account(**other)
    purpose = {
        "transfer_scene_id": "1005",
        "transfer_scene_report_infos": '[{"info_type": "岗位类型", "info_content": "骑手"}]',
    }
    return replace(account, config=dict(account.config) | purpose)


def _wechat_refund(**other) -> RefundRequest:
    values = {
        "number": NUMBER, "payment_number": NUMBER, "payment_ref": None, "amount": Money(40, "CNY"),
        "total": Money(100, "CNY"), "reason": "退货", "notify_url": "https://pay.example.com/v1/notices/wechat/7",
    } | other  # fmt: skip
    return RefundRequest(**values)


def _wechat_payout(**other) -> PayoutRequest:
    values = {
        "number": NUMBER, "payee": WechatUser("oUpF8uMuAJO_M2pxb1Q9zNjWeS6o"), "amount": Money(100, "CNY"),
        "remark": "提现", "notify_url": "https://pay.example.com/v1/notices/wechat/7",
    } | other  # fmt: skip
    return PayoutRequest(**values)


def _wechat_refund_said(status: str) -> bytes:
    said = {
        "refund_id": "50000000382019052709732678859", "out_refund_no": NUMBER, "out_trade_no": NUMBER,
        "transaction_id": "4200001234202603021234567890", "status": status,
        "success_time": "2026-03-02T12:06:00+08:00", "amount": {"refund": 40, "total": 100, "currency": "CNY"},
    }  # fmt: skip
    return wired(otherside.reply(200, said))


def _alipay(method: str, said: object) -> bytes:
    return wired(otherside_alipay.reply(method, said))


_WECHAT_PAYOUT = {
    "mch_id": otherside.MCHID, "out_bill_no": NUMBER, "transfer_bill_no": "1330000071100999991182020050700019480001",
}  # fmt: skip

SAMPLES = {
    "wechat": Sample(
        account=_wechat_account,
        notice=(otherside.signature_headers(otherside.notice()), otherside.notice(), PaymentState.PAID),
        fresh=timedelta(minutes=5),
        payments=Payments(
            request=otherside.payment,
            handed_off=wired(otherside.reply(200, {"code_url": "weixin://wxpay/bizpayurl?pr=1"})),
            paid=wired(otherside.reply(200, otherside.transaction())),
            closed=wired(otherside.reply(204)),
            refused=[
                ({"number": "short"}, "number"),
                ({"description": "字" * 128}, "description"),
                ({"attach": "x" * 129}, "attach"),
                ({"method": Method.PAGE}, "method"),
                ({"method": Method.JSAPI, "payer_id": None}, "payer_id"),
                ({"method": Method.H5, "payer_ip": "localhost; drop"}, "payer_ip"),
            ],
        ),
        refunds=Refunds(
            request=_wechat_refund, taken=_wechat_refund_said("PROCESSING"), refunded=_wechat_refund_said("SUCCESS")
        ),
        payouts=Payouts(
            request=_wechat_payout,
            taken=wired(otherside.reply(200, _WECHAT_PAYOUT | {"state": "ACCEPTED"})),
            paid=wired(otherside.reply(200, _WECHAT_PAYOUT | {"state": "SUCCESS", "transfer_amount": 100})),
            refused=[({"remark": "字" * 33}, "remark"), ({"payee": WechatUser("")}, "payee")],
        ),
    ),
    "alipay": Sample(
        account=otherside_alipay.account,
        notice=([], otherside_alipay.form(otherside_alipay.told()), PaymentState.PAID),
        payments=Payments(
            request=otherside_alipay.payment,
            handed_off=_alipay("trade.precreate", otherside_alipay.LONG | {"qr_code": "https://qr.alipay.com/bax1"}),
            paid=_alipay("trade.query", otherside_alipay.trade()),
            closed=_alipay("trade.close", otherside_alipay.LONG | {"trade_no": otherside_alipay.TRADE_NO}),
            refused=[
                ({"number": "RC1-030KA1B2"}, "number"),
                ({"description": "字" * 257}, "description"),
                ({"method": Method.JSAPI, "payer_id": "2088000000000001"}, "method"),
                ({"expires_at": NOW + timedelta(days=16)}, "expires_at"),
                ({"return_url": "javascript:alert(1)"}, "return_url"),
            ],
        ),
        refunds=Refunds(
            request=otherside_alipay.refund,
            taken=_alipay("trade.refund", otherside_alipay.refunded()),
            refunded=_alipay("trade.fastpay.refund.query", otherside_alipay.found_refund()),
        ),
        payouts=Payouts(
            request=otherside_alipay.payout,
            taken=_alipay("fund.trans.uni.transfer", otherside_alipay.transfer(status="DEALING")),
            paid=_alipay("fund.trans.common.query", otherside_alipay.transfer(trans_amount="0.10")),
            refused=[
                ({"amount": Money(9, "CNY")}, "amount"),
                ({"remark": "字" * 129}, "remark"),
                ({"payee": AlipayUser("2088", "ALIPAY_USER_ID")}, "payee"),
                ({"payee": AlipayUser("a@example.com", "EMAIL", "名")}, "payee"),
                ({"payee": AlipayUser("a@example.com", "ALIPAY_LOGON_ID")}, "payee_name"),
            ],
        ),
    ),
    "bill99": Sample(
        account=bill99_side.account,
        payouts=Payouts(
            request=lambda **changes: replace(bill99_side.REQUEST, **changes),
            taken=wired(bill99_side.accepted()),
            paid=wired(bill99_side.answered(bill99_side.found(status="111"))),
            refused=[
                ({"remark": "字" * 65}, "remark"),
                ({"payee": replace(bill99_side.CARD, number="6214 83")}, "payee"),
            ],
        ),
    ),
}
