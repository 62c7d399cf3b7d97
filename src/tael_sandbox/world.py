"""Everything one sandbox knows, and the one way it changes: an event is applied in memory and appended to the
journal.

At start the journal is replayed through the same ``apply``, so a sandbox that was killed comes back with every
order, payment, balance and waiting notice it ever admitted to.
"""

import secrets
from pathlib import Path

import msgspec
from msgspec import Struct

from tael_sandbox.book import Book, Entry
from tael_sandbox.calls import Witness
from tael_sandbox.clock import Clock, Mode, Wire
from tael_sandbox.courier import Courier, Notice, Tried
from tael_sandbox.faults import Faults
from tael_sandbox.ids import Ids
from tael_sandbox.journal import Journal
from tael_sandbox.outgoing import Poster
from tael_sandbox.wechat import orders as wechat
from tael_sandbox.wechat.merchants import Merchants

# After the first try, WeChat Pay waits this long before each further one: 24 h 4 min in all.
WECHAT_LADDER_S = (
    *(15, 15, 30, 180, 600, 1200, 1800, 1800, 1800, 3600),
    *(10_800, 10_800, 10_800, 21_600, 21_600),
)
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


class ClockMoved(Struct, frozen=True, tag="clock"):
    """Somebody set the clock."""

    mode: Mode
    wire: Wire
    now_ms: int


Event = wechat.Event | Tried | ClockMoved


class World:
    """The state of one sandbox. Use ``World.open``."""

    def __init__(self, folder: Path, *, seed: str, journal: Journal, notify_hosts: frozenset[str]) -> None:
        """Wire the parts together; nothing is read yet."""
        self.folder = folder
        self.base_url = ""
        self.notify_hosts = LOOPBACK | notify_hosts
        self.clock = Clock()
        self.ids = Ids(seed)
        self.journal = journal
        self.book = Book()
        self.faults = Faults()
        self.witness = Witness()
        self.poster = Poster()
        self.courier = Courier(self.clock, self.record)
        self.merchants = Merchants(folder / "merchants")
        self.orders = wechat.Orders()
        self._encoder = msgspec.json.Encoder()

    @classmethod
    def open(cls, folder: Path, *, seed: str | None = None, notify_hosts: frozenset[str] = frozenset()) -> "World":
        """Open a data folder, new or used, and replay its journal. A new folder keeps ``seed`` (default: a random
        one) for good.
        """
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        kept = folder / "seed"
        if not kept.exists():
            kept.write_text(secrets.token_hex(8) if seed is None else seed)
        journal, lines = Journal.open(folder / "journal.jsonl")
        world = cls(folder, seed=kept.read_text(), journal=journal, notify_hosts=notify_hosts)
        decoder = msgspec.json.Decoder(Event)
        for line in lines:
            world._apply(decoder.decode(line))
        return world

    async def close(self) -> None:
        """Finish the journal and hang up."""
        await self.poster.close()
        await self.journal.close()

    def record(self, event: Event) -> None:
        """Let an event happen. Whoever tells the outside about it waits for ``journal.settled`` first."""
        self.journal.append(self._encoder.encode(event))
        self._apply(event)

    def order(self, mchid: str, out_trade_no: str) -> wechat.Order | None:
        """The order as it stands now: one that has expired meanwhile is closed here."""
        found = self.orders.get(mchid, out_trade_no)
        if found is not None and found.open and self.clock.now_ms() >= found.expires_ms:
            self.record(wechat.Closed(mchid, out_trade_no, found.expires_ms, "expired"))
            return self.orders.get(mchid, out_trade_no)
        return found

    def _apply(self, event: Event) -> None:
        match event:
            case Tried():
                self.courier.apply(event)
            case ClockMoved():
                self.clock.wire = event.wire
                if event.mode == "manual":
                    self.clock.stand_at(event.now_ms)
                else:
                    self.clock.run()
                    self.clock.jump_to(event.now_ms)
                self.courier.wake()
            case wechat.Paid():
                self.orders.apply(event)
                self._book_payment(event)
                self._announce(event, at_ms=event.at_ms)
            case wechat.Renotified():
                told = self.orders.payment(event.transaction_id)
                self._announce(told, at_ms=event.at_ms)
            case wechat.Refunded():
                self.orders.apply(event)
                merchant = f"merchant/{event.mchid}"
                self.book.move(Entry(event.at_ms, merchant, "payers", event.amount_minor, "refund", event.out_trade_no))
            case _:
                self.orders.apply(event)

    def _book_payment(self, paid: wechat.Paid) -> None:
        merchant = f"merchant/{paid.mchid}"
        for debit, credit, amount, kind in (
            ("payers", merchant, paid.payer_minor, "payment"),
            ("coupons", merchant, paid.coupon_minor, "coupon"),
            (merchant, "fees", paid.fee_minor, "fee"),
        ):
            self.book.move(Entry(paid.at_ms, debit, credit, amount, kind, paid.transaction_id))

    def _announce(self, paid: wechat.Paid, *, at_ms: int) -> None:
        order = self.orders.get(paid.mchid, paid.out_trade_no)
        assert order is not None, "only an order that exists is paid"
        notice = Notice(
            id=paid.notice_id,
            mchid=paid.mchid,
            out_trade_no=paid.out_trade_no,
            transaction_id=paid.transaction_id,
            url=order.terms.notify_url,
            created_ms=paid.at_ms,
            due_ms=at_ms,
            ladder_s=WECHAT_LADDER_S,
        )
        self.courier.add(notice)
