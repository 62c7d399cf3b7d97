"""Transfers from a merchant's account to people.

    sent -> SUCCESS                              to an Alipay account, at once
         -> DEALING | WAIT_PAY -> SUCCESS        to a bank card, or when a fault wants it; settled by hand
                               -> FAIL, CLOSED   the money is back with the merchant
            SUCCESS -> REFUND                    the bank returned it, days later

Each arrow is an event that the journal keeps.
"""

from collections import defaultdict
from collections.abc import Iterator
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from tael_sandbox.china_time import china_time
from tael_sandbox.happened import Happened

Status = Literal["SUCCESS", "DEALING", "WAIT_PAY", "FAIL", "CLOSED", "REFUND"]
Key = tuple[str, str]
FINAL: frozenset[Status] = frozenset({"SUCCESS", "FAIL", "CLOSED", "REFUND"})
GIVEN_BACK: frozenset[Status] = frozenset({"FAIL", "CLOSED", "REFUND"})


class Content(Struct, frozen=True):
    """What a request says. Sent again with the same number, it must be the same."""

    amount_minor: int
    product_code: str
    biz_scene: str
    identity: str
    identity_type: str
    name: str
    title: str
    remark: str


class Sent(Happened, frozen=True, tag="alipay.sent"):
    """The transfer was taken: its money has left the merchant's account. ``url``: who is told of its end, if set."""

    app_id: str
    out_biz_no: str
    content: Content
    at_ms: int
    order_id: str
    fund_order_id: str
    notify_id: str
    status: Status
    url: str
    reason: str = ""


class Moved(Happened, frozen=True, tag="alipay.moved"):
    """A transfer went on."""

    app_id: str
    out_biz_no: str
    at_ms: int
    notify_id: str
    status: Status
    url: str
    reason: str = ""


Event = Sent | Moved


class Transfer(Struct, frozen=True, kw_only=True):
    """One transfer as it stands. ``reason``: the error code of a failed or returned one."""

    app_id: str
    out_biz_no: str
    content: Content
    sent_ms: int
    order_id: str
    fund_order_id: str
    status: Status
    moved_ms: int
    reason: str = ""


class Transfers:
    """All transfers of all apps, in the order they were sent."""

    def __init__(self) -> None:
        """Start empty; the journal's replay fills it."""
        self._transfers: dict[Key, Transfer] = {}
        self._names: dict[str, Key] = {}
        self._sums: defaultdict[tuple[str, str], int] = defaultdict(int)

    def __iter__(self) -> Iterator[Transfer]:
        """Every transfer, oldest first."""
        return iter(self._transfers.values())

    def get(self, app_id: str, out_biz_no: str) -> Transfer | None:
        """The app's transfer with this number."""
        return self._transfers.get((app_id, out_biz_no))

    def named(self, name: str) -> Transfer | None:
        """The transfer known under a merchant's number, an order id or a fund order id."""
        key = self._names.get(name)
        return None if key is None else self._transfers[key]

    def sent_minor(self, app_id: str, span: str) -> int:
        """What an app has sent in a day (yyyy-MM-dd) or a month (yyyy-MM) and not got back."""
        return self._sums[app_id, span]

    def apply(self, event: Event) -> None:
        """Let an event have happened."""
        key = (event.app_id, event.out_biz_no)
        match event:
            case Sent():
                self._transfers[key] = Transfer(
                    app_id=event.app_id,
                    out_biz_no=event.out_biz_no,
                    content=event.content,
                    sent_ms=event.at_ms,
                    order_id=event.order_id,
                    fund_order_id=event.fund_order_id,
                    status=event.status,
                    moved_ms=event.at_ms,
                    reason=event.reason,
                )
                self._names |= dict.fromkeys((event.out_biz_no, event.order_id, event.fund_order_id), key)
                self._count(self._transfers[key], 1)
            case Moved():
                old = self._transfers[key]
                self._transfers[key] = replace(old, status=event.status, moved_ms=event.at_ms, reason=event.reason)
        if event.status in GIVEN_BACK:
            self._count(self._transfers[key], -1)

    def _count(self, transfer: Transfer, sign: int) -> None:
        day = china_time(transfer.sent_ms)[:10]
        for span in (day, day[:7]):
            self._sums[transfer.app_id, span] += sign * transfer.content.amount_minor
