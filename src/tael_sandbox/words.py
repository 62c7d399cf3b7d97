"""What the pages for people say, in both languages: the frame's texts here, a channel's own in its ``words.py``."""

from dataclasses import dataclass
from typing import Generic, Literal, TypeVar

Language = Literal["en", "zh"]
_State = TypeVar("_State")


@dataclass(frozen=True, slots=True)
class Words(Generic[_State]):
    """A channel's texts in one language: its name, the heading of its list, what an empty list and a wrong link say,
    what it calls a merchant and its states.
    """

    name: str
    latest: str
    none: str
    gone: str
    merchant: str
    states: dict[_State, str]


@dataclass(frozen=True, slots=True)
class Frame:
    """The texts of one language that are the same at every channel."""

    title: str
    sandbox: str
    other_language: str
    number: str
    what: str
    amount: str
    state: str
    until: str
    pay: str
    decline: str
    declined: str
    back: str
    no_money: str


FRAME: dict[Language, Frame] = {
    "en": Frame(
        title="Sandbox cashier",
        sandbox="Sandbox",
        other_language="中文",
        number="Order",
        what="For",
        amount="Amount",
        state="State",
        until="Payable until",
        pay="Pay",
        decline="Decline",
        declined="the payment was declined",
        back="Back to the shop",
        no_money="This is a simulator. No real money moves.",
    ),
    "zh": Frame(
        title="沙箱收银台",
        sandbox="沙箱",
        other_language="English",
        number="订单号",
        what="商品",
        amount="金额",
        state="状态",
        until="支付截止",
        pay="付款",
        decline="拒绝",
        declined="付款被拒绝",
        back="返回商家",
        no_money="这是模拟器，不会产生真实资金流动。",
    ),
}
