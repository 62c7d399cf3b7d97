"""What the simulated WeChat Pay knows: merchants on disk; orders, refunds, transfers, the merchants' balances and the
notices of all that from the journal.

Some things happen by themselves: an order expires, a refund arrives, nobody confirms a transfer. They happen when
somebody looks (``order``, ``refund``, ``transfer``), and a *watch*, a notice to nobody, makes sure that somebody looks
in time.
"""

from typing import assert_never

from tael_sandbox.book import Entry
from tael_sandbox.courier import Notice
from tael_sandbox.faults import AFTER_COMMIT, BEFORE_COMMIT, ON_NOTICES
from tael_sandbox.wechat import funds, orders, refunds, transfers
from tael_sandbox.wechat.funds import Funded
from tael_sandbox.wechat.merchants import Merchants
from tael_sandbox.wechat.orders import Closed, Order, Orders, Paid, Refunded, Renotified
from tael_sandbox.wechat.refunds import Refund, RefundAsked, RefundEnded, Refunds
from tael_sandbox.wechat.transfers import Transfer, TransferAsked, TransferMoved, Transfers, UserNamed
from tael_sandbox.world import State, World

NAME = "wechat"
Event = orders.Event | refunds.Event | transfers.Event | Funded | UserNamed
# What a notice tells of. A watch is for nobody.
PAYMENT, REFUND, TRANSFER, WATCH_REFUND, WATCH_TRANSFER = "", "refund", "transfer", "watch refund", "watch transfer"
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
    **dict.fromkeys(("refund", "query_refund", "transfer", "query_transfer", "cancel_transfer"), _CALL),
    "certificates": _CALL,
    "notify": _NOTICE,
}


