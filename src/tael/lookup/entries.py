"""The entries of a story: of each sort of thing, what is said about it in one line and what is shown beside it.

`way` is seen from the platform: something came in, went out, or happened inside. `place` orders entries of one time.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum
from typing import Literal

import msgspec

from tael.base.db import Record
from tael.base.errors import JsonValue
from tael.base.money import format_minor

Way = Literal["in", "out", "inside"]
US = "tael"
_POSTED = ("posted", "held", "settled", "released", "expired", "reversed")
"""By the number that the ledger keeps of a posting's kind."""


class Place(IntEnum):
    """What comes first of what has one time: causes before effects."""

    ORDER = 1
    DETAILS = 2
    VERDICT = 3
    APPROVAL = 4
    DECISION = 5
    ROUTE = 6
    ATTEMPT = 7
    EXCHANGE = 8
    NOTICE = 9
    ATTEMPT_ENDED = 10
    ORDER_ENDED = 11
    SUSPENSE = 12
    POSTING = 13
    DONE = 14
    EVENT = 15
    DELIVERY_ATTEMPT = 16
    DELIVERY = 17
    TASK = 18


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that happened: when, what sort of thing, to which number, by whom, and in one line."""

    at: datetime
    place: Place
    what: str
    number: str
    actor: str
    way: Way
    text: str
    data: Mapping[str, JsonValue]


def opened(row: Record) -> Entry:
    """An order was opened."""
    return Entry(
        row["created_at"], Place.ORDER, "order", row["order_no"], "business", "in",
        f"{row['kind']} of {_money(row)} opened; it is {row['state']} now",
        {
            "kind": row["kind"], "mode": row["mode"], "state": row["state"], "account": str(row["account"]),
            "amount": row["amount"], "currency": row["currency"], "business_order_no": row["business_order_no"],
            "refund_pending": row["refund_pending"], "refunded": row["refunded"],
            "expires_at": _instant(row["expires_at"]),
        },
    )  # fmt: skip


def order_paid(row: Record) -> Entry:
    """An order was paid."""
    return Entry(
        row["paid_at"], Place.ORDER_ENDED, "state", row["order_no"], US, "inside", "order paid",
        {"state": row["state"], "reason": row["reason"]},
    )  # fmt: skip


def withdrawal(row: Record) -> Entry:
    """Who asked for a withdrawal, and to whom it goes."""
    return Entry(
        row["created_at"], Place.DETAILS, "withdrawal", row["order_no"], row["maker"], "in",
        f"to {row['kind']} {row['masked']}, asked by {row['maker']}",
        {"payee": str(row["id"]), "masked": row["masked"], "review": row["review"]},
    )  # fmt: skip


def refund(row: Record) -> Entry:
    """What a refund gives back."""
    return Entry(
        row["created_at"], Place.DETAILS, "refund", row["order_no"], "business", "in",
        f"gives back {row['payment_no']} from {row['source']}" + (", abandoned since" if row["abandoned"] else ""),
        {
            "payment_no": row["payment_no"], "source": row["source"], "suspense_item": _text(row["suspense_item"]),
            "send_at": _instant(row["send_at"]), "abandoned": row["abandoned"],
        },
    )  # fmt: skip


def verdict(row: Record) -> Entry:
    """What risk control said."""
    rules = ", ".join(row["rules"])
    return Entry(
        row["at"], Place.VERDICT, "risk", row["number"], "risk control", "inside",
        f"{row['operation']}: {row['outcome']}" + (f" because of {rules}" if rules else ""),
        {"outcome": row["outcome"], "rules": list(row["rules"]), "version": row["version"]},
    )  # fmt: skip


def approval(row: Record) -> Entry:
    """Approval was asked for."""
    return Entry(
        row["created_at"], Place.APPROVAL, "approval", row["subject"], row["maker"], "inside",
        f"asks for {row['needed']} approval(s); {row['state']} now",
        {
            "id": str(row["id"]), "state": row["state"], "needed": row["needed"], "amount": row["amount"],
            "currency": row["currency"], "payload_sha256": row["payload_sha256"],
            "decided_at": _instant(row["decided_at"]),
        },
    )  # fmt: skip


def decision(row: Record) -> Entry:
    """Somebody decided."""
    return Entry(
        row["at"], Place.DECISION, "decision", row["subject"], row["checker"], "in",
        f"{row['decision']}" + (f": {row['note']}" if row["note"] else ""),
        {"decision": row["decision"], "note": row["note"]},
    )  # fmt: skip


def route(row: Record) -> Entry:
    """A merchant account was chosen and its quota reserved."""
    return Entry(
        row["created_at"], Place.ROUTE, "route", row["number"], "routing", "inside",
        f"{row['operation']} of {_money(row)} by {row['channel']}; the quota is {row['state']} now",
        {"channel": row["channel"], "merchant_account": str(row["merchant_account"]), "state": row["state"]},
    )  # fmt: skip


def route_ended(row: Record) -> Entry:
    """The reserved quota was used or given back."""
    return Entry(
        row["ended_at"], Place.DONE, "route", row["number"], "routing", "inside",
        f"quota of {row['channel']} {row['state']}",
        {"channel": row["channel"], "merchant_account": str(row["merchant_account"]), "state": row["state"]},
    )  # fmt: skip


def attempt(row: Record) -> Entry:
    """An attempt was committed before its channel was called."""
    return Entry(
        row["created_at"], Place.ATTEMPT, "attempt", row["attempt_no"], US, "inside",
        f"attempt for {_money(row)} by {row['channel']} {row['method']}",
        {
            "order_no": row["order_no"], "channel": row["channel"], "method": row["method"],
            "merchant_account": str(row["merchant_account"]),
        },
    )  # fmt: skip


def attempt_ended(row: Record) -> Entry:
    """An attempt ended."""
    failed = row["state"] not in {"paid", "returned"}  # one that was paid may have had an error before
    why = _after(row["error"]) if failed else _after(row["channel_ref"])
    return Entry(
        row["ended_at"], Place.ATTEMPT_ENDED, "state", row["attempt_no"], US, "inside", f"attempt {row['state']}{why}",
        {"state": row["state"], "channel_ref": row["channel_ref"], "error": row["error"]},
    )  # fmt: skip


def exchange(row: Record) -> Entry:
    """A call and what came back, as it was kept: redacted, and hashed whole before that."""
    kept: dict[str, JsonValue] = msgspec.json.decode(row["exchange"])
    status = "no reply" if kept.get("status") is None else str(kept["status"])
    return Entry(
        row["at"], Place.EXCHANGE, "exchange", row["attempt_no"], US, "out",
        f"{row['operation']}: {kept.get('method')} {kept.get('target')} -> {status}, {row['outcome']}, "
        f"{kept.get('elapsed_ms')} ms",
        {"id": str(row["id"]), "operation": row["operation"], "outcome": row["outcome"], **kept},
    )  # fmt: skip


def notice(row: Record) -> Entry:
    """The channel told us something; what it said is kept whole elsewhere, here stands its hash."""
    return Entry(
        row["received_at"], Place.NOTICE, "notice", row["attempt_no"], "channel", "in",
        f"notice: {row['state']} -> {row['verdict'] or 'nothing done yet'}",
        {
            "id": str(row["id"]), "event_id": row["event_id"], "state": row["state"], "sha256": row["sha256"],
            "verdict": row["verdict"], "merchant_account": str(row["merchant_account"]),
        },
    )  # fmt: skip


def suspense(row: Record) -> Entry:
    """Money came that its order could not take."""
    return Entry(
        row["created_at"], Place.SUSPENSE, "suspense", row["order_no"], US, "inside",
        f"{_money(row)} to suspense: {row['reason']}; {row['state']} now",
        {
            "id": str(row["id"]), "attempt_no": row["attempt_no"], "channel_ref": row["channel_ref"],
            "reason": row["reason"], "proposal": row["proposal"], "state": row["state"], "refund_no": row["refund_no"],
        },
    )  # fmt: skip


def posting(row: Record) -> Entry:
    """Money moved in the books."""
    done = _POSTED[int(row["kind"])]
    return Entry(
        row["at"], Place.POSTING, "posting", row["order_no"] or str(row["id"]), "ledger", "inside",
        f"{done} {_money(row)}: Dr {row['from_subject']}  Cr {row['to_subject']}  (code {row['code']}, "
        f"position {row['pos']})",
        {
            "id": str(row["id"]), "pos": row["pos"], "kind": done, "code": row["code"], "debit": str(row["debit"]),
            "credit": str(row["credit"]), "amount": row["amount"], "currency": row["currency"],
        },
    )  # fmt: skip


def transfer(row: Record) -> Entry:
    """Funds went from one account to another."""
    return Entry(
        row["created_at"], Place.ORDER, "transfer", row["order_no"], "business", "in",
        f"transfer of {_money(row)} {row['state']}",
        {
            "state": row["state"], "debit": str(row["debit"]), "credit": str(row["credit"]), "amount": row["amount"],
            "currency": row["currency"], "hold": _text(row["hold"]), "batch_no": row["batch_no"],
            "business_transfer_no": row["business_transfer_no"],
        },
    )  # fmt: skip


def hold(row: Record) -> Entry:
    """Funds were frozen that a transfer used."""
    return Entry(
        row["created_at"], Place.ORDER, "hold", row["order_no"], "business", "in",
        f"{_money(row)} frozen: {row['reason']}; {row['state']} now",
        {"id": str(row["id"]), "account": str(row["account"]), "state": row["state"]},
    )  # fmt: skip


def adjustment(row: Record) -> Entry:
    """Somebody proposed to correct the books."""
    return Entry(
        row["created_at"], Place.ORDER, "adjustment", row["adjustment_no"], row["maker"], "in",
        f"adjustment of {_money(row)} proposed: {row['reason']}",
        {"linked_order": row["linked_order"], "reverses": row["reverses"], "amount": row["amount"]},
    )  # fmt: skip


def adjustment_ended(row: Record) -> Entry:
    """An adjustment was posted, or was not."""
    return Entry(
        row["ended_at"], Place.ORDER_ENDED, "state", row["adjustment_no"], row["ended_by"] or US, "inside",
        f"adjustment {row['state']}", {"state": row["state"]},
    )  # fmt: skip


def fulfilment(row: Record) -> Entry:
    """What a business made, or has still to make."""
    made = row["fulfilled_at"]
    said = f"made{_after(row['reference'])}" if made else f"{row['state']}, asked {row['times_asked']} time(s)"
    return Entry(
        made or row["due_at"], Place.DONE, "fulfilment", row["order_no"], "business", "in", f"product {said}",
        {"state": row["state"], "times_asked": row["times_asked"], "due_at": _instant(row["due_at"])},
    )  # fmt: skip


def event(row: Record) -> Entry:
    """Something became true that others are told."""
    published = row["published_at"]
    return Entry(
        row["created_at"], Place.EVENT, "event", row["subject"], US, "inside",
        f"{row['topic']} #{row['sequence']}" + ("" if published else f", not published, {row['failures']} failure(s)"),
        {
            "id": str(row["id"]), "topic": row["topic"], "sequence": row["sequence"],
            "published_at": _instant(published), "failures": row["failures"],
        },
    )  # fmt: skip


def delivery(row: Record) -> Entry:
    """Where the delivery of an event to an endpoint stands."""
    return Entry(
        row["finished_at"] or row["due_at"], Place.DELIVERY, "delivery", row["subject"], US, "inside",
        f"{row['topic']}: {row['status']} after {row['attempts']} attempt(s){_after(row['last_error'])}",
        {
            "event": str(row["event_id"]), "endpoint": str(row["endpoint_id"]), "status": row["status"],
            "attempts": row["attempts"],
        },
    )  # fmt: skip


def delivery_attempt(row: Record) -> Entry:
    """One call of the business."""
    status = f" {row['status']}" if row["outcome"] == "delivered" else ""
    return Entry(
        row["at"], Place.DELIVERY_ATTEMPT, "callback", row["subject"], US, "out",
        f"{row['topic']}, attempt {row['number']} -> {row['outcome']}{status}, {row['duration_ms']} ms",
        {
            "event": str(row["event_id"]), "endpoint": str(row["endpoint_id"]), "number": row["number"],
            "outcome": row["outcome"], "status": row["status"], "duration_ms": row["duration_ms"],
            "response_sha256": row["response_sha256"],
        },
    )  # fmt: skip


def task(row: Record) -> Entry:
    """Work that waits, or that was given up."""
    dead = row["dead_at"] is not None
    return Entry(
        row["dead_at"] or row["due_at"], Place.TASK, "task", row["key"], US, "inside",
        f"{row['queue']} " + ("given up" if dead else "due") + f" after {row['attempt']} attempt(s)"
        + _after(row["last_error"]),
        {"queue": row["queue"], "dead": dead, "attempt": row["attempt"]},
    )  # fmt: skip


def _money(row: Record) -> str:
    return f"{format_minor(row['amount'], row['currency'])} {row['currency']}"


def _instant(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat()


def _text(number: int | None) -> str | None:
    return None if number is None else str(number)


def _after(detail: str | None) -> str:
    return f": {detail[:200]}" if detail else ""
