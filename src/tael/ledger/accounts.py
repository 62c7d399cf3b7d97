"""Books and accounts: opening them, freezing one, and what an account holds.

    (nothing) -> open <-> frozen          a closing hold closes an account for as long as it lasts

An account is static: its kind, subject (科目), currency, limit and owner never change, so opening one again with the
same content is the same request, and with other content a refusal. Its balance is not stored here: the newest row of
the posting log that names the account is its balance.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final, Literal

from tael.base.clock import accounting_day
from tael.base.db import Record, Tx
from tael.ledger.records import CREDITS_WITHIN_DEBITS, DEBITS_WITHIN_CREDITS, LAST_ACCOUNT, AccountId, BookId
from tael.ledger.refusals import AccountNotFound

Kind = Literal["customer", "internal", "product"]
Side = Literal["debit", "credit"]


class AccountOutcome(StrEnum):
    """The answer to opening an account; the order is the order of the checks."""

    OPENED = "opened"
    ID_MUST_NOT_BE_ZERO = "id_must_not_be_zero"
    ID_MUST_NOT_BE_MAX = "id_must_not_be_max"
    EXISTS = "exists"
    EXISTS_WITH_DIFFERENT_LIMITS = "exists_with_different_limits"
    EXISTS_WITH_DIFFERENT_KIND = "exists_with_different_kind"
    EXISTS_WITH_DIFFERENT_OWNER = "exists_with_different_owner"
    EXISTS_WITH_DIFFERENT_CURRENCY = "exists_with_different_currency"
    EXISTS_WITH_DIFFERENT_SUBJECT = "exists_with_different_subject"
    LIMITS_ARE_MUTUALLY_EXCLUSIVE = "limits_are_mutually_exclusive"
    CURRENCY_MUST_BE_SET = "currency_must_be_set"
    SUBJECT_MUST_BE_SET = "subject_must_be_set"


@dataclass(frozen=True, slots=True, kw_only=True)
class NewAccount:
    """An account to open. `subject` is its place in the chart of accounts, `currency` a currency or a unit such as
    `piece`, `limits` 0 or one limit constant, `owner` the member, `parent` the main account (户口号)."""

    book: BookId
    id: AccountId
    subject: str
    currency: str
    kind: Kind = "internal"
    normal: Side = "credit"
    limits: int = 0
    updating: Literal["realtime", "daily"] = "realtime"
    owner: int | None = None
    parent: AccountId | None = None


@dataclass(frozen=True, slots=True)
class Balance:
    """An account after its entry `seq`: four sums, minor units of `currency`."""

    account: AccountId
    currency: str
    normal: Side
    seq: int
    debits_posted: int
    credits_posted: int
    debits_held: int
    credits_held: int
    closed: bool

    @property
    def total(self) -> int:
        """The booked balance, positive on the account's normal side."""
        difference = self.credits_posted - self.debits_posted
        return difference if self.normal == "credit" else -difference

    @property
    def held(self) -> int:
        """What open holds reserve of the balance (冻结)."""
        return self.debits_held if self.normal == "credit" else self.credits_held

    @property
    def available(self) -> int:
        """The balance less what is held."""
        return self.total - self.held


def refused(new: NewAccount) -> AccountOutcome | None:
    """Why an account cannot be opened, whatever exists already. Pure."""
    both = DEBITS_WITHIN_CREDITS | CREDITS_WITHIN_DEBITS
    if new.limits & both == both:
        return AccountOutcome.LIMITS_ARE_MUTUALLY_EXCLUSIVE
    if not new.currency:
        return AccountOutcome.CURRENCY_MUST_BE_SET
    if not new.subject:
        return AccountOutcome.SUBJECT_MUST_BE_SET
    return None


def unusable_id(new: NewAccount) -> AccountOutcome | None:
    """Whether the id cannot be an account's. Pure."""
    if new.id <= 0:
        return AccountOutcome.ID_MUST_NOT_BE_ZERO
    return AccountOutcome.ID_MUST_NOT_BE_MAX if new.id >= LAST_ACCOUNT else None


def compare(new: NewAccount, old: NewAccount) -> AccountOutcome:
    """`EXISTS` when the account was opened by the same request, else the first difference. Pure."""
    if new.limits != old.limits:
        return AccountOutcome.EXISTS_WITH_DIFFERENT_LIMITS
    if (new.kind, new.normal, new.updating) != (old.kind, old.normal, old.updating):
        return AccountOutcome.EXISTS_WITH_DIFFERENT_KIND
    if (new.owner, new.parent) != (old.owner, old.parent):
        return AccountOutcome.EXISTS_WITH_DIFFERENT_OWNER
    if new.currency != old.currency:
        return AccountOutcome.EXISTS_WITH_DIFFERENT_CURRENCY
    if new.subject != old.subject:
        return AccountOutcome.EXISTS_WITH_DIFFERENT_SUBJECT
    return AccountOutcome.EXISTS


_FACTS: Final = "kind, subject, currency, normal, limits, updating, owner, parent"
CHECKSUM: Final = f"hash_record_extended(row(book, id, {_FACTS}, status, opened_at), 0)"
# See `store` for why an equality is written like this.
BY_ID: Final = """cross join lateral (
    select * from account where book = $1 and id >= k and id <= k order by id limit 1) a"""
_OPEN: Final = f"""
    with wanted as (
        select $1::bigint as book, r.*, 'open' as status, $2::timestamptz as opened_at
        from unnest($3::bigint[], $4::text[], $5::text[], $6::text[], $7::text[], $8::smallint[], $9::text[],
            $10::bigint[], $11::bigint[]) r(id, {_FACTS}))
    insert into account (book, id, {_FACTS}, status, opened_at, checksum)
    select book, id, {_FACTS}, status, opened_at, {CHECKSUM} from wanted order by id
    on conflict do nothing returning id"""  # noqa: S608 (our own columns)
