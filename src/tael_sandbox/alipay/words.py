"""What Alipay's pages say, in both languages."""

from dataclasses import dataclass
from typing import Literal

from tael_sandbox.alipay.trades import State


@dataclass(frozen=True, slots=True)
class Words:
    """The texts of one language."""

    title: str
    name: str
    sandbox: str
    other_language: str
    trades: str
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
    back: str
    no_money: str
    gone: str
    states: dict[State, str]


WORDS: dict[Literal["en", "zh"], Words] = {
    "en": Words(
        title="Sandbox cashier",
        name="Alipay",
        sandbox="Sandbox",
        other_language="中文",
        trades="Latest trades",
        none="No payment was asked for yet.",
        number="Order",
        what="For",
        merchant="App",
        amount="Amount",
        state="State",
        until="Payable until",
        pay="Pay",
        decline="Decline",
        declined="the payment was declined",
        back="Back to the shop",
        no_money="This is a simulator. No real money moves.",
        gone="This payment link does not exist.",
        states={
            "LINK": "Not opened",
            "DEAD": "Link no longer valid",
            "WAIT_BUYER_PAY": "Not paid",
            "TRADE_SUCCESS": "Paid",
            "TRADE_FINISHED": "Finished",
            "TRADE_CLOSED": "Closed",
        },
    ),
    "zh": Words(
        title="沙箱收银台",
        name="支付宝",
        sandbox="沙箱",
        other_language="English",
        trades="最近的交易",
        none="还没有交易。",
        number="订单号",
        what="商品",
        merchant="应用",
        amount="金额",
        state="状态",
        until="支付截止",
        pay="付款",
        decline="拒绝",
        declined="付款被拒绝",
        back="返回商家",
        no_money="这是模拟器，不会产生真实资金流动。",
        gone="付款链接不存在。",
        states={
            "LINK": "未打开",
            "DEAD": "链接已失效",
            "WAIT_BUYER_PAY": "等待付款",
            "TRADE_SUCCESS": "已支付",
            "TRADE_FINISHED": "已完结",
            "TRADE_CLOSED": "已关闭",
        },
    ),
}
