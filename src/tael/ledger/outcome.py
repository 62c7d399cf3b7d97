"""What the ledger answers to a posting, in the field's own words.

    posted            done now
    exists            an identical request was done before: success for the caller
    everything else   refused, no balance changed

A refusal that depends on the ledger's state (`BURNING`) uses up the posting's id: the same id answers
`id_already_refused` for ever, so a late retry can never succeed behind the back of whoever acted on the refusal.
Other refusals are mistakes in the request itself and leave the id free.
"""

from enum import StrEnum


class Outcome(StrEnum):
    """The answer to one posting; the order is the order of the checks."""

    POSTED = "posted"
    # The group (linked postings) and the id.
    LINKED_GROUP_OPEN = "linked_group_open"
    LINKED_POSTING_REFUSED = "linked_posting_refused"
    RESERVED_FLAG = "reserved_flag"
    ID_MUST_NOT_BE_ZERO = "id_must_not_be_zero"
    ID_MUST_NOT_BE_MAX = "id_must_not_be_max"
    # The id was used before: what differs.
    EXISTS = "exists"
    EXISTS_WITH_DIFFERENT_FLAGS = "exists_with_different_flags"
    EXISTS_WITH_DIFFERENT_REFERENCE = "exists_with_different_reference"
    EXISTS_WITH_DIFFERENT_TIMEOUT = "exists_with_different_timeout"
    EXISTS_WITH_DIFFERENT_DEBIT_ACCOUNT = "exists_with_different_debit_account"
    EXISTS_WITH_DIFFERENT_CREDIT_ACCOUNT = "exists_with_different_credit_account"
    EXISTS_WITH_DIFFERENT_AMOUNT = "exists_with_different_amount"
    EXISTS_WITH_DIFFERENT_ORDER_NO = "exists_with_different_order_no"
    EXISTS_WITH_DIFFERENT_CURRENCY = "exists_with_different_currency"
    EXISTS_WITH_DIFFERENT_CODE = "exists_with_different_code"
    ID_ALREADY_REFUSED = "id_already_refused"
    # The shape of the request.
    FLAGS_ARE_MUTUALLY_EXCLUSIVE = "flags_are_mutually_exclusive"
    DEBIT_ACCOUNT_MUST_NOT_BE_ZERO = "debit_account_must_not_be_zero"
    DEBIT_ACCOUNT_MUST_NOT_BE_MAX = "debit_account_must_not_be_max"
    CREDIT_ACCOUNT_MUST_NOT_BE_ZERO = "credit_account_must_not_be_zero"
    CREDIT_ACCOUNT_MUST_NOT_BE_MAX = "credit_account_must_not_be_max"
    ACCOUNTS_MUST_BE_DIFFERENT = "accounts_must_be_different"
    REFERENCE_MUST_BE_EMPTY = "reference_must_be_empty"
    REFERENCE_MUST_NOT_BE_ZERO = "reference_must_not_be_zero"
    REFERENCE_MUST_NOT_BE_MAX = "reference_must_not_be_max"
    REFERENCE_MUST_BE_DIFFERENT = "reference_must_be_different"
    TIMEOUT_RESERVED_FOR_HOLD = "timeout_reserved_for_hold"
    CLOSING_MUST_BE_HOLD = "closing_must_be_hold"
    CURRENCY_MUST_BE_SET = "currency_must_be_set"
    CODE_MUST_BE_SET = "code_must_be_set"
    AMOUNT_OUT_OF_RANGE = "amount_out_of_range"
    # The accounts.
    DEBIT_ACCOUNT_NOT_FOUND = "debit_account_not_found"
    CREDIT_ACCOUNT_NOT_FOUND = "credit_account_not_found"
    ACCOUNTS_MUST_HAVE_THE_SAME_CURRENCY = "accounts_must_have_the_same_currency"
    CURRENCY_MUST_BE_THE_ACCOUNTS = "currency_must_be_the_accounts"
    DEBIT_ACCOUNT_CLOSED = "debit_account_closed"
    CREDIT_ACCOUNT_CLOSED = "credit_account_closed"
    DEBIT_ACCOUNT_FROZEN = "debit_account_frozen"
    # The hold that is settled or released.
    HOLD_NOT_FOUND = "hold_not_found"
    NOT_A_HOLD = "not_a_hold"
    HOLD_HAS_DIFFERENT_DEBIT_ACCOUNT = "hold_has_different_debit_account"
    HOLD_HAS_DIFFERENT_CREDIT_ACCOUNT = "hold_has_different_credit_account"
    HOLD_HAS_DIFFERENT_CURRENCY = "hold_has_different_currency"
    HOLD_HAS_DIFFERENT_CODE = "hold_has_different_code"
    EXCEEDS_HOLD_AMOUNT = "exceeds_hold_amount"
    HOLD_HAS_DIFFERENT_AMOUNT = "hold_has_different_amount"
    HOLD_ALREADY_SETTLED = "hold_already_settled"
    HOLD_ALREADY_RELEASED = "hold_already_released"
    HOLD_EXPIRED = "hold_expired"
    # The posting that is reversed.
    REVERSED_POSTING_NOT_FOUND = "reversed_posting_not_found"
    NOT_REVERSIBLE = "not_reversible"
    REVERSAL_MUST_MIRROR = "reversal_must_mirror"
    EXCEEDS_REVERSIBLE_AMOUNT = "exceeds_reversible_amount"
    # The amounts.
    OVERFLOWS_DEBITS_HELD = "overflows_debits_held"
    OVERFLOWS_CREDITS_HELD = "overflows_credits_held"
    OVERFLOWS_DEBITS_POSTED = "overflows_debits_posted"
    OVERFLOWS_CREDITS_POSTED = "overflows_credits_posted"
    OVERFLOWS_DEBITS = "overflows_debits"
    OVERFLOWS_CREDITS = "overflows_credits"
    OVERFLOWS_TIMEOUT = "overflows_timeout"
    EXCEEDS_CREDITS = "exceeds_credits"
    EXCEEDS_DEBITS = "exceeds_debits"


DONE = frozenset({Outcome.POSTED, Outcome.EXISTS})
"""The money has moved, now or before."""

BURNING = frozenset(
    {
        Outcome.DEBIT_ACCOUNT_NOT_FOUND,
        Outcome.CREDIT_ACCOUNT_NOT_FOUND,
        Outcome.DEBIT_ACCOUNT_CLOSED,
        Outcome.CREDIT_ACCOUNT_CLOSED,
        Outcome.DEBIT_ACCOUNT_FROZEN,
        Outcome.HOLD_NOT_FOUND,
        Outcome.REVERSED_POSTING_NOT_FOUND,
        Outcome.EXCEEDS_REVERSIBLE_AMOUNT,
        Outcome.EXCEEDS_CREDITS,
        Outcome.EXCEEDS_DEBITS,
    }
)
"""Refusals that depend on the ledger's state and therefore use up the id."""
