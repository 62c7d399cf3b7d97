"""One transaction for a batch of requests: everything about their transfers, and the postings last.

    keys taken -> accounts checked -> rows written -> holds ended -> events, answers -> posted

A request for one transfer, and an atomic batch, stands or falls as a whole and leaves no trace when it falls. Of any
other batch each transfer stands or falls for itself. What the ledger refuses is known last: `LeftOut` rolls everything
back and the rest is tried again without it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from tael.base import outbox
from tael.base.db import Tx
from tael.base.errors import TaelError
from tael.base.ids import Ids
from tael.base.outbox import NewEvent
from tael.guard import Answer, Claim, IdempotencyKeyReused, answered, begin, finish, free
from tael.ledger import (
    HoldNotFound,
    HoldNotOpen,
    Ledger,
    Outcome,
    Posting,
    PostingRefused,
    Result,
    require_posted,
)
from tael.payments.leaving_out import LeftOut, Refused
from tael.transfers import store
from tael.transfers.eligibility import Eligibility
from tael.transfers.entries import linked, transfer_entries
from tael.transfers.lookup import batch_as_it_stands
from tael.transfers.store import Batch, Hold, Refusal, Transfer
from tael.transfers.views import batch_fields, encoded, problem_fields, transfer_event, transfer_fields

Form = Literal["alone", "atomic", "apart"]


class DuplicateTransfer(TaelError):
    """This business transfer number already has a transfer.
    zh: 该业务转账号已存在转账。
    """

    status = 409


class ExceedsHold(TaelError):
    """The transfer is larger than the hold, in another currency, or the hold is another account's.
    zh: 转账金额超过冻结金额、币种不符，或冻结不属于付款账户。
    """

    status = 422


@dataclass(frozen=True, slots=True)
class Asked:
    """A request with its numbers drawn; nothing is stored yet. `batch` is None when it is for one transfer alone."""

    claim: Claim
    form: Form
    transfers: Sequence[Transfer]
    batch: Batch | None


@dataclass(frozen=True, slots=True)
class Means:
    """What a commit works with."""

    ids: Ids
    ledger: Ledger
    eligibility: Eligibility


@dataclass(slots=True)
class _Item:
    """A transfer on its way through the transaction; `place` is its number in the whole batch of requests."""

    place: int
    transfer: Transfer
    problem: TaelError | None
    written: bool = False
    hold: Hold | None = None


@dataclass(slots=True)
class _Request:
    """A request on its way; `said` ends it."""

    asked: Asked
    items: list[_Item]
    said: Answer | TaelError | None = None

    @property
    def written(self) -> list[_Item]:
        return [item for item in self.items if item.written]

    def fall(self) -> None:
        """Refuse the request when it stands or falls as a whole and one of its transfers cannot be."""
        if self.asked.form == "apart":
            return
        for at, item in enumerate(self.items):
            if item.problem is not None:
                if self.asked.form == "atomic":
                    item.problem.extra["place"] = at
                self.said = item.problem
                return


class Commit:
    """One try. `refused`: what earlier tries have found to be impossible, by place in the whole batch."""

    def __init__(self, means: Means, tx: Tx, asked: Sequence[Asked], refused: Refused, *, now: datetime) -> None:
        self._means, self._tx, self._now = means, tx, now
        self._requests: list[_Request] = []
        place = 0
        for one in asked:
            items = [_Item(place + at, move, refused.get(place + at)) for at, move in enumerate(one.transfers)]
            self._requests.append(_Request(one, items))
            place += len(items)
        self._ours: list[_Request] = []

    async def serve(self) -> list[Answer | TaelError]:
        """One result per request, in order. Raises `LeftOut`."""
        await self._take_keys()
        await self._check_accounts()
        await self._open_batches()
        await self._write()
        await self._use_holds()
        await self._answer()
        await self._post()
        said = [request.said for request in self._requests if request.said is not None]
        assert len(said) == len(self._requests), "every request was answered"
        return said

    async def _take_keys(self) -> None:
        standings = await begin(self._tx, [request.asked.claim for request in self._requests], now=self._now)
        for request, standing in zip(self._requests, standings, strict=True):
            request.said = answered(standing)
            if request.said is None:
                self._ours.append(request)

    async def _check_accounts(self) -> None:
        items = list(self._items())
        said = await self._means.eligibility.refusals(self._tx, [item.transfer for item in items])
        for item, problem in zip(items, said, strict=True):
            item.problem = problem
        for request in self._ours:
            request.fall()

    async def _open_batches(self) -> None:
        """Write the rows of batches; a key that opened one before is answered with that one."""
        new = [(request, batch) for request in self._open() if (batch := request.asked.batch) is not None]
        batches = [batch for _, batch in new]
        written = await store.insert_batches(self._tx, batches)
        if len(written) == len(batches):
            return
        earlier = {(one.book, one.request_key): one for one in await store.earlier_batches(self._tx, batches)}
        for request, batch in new:
            if batch.batch_no in written:
                continue
            known = earlier[batch.book, batch.request_key]
            if known.fingerprint == batch.fingerprint:
                request.said = Answer(201, encoded(await batch_as_it_stands(self._tx, known)))
            else:
                request.said = IdempotencyKeyReused(batch_no=known.batch_no)

    async def _write(self) -> None:
        """Write the rows of transfers; what stands in the way of one refuses it. Raises `LeftOut`."""
        wanted = list(self._items())
        written = await store.insert_transfers(self._tx, [item.transfer for item in wanted])
        for item in wanted:
            item.written = item.transfer.order_no in written
        if len(written) == len(wanted):
            return
        stopped = [item.transfer for item in wanted if not item.written]
        earlier = await store.earlier_transfers(self._tx, stopped)
        undone: Refused = {}
        for request in self._open():
            for item in request.items:
                if item.written or item.problem is not None:
                    continue
                found = _earlier(item.transfer, earlier)
                if isinstance(found, Transfer):
                    request.said = Answer(201, encoded(transfer_fields(found)))
                elif request.asked.form == "atomic":
                    undone[item.place] = found
                else:
                    item.problem = found
            if request.said is None:
                request.fall()
        if undone:
            raise LeftOut(undone)

    async def _use_holds(self) -> None:
        """Lock the holds that transfers are paid from, and end them. Raises `LeftOut`."""
        using = [
            (item, (item.transfer.book, hold)) for item in self._written() if (hold := item.transfer.hold) is not None
        ]
        held = await store.lock_holds(self._tx, [key for _, key in using])
        undone: Refused = {}
        for item, key in using:
            item.hold = held.get(key)
            if problem := _unusable(item.hold, item.transfer):
                undone[item.place] = problem
        if undone:
            raise LeftOut(undone)
        ends = [(book, hold, item.transfer.order_no) for item, (book, hold) in using]
        await store.end_holds(self._tx, ends, now=self._now)

    async def _answer(self) -> None:
        """Emit the events, keep what batches were refused, store the answers, give back the keys of the refused."""
        events: list[NewEvent] = []
        refusals: list[Refusal] = []
        for request in self._open():
            shown = {item.place: transfer_fields(item.transfer) for item in request.written}
            events += [transfer_event(item.transfer, shown[item.place]) for item in request.written]
            batch, first = request.asked.batch, request.items[0].place
            if batch is None:
                request.said = Answer(201, encoded(shown[first]))
                continue
            kept = [
                Refusal(batch.book, batch.batch_no, item.place - first, problem_fields(item.problem))
                for item in request.items if item.problem is not None
            ]  # fmt: skip
            refusals += kept
            done = [(place - first, fields) for place, fields in shown.items()]
            request.said = Answer(201, encoded(batch_fields(batch, done, kept)))
        await outbox.emit(self._tx, events, ids=self._means.ids, now=self._now)
        await store.insert_refusals(self._tx, refusals)
        said = [(request.asked.claim, request.said) for request in self._ours]
        await finish(self._tx, [(claim, one.status, one.body) for claim, one in said if isinstance(one, Answer)])
        await free(self._tx, [claim for claim, one in said if isinstance(one, TaelError)])

    async def _post(self) -> None:
        """Book everything that was written. Raises `LeftOut` with what the ledger refuses."""
        groups: list[list[tuple[_Item, list[Posting]]]] = []
        for request in self._ours:
            entries = [(item, transfer_entries(item.transfer, item.hold)) for item in request.written]
            groups += [entries] if request.asked.form == "atomic" and entries else [[one] for one in entries]
        postings = [one for group in groups for one in linked([posting for _, mine in group for posting in mine])]
        if not postings:
            return
        said = iter(await self._means.ledger.post(self._tx, postings, now=self._now))
        refused: Refused = {}
        for group in groups:
            answers = [(item, [next(said) for _ in mine]) for item, mine in group]
            if culprit := _culprit(answers):
                refused |= culprit
        if refused:
            raise LeftOut(refused)

    def _open(self) -> list[_Request]:
        """The requests that are ours and not answered yet."""
        return [request for request in self._ours if request.said is None]

    def _items(self) -> Iterator[_Item]:
        """The transfers that nothing is known against."""
        return (item for request in self._open() for item in request.items if item.problem is None)

    def _written(self) -> list[_Item]:
        return [item for request in self._open() for item in request.written]


def _earlier(transfer: Transfer, earlier: Sequence[Transfer]) -> Transfer | DuplicateTransfer | IdempotencyKeyReused:
    """What stands in the way: the transfer of the very same request, that of another with its key, or another one."""
    for known in earlier:
        if transfer.request_key is not None and (known.book, known.request_key) == (
            transfer.book, transfer.request_key,
        ):  # fmt: skip
            same = _content(known) == _content(transfer)
            return known if same else IdempotencyKeyReused(order_no=known.order_no)
    wanted = (transfer.book, transfer.business_transfer_no)
    taken = [known for known in earlier if (known.book, known.business_transfer_no) == wanted]
    return DuplicateTransfer(order_no=taken[0].order_no if taken else "", param="business_transfer_no")


def _content(transfer: Transfer) -> tuple[object, ...]:
    return (
        transfer.debit, transfer.credit, transfer.amount, transfer.currency, transfer.note,
        transfer.business_transfer_no, transfer.hold,
    )  # fmt: skip


def _unusable(hold: Hold | None, transfer: Transfer) -> TaelError | None:
    """Why a transfer cannot be paid from a hold, as far as its row tells; whether it has expired the ledger says."""
    if hold is None:
        return HoldNotFound(param="from_hold")
    if (hold.account, hold.currency) != (transfer.debit, transfer.currency) or transfer.amount > hold.amount:
        return ExceedsHold(param="from_hold")
    return None if hold.state == "open" else HoldNotOpen(param="from_hold")


def _culprit(answers: Sequence[tuple[_Item, Sequence[Result]]]) -> Refused:
    """Of a group that the ledger refused, the transfer that it was refused for, and why."""
    for item, results in answers:
        if any(not one.ok and one.outcome is not Outcome.LINKED_POSTING_REFUSED for one in results):
            try:
                require_posted(results)
            except PostingRefused as problem:
                return {item.place: problem}
    assert all(one.ok for _, results in answers for one in results), "a group is refused for one of its members"
    return {}