class Wechat(State):
    """WeChat Pay's half of one sandbox."""

    def __init__(self, world: World) -> None:
        """Load the merchants; the journal's replay brings the rest."""
        super().__init__(world, name=NAME, faults=FAULTS)
        self.merchants = Merchants(world.folder / "merchants")
        self.orders = Orders()
        self.refunds = Refunds()
        self.transfers = Transfers()

    def order(self, mchid: str, out_trade_no: str) -> Order | None:
        """The order as it stands now: one that has expired meanwhile is closed here."""
        found = self.orders.get(mchid, out_trade_no)
        if found is not None and found.open and self.clock.now_ms() >= found.expires_ms:
            self.record(Closed(mchid, out_trade_no, found.expires_ms, "expired"))
            return self.orders.get(mchid, out_trade_no)
        return found

    def refund(self, mchid: str, out_refund_no: str) -> Refund | None:
        """The refund as it stands now: one whose moment has come arrives here."""
        found = self.refunds.get(mchid, out_refund_no)
        if found is not None and found.state == "PROCESSING" and 0 < found.asked.settles_ms <= self.clock.now_ms():
            self.record(RefundEnded(mchid, out_refund_no, found.asked.settles_ms, "SUCCESS"))
            return self.refunds.get(mchid, out_refund_no)
        return found

    def transfer(self, mchid: str, out_bill_no: str) -> Transfer | None:
        """The transfer as it stands now: what happens to it by itself happens here."""
        found = self.transfers.get(mchid, out_bill_no)
        if found is not None and found.next is not None and found.next.at_ms <= self.clock.now_ms():
            self.record(TransferMoved(mchid, out_bill_no, found.next.at_ms, found.next.state, found.next.reason))
            return self.transfers.get(mchid, out_bill_no)
        return found

    def balance(self, mchid: str) -> int:
        """What the merchant has with the platform, in fen."""
        return self.book.balances[funds.account(mchid)]

    def apply(self, event: Event) -> None:
        """Let an event have happened: records move, the book follows, a notice starts on its way."""
        match event:
            case RefundAsked() | RefundEnded():
                self._apply_refund(event)
            case TransferAsked() | TransferMoved():
                self._apply_transfer(event)
            case Funded():
                self._move(event, "outside", funds.account(event.mchid), event.amount_minor, "funds", "")
            case UserNamed():
                self.transfers.names[event.openid] = event.name
            case _:
                self._apply_order(event)

    def _apply_order(self, event: orders.Event) -> None:
        self.orders.apply(event)
        match event:
            case Paid():
                merchant = funds.account(event.mchid)
                self._move(event, "payers", merchant, event.payer_minor, "payment", event.transaction_id)
                self._move(event, "coupons", merchant, event.coupon_minor, "coupon", event.transaction_id)
                self._move(event, merchant, "fees", event.fee_minor, "fee", event.transaction_id)
                self._announce_payment(event, at_ms=event.at_ms)
            case Renotified():
                self._announce_payment(self.orders.payment(event.transaction_id), at_ms=event.at_ms)
            case Refunded():
                order = self.orders.get(event.mchid, event.out_trade_no)
                assert order is not None, "only an order that exists is refunded"
                self.refunds.note_by_hand(order.payments[-1].transaction_id, order.payments[-1].total_minor)
                self._move(
                    event, funds.account(event.mchid), "payers", event.amount_minor, "refund", event.out_trade_no
                )
            case orders.Placed() | orders.Reissued() | orders.Scanned() | orders.Declined() | Closed():
                return
            case _:
                assert_never(event)

    def _apply_refund(self, event: refunds.Event) -> None:
        """The money leaves the merchant when the refund is asked for; payer and coupons get it when it succeeds."""
        refund = self.refunds.apply(event)
        asked, merchant = refund.asked, funds.account(event.mchid)
        match event:
            case RefundAsked():
                self.orders.mark_refunded(event.mchid, event.terms.out_trade_no)
                self._move(event, merchant, "refunds", event.terms.refund_minor, "refund", event.refund_id)
                if event.settles_ms:
                    self._watch(WATCH_REFUND, event.refund_id, *refund.key, at_ms=event.settles_ms)
                return
            case RefundEnded():
                arrived = event.state == "SUCCESS"
        payer, coupon, fee = (asked.payer_minor, asked.coupon_minor, asked.fee_minor) if arrived else (0, 0, 0)
        back = 0 if arrived else asked.terms.refund_minor
        self._move(event, "refunds", "payers", payer, "refund", asked.refund_id)
        self._move(event, "refunds", "coupons", coupon, "refund", asked.refund_id)
        self._move(event, "fees", merchant, fee, "fee back", asked.refund_id)
        self._move(event, "refunds", merchant, back, "refund back", asked.refund_id)
        self._announce(
            REFUND, asked.notice_id, *refund.key, asked.refund_id, url=asked.terms.notify_url, at_ms=event.at_ms
        )

    def _apply_transfer(self, event: transfers.Event) -> None:
        """The money leaves the merchant when the transfer is asked for; the user has it when it succeeds."""
        transfer = self.transfers.apply(event)
        asked, merchant, bill = transfer.asked, funds.account(event.mchid), transfer.asked.transfer_bill_no
        amount, key = asked.terms.amount_minor, (event.mchid, event.out_bill_no)
        if isinstance(event, TransferAsked):
            self._move(event, merchant, "transfers", amount, "transfer", bill)
        if transfer.next is not None:
            watch = f"{bill}-{transfer.next.state}-{transfer.next.at_ms}"
            self._watch(WATCH_TRANSFER, watch, *key, at_ms=transfer.next.at_ms)
        if transfer.final:
            to, kind = ("users", "transfer") if transfer.state == "SUCCESS" else (merchant, "transfer back")
            self._move(event, "transfers", to, amount, kind, bill)
            self._announce(TRANSFER, asked.notice_id, *key, bill, url=asked.terms.notify_url, at_ms=event.at_ms)

    def _move(self, event: Event, debit: str, credit: str, amount_minor: int, kind: str, reference: str) -> None:
        """Book what an event moves; a negative amount runs the other way."""
        assert not isinstance(event, UserNamed), "names cost nothing"
        if amount_minor < 0:
            debit, credit = credit, debit
        self.book.move(Entry(event.at_ms, debit, credit, abs(amount_minor), kind, reference))

    def _announce_payment(self, paid: Paid, *, at_ms: int) -> None:
        order = self.orders.get(paid.mchid, paid.out_trade_no)
        assert order is not None, "only an order that exists is paid"
        number, url = paid.out_trade_no, order.terms.notify_url
        self._announce(
            PAYMENT, paid.notice_id, paid.mchid, number, paid.transaction_id,
            url=url, at_ms=at_ms, created_ms=paid.at_ms,
        )  # fmt: skip

    def _announce(
        self, topic: str, notice_id: str, mchid: str, number: str, reference: str,
        *, url: str, at_ms: int, created_ms: int | None = None,
    ) -> None:  # fmt: skip
        """Send a notice on its way, if the merchant wanted one."""
        if url:
            notice = Notice(
                id=notice_id, channel=NAME, mchid=mchid, out_trade_no=number, transaction_id=reference, url=url,
                created_ms=at_ms if created_ms is None else created_ms, due_ms=at_ms, ladder_s=LADDER_S, topic=topic,
            )  # fmt: skip
            self.courier.add(notice)

    def _watch(self, topic: str, reference: str, mchid: str, number: str, *, at_ms: int) -> None:
        watch = Notice(
            id=f"{topic} {reference}", channel=NAME, mchid=mchid, out_trade_no=number, transaction_id=reference, url="",
            created_ms=at_ms, due_ms=at_ms, ladder_s=(), topic=topic,
        )  # fmt: skip
        self.courier.add(watch)
