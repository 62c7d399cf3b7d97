"""The kinds of money in. Each is a row of this table; every use case of this package serves all of them alike.

    recharge  充值      a customer's own balance grows
    payment   收单      somebody pays for goods; the balance of who sells them grows

A kind differs in its name (also the first part of its topics), the prefix of its numbers and its transaction code.
"""

from dataclasses import dataclass

from tael.orders import NewOrder, Order


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of money in. `plural` names its routes and permissions; `code` is booked when a channel has been paid."""

    name: str
    plural: str
    prefix: str
    code: int

    def topic(self, what: str) -> str:
        """The topic of its events: `recharge.paid`."""
        return f"{self.name}.{what}"


RECHARGE = Kind("recharge", "recharges", "RC", 101)
PAYMENT = Kind("payment", "payments", "PM", 103)
KINDS = {kind.name: kind for kind in (RECHARGE, PAYMENT)}

TOPICS = (
    *(kind.topic(what) for kind in KINDS.values() for what in ("paid", "failed", "closed", "suspended", "refunded")),
    PAYMENT.topic("fulfilment_due"),
)
"""Every event about money in. `refunded` tells of every refund that has gone back, in whole or in part;
`fulfilment_due` reminds of what was paid for and not made."""


def kind_of(order: Order | NewOrder) -> Kind:
    """The kind of an order of money in."""
    return KINDS[order.kind]
