"""Refunds at WeChat Pay: what was asked and what became of it.

    asked (PROCESSING) -> SUCCESS                    by itself after a moment, or by hand
                       -> CLOSED | ABNORMAL          by hand; the money is back at the merchant

The journal keeps both arrows; ``Refunds.apply`` is the only way a refund changes.
"""

from collections import defaultdict
from collections.abc import Iterator
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from tael_sandbox.happened import Happened

RefundState = Literal["PROCESSING", "SUCCESS", "CLOSED", "ABNORMAL"]


class RefundTerms(Struct, frozen=True):
    """What a refund says. Sent again with the same number, these must be the same."""

    out_trade_no: str
    transaction_id: str
    refund_minor: int
    total_minor: int
    reason: str
    notify_url: str


class RefundAsked(Happened, frozen=True, tag="wechat.refund_asked"):
    """A refund was accepted: its money left the merchant. ``settles_ms``: when it succeeds by itself (0: by hand).

    ``payer_minor + coupon_minor == terms.refund_minor``; ``fee_minor`` comes back to the merchant on success.
    """

    mchid: str
    out_refund_no: str
    terms: RefundTerms
    at_ms: int
    refund_id: str
    notice_id: str
    payer_minor: int
    coupon_minor: int
    fee_minor: int
    settles_ms: int


class RefundEnded(Happened, frozen=True, tag="wechat.refund_ended"):
    """The refund arrived, or came back."""

    mchid: str
    out_refund_no: str
    at_ms: int
    state: RefundState


Event = RefundAsked | RefundEnded


class Refund(Struct, frozen=True):
    """One refund as it stands."""

    asked: RefundAsked
    state: RefundState = "PROCESSING"
    ended_ms: int = 0

    @property
    def key(self) -> tuple[str, str]:
        """Merchant and number."""
        return self.asked.mchid, self.asked.out_refund_no


class Refunds:
    """All refunds of all merchants, oldest first."""

    def __init__(self) -> None:
        """Start empty; the journal's replay fills it."""
        self._refunds: dict[tuple[str, str], Refund] = {}
        self._by_transaction: defaultdict[str, list[tuple[str, str]]] = defaultdict(list)
        self._by_hand: defaultdict[str, int] = defaultdict(int)

    def __iter__(self) -> Iterator[Refund]:
        """Every refund, oldest first."""
        return iter(list(self._refunds.values()))

    def get(self, mchid: str, out_refund_no: str) -> Refund | None:
        """The merchant's refund with this number."""
        return self._refunds.get((mchid, out_refund_no))

    def of(self, transaction_id: str) -> list[Refund]:
        """The refunds of one payment that were asked for over the API."""
        return [self._refunds[key] for key in self._by_transaction[transaction_id]]

    def refunded_minor(self, transaction_id: str) -> int:
        """How much of a payment went back or is on its way; what was closed does not count."""
        open_or_done = (one for one in self.of(transaction_id) if one.state != "CLOSED")
        return self._by_hand[transaction_id] + sum(one.asked.terms.refund_minor for one in open_or_done)

    def note_by_hand(self, transaction_id: str, amount_minor: int) -> None:
        """Somebody gave a payment back at the support desk."""
        self._by_hand[transaction_id] += amount_minor

    def apply(self, event: Event) -> Refund:
        """Let an event have happened; the refund as it is then."""
        key = (event.mchid, event.out_refund_no)
        match event:
            case RefundAsked():
                self._refunds[key] = Refund(event)
                self._by_transaction[event.terms.transaction_id].append(key)
            case RefundEnded():
                self._refunds[key] = replace(self._refunds[key], state=event.state, ended_ms=event.at_ms)
        return self._refunds[key]
