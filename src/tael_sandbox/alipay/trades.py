"""Trades at Alipay: what was agreed, what happened, and the index by every name a trade is known under.

    placed (a link, no trade yet) -> scanned: WAIT_BUYER_PAY -> paid: TRADE_SUCCESS -> finished: TRADE_FINISHED
                                  -> dropped (the link is dead)                     -> refunded in full: TRADE_CLOSED
                                     WAIT_BUYER_PAY -> closed, expired: TRADE_CLOSED

Each arrow is an event that the journal keeps; ``Trades.apply`` is the only way a trade changes.
"""

from collections.abc import Iterator
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from tael_sandbox.happened import Happened

Kind = Literal["precreate", "page", "wap", "app", "bar_code"]
State = Literal["LINK", "DEAD", "WAIT_BUYER_PAY", "TRADE_SUCCESS", "TRADE_FINISHED", "TRADE_CLOSED"]
Key = tuple[str, str]


class Terms(Struct, frozen=True):
    """What a request agrees. Sent again with the same number, ``subject`` and ``total_minor`` must be the same."""

    kind: Kind
    subject: str
    total_minor: int
    charset: str
    notify_url: str = ""
    return_url: str = ""
    body: str = ""
    passback: str = ""
    auth_code: str = ""


class Placed(Happened, frozen=True, tag="alipay.placed"):
    """The merchant asked; ``link`` is what the QR code or the cashier's address carries."""

    app_id: str
    out_trade_no: str
    terms: Terms
    at_ms: int
    expires_ms: int
    link: str


class Relinked(Happened, frozen=True, tag="alipay.relinked"):
    """The same trade got a new link, because the old one was too old."""

    app_id: str
    out_trade_no: str
    at_ms: int
    link: str


class Scanned(Happened, frozen=True, tag="alipay.scanned"):
    """The buyer opened the link: from now on there is a trade."""

    app_id: str
    out_trade_no: str
    at_ms: int
    trade_no: str
    buyer_id: str


class Paid(Happened, frozen=True, tag="alipay.paid"):
    """The buyer paid; ``fee_minor`` is what the channel keeps."""

    app_id: str
    out_trade_no: str
    at_ms: int
    notify_id: str
    total_minor: int
    fee_minor: int


class Closed(Happened, frozen=True, tag="alipay.closed"):
    """No payment is possible any more."""

    app_id: str
    out_trade_no: str
    at_ms: int
    why: Literal["asked", "expired", "cancelled"]


class Finished(Happened, frozen=True, tag="alipay.finished"):
    """The time for refunds is over."""

    app_id: str
    out_trade_no: str
    at_ms: int


class Refunded(Happened, frozen=True, tag="alipay.refunded"):
    """Money went back to the buyer; ``fee_back_minor`` of the fee comes back to the merchant."""

    app_id: str
    out_trade_no: str
    out_request_no: str
    at_ms: int
    notify_id: str
    amount_minor: int
    fee_back_minor: int
    reason: str = ""


class Renotified(Happened, frozen=True, tag="alipay.renotified"):
    """The last notice of the trade starts again from the first rung."""

    app_id: str
    out_trade_no: str
    at_ms: int


Event = Placed | Relinked | Scanned | Paid | Closed | Finished | Refunded | Renotified


class Trade(Struct, frozen=True, kw_only=True):
    """One trade as it stands. ``payments`` holds more than one only when a test forced it."""

    app_id: str
    out_trade_no: str
    terms: Terms
    placed_ms: int
    expires_ms: int
    link: str
    linked_ms: int
    links: int = 1
    state: State = "LINK"
    trade_no: str = ""
    buyer_id: str = ""
    scanned_ms: int = 0
    ended_ms: int = 0
    payments: tuple[Paid, ...] = ()
    refunds: tuple[Refunded, ...] = ()

    @property
    def exists(self) -> bool:
        """Whether queries find it: an unopened link is no trade."""
        return self.state not in ("LINK", "DEAD")

    @property
    def payable(self) -> bool:
        """Whether it can still be paid."""
        return self.state in ("LINK", "WAIT_BUYER_PAY")

    @property
    def paid_minor(self) -> int:
        """What its payments come to."""
        return sum(one.total_minor for one in self.payments)

    @property
    def refunded_minor(self) -> int:
        """What its refunds come to."""
        return sum(one.amount_minor for one in self.refunds)

    def refund(self, out_request_no: str) -> Refunded | None:
        """The refund with this number."""
        return next((one for one in self.refunds if one.out_request_no == out_request_no), None)


class Trades:
    """All trades of all apps, in the order they were placed."""

    def __init__(self) -> None:
        """Start empty; the journal's replay fills it."""
        self._trades: dict[Key, Trade] = {}
        self._names: dict[str, Key] = {}
        self.auth_codes: dict[str, Key] = {}

    def __iter__(self) -> Iterator[Trade]:
        """Every trade, oldest first."""
        return iter(self._trades.values())

    def get(self, app_id: str, out_trade_no: str) -> Trade | None:
        """The app's trade with this number."""
        return self._trades.get((app_id, out_trade_no))

    def named(self, name: str) -> Trade | None:
        """The trade known under a merchant's number (the latest, if merchants share it), a link or a trade_no."""
        key = self._names.get(name)
        return None if key is None else self._trades[key]

    def apply(self, event: Event) -> None:
        """Let an event have happened."""
        key = (event.app_id, event.out_trade_no)
        if isinstance(event, Placed):
            self._place(key, event)
        else:
            self._trades[key] = _moved(self._trades[key], event)
        trade = self._trades[key]
        self._names |= dict.fromkeys((trade.out_trade_no, trade.link, trade.trade_no or trade.link), key)

    def _place(self, key: Key, event: Placed) -> None:
        self._trades[key] = Trade(
            app_id=event.app_id,
            out_trade_no=event.out_trade_no,
            terms=event.terms,
            placed_ms=event.at_ms,
            expires_ms=event.expires_ms,
            link=event.link,
            linked_ms=event.at_ms,
        )
        if event.terms.auth_code:
            self.auth_codes[event.terms.auth_code] = key


def _moved(trade: Trade, event: Event) -> Trade:
    match event:
        case Placed() | Renotified():
            return trade
        case Relinked():
            return replace(trade, link=event.link, linked_ms=event.at_ms, links=trade.links + 1)
        case Scanned():
            return replace(
                trade,
                state="WAIT_BUYER_PAY",
                trade_no=event.trade_no,
                buyer_id=event.buyer_id,
                scanned_ms=event.at_ms,
            )
        case Paid():
            return replace(trade, state="TRADE_SUCCESS", payments=(*trade.payments, event))
        case Closed():
            return replace(trade, state="TRADE_CLOSED" if trade.exists else "DEAD", ended_ms=event.at_ms)
        case Finished():
            return replace(trade, state="TRADE_FINISHED", ended_ms=event.at_ms)
        case Refunded():
            left = replace(trade, refunds=(*trade.refunds, event))
            over = left.refunded_minor >= left.paid_minor
            return replace(left, state="TRADE_CLOSED", ended_ms=event.at_ms) if over else left
