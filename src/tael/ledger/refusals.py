"""Results turned into exceptions, for callers whose whole transaction stands or falls with the posting."""

from collections.abc import Sequence
from typing import Final

from tael.base.errors import TaelError
from tael.ledger.outcome import Outcome
from tael.ledger.records import Result


class PostingRefused(TaelError):
    """The ledger refused the posting; no balance changed.
    zh: 账务系统拒绝了该笔记账，余额未变动。
    """

    status = 422


class InsufficientBalance(PostingRefused):
    """The account does not have this much available.
    zh: 账户可用余额不足。
    """


class AccountNotFound(PostingRefused):
    """There is no such account in this book.
    zh: 该账簿中没有此账户。
    """

    status = 404


class AccountUnusable(PostingRefused):
    """The account is closed or frozen.
    zh: 账户已关闭或被冻结。
    """

    status = 409


class HoldNotFound(PostingRefused):
    """There is no such hold.
    zh: 冻结记录不存在。
    """

    status = 404


class HoldNotOpen(PostingRefused):
    """The hold was settled or released before, or has expired.
    zh: 该冻结已结算、已解冻或已过期。
    """

    status = 409


class ExceedsReversible(PostingRefused):
    """No more can be reversed than is left of the original posting.
    zh: 冲正金额超过原交易的剩余金额。
    """


class PostingIdReused(PostingRefused):
    """This posting id was used before for something else, or its group was booked before.
    zh: 该记账编号已用于其他内容，或该组分录此前已入账。
    """

    status = 409


class PostingIdRefused(PostingRefused):
    """This posting id was refused before and stays refused; use a new id for a new attempt.
    zh: 该记账编号此前已被拒绝，将永久拒绝；新的尝试请使用新编号。
    """

    status = 409


_CLASS: Final[dict[Outcome, type[PostingRefused]]] = {
    Outcome.EXCEEDS_CREDITS: InsufficientBalance,
    Outcome.EXCEEDS_DEBITS: InsufficientBalance,
    Outcome.DEBIT_ACCOUNT_NOT_FOUND: AccountNotFound,
    Outcome.CREDIT_ACCOUNT_NOT_FOUND: AccountNotFound,
    Outcome.DEBIT_ACCOUNT_CLOSED: AccountUnusable,
    Outcome.CREDIT_ACCOUNT_CLOSED: AccountUnusable,
    Outcome.DEBIT_ACCOUNT_FROZEN: AccountUnusable,
    Outcome.HOLD_NOT_FOUND: HoldNotFound,
    Outcome.HOLD_ALREADY_SETTLED: HoldNotOpen,
    Outcome.HOLD_ALREADY_RELEASED: HoldNotOpen,
    Outcome.HOLD_EXPIRED: HoldNotOpen,
    Outcome.EXCEEDS_REVERSIBLE_AMOUNT: ExceedsReversible,
    Outcome.ID_ALREADY_REFUSED: PostingIdRefused,
    Outcome.EXISTS: PostingIdReused,
}


def require_posted(results: Sequence[Result]) -> None:
    """Return when every posting is done, now or by an identical request before; raise the first cause otherwise.

    A linked group that was booked before answers `exists` for its first member and refuses the rest, which cannot be
    told apart from a changed group: that raises `PostingIdReused`. Raising rolls the transaction back, and with it
    the memory of the refused id, so the same id may be tried again.
    """
    if all(result.ok for result in results):
        return
    causes = [result.outcome for result in results if not result.ok and result.outcome is not _FOLLOWS]
    outcome = causes[0] if causes else Outcome.EXISTS
    kind = PostingIdReused if outcome.startswith("exists") else _CLASS.get(outcome, PostingRefused)
    raise kind(outcome.value.replace("_", " "), outcome=outcome.value)


_FOLLOWS: Final = Outcome.LINKED_POSTING_REFUSED
