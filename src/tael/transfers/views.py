"""What the outside sees of transfers, batches and holds: the same in answers, lists and events. Ids are strings.

A transfer is shown as a plain dict, made once for its answer and its event; the models describe it in the API's
document and serve the lists.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Literal

import msgspec
from pydantic import BaseModel, Field

from tael.base.errors import JsonValue, TaelError, code, message
from tael.base.outbox import NewEvent
from tael.transfers.store import Batch, Hold, Refusal, Transfer

DONE = "transfer.done"
TOPICS = (DONE,)
"""Every event about transfers; it names both sides."""


class View(BaseModel, frozen=True):
    """Base of every answer."""


class TransferView(View, frozen=True):
    """A transfer that is done: `amount` minor units left `from_account_id` and arrived at `to_account_id`.

    `posting_id` is its entry in both accounts; `hold_id` the hold it was paid from.
    """

    order_no: str
    id: str
    object: Literal["transfer"] = "transfer"
    state: Literal["done"] = "done"
    from_account_id: str
    to_account_id: str
    amount: int
    currency: str
    note: str
    business_transfer_no: str | None
    batch_no: str | None
    hold_id: str | None
    posting_id: str
    created_at: datetime


class ProblemView(View, frozen=True):
    """Why a transfer of a batch was refused; it has left no other trace."""

    code: str
    title: str
    detail: str | None
    param: str | None


class PlaceView(View, frozen=True):
    """What became of the transfer at a place of a batch: exactly one of both is there."""

    place: int
    transfer: TransferView | None
    problem: ProblemView | None


class BatchView(View, frozen=True):
    """A batch of transfers, in the order in which they were asked for. An `atomic` one is done as a whole."""

    batch_no: str
    id: str
    object: Literal["transfer_batch"] = "transfer_batch"
    atomic: bool
    size: int
    done: int
    refused: int
    created_at: datetime
    transfers: list[PlaceView]


class TransferList(View, frozen=True):
    """A page of transfers, newest first. Pass `next` as `starting_after` for the page after it."""

    data: list[TransferView]
    has_more: bool
    next: str | None


class HoldView(View, frozen=True):
    """Funds kept frozen on an account. A hold ends once: used by a transfer, released, or expired by time.

    What a transfer leaves of it is available again.
    """

    id: str
    object: Literal["hold"] = "hold"
    state: Literal["open", "used", "released", "expired"]
    account_id: str
    amount: int
    currency: str
    reason: str
    used_by: str | None = Field(description="The transfer that used it")
    posting_id: str
    created_at: datetime
    expires_at: datetime | None
    ended_at: datetime | None


class HoldList(View, frozen=True):
    """A page of holds, newest first. Pass `next` as `starting_after` for the page after it."""

    data: list[HoldView]
    has_more: bool
    next: str | None


def transfer_fields(transfer: Transfer) -> dict[str, JsonValue]:
    """The view of a transfer."""
    return {
        "order_no": transfer.order_no, "id": str(transfer.id), "object": "transfer", "state": "done",
        "from_account_id": str(transfer.debit), "to_account_id": str(transfer.credit), "amount": transfer.amount,
        "currency": transfer.currency, "note": transfer.note,
        "business_transfer_no": transfer.business_transfer_no, "batch_no": transfer.batch_no,
        "hold_id": None if transfer.hold is None else str(transfer.hold), "posting_id": str(transfer.posting),
        "created_at": _instant(transfer.created_at),
    }  # fmt: skip


def transfer_view(transfer: Transfer) -> TransferView:
    """The view of a transfer, for lists."""
    return TransferView.model_validate(transfer_fields(transfer))


def transfer_event(transfer: Transfer, shown: dict[str, JsonValue]) -> NewEvent:
    """The only event of a transfer; `shown` is its view."""
    return NewEvent(transfer.book, DONE, transfer.order_no, 1, shown)


def problem_fields(problem: TaelError) -> dict[str, JsonValue]:
    """The view of a refusal."""
    kind = type(problem)
    return {
        "code": code(kind), "title": message(kind, "en"), "detail": problem.detail or None, "param": problem.param,
    }  # fmt: skip


def batch_fields(
    batch: Batch, done: Sequence[tuple[int, dict[str, JsonValue]]], refused: Sequence[Refusal]
) -> dict[str, JsonValue]:
    """The view of a batch from the views of its transfers by place, and its refusals."""
    places: list[tuple[int, dict[str, JsonValue]]] = [
        *((place, {"place": place, "transfer": shown, "problem": None}) for place, shown in done),
        *((one.place, {"place": one.place, "transfer": None, "problem": _in_order(one.problem)}) for one in refused),
    ]
    places.sort(key=lambda pair: pair[0])
    return {
        "batch_no": batch.batch_no, "id": str(batch.id), "object": "transfer_batch", "atomic": batch.atomic,
        "size": batch.size, "done": len(done), "refused": len(refused), "created_at": _instant(batch.created_at),
        "transfers": [shown for _, shown in places],
    }  # fmt: skip


def _in_order(problem: dict[str, JsonValue]) -> dict[str, JsonValue]:
    """The database does not keep the order of a problem's members; repeated answers are equal to the byte."""
    return {name: problem[name] for name in ("code", "title", "detail", "param")}


def hold_view(hold: Hold, *, now: datetime) -> HoldView:
    """The view of a hold at an instant."""
    over = hold.state == "open" and hold.expires_at is not None and hold.expires_at <= now
    return HoldView(
        id=str(hold.id), state="expired" if over else hold.state, account_id=str(hold.account), amount=hold.amount,
        currency=hold.currency, reason=hold.reason, used_by=hold.used_by, posting_id=str(hold.posting),
        created_at=hold.created_at, expires_at=hold.expires_at, ended_at=hold.expires_at if over else hold.ended_at,
    )  # fmt: skip


def encoded(fields: dict[str, JsonValue]) -> bytes:
    """A view as it is sent."""
    return msgspec.json.encode(fields)


def _instant(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")
