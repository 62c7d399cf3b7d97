"""What the cashier page says, in both languages."""

from dataclasses import dataclass
from typing import Literal

from tael_sandbox.wechat.orders import State

Language = Literal["en", "zh"]


@dataclass(frozen=True, slots=True)
class Words:
    """The texts of one language."""

    title: str
    name: str
    sandbox: str
    other_language: str
    orders: str
    none: str
    number: str
    what: str
    merchant: str
    amount: str
    state: str
    until: str
    pay: str
    decline: str
    declined: str
    no_money: str
    gone: str
    states: dict[State, str]


WORDS: dict[Language, Words] = {
    "en": Words(
        title="Sandbox cashier",
        name="WeChat Pay",
        sandbox="Sandbox",
        other_language="中文",
        orders="Latest orders",
        none="No order was placed yet.",
        number="Order",
        what="For",
        merchant="Merchant",
        amount="Amount",
        state="State",
        until="Payable until",
        pay="Pay",
        decline="Decline",
        declined="the payment was declined",
        no_money="This is a simulator. No real money moves.",
        gone="This payment link does not exist or is too old.",
        states={
            "NOTPAY": "Not paid",
            "USERPAYING": "The user is paying",
            "SUCCESS": "Paid",
            "REFUND": "Refunded",
            "CLOSED": "Closed",
            "REVOKED": "Revoked",
            "PAYERROR": "Payment failed",
        },
    ),
    "zh": Words(
        title="沙箱收银台",
        name="微信支付",
        sandbox="沙箱",
        other_language="English",
        orders="最近的订单",
        none="还没有订单。",
        number="订单号",
        what="商品",
        merchant="商户号",
        amount="金额",
        state="状态",
        until="支付截止",
        pay="付款",
        decline="拒绝",
        declined="付款被拒绝",
        no_money="这是模拟器，不会产生真实资金流动。",
        gone="付款链接不存在或已过期。",
        states={
            "NOTPAY": "未支付",
            "USERPAYING": "用户支付中",
            "SUCCESS": "已支付",
            "REFUND": "已退款",
            "CLOSED": "已关闭",
            "REVOKED": "已撤销",
            "PAYERROR": "支付失败",
        },
    ),
}
