"""The ledger's rules: a pure function from account states and a batch of postings to new states, rows and results.

    View (states and what is known about the ids) + postings  ->  decide  ->  Decision (rows, results, new states)

No database, no clock, no randomness: PostgreSQL, the in-memory engine and the simulator run this same code. Postings
are decided in order, each on the states its predecessors left. A linked group is undone as a whole when one of its
members is refused. Holds whose time is over are expired first, as rows of their own, so their funds are free for the
batch even when no periodic job ran.

`_Run.plain` is the hot path: it accepts ordinary postings with as little work as possible and refuses nothing; whatever
it does not accept goes through the complete, ordered checks of `checks`.
"""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Final, cast
from uuid import UUID

from msgspec import Struct, field
from msgspec.structs import replace

from tael.ledger import checks
from tael.ledger.outcome import BURNING, Outcome
from tael.ledger.records import (
    ASKABLE,
    CLOSING_CREDIT,
    CLOSING_DEBIT,
    CREDITS_WITHIN_DEBITS,
    DEBITS_WITHIN_CREDITS,
    EXPIRE,
    HOLD,
    LAST_ID,
    LINKED,
    MAX,
    MAX_CODE,
    NIL_ID,
    RELEASE,
    REVERSE,
    SETTLE,
    AccountId,
    Posting,
    Result,
    Row,
    State,
    expiry_id,
)

_REFUSED: Final = {outcome: Result(outcome) for outcome in Outcome}
_POSTED: Final = Outcome.POSTED
_RESOLVED: Final = {
    SETTLE: Outcome.HOLD_ALREADY_SETTLED,
    RELEASE: Outcome.HOLD_ALREADY_RELEASED,
    EXPIRE: Outcome.HOLD_EXPIRED,
}
_UNUSABLE: Final[dict[UUID, Row | Outcome]] = {
    NIL_ID: Outcome.ID_MUST_NOT_BE_ZERO,
    LAST_ID: Outcome.ID_MUST_NOT_BE_MAX,
}


class View(Struct):
    """What the machine needs to know about a book to decide one batch; `decide` does not change it.

    `states`: every account that a posting, or the posting it refers to, names (missing = no such account).
    `taken`: of the batch's ids and references, those that were used: the row, or `ID_ALREADY_REFUSED`.
    `resolved`: how a referenced hold ended (SETTLE, RELEASE or EXPIRE); missing = open.
    `reversed`: how much of a referenced posting was reversed, in minor units; missing = nothing.
    `due`: open holds on these accounts whose time is over, the earliest first.
    """

    states: dict[AccountId, State] = field(default_factory=dict[AccountId, State])
    taken: dict[UUID, Row | Outcome] = field(default_factory=dict[UUID, "Row | Outcome"])
    resolved: dict[UUID, int] = field(default_factory=dict[UUID, int])
    reversed: dict[UUID, int] = field(default_factory=dict[UUID, int])
    due: list[Row] = field(default_factory=list[Row])


class Decision(Struct):
    """What a batch does. `rows[i]` leaves its debit account in `debits[i]` and its credit account in `credits[i]`.

    `burned` are refused ids to remember; `plain` says that no row uses anything but the basic columns.
    `states`, `taken`, `resolved` and `reversed` continue those of the view.
    """

    rows: list[Row]
    debits: list[State]
    credits: list[State]
    results: list[Result]
    burned: list[tuple[UUID, Outcome]]
    plain: bool
    states: dict[AccountId, State]
    taken: dict[UUID, Row | Outcome]
    resolved: dict[UUID, int]
    reversed: dict[UUID, int]


def decide(view: View, batch: Sequence[Posting], *, pos: int, now: datetime, day: date) -> Decision:
    """Decide `batch` on top of `view`. Rows get the positions after `pos`, the time `now` and the accounting `day`."""
    run = _Run(view, pos, now, day)
    for hold in view.due:
        run.expire(hold)
    run.batch(batch)
    return Decision(
        run.rows, run.debits, run.credits, run.results, run.burned, run.is_plain,
        run.states, run.taken, run.resolved, run.reversed,
    )  # fmt: skip


