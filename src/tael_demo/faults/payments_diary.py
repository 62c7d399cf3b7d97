"""What the customers of a payments fault run ask and are told."""

from dataclasses import dataclass, field

import msgspec

from tael_demo.faults.clients import Acknowledged, Diary


class SeenAttempt(msgspec.Struct):
    """An attempt as the API shows it."""

    attempt_no: str
    state: str
    channel: str
    handoff: dict[str, object] | None = None


class Seen(msgspec.Struct):
    """An order as the API shows it: a payment, a withdrawal, a refund or a transfer."""

    state: str
    amount: int
    order_no: str = ""
    refund_no: str = ""
    attempts: list[SeenAttempt] = []

    @property
    def number(self) -> str:
        """Its order number."""
        return self.order_no or self.refund_no


@dataclass(frozen=True, slots=True)
class Ask:
    """A request with a key, always the same bytes. `repeats`: until there is an answer; `refusable`: a no is one."""

    path: str
    key: str
    body: bytes
    repeats: bool = True
    refusable: bool = False


@dataclass(frozen=True, slots=True)
class Told(Acknowledged):
    """A 2xx that a customer has seen."""

    ask: Ask

    @property
    def seen(self) -> Seen:
        """What it said."""
        return msgspec.json.decode(self.body, type=Seen)


@dataclass(slots=True)
class PaymentsDiary(Diary[Told]):
    """The witness. `decided`: which decisions about an order were acknowledged; `refused`: how often a no was right."""

    decided: dict[str, set[str]] = field(default_factory=dict[str, set[str]])
    refused: int = 0

    def decide(self, order_no: str, decision: str) -> None:
        """Note a decision about an order that was acknowledged."""
        self.keep({"order": order_no, "decision": decision})
        self.decided.setdefault(order_no, set()).add(decision)
