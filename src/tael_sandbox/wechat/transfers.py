"""Transfers from a merchant to a user (transfer bills): what was asked and what became of it.

    asked -> WAIT_USER_CONFIRM -> SUCCESS                   the user confirms
                               -> FAIL                      24 hours pass, or by hand
    asked -> ACCEPTED -> FAIL                               the name is wrong, or a quota is exceeded
    any but final -> CANCELING -> CANCELLED                 the merchant calls it back; the user may still be faster
    ACCEPTED, PROCESSING, WAIT_USER_CONFIRM, TRANSFERING    each can also be set by hand

``Next`` is what happens by itself and when. ``Transfers.apply`` is the only way a transfer changes.
"""

from collections.abc import Iterator
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from tael_sandbox.happened import Happened

TransferState = Literal[
    "ACCEPTED", "PROCESSING", "WAIT_USER_CONFIRM", "TRANSFERING", "CANCELING", "SUCCESS", "FAIL", "CANCELLED"
]
FINAL_STATES: frozenset[TransferState] = frozenset({"SUCCESS", "FAIL", "CANCELLED"})


class Report(Struct, frozen=True):
    """One text that the scene of a transfer demands."""

    info_type: str
    info_content: str


class TransferTerms(Struct, frozen=True):
    """What a transfer says, the name opened. Sent again with the same number, these must be the same."""

    appid: str
    transfer_scene_id: str
    openid: str
    amount_minor: int
    remark: str
    notify_url: str
    user_name: str
    user_recv_perception: str
    reports: tuple[Report, ...]


class Next(Struct, frozen=True):
    """What a transfer becomes by itself at ``at_ms``."""

    at_ms: int
    state: TransferState
    reason: str = ""


class TransferAsked(Happened, frozen=True, tag="wechat.transfer_asked"):
    """A transfer was accepted: its money left the merchant and waits for the user."""

    mchid: str
    out_bill_no: str
    terms: TransferTerms
    at_ms: int
    transfer_bill_no: str
    package_info: str
    notice_id: str
    state: TransferState
    next: Next | None


class TransferMoved(Happened, frozen=True, tag="wechat.transfer_moved"):
    """The transfer is in another state; ``reason`` says why it failed."""

    mchid: str
    out_bill_no: str
    at_ms: int
    state: TransferState
    reason: str = ""
    next: Next | None = None


class UserNamed(Happened, frozen=True, tag="wechat.user_named"):
    """From now on the platform knows this user's real name."""

    openid: str
    name: str


Event = TransferAsked | TransferMoved


class Transfer(Struct, frozen=True):
    """One transfer as it stands."""

    asked: TransferAsked
    state: TransferState
    changed_ms: int
    next: Next | None
    reason: str = ""

    @property
    def final(self) -> bool:
        """Whether nothing can happen to it any more."""
        return self.state in FINAL_STATES


class Transfers:
    """All transfers of all merchants, oldest first, and the users' names as far as they are known."""

    def __init__(self) -> None:
        """Start empty; the journal's replay fills it."""
        self._transfers: dict[tuple[str, str], Transfer] = {}
        self._by_bill: dict[str, tuple[str, str]] = {}
        self.names: dict[str, str] = {}

    def __iter__(self) -> Iterator[Transfer]:
        """Every transfer, oldest first."""
        return iter(list(self._transfers.values()))

    def get(self, mchid: str, out_bill_no: str) -> Transfer | None:
        """The merchant's transfer with this number."""
        return self._transfers.get((mchid, out_bill_no))

    def number_of(self, mchid: str, transfer_bill_no: str) -> str:
        """The merchant's number of a transfer that has the platform's number; empty when there is none."""
        owner, number = self._by_bill.get(transfer_bill_no, ("", ""))
        return number if owner == mchid else ""

    def apply(self, event: Event) -> Transfer:
        """Let an event have happened; the transfer as it is then."""
        key = (event.mchid, event.out_bill_no)
        match event:
            case TransferAsked():
                self._transfers[key] = Transfer(event, event.state, event.at_ms, event.next)
                self._by_bill[event.transfer_bill_no] = key
            case TransferMoved():
                self._transfers[key] = replace(
                    self._transfers[key],
                    state=event.state, changed_ms=event.at_ms, next=event.next, reason=event.reason,
                )  # fmt: skip
        return self._transfers[key]
