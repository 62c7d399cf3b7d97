"""Why a posting is refused: every check, in the order in which it is reported. Pure.

The order is part of the interface: first the shape of the request, then what it refers to, then overflow, then funds
(debit side before credit side). Each function answers the first failing check, or None.
"""

from collections.abc import Mapping
from typing import Final

from tael.ledger.outcome import Outcome
from tael.ledger.records import (
    BALANCING_CREDIT,
    BALANCING_DEBIT,
    CLOSING_CREDIT,
    CLOSING_DEBIT,
    CREDITS_WITHIN_DEBITS,
    DEBITS_WITHIN_CREDITS,
    HOLD,
    LAST_ACCOUNT,
    LAST_ID,
    MAX,
    MAX_CODE,
    MAX_TIMEOUT_S,
    NIL_ID,
    NO_ACCOUNT,
    RELEASE,
    REVERSE,
    SETTLE,
    AccountId,
    Posting,
    Row,
    State,
)

_CLOSING: Final = CLOSING_DEBIT | CLOSING_CREDIT
_BALANCING: Final = BALANCING_DEBIT | BALANCING_CREDIT
_ONLY_WHEN_NEW: Final = HOLD | _BALANCING | _CLOSING | REVERSE


def compare(asked: Posting, row: Row, *, currency: str, hold_amount: int | None) -> Outcome:
    """`EXISTS` when `asked` is the request that wrote `row`, else the first difference.

    `currency` is that of the row's accounts; `hold_amount` the amount of the hold that the row settled or released.
    """
    done = row.posting
    resolving = asked.flags & (SETTLE | RELEASE | REVERSE)
    if asked.flags != done.flags:
        return Outcome.EXISTS_WITH_DIFFERENT_FLAGS
    if (None if asked.reference == NIL_ID else asked.reference) != done.reference:
        return Outcome.EXISTS_WITH_DIFFERENT_REFERENCE
    if asked.timeout_s != done.timeout_s:
        return Outcome.EXISTS_WITH_DIFFERENT_TIMEOUT
    if asked.debit != done.debit and not (resolving and asked.debit == NO_ACCOUNT):
        return Outcome.EXISTS_WITH_DIFFERENT_DEBIT_ACCOUNT
    if asked.credit != done.credit and not (resolving and asked.credit == NO_ACCOUNT):
        return Outcome.EXISTS_WITH_DIFFERENT_CREDIT_ACCOUNT
    if not _same_amount(asked, row, hold_amount):
        return Outcome.EXISTS_WITH_DIFFERENT_AMOUNT
    if (asked.order_no or None) != (done.order_no or None) and not (resolving and not asked.order_no):
        return Outcome.EXISTS_WITH_DIFFERENT_ORDER_NO
    if asked.currency != currency and not (resolving and not asked.currency):
        return Outcome.EXISTS_WITH_DIFFERENT_CURRENCY
    if asked.code != done.code and not (resolving and not asked.code):
        return Outcome.EXISTS_WITH_DIFFERENT_CODE
    return Outcome.EXISTS


def _same_amount(asked: Posting, row: Row, hold_amount: int | None) -> bool:
    """A balancing amount is an upper bound, so any bound at or above what was moved is the same request."""
    if asked.amount is None:
        if asked.flags & SETTLE:
            return row.amount == hold_amount
        return bool(asked.flags & (RELEASE | REVERSE))
    if asked.flags & _BALANCING:
        return asked.amount >= row.amount
    return asked.amount == row.amount


def new_refused(posting: Posting, states: Mapping[AccountId, State]) -> Outcome | None:
    """A plain posting or a hold: shape, accounts, closed accounts. Amounts are left to `amount_refused`."""
    return _new_shape(posting) or _accounts_refused(posting, states)


def _new_shape(posting: Posting) -> Outcome | None:
    flags = posting.flags
    if found := _account_ids_refused(posting):
        return found
    if posting.reference is not None and posting.reference != NIL_ID and not flags & REVERSE:
        return Outcome.REFERENCE_MUST_BE_EMPTY
    if posting.timeout_s != 0 and not flags & HOLD:
        return Outcome.TIMEOUT_RESERVED_FOR_HOLD
    if flags & _CLOSING and not flags & HOLD:
        return Outcome.CLOSING_MUST_BE_HOLD
    if not posting.currency:
        return Outcome.CURRENCY_MUST_BE_SET
    if not 0 < posting.code <= MAX_CODE:
        return Outcome.CODE_MUST_BE_SET
    if type(posting.amount) is not int or not 0 <= posting.amount <= MAX:
        return Outcome.AMOUNT_OUT_OF_RANGE
    return None


def _account_ids_refused(posting: Posting) -> Outcome | None:
    if posting.debit <= NO_ACCOUNT:
        return Outcome.DEBIT_ACCOUNT_MUST_NOT_BE_ZERO
    if posting.debit >= LAST_ACCOUNT:
        return Outcome.DEBIT_ACCOUNT_MUST_NOT_BE_MAX
    if posting.credit <= NO_ACCOUNT:
        return Outcome.CREDIT_ACCOUNT_MUST_NOT_BE_ZERO
    if posting.credit >= LAST_ACCOUNT:
        return Outcome.CREDIT_ACCOUNT_MUST_NOT_BE_MAX
    if posting.debit == posting.credit:
        return Outcome.ACCOUNTS_MUST_BE_DIFFERENT
    return None


