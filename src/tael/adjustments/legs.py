"""What an adjustment moves: 1 to 20 legs, each from one account to another. Pure.

    legs -> payload    what the checker sees, approves and hashes; account numbers are text, as everywhere in JSON
    payload -> postings  what is booked, all legs together or none

A reversal mirrors the legs of the adjustment it takes back, the last first, each linked to the original posting.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import msgspec

from tael.base.errors import JsonValue
from tael.ledger import LINKED, REVERSE, AccountId, BookId, Posting, posting_id

CODE = 140
"""The transaction code of adjustments."""
MOST_LEGS = 20


@dataclass(frozen=True, slots=True)
class Leg:
    """`amount` minor units from `debit` to `credit`. `reference`: the posting that this leg reverses."""

    debit: int
    credit: int
    amount: int
    reference: UUID | None = None


def payload_of(
    legs: Sequence[Leg], *, currency: str, reason: str, evidence: str | None, order_no: str | None, reverses: str | None
) -> JsonValue:
    """Everything that an approval of these legs covers."""
    shown: list[JsonValue] = [
        {
            "debit": str(leg.debit), "credit": str(leg.credit), "amount": leg.amount,
            "reference": None if leg.reference is None else str(leg.reference),
        }
        for leg in legs
    ]  # fmt: skip
    return {
        "legs": shown, "currency": currency, "reason": reason, "evidence": evidence, "order_no": order_no,
        "reverses": reverses,
    }  # fmt: skip


def legs_in(payload: JsonValue) -> list[Leg]:
    """The legs that a payload stands for."""
    stored = msgspec.convert(payload, _Payload)
    return [Leg(int(one.debit), int(one.credit), one.amount, one.reference) for one in stored.legs]


def postings(payload: JsonValue, *, book: int, adjustment_no: str, created_at: datetime) -> list[Posting]:
    """The linked postings of a payload; the same adjustment gives the same ids for ever."""
    stored, legs = msgspec.convert(payload, _Payload), legs_in(payload)
    return [
        Posting(
            book=BookId(book), id=leg_id(adjustment_no, place, created_at=created_at), debit=AccountId(leg.debit),
            credit=AccountId(leg.credit), amount=leg.amount, currency=stored.currency, code=CODE,
            flags=(LINKED if place < len(legs) - 1 else 0) | (REVERSE if leg.reference else 0),
            reference=leg.reference, order_no=adjustment_no,
        )
        for place, leg in enumerate(legs)
    ]  # fmt: skip


def mirrored(payload: JsonValue, *, adjustment_no: str, created_at: datetime) -> list[Leg]:
    """The legs that take a posted adjustment back."""
    return [
        Leg(leg.credit, leg.debit, leg.amount, leg_id(adjustment_no, place, created_at=created_at))
        for place, leg in reversed(list(enumerate(legs_in(payload))))
    ]


def leg_id(adjustment_no: str, place: int, *, created_at: datetime) -> UUID:
    """The id of a leg's posting, the first leg being number 0."""
    return posting_id("adjustment", f"{adjustment_no}/{place}", at=created_at)


class _Leg(msgspec.Struct):
    debit: str
    credit: str
    amount: int
    reference: UUID | None


class _Payload(msgspec.Struct):
    legs: list[_Leg]
    currency: str
