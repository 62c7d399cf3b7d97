"""What the simulated Alipay knows: merchants on disk; trades, transfers, money and notices from the journal."""

from tael_sandbox.alipay import trades, transfers
from tael_sandbox.alipay.merchants import Merchant, Merchants
from tael_sandbox.alipay.trades import Closed, Paid, Refunded, Renotified, Trade, Trades
from tael_sandbox.alipay.transfers import FINAL, GIVEN_BACK, Moved, Sent, Transfers
from tael_sandbox.book import Entry
from tael_sandbox.courier import Notice
from tael_sandbox.faults import AFTER_COMMIT, ON_NOTICES
from tael_sandbox.happened import Happened
from tael_sandbox.world import State, World

NAME = "alipay"
PAYERS, PAYEES, FEES, OUTSIDE = "alipay/payers", "alipay/payees", "alipay/fees", "alipay/outside"
# After the first try, Alipay waits this long before each further one: 4m 10m 10m 1h 2h 6h 15h.
LADDER_S = (240, 600, 600, 3_600, 7_200, 21_600, 54_000)
BEFORE_COMMIT = frozenset(
    {"drop_before_commit", "5xx_before_commit", "error", "20000_before_commit", "40005", "gateway_error"}
)
_CALL = BEFORE_COMMIT | AFTER_COMMIT | {"20000_after_commit", "forged_copy", "unknown_cert_sn"}
_NOTICE = ON_NOTICES | {
    *("other_merchants_key", "sha1_signature", "extra_field"),
    *("wrong_app_id", "wrong_seller_id", "wrong_status"),
}
_PAGE = frozenset({"gateway_error", "40005", "5xx_before_commit", "drop_before_commit"})
FAULTS: dict[str, frozenset[str]] = {
    "trade.precreate": _CALL | {"notify_inside_create"},
    "trade.pay": _CALL | {"user_paying", "notify_inside_create"},
    "trade.page.pay": _PAGE,
    "trade.wap.pay": _PAGE,
    "trade.app.pay": _PAGE,
    "trade.query": _CALL,
    "trade.close": _CALL,
    "trade.cancel": _CALL | {"retry"},
    "trade.refund": _CALL,
    "trade.fastpay.refund.query": _CALL,
    "fund.trans.uni.transfer": _CALL | {"dealing", "wait_pay", "fail"},
    "fund.trans.common.query": _CALL,
    "fund.account.query": _CALL,
    "data.dataservice.bill.downloadurl.query": _CALL,
    "open.app.alipaycert.download": _CALL,
    "notify": _NOTICE,
}


class ToppedUp(Happened, frozen=True, tag="alipay.topped_up"):
    """Money came to a merchant's account from outside."""

    app_id: str
    at_ms: int
    amount_minor: int


Event = trades.Event | transfers.Event | ToppedUp


class Alipay(State):
    """Alipay's half of one sandbox."""

    def __init__(self, world: World) -> None:
        """Load the merchants; the journal's replay brings the rest."""
        super().__init__(world, name=NAME, faults=FAULTS)
        self.merchants = Merchants(world.folder / NAME)
        self.trades = Trades()
        self.transfers = Transfers()

    def trade(self, app_id: str, out_trade_no: str) -> Trade | None:
        """The trade as it stands now: one whose time is over meanwhile is closed here."""
        found = self.trades.get(app_id, out_trade_no)
        if found is not None and found.payable and self.clock.now_ms() >= found.expires_ms:
            self.record(Closed(app_id, out_trade_no, found.expires_ms, "expired"))
            return self.trades.get(app_id, out_trade_no)
        return found

    def balance_minor(self, merchant: Merchant) -> int:
        """What the merchant's account holds."""
        return self.book.balances[merchant.account]

    def apply(self, event: Event) -> None:
        """Let an event have happened: a trade or a transfer moves, the book follows, a notice starts on its way."""
        match event:
            case ToppedUp():
                account = f"alipay/merchant/{event.app_id}"
                self.book.move(Entry(event.at_ms, OUTSIDE, account, event.amount_minor, "top-up", ""))
            case Sent():
                self.transfers.apply(event)
                self._move(event.app_id, event.out_biz_no, at_ms=event.at_ms, kind="transfer", forward=True)
                if event.status in GIVEN_BACK:
                    self._move(event.app_id, event.out_biz_no, at_ms=event.at_ms, kind="transfer back", forward=False)
                self._tell_transfer(event)
            case Moved():
                self.transfers.apply(event)
                if event.status in GIVEN_BACK:
                    self._move(event.app_id, event.out_biz_no, at_ms=event.at_ms, kind="transfer back", forward=False)
                self._tell_transfer(event)
            case _:
                self.trades.apply(event)
                self._follow_trade(event)

    def _follow_trade(self, event: trades.Event) -> None:
        account = f"alipay/merchant/{event.app_id}"
        match event:
            case Paid():
                number = event.out_trade_no
                self.book.move(Entry(event.at_ms, PAYERS, account, event.total_minor, "payment", number))
                self.book.move(Entry(event.at_ms, account, FEES, event.fee_minor, "fee", number))
                self._tell_trade(event, notify_id=event.notify_id, topic="paid")
            case Refunded():
                number = event.out_request_no
                self.book.move(Entry(event.at_ms, account, PAYERS, event.amount_minor, "refund", number))
                self.book.move(Entry(event.at_ms, FEES, account, event.fee_back_minor, "fee back", number))
                self._tell_trade(event, notify_id=event.notify_id, topic="refunded", about=number)
            case Renotified():
                trade = self.trades.get(event.app_id, event.out_trade_no)
                assert trade is not None, "only a trade that exists is told again"
                if trade.refunds:
                    last = trade.refunds[-1]
                    self._tell_trade(event, notify_id=last.notify_id, topic="refunded", about=last.out_request_no)
                else:
                    self._tell_trade(event, notify_id=trade.payments[-1].notify_id, topic="paid")
            case _:
                return

    def _move(self, app_id: str, out_biz_no: str, *, at_ms: int, kind: str, forward: bool) -> None:
        transfer = self.transfers.get(app_id, out_biz_no)
        assert transfer is not None, "it was just applied"
        account = f"alipay/merchant/{app_id}"
        debit, credit = (account, PAYEES) if forward else (PAYEES, account)
        self.book.move(Entry(at_ms, debit, credit, transfer.content.amount_minor, kind, out_biz_no))

    def _tell_trade(self, event: trades.Event, *, notify_id: str, topic: str, about: str = "") -> None:
        trade = self.trades.get(event.app_id, event.out_trade_no)
        assert trade is not None, "only a trade that exists is told"
        if trade.terms.notify_url:
            number, url = trade.out_trade_no, trade.terms.notify_url
            self._tell(event.app_id, number, about, url=url, notify_id=notify_id, at_ms=event.at_ms, topic=topic)

    def _tell_transfer(self, event: Sent | Moved) -> None:
        if event.status in FINAL and event.url:
            number, topic = event.out_biz_no, f"transfer {event.status}"
            self._tell(
                event.app_id, number, "", url=event.url, notify_id=event.notify_id, at_ms=event.at_ms, topic=topic
            )

    def _tell(self, app_id: str, number: str, about: str, *, url: str, notify_id: str, at_ms: int, topic: str) -> None:
        self.courier.add(
            Notice(
                id=notify_id,
                channel=NAME,
                mchid=app_id,
                out_trade_no=number,
                transaction_id=about,
                url=url,
                created_ms=at_ms,
                due_ms=at_ms,
                ladder_s=LADDER_S,
                topic=topic,
            )
        )