def _accounts_refused(posting: Posting, states: Mapping[AccountId, State]) -> Outcome | None:
    debit, credit = states.get(posting.debit), states.get(posting.credit)
    if debit is None:
        return Outcome.DEBIT_ACCOUNT_NOT_FOUND
    if credit is None:
        return Outcome.CREDIT_ACCOUNT_NOT_FOUND
    if debit.account.currency != credit.account.currency:
        return Outcome.ACCOUNTS_MUST_HAVE_THE_SAME_CURRENCY
    if posting.currency != debit.account.currency:
        return Outcome.CURRENCY_MUST_BE_THE_ACCOUNTS
    if debit.closed:
        return Outcome.DEBIT_ACCOUNT_CLOSED
    if credit.closed:
        return Outcome.CREDIT_ACCOUNT_CLOSED
    if debit.account.frozen:
        return Outcome.DEBIT_ACCOUNT_FROZEN
    return None


def clamped(posting: Posting, amount: int, debit: State, credit: State) -> int:
    """The amount a balancing posting may move: what the balanced accounts have, at most `amount`."""
    if posting.flags & BALANCING_DEBIT:
        amount = min(amount, max(0, debit.credits_posted - debit.debits_posted - debit.debits_held))
    if posting.flags & BALANCING_CREDIT:
        amount = min(amount, max(0, credit.debits_posted - credit.credits_posted - credit.credits_held))
    return amount


def amount_refused(posting: Posting, amount: int, debit: State, credit: State) -> Outcome | None:
    """Overflow, then funds."""
    if found := _overflow(posting, amount, debit, credit):
        return found
    if debit.account.limit & DEBITS_WITHIN_CREDITS and (
        debit.debits_posted + debit.debits_held + amount > debit.credits_posted
    ):
        return Outcome.EXCEEDS_CREDITS
    if credit.account.limit & CREDITS_WITHIN_DEBITS and (
        credit.credits_posted + credit.credits_held + amount > credit.debits_posted
    ):
        return Outcome.EXCEEDS_DEBITS
    return None


def _overflow(posting: Posting, amount: int, debit: State, credit: State) -> Outcome | None:
    if posting.flags & HOLD:
        if debit.debits_held + amount > MAX:
            return Outcome.OVERFLOWS_DEBITS_HELD
        if credit.credits_held + amount > MAX:
            return Outcome.OVERFLOWS_CREDITS_HELD
    if debit.debits_posted + amount > MAX:
        return Outcome.OVERFLOWS_DEBITS_POSTED
    if credit.credits_posted + amount > MAX:
        return Outcome.OVERFLOWS_CREDITS_POSTED
    if debit.debits_posted + debit.debits_held + amount > MAX:
        return Outcome.OVERFLOWS_DEBITS
    if credit.credits_posted + credit.credits_held + amount > MAX:
        return Outcome.OVERFLOWS_CREDITS
    if not 0 <= posting.timeout_s <= MAX_TIMEOUT_S:
        return Outcome.OVERFLOWS_TIMEOUT
    return None


def reference_refused(posting: Posting) -> Outcome | None:
    """The shape of a settlement, a release or a reversal."""
    kind = posting.flags & (SETTLE | RELEASE | REVERSE)
    if kind not in (SETTLE, RELEASE, REVERSE) or posting.flags & (_ONLY_WHEN_NEW & ~kind):
        return Outcome.FLAGS_ARE_MUTUALLY_EXCLUSIVE
    if posting.reference is None or posting.reference == NIL_ID:
        return Outcome.REFERENCE_MUST_NOT_BE_ZERO
    if posting.reference == LAST_ID:
        return Outcome.REFERENCE_MUST_NOT_BE_MAX
    if posting.reference == posting.id:
        return Outcome.REFERENCE_MUST_BE_DIFFERENT
    if posting.timeout_s != 0:
        return Outcome.TIMEOUT_RESERVED_FOR_HOLD
    return None


def hold_refused(posting: Posting, hold: Row, *, currency: str) -> Outcome | None:
    """A settlement or release against its hold: whatever it names must agree with the hold, then the amount."""
    held = hold.posting
    if not held.flags & HOLD:
        return Outcome.NOT_A_HOLD
    if posting.debit not in (NO_ACCOUNT, held.debit):
        return Outcome.HOLD_HAS_DIFFERENT_DEBIT_ACCOUNT
    if posting.credit not in (NO_ACCOUNT, held.credit):
        return Outcome.HOLD_HAS_DIFFERENT_CREDIT_ACCOUNT
    if posting.currency not in ("", currency):
        return Outcome.HOLD_HAS_DIFFERENT_CURRENCY
    if posting.code not in (0, held.code):
        return Outcome.HOLD_HAS_DIFFERENT_CODE
    if posting.amount is None:
        return None
    if type(posting.amount) is not int or posting.amount < 0:
        return Outcome.AMOUNT_OUT_OF_RANGE
    if posting.amount > hold.amount:
        return Outcome.EXCEEDS_HOLD_AMOUNT
    if posting.flags & RELEASE and posting.amount != hold.amount:
        return Outcome.HOLD_HAS_DIFFERENT_AMOUNT
    return None


def reversal_refused(posting: Posting, original: Row, *, left: int) -> Outcome | None:
    """A reversal against its original: only money that moved, mirrored, never above what is `left` of it."""
    done = original.posting
    if done.flags & (HOLD | RELEASE | REVERSE):
        return Outcome.NOT_REVERSIBLE
    if posting.debit not in (NO_ACCOUNT, done.credit) or posting.credit not in (NO_ACCOUNT, done.debit):
        return Outcome.REVERSAL_MUST_MIRROR
    if posting.amount is not None and posting.amount > left:
        return Outcome.EXCEEDS_REVERSIBLE_AMOUNT
    return None