class _Run:
    """One batch being decided: working copies of the view and the rows so far."""

    __slots__ = (
        "burned", "credits", "day", "debits", "first", "is_plain", "leg", "now", "pos", "resolved", "results",
        "reversed", "rows", "states", "taken", "undo",
    )  # fmt: skip

    def __init__(self, view: View, pos: int, now: datetime, day: date) -> None:
        self.states = view.states.copy()
        self.taken = view.taken | _UNUSABLE
        self.resolved = view.resolved.copy()
        self.reversed = view.reversed.copy()
        self.pos, self.now, self.day = pos, now, day
        self.rows: list[Row] = []
        self.debits: list[State] = []
        self.credits: list[State] = []
        self.results: list[Result] = []
        self.burned: list[tuple[UUID, Outcome]] = []
        self.is_plain = True
        self.undo: list[tuple[State, State, int | None]] | None = None
        self.leg = self.first = 0

    def batch(self, batch: Sequence[Posting]) -> None:
        last = len(batch) - 1
        results, plain = self.results, self.plain
        broken = False
        for index, posting in enumerate(batch):
            if not posting.flags and self.undo is None and not broken:
                results.append(plain(posting) or self.careful(posting))
                continue
            linked = bool(posting.flags & LINKED)
            if linked and self.undo is None and not broken:
                self.undo, self.first, self.leg = [], len(results), 0
            if linked and index == last:
                result = self.refuse(posting, Outcome.LINKED_GROUP_OPEN)
            elif broken:
                result = _REFUSED[Outcome.LINKED_POSTING_REFUSED]
            else:
                result = self.careful(posting)
            if result.outcome is not _POSTED and self.undo is not None:
                self.roll_back()
                broken = True
            results.append(result)
            self.leg += 1
            if not linked:
                self.undo, broken, self.leg = None, False, 0

    def plain(self, posting: Posting) -> Result | None:
        """Accept an ordinary posting, or answer None and leave it to `careful`."""
        states = self.states
        debit, credit, amount = states.get(posting.debit), states.get(posting.credit), posting.amount
        if debit is None or credit is None or debit is credit or type(amount) is not int or posting.id in self.taken:
            return None
        payer, payee = debit.account, credit.account
        debits = debit.debits_posted + amount
        credits = credit.credits_posted + amount
        if (
            amount < 0
            or debits + debit.debits_held > (debit.credits_posted if payer.limit == DEBITS_WITHIN_CREDITS else MAX)
            or credits + credit.credits_held > (credit.debits_posted if payee.limit == CREDITS_WITHIN_DEBITS else MAX)
            or not payer.currency == payee.currency == posting.currency
            or not 0 < posting.code <= MAX_CODE
            or posting.reference is not None
            or posting.timeout_s
            or debit.closed
            or credit.closed
            or payer.frozen
        ):
            return None
        if debit.debits_held or debit.credits_held or credit.debits_held or credit.credits_held or posting.order_no:
            self.is_plain = False
        debit = State(payer, debit.seq + 1, debits, debit.credits_posted, debit.debits_held, debit.credits_held)
        credit = State(payee, credit.seq + 1, credit.debits_posted, credits, credit.debits_held, credit.credits_held)
        self.pos = pos = self.pos + 1
        row = Row(pos, 0, self.now, self.day, posting, amount)
        self.rows.append(row)
        self.debits.append(debit)
        self.credits.append(credit)
        states[payer.id] = debit
        states[payee.id] = credit
        self.taken[posting.id] = row
        return Result(_POSTED, row)

    def careful(self, posting: Posting) -> Result:
        """Any posting, by the complete checks."""
        if posting.flags & ~ASKABLE:
            return self.refuse(posting, Outcome.RESERVED_FLAG)
        if (found := self.taken.get(posting.id)) is not None:
            return self.again(posting, found)
        if posting.flags & (SETTLE | RELEASE):
            outcome = self.resolve(posting)
        elif posting.flags & REVERSE:
            outcome = self.reverse(posting)
        else:
            outcome = self.book(posting)
        if isinstance(outcome, Outcome):
            return self.refuse(posting, outcome)
        return Result(_POSTED, outcome)

    def refuse(self, posting: Posting, outcome: Outcome) -> Result:
        if outcome in BURNING:
            self.burned.append((posting.id, outcome))
            self.taken[posting.id] = Outcome.ID_ALREADY_REFUSED
        return _REFUSED[outcome]

    def again(self, posting: Posting, found: Row | Outcome) -> Result:
        """The id was used before."""
        if isinstance(found, Outcome):
            return _REFUSED[found]
        original = self.taken.get(found.posting.reference) if found.posting.reference else None
        hold_amount = original.amount if isinstance(original, Row) else None
        currency = self.states[found.posting.debit].account.currency
        outcome = checks.compare(posting, found, currency=currency, hold_amount=hold_amount)
        return Result(outcome, found) if outcome is Outcome.EXISTS else _REFUSED[outcome]

    def book(self, posting: Posting) -> Row | Outcome:
        """A plain posting or a hold."""
        if refused := checks.new_refused(posting, self.states):
            return refused
        debit, credit = self.states[posting.debit], self.states[posting.credit]
        amount = checks.clamped(posting, cast("int", posting.amount), debit, credit)
        if refused := checks.amount_refused(posting, amount, debit, credit):
            return refused
        if not posting.flags & HOLD:
            debit = _next(debit, debits_posted=debit.debits_posted + amount)
            credit = _next(credit, credits_posted=credit.credits_posted + amount)
            return self.append(posting, amount, debit, credit)
        flags = posting.flags
        debit = _next(debit, debits_held=debit.debits_held + amount, closed=bool(flags & CLOSING_DEBIT))
        credit = _next(credit, credits_held=credit.credits_held + amount, closed=bool(flags & CLOSING_CREDIT))
        return self.append(posting, amount, debit, credit)

    def resolve(self, posting: Posting) -> Row | Outcome:
        """Settle or release a hold. Funds are not checked again: the hold has reserved them."""
        if refused := checks.reference_refused(posting):
            return refused
        hold = self.taken.get(cast("UUID", posting.reference))
        if not isinstance(hold, Row):
            return Outcome.HOLD_NOT_FOUND
        debit, credit = self.states[hold.posting.debit], self.states[hold.posting.credit]
        if refused := checks.hold_refused(posting, hold, currency=debit.account.currency):
            return refused
        if ended := self.resolved.get(hold.posting.id):
            return _RESOLVED[ended]
        if hold.expires_at is not None and hold.expires_at <= self.now:
            return Outcome.HOLD_EXPIRED
        if posting.flags & SETTLE and debit.closed:
            return Outcome.DEBIT_ACCOUNT_CLOSED
        if posting.flags & SETTLE and credit.closed:
            return Outcome.CREDIT_ACCOUNT_CLOSED
        return self.end_hold(hold, posting)

    def end_hold(self, hold: Row, posting: Posting) -> Row:
        """Return what `hold` reserved, post the settled part of it, and reopen accounts that it had closed."""
        held = hold.posting
        debit, credit = self.states[held.debit], self.states[held.credit]
        amount = hold.amount if posting.amount is None else posting.amount
        moved = amount if posting.flags & SETTLE else 0
        debit = _next(
            debit,
            debits_posted=debit.debits_posted + moved,
            debits_held=debit.debits_held - hold.amount,
            closed=debit.closed and not held.flags & CLOSING_DEBIT,
        )
        credit = _next(
            credit,
            credits_posted=credit.credits_posted + moved,
            credits_held=credit.credits_held - hold.amount,
            closed=credit.closed and not held.flags & CLOSING_CREDIT,
        )
        complete = replace(
            posting, debit=held.debit, credit=held.credit, currency=debit.account.currency, code=held.code,
            order_no=posting.order_no or held.order_no,
        )  # fmt: skip
        self.resolved[held.id] = posting.flags & (SETTLE | RELEASE | EXPIRE)
        return self.append(complete, amount, debit, credit)

    def expire(self, hold: Row) -> None:
        """Write that the time of `hold` is over."""
        if hold.posting.id not in self.resolved:
            identity = expiry_id(hold.posting.id)
            posting = Posting(book=hold.posting.book, id=identity, flags=EXPIRE, reference=hold.posting.id)
            self.end_hold(hold, posting)

    def reverse(self, posting: Posting) -> Row | Outcome:
        """Mirror a posting: the same checks of accounts and funds as for any other movement."""
        if refused := checks.reference_refused(posting):
            return refused
        original = self.taken.get(cast("UUID", posting.reference))
        if not isinstance(original, Row):
            return Outcome.REVERSED_POSTING_NOT_FOUND
        done = original.posting
        before = self.reversed.get(done.id, 0)
        if refused := checks.reversal_refused(posting, original, left=original.amount - before):
            return refused
        amount = original.amount - before if posting.amount is None else posting.amount
        complete = replace(
            posting, debit=done.credit, credit=done.debit, amount=amount, code=posting.code or done.code,
            currency=posting.currency or self.states[done.debit].account.currency,
            order_no=posting.order_no or done.order_no,
        )  # fmt: skip
        row = self.book(complete)
        if isinstance(row, Row):
            self.reversed[done.id] = before + amount
        return row

    def append(self, posting: Posting, amount: int, debit: State, credit: State) -> Row:
        """Write a row with everything that may be undone."""
        self.is_plain = False
        self.pos += 1
        leg = 0 if self.undo is None else self.leg
        row = Row(self.pos, leg, self.now, self.day, posting, amount)
        if self.undo is not None:
            before = self.reversed.get(posting.reference, 0) if posting.reference else None
            self.undo.append((self.states[posting.debit], self.states[posting.credit], before))
        self.rows.append(row)
        self.debits.append(debit)
        self.credits.append(credit)
        self.states[posting.debit] = debit
        self.states[posting.credit] = credit
        self.taken[posting.id] = row
        return row

    def roll_back(self) -> None:
        """Undo the members of the open group, the latest first; all of them answer that the group was refused."""
        for debit, credit, reversed_before in reversed(self.undo or ()):
            row = self.rows.pop()
            self.debits.pop()
            self.credits.pop()
            self.pos -= 1
            self.states[debit.account.id] = debit
            self.states[credit.account.id] = credit
            del self.taken[row.posting.id]
            reference = row.posting.reference
            if reference and row.posting.flags & REVERSE:
                self.reversed[reference] = reversed_before or 0
            elif reference:
                del self.resolved[reference]
        self.undo = None
        self.results[self.first :] = [_REFUSED[Outcome.LINKED_POSTING_REFUSED]] * (len(self.results) - self.first)


def _next(
    state: State,
    *,
    debits_posted: int | None = None,
    credits_posted: int | None = None,
    debits_held: int | None = None,
    credits_held: int | None = None,
    closed: bool | None = None,
) -> State:
    """The account after its next entry; sums that are left out stay as they are."""
    return State(
        state.account,
        state.seq + 1,
        state.debits_posted if debits_posted is None else debits_posted,
        state.credits_posted if credits_posted is None else credits_posted,
        state.debits_held if debits_held is None else debits_held,
        state.credits_held if credits_held is None else credits_held,
        state.closed if closed is None else closed,
    )
