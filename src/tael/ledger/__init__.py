"""The ledger: books, accounts, and an append-only log of double-entry postings. Knows nothing about orders or channels.

ledger = Ledger()                                   # one per process; caches account states

async with db.transaction() as tx:                  # any transaction of yours; post is its LAST write
    ...
    results = await ledger.post(tx, [
        Posting(book=BOOK, id=posting_id("recharge", order_no, at=created_at), debit=receivable, credit=wallet,
                amount=1_000, currency="CNY", code=101, order_no=order_no),
    ], now=now)                                     # list[Result], one per posting, in order
    require_posted(results)                         # raises e.g. InsufficientBalance (422): rolls everything back

await ledger.post(tx, [hold(...)], now=now)         # 冻结; then settle(...) in whole or part, release(...), or expiry
await ledger.expire_due(tx, book, now=now, limit=500)        # periodic job
writer = LedgerWriter(db, ledger, now=clock)        # group commit for concurrent callers
result = await writer.post_one(Posting(...))

await open_book(tx, book, name="...", now=now)
await open_accounts(tx, [NewAccount(...)], now=now)
await balance(tx, book, account); await balance_at(tx, book, account, instant)
await statement(tx, book, account, limit=100, after=0); await holds(tx, book, account)
"""

from tael.ledger.accounts import (
    AccountOutcome,
    Balance,
    NewAccount,
    balance,
    balances,
    books,
    cut_day,
    open_accounts,
    open_book,
    set_frozen,
)
from tael.ledger.outcome import Outcome
from tael.ledger.posting import Ledger, LinkedAcrossBooks
from tael.ledger.records import (
    BALANCING_CREDIT,
    BALANCING_DEBIT,
    CLOSING_CREDIT,
    CLOSING_DEBIT,
    CREDITS_WITHIN_DEBITS,
    DEBITS_WITHIN_CREDITS,
    HOLD,
    LINKED,
    RELEASE,
    REVERSE,
    SETTLE,
    AccountId,
    BookId,
    Posting,
    Result,
    Row,
    posting_id,
)
from tael.ledger.refusals import (
    AccountNotFound,
    AccountUnusable,
    ExceedsReversible,
    HoldNotFound,
    HoldNotOpen,
    InsufficientBalance,
    PostingIdRefused,
    PostingIdReused,
    PostingRefused,
    require_posted,
)
from tael.ledger.statement import Entry, OpenHold, balance_at, find, holds, statement
from tael.ledger.store import UnknownBook
from tael.ledger.writer import LedgerWriter

__all__ = [
    "BALANCING_CREDIT",
    "BALANCING_DEBIT",
    "CLOSING_CREDIT",
    "CLOSING_DEBIT",
    "CREDITS_WITHIN_DEBITS",
    "DEBITS_WITHIN_CREDITS",
    "HOLD",
    "LINKED",
    "RELEASE",
    "REVERSE",
    "SETTLE",
    "AccountId",
    "AccountNotFound",
    "AccountOutcome",
    "AccountUnusable",
    "Balance",
    "BookId",
    "Entry",
    "ExceedsReversible",
    "HoldNotFound",
    "HoldNotOpen",
    "InsufficientBalance",
    "Ledger",
    "LedgerWriter",
    "LinkedAcrossBooks",
    "NewAccount",
    "OpenHold",
    "Outcome",
    "Posting",
    "PostingIdRefused",
    "PostingIdReused",
    "PostingRefused",
    "Result",
    "Row",
    "UnknownBook",
    "balance",
    "balance_at",
    "balances",
    "books",
    "cut_day",
    "find",
    "holds",
    "open_accounts",
    "open_book",
    "posting_id",
    "require_posted",
    "set_frozen",
    "statement",
]
