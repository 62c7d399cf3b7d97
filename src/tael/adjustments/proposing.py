"""Propose an adjustment (调账): say what to move and why; nothing moves before others have approved.

    propose -> (adjustment, approval)   both new, or those that this request made before
            -> IdempotencyKeyReused     the key made another one
            -> ReversalExists           the adjustment is being reversed, or was

A reversal names the adjustment to take back and has no legs of its own.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from tael import approvals
from tael.adjustments import store
from tael.adjustments.legs import MOST_LEGS, Leg, mirrored, payload_of
from tael.adjustments.lookup import KIND, get
from tael.adjustments.store import Adjustment, AdjustmentState
from tael.adjustments.views import adjustment_event
from tael.approvals import Approval, NewApproval
from tael.base import outbox
from tael.base.db import Tx
from tael.base.errors import JsonValue, TaelError
from tael.base.ids import Ids
from tael.base.money import MAX_MINOR, InvalidAmount, Money
from tael.guard import IdempotencyKeyReused
from tael.ledger import AccountId, AccountNotFound, BookId, balances
from tael.ledger.directory import find_accounts
from tael.orders import OrderNotFound, find_order

PREFIX = "AD"
OPEN_DAYS = 7


class LegsRefused(TaelError):
    """An adjustment has 1 to 20 legs, each between two different accounts of its currency that are not closed.
    zh: 调账须有 1–20 条分录，每条为两个不同的、币种一致且未关闭的账户。
    """

    status = 422


class ReasonRequired(TaelError):
    """An adjustment needs a reason in words.
    zh: 调账必须填写原因。
    """

    status = 422


class AdjustmentNotReversible(TaelError):
    """Only a posted adjustment can be reversed, and a reversal cannot; propose a new adjustment instead.
    zh: 仅已入账的调账可冲正，冲正本身不可再冲正，请另行提交调账。
    """

    status = 409


class ReversalExists(TaelError):
    """This adjustment is being reversed, or was.
    zh: 该调账正在冲正或已冲正。
    """

    status = 409


@dataclass(frozen=True, slots=True)
class NewAdjustment:
    """What `maker` proposes to book. `legs` and `currency`, or `reverses`: the adjustment to take back whole.

    `request_key` makes it happen once; `evidence` refers to a document, `order_no` to the order it is about.
    """

    book: int
    maker: str
    request_key: str
    reason: str
    legs: Sequence[Leg] = ()
    currency: str = ""
    evidence: str | None = None
    order_no: str | None = None
    reverses: str | None = None


async def propose(tx: Tx, new: NewAdjustment, *, ids: Ids, now: datetime) -> tuple[Adjustment, Approval]:
    """Store an adjustment and ask for its approval, by one person at least.

    Raises `ReasonRequired`, `LegsRefused`, `AccountNotFound`, `OrderNotFound`, `AdjustmentNotFound`,
    `AdjustmentNotReversible`, `ReversalExists` or `IdempotencyKeyReused`.
    """
    if not new.reason.strip():
        raise ReasonRequired(param="reason")
    legs, currency = await _legs(tx, new)
    payload = payload_of(
        legs, currency=currency, reason=new.reason, evidence=new.evidence, order_no=new.order_no, reverses=new.reverses
    )
    earlier = await store.by_request_key(tx, book=new.book, key=new.request_key)
    if earlier is not None:
        return await _same(tx, earlier, payload)
    await _check_accounts(tx, new.book, legs, currency)
    if new.order_no is not None and await find_order(tx, book=new.book, order_no=new.order_no) is None:
        raise OrderNotFound(param="order_no")
    adjustment = _adjustment(new, legs, currency, ids=ids, now=now)
    if not await store.insert(tx, adjustment):
        earlier = await store.by_request_key(tx, book=new.book, key=new.request_key)
        if earlier is None:
            raise ReversalExists
        return await _same(tx, earlier, payload)
    asked = NewApproval(
        new.book, KIND, adjustment.adjustment_no, payload, adjustment.amount, currency, new.maker, adjustment.expires_at
    )
    (approval,) = await approvals.ask(tx, [asked], ids=ids, now=now, least=1)
    await outbox.emit(tx, [adjustment_event("adjustment.proposed", adjustment, approval)], ids=ids, now=now)
    return adjustment, approval


async def _legs(tx: Tx, new: NewAdjustment) -> tuple[Sequence[Leg], str]:
    """The legs and their currency: given, or those of the adjustment to take back mirrored. Their shape is checked."""
    if new.reverses is None:
        total = sum(leg.amount for leg in new.legs)
        if not 1 <= len(new.legs) <= MOST_LEGS or any(leg.debit == leg.credit for leg in new.legs):
            raise LegsRefused(param="legs")
        if any(leg.amount < 1 for leg in new.legs) or total > MAX_MINOR:
            raise InvalidAmount(param="legs")
        return new.legs, Money(total, new.currency).currency
    if new.legs or new.currency:
        raise LegsRefused("a reversal takes the legs of what it reverses", param="legs")
    original, approved = await get(tx, book=new.book, adjustment_no=new.reverses)
    if original.state is not AdjustmentState.POSTED or original.reverses is not None:
        raise AdjustmentNotReversible(state=original.state, param="reverses")
    legs = mirrored(approved.payload, adjustment_no=original.adjustment_no, created_at=original.created_at)
    return legs, original.currency


async def _check_accounts(tx: Tx, book: int, legs: Sequence[Leg], currency: str) -> None:
    """Refuse now what the ledger would refuse after the approval; funds are looked at only then."""
    ids = sorted({account for leg in legs for account in (leg.debit, leg.credit)})
    known = await find_accounts(tx, [(book, account) for account in ids])
    if missing := [account for account in ids if (book, account) not in known]:
        raise AccountNotFound(str(missing[0]), param="legs")
    closed = {one.account for one in await balances(tx, BookId(book), [AccountId(one) for one in ids]) if one.closed}
    if wrong := [account for account in ids if account in closed or known[book, account].currency != currency]:
        raise LegsRefused(f"account {wrong[0]}", param="legs")


def _adjustment(new: NewAdjustment, legs: Sequence[Leg], currency: str, *, ids: Ids, now: datetime) -> Adjustment:
    return Adjustment(
        book=new.book, adjustment_no=ids.order_no(business=PREFIX, account=legs[0].debit), id=ids.next(),
        state=AdjustmentState.PROPOSED, reason=new.reason, evidence=new.evidence, linked_order=new.order_no,
        reverses=new.reverses, amount=sum(leg.amount for leg in legs), currency=currency, maker=new.maker,
        request_key=new.request_key, events=1, created_at=now, expires_at=now + timedelta(days=OPEN_DAYS),
        ended_at=None, ended_by=None,
    )  # fmt: skip


async def _same(tx: Tx, earlier: Adjustment, payload: JsonValue) -> tuple[Adjustment, Approval]:
    """What the request made before, when it asked for the same."""
    adjustment, approval = await get(tx, book=earlier.book, adjustment_no=earlier.adjustment_no)
    if approvals.digest(payload) != approval.payload_sha256:
        raise IdempotencyKeyReused(order_no=earlier.adjustment_no)
    return adjustment, approval
