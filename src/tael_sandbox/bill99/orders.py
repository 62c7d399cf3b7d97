"""Orders to pay a bank card.

    accepted 101 -> paid 111 -> returned 114
                 -> failed 112

Each arrow is an event that the journal keeps.
"""

from collections.abc import Iterator
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from tael_sandbox.happened import Happened

Status = Literal["101", "111", "112", "114"]
Key = tuple[str, str]
GIVEN_BACK: frozenset[Status] = frozenset({"112", "114"})


class Content(Struct, frozen=True):
    """What a request says. Sent again with the same number, it must be the same."""

    amount_minor: int
    bank_name: str
    bank_acct_id: str
    credit_name: str
    mobile: str = ""
    remark: str = ""
    fee_action: str = "1"


class Accepted(Happened, frozen=True, tag="bill99.accepted"):
    """The order was taken: its money has left the member's account. ``applied_ms``: by the clock that callers know;
    ``due_ms``: when it is paid by itself, 0: somebody settles it by hand.
    """

    member_code: str
    order_id: str
    content: Content
    at_ms: int
    applied_ms: int
    order_seq_id: str
    due_ms: int


class Moved(Happened, frozen=True, tag="bill99.moved"):
    """An order went on."""

    member_code: str
    order_id: str
    at_ms: int
    status: Status
    code: str = ""


Event = Accepted | Moved


class Order(Struct, frozen=True, kw_only=True):
    """One order as it stands. ``code``: why it failed or was returned."""

    member_code: str
    order_id: str
    content: Content
    accepted_ms: int
    applied_ms: int
    order_seq_id: str
    due_ms: int
    status: Status = "101"
    moved_ms: int
    code: str = ""


class Orders:
    """All orders of all members, in the order they were accepted."""

    def __init__(self) -> None:
        """Start empty; the journal's replay fills it."""
        self._orders: dict[Key, Order] = {}
        self._names: dict[str, Key] = {}

    def __iter__(self) -> Iterator[Order]:
        """Every order, oldest first."""
        return iter(self._orders.values())

    def get(self, member_code: str, order_id: str) -> Order | None:
        """The member's order with this number."""
        return self._orders.get((member_code, order_id))

    def named(self, name: str) -> Order | None:
        """The order known under a member's number or 99bill's."""
        key = self._names.get(name)
        return None if key is None else self._orders[key]

    def apply(self, event: Event) -> None:
        """Let an event have happened."""
        key = (event.member_code, event.order_id)
        match event:
            case Accepted():
                self._orders[key] = Order(
                    member_code=event.member_code,
                    order_id=event.order_id,
                    content=event.content,
                    accepted_ms=event.at_ms,
                    applied_ms=event.applied_ms,
                    order_seq_id=event.order_seq_id,
                    due_ms=event.due_ms,
                    moved_ms=event.at_ms,
                )
                self._names |= dict.fromkeys((event.order_id, event.order_seq_id), key)
            case Moved():
                old = self._orders[key]
                self._orders[key] = replace(old, status=event.status, moved_ms=event.at_ms, code=event.code)
