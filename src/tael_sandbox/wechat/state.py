"""What the simulated WeChat Pay knows: merchants on disk, orders and their notices from the journal."""

from typing import assert_never

from tael_sandbox.book import Entry
from tael_sandbox.courier import Notice
from tael_sandbox.faults import AFTER_COMMIT, BEFORE_COMMIT, ON_NOTICES
from tael_sandbox.wechat import orders
from tael_sandbox.wechat.merchants import Merchants
from tael_sandbox.wechat.orders import Closed, Order, Orders, Paid, Refunded, Renotified
from tael_sandbox.world import State, World

NAME = "wechat"
# After the first try, WeChat Pay waits this long before each further one: 24 h 4 min in all.
LADDER_S = (
    *(15, 15, 30, 180, 600, 1200, 1800, 1800, 1800, 3600),
    *(10_800, 10_800, 10_800, 21_600, 21_600),
)
_CALL = BEFORE_COMMIT | AFTER_COMMIT | {"stale_timestamp"}
_NOTICE = ON_NOTICES | {
    *("stale_timestamp", "signtest", "unknown_serial", "other_merchants_key", "bad_seal"),
    *("wrong_currency", "wrong_appid", "wrong_mchid"),
}
FAULTS = {
    "create": _CALL | {"notify_inside_create"},
    "query": _CALL,
    "close": _CALL,
    "certificates": _CALL,
    "notify": _NOTICE,
}


class Wechat(State):
    """WeChat Pay's half of one sandbox."""

    def __init__(self, world: World) -> None:
        """Load the merchants; the journal's replay brings the rest."""
        super().__init__(world, faults=FAULTS)
        self.merchants = Merchants(world.folder / "merchants")
        self.orders = Orders()

    def order(self, mchid: str, out_trade_no: str) -> Order | None:
        """The order as it stands now: one that has expired meanwhile is closed here."""
        found = self.orders.get(mchid, out_trade_no)
        if found is not None and found.open and self.clock.now_ms() >= found.expires_ms:
            self.record(Closed(mchid, out_trade_no, found.expires_ms, "expired"))
            return self.orders.get(mchid, out_trade_no)
        return found

    def apply(self, event: orders.Event) -> None:
        """Let an event have happened: the order moves, the book follows, a notice starts on its way."""
        self.orders.apply(event)
        match event:
            case Paid():
                self._book_payment(event)
                self._announce(event, at_ms=event.at_ms)
            case Renotified():
                self._announce(self.orders.payment(event.transaction_id), at_ms=event.at_ms)
            case Refunded():
                merchant = f"merchant/{event.mchid}"
                self.book.move(Entry(event.at_ms, merchant, "payers", event.amount_minor, "refund", event.out_trade_no))
            case orders.Placed() | orders.Reissued() | orders.Scanned() | orders.Declined() | Closed():
                return
            case _:
                assert_never(event)

    def _book_payment(self, paid: Paid) -> None:
        merchant = f"merchant/{paid.mchid}"
        for debit, credit, amount, kind in (
            ("payers", merchant, paid.payer_minor, "payment"),
            ("coupons", merchant, paid.coupon_minor, "coupon"),
            (merchant, "fees", paid.fee_minor, "fee"),
        ):
            self.book.move(Entry(paid.at_ms, debit, credit, amount, kind, paid.transaction_id))

    def _announce(self, paid: Paid, *, at_ms: int) -> None:
        order = self.orders.get(paid.mchid, paid.out_trade_no)
        assert order is not None, "only an order that exists is paid"
        notice = Notice(
            id=paid.notice_id,
            channel=NAME,
            mchid=paid.mchid,
            out_trade_no=paid.out_trade_no,
            transaction_id=paid.transaction_id,
            url=order.terms.notify_url,
            created_ms=paid.at_ms,
            due_ms=at_ms,
            ladder_s=LADDER_S,
        )
        self.courier.add(notice)