_SELECT: Final = f"select a.* from unnest($2::bigint[]) k {BY_ID}"  # noqa: S608 (our own columns)
_SET_STATUS: Final = f"""
    with changed as (select book, id, {_FACTS}, $3::text as status, opened_at from account where book = $1 and id = $2)
    update account a set status = c.status, checksum = c.checksum
    from (select book, id, status, {CHECKSUM} as checksum from changed) c
    where a.book = $1 and a.id = $2 and c.id = a.id"""  # noqa: S608 (our own columns)
_BALANCES: Final = f"""
    select a.id, a.currency, a.normal, coalesce(e.seq, 0), coalesce(e.d, 0), coalesce(e.c, 0), coalesce(e.dh, 0),
        coalesce(e.ch, 0), coalesce(e.closed, false)
    from unnest($2::bigint[]) with ordinality asked(k, place) {BY_ID}
    left join lateral (select * from (
        (select debit_seq as seq, debit_debits as d, debit_credits as c, debit_debits_held as dh,
            debit_credits_held as ch, flags & 1024 <> 0 as closed
            from posting where book = $1 and debit = a.id order by debit_seq desc limit 1)
        union all
        (select credit_seq, credit_debits, credit_credits, credit_debits_held, credit_credits_held, flags & 2048 <> 0
            from posting where book = $1 and credit = a.id order by credit_seq desc limit 1)
        ) newest order by seq desc limit 1) e on true
    order by asked.place"""  # noqa: S608 (our own columns)


async def open_book(tx: Tx, book: BookId, *, name: str, now: datetime) -> bool:
    """Open a company's ledger; False when it is open already."""
    done = await tx.execute(
        "insert into book (book, name, opened_at) values ($1, $2, $3) on conflict do nothing", book, name, now
    )
    await tx.execute(
        "insert into book_head (book, at, day) values ($1, $2, $3) on conflict do nothing",
        book, now, accounting_day(now),
    )  # fmt: skip
    return done == "INSERT 0 1"


async def books(tx: Tx) -> list[BookId]:
    """Every book of this database."""
    return [BookId(record["book"]) for record in await tx.fetch("select book from book order by book")]


async def cut_day(tx: Tx, book: BookId, *, now: datetime) -> bool:
    """Move the accounting day (会计日) on to the day of `now`; True when it moved. A periodic job, never back."""
    done = await tx.execute(
        "update book_head set day = $2, epoch = epoch + 1 where book = $1 and day < $2", book, accounting_day(now)
    )
    return done == "UPDATE 1"


async def open_accounts(tx: Tx, accounts: Sequence[NewAccount], *, now: datetime) -> list[AccountOutcome]:
    """Open accounts, in order; opening one again with the same content answers `exists`. All in one book."""
    if not accounts:
        return []
    (book,) = {account.book for account in accounts}
    fresh = {new.id: new for new in reversed(accounts) if not (unusable_id(new) or refused(new))}
    opened = {record["id"] for record in await tx.fetch(_OPEN, book, now, *_columns(list(fresh.values())))}
    old = {
        record["id"]: _as_account(book, record) for record in await tx.fetch(_SELECT, book, [a.id for a in accounts])
    }
    answers: list[AccountOutcome] = []
    for new in accounts:
        if outcome := unusable_id(new):
            answers.append(outcome)
        elif new.id in opened and new is fresh[new.id]:
            answers.append(AccountOutcome.OPENED)
            opened.remove(new.id)
        elif new.id in old:
            answers.append(compare(new, old[new.id]))
        else:
            answers.append(refused(new) or AccountOutcome.EXISTS)
    return answers


async def set_frozen(tx: Tx, book: BookId, account: AccountId, *, frozen: bool) -> None:
    """Freeze an account for risk control: nothing new is debited from it. Raises `AccountNotFound`."""
    await tx.execute("update book_head set epoch = epoch + 1 where book = $1", book)
    if await tx.execute(_SET_STATUS, book, account, "frozen" if frozen else "open") != "UPDATE 1":
        raise AccountNotFound(str(account))


async def balance(tx: Tx, book: BookId, account: AccountId) -> Balance:
    """What an account holds now. Raises `AccountNotFound`."""
    found = await balances(tx, book, [account])
    if not found:
        raise AccountNotFound(str(account))
    return found[0]


async def balances(tx: Tx, book: BookId, accounts: Sequence[AccountId]) -> list[Balance]:
    """What these accounts hold now, in the order asked for; those that do not exist are left out."""
    return [Balance(*record) for record in await tx.fetch(_BALANCES, book, accounts)]


def _columns(accounts: Sequence[NewAccount]) -> tuple[list[object], ...]:
    return (
        [new.id for new in accounts], [new.kind for new in accounts], [new.subject for new in accounts],
        [new.currency for new in accounts], [new.normal for new in accounts], [new.limits for new in accounts],
        [new.updating for new in accounts], [new.owner for new in accounts], [new.parent for new in accounts],
    )  # fmt: skip


def _as_account(book: BookId, record: Record) -> NewAccount:
    return NewAccount(
        book=book, id=AccountId(record["id"]), kind=record["kind"], subject=record["subject"],
        currency=record["currency"], normal=record["normal"], limits=record["limits"], updating=record["updating"],
        owner=record["owner"], parent=record["parent"],
    )  # fmt: skip
