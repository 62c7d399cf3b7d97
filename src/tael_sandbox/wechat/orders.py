"""Orders at WeChat Pay: what was agreed, what happened, and the index by every name an order is known under.

    placed -> (reissued: a new payment link after two hours) -> scanned -> paid -> refunded
                                                             -> declined -> (or PAYERROR / REVOKED for good)
                                                             -> closed (asked for, or expired)

Each arrow is an event that the journal keeps; ``Orders.apply`` is the only way an order changes, at run time and at
replay.
"""

from collections.abc import Iterator
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from tael_sandbox.happened import Happened

Method = Literal["native", "jsapi", "app", "h5"]
State = Literal["NOTPAY", "USERPAYING", "SUCCESS", "REFUND", "CLOSED", "REVOKED", "PAYERROR"]
Key = tuple[str, str]

PAID_STATES: frozenset[State] = frozenset({"SUCCESS", "REFUND"})


class Terms(Struct, frozen=True):
    """What an order says. Sent again with the same number, these must be the same."""

    method: Method
    appid: str
    description: str
    total_minor: int
    currency: str
    notify_url: str
    attach: str = ""
    goods_tag: str = ""
    openid: str = ""
    profit_sharing: bool = False


class Placed(Happened, frozen=True, tag="wechat.placed"):
    """A new order."""

    mchid: str
    out_trade_no: str
    terms: Terms
    at_ms: int
    expires_ms: int
    prepay_id: str
    link: str


class Reissued(Happened, frozen=True, tag="wechat.reissued"):
    """The same order got a new payment link, because the old one was too old."""

    mchid: str
    out_trade_no: str
    at_ms: int
    prepay_id: str
    link: str


class Scanned(Happened, frozen=True, tag="wechat.scanned"):
    """The user opened the order and is typing a password."""

    mchid: str
    out_trade_no: str
    at_ms: int


class Paid(Happened, frozen=True, tag="wechat.paid"):
    """The user paid. ``payer_minor + coupon_minor == total_minor``; ``fee_minor`` is what the channel keeps."""

    mchid: str
    out_trade_no: str
    at_ms: int
    transaction_id: str
    notice_id: str
    total_minor: int
    payer_minor: int
    coupon_minor: int
    fee_minor: int
    openid: str


class Declined(Happened, frozen=True, tag="wechat.declined"):
    """The payment failed; ``state`` is what the order shows afterwards."""

    mchid: str
    out_trade_no: str
    at_ms: int
    state: State


class Closed(Happened, frozen=True, tag="wechat.closed"):
    """No payment is possible any more."""

    mchid: str
    out_trade_no: str
    at_ms: int
    why: Literal["asked", "expired"]


class Refunded(Happened, frozen=True, tag="wechat.refunded"):
    """Money went back to the payer by hand, at the support desk; what the merchant asks for is in ``refunds.py``."""

    mchid: str
    out_trade_no: str
    at_ms: int
    amount_minor: int


class Renotified(Happened, frozen=True, tag="wechat.renotified"):
    """The notice of a payment starts again from the first rung."""

    mchid: str
    out_trade_no: str
    at_ms: int
    transaction_id: str


Event = Placed | Reissued | Scanned | Paid | Declined | Closed | Refunded | Renotified


class Order(Struct, frozen=True):
    """One order as it stands. ``payments`` holds more than one only when a fault paid it twice."""

    mchid: str
    out_trade_no: str
    terms: Terms
    placed_ms: int
    expires_ms: int
    prepay_id: str
    link: str
    issued_ms: int
    issues: int = 1
    state: State = "NOTPAY"
    payments: tuple[Paid, ...] = ()

    @property
    def open(self) -> bool:
        """Whether it can still be paid."""
        return self.state in ("NOTPAY", "USERPAYING")


class Orders:
    """All orders of all merchants, in the order they were placed."""

    def __init__(self) -> None:
        """Start empty; the journal's replay fills it."""
        self._orders: dict[Key, Order] = {}
        self._by_number: dict[str, Key] = {}
        self._by_link: dict[str, Key] = {}
        self._by_prepay: dict[str, Key] = {}
        self._by_transaction: dict[str, Key] = {}

    def __iter__(self) -> Iterator[Order]:
        """Every order, oldest first."""
        return iter(self._orders.values())

    def get(self, mchid: str, out_trade_no: str) -> Order | None:
        """The merchant's order with this number."""
        return self._orders.get((mchid, out_trade_no))

    def paid_as(self, transaction_id: str) -> Order | None:
        """The order that this payment belongs to."""
        key = self._by_transaction.get(transaction_id)
        return None if key is None else self._orders[key]

    def payment(self, transaction_id: str) -> Paid:
        """The payment with this id, which must exist."""
        order = self._orders[self._by_transaction[transaction_id]]
        return next(one for one in order.payments if one.transaction_id == transaction_id)

    def named(self, name: str) -> Order | None:
        """The order known under a merchant's number (the latest, if merchants share it), link code, prepay or
        transaction id.
        """
        for index in (self._by_number, self._by_link, self._by_prepay, self._by_transaction):
            if name in index:
                return self._orders[index[name]]
        return None

    def mark_refunded(self, mchid: str, out_trade_no: str) -> None:
        """A refund of this order was accepted; the order shows it for good, whatever becomes of the refund."""
        key = (mchid, out_trade_no)
        self._orders[key] = replace(self._orders[key], state="REFUND")

    def apply(self, event: Event) -> None:
        """Let an event have happened."""
        key = (event.mchid, event.out_trade_no)
        match event:
            case Placed():
                self._place(key, event)
            case Reissued():
                old = self._orders[key]
                issued = replace(old, prepay_id=event.prepay_id, link=event.link, issued_ms=event.at_ms)
                self._orders[key] = replace(issued, issues=old.issues + 1)
                self._by_link[event.link] = self._by_prepay[event.prepay_id] = key
            case Scanned():
                self._orders[key] = replace(self._orders[key], state="USERPAYING")
            case Paid():
                paid = self._orders[key]
                self._orders[key] = replace(paid, state="SUCCESS", payments=(*paid.payments, event))
                self._by_transaction[event.transaction_id] = key
            case Declined():
                self._orders[key] = replace(self._orders[key], state=event.state)
            case Closed():
                self._orders[key] = replace(self._orders[key], state="CLOSED")
            case Renotified():
                return
            case Refunded():
                self._orders[key] = replace(self._orders[key], state="REFUND")

    def _place(self, key: Key, event: Placed) -> None:
        self._orders[key] = Order(
            mchid=event.mchid,
            out_trade_no=event.out_trade_no,
            terms=event.terms,
            placed_ms=event.at_ms,
            expires_ms=event.expires_ms,
            prepay_id=event.prepay_id,
            link=event.link,
            issued_ms=event.at_ms,
        )
        self._by_number[event.out_trade_no] = key
        self._by_link[event.link] = self._by_prepay[event.prepay_id] = key
