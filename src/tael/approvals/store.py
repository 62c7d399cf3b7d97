"""Rows and statements of approvals; private to this package. Rows are found by `column = any(array)`: index probes."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import msgspec

from tael.base.db import Record, Tx
from tael.base.errors import JsonValue

ApprovalState = Literal["pending", "approved", "rejected", "cancelled", "expired"]
Verdict = Literal["approve", "reject"]
Key = tuple[int, str, str]
"""(book, kind, subject)."""


@dataclass(frozen=True, slots=True)
class NewApproval:
    """Something to be approved: `payload` is what will be executed, `subject` names it, `maker` proposed it.

    `amount` is in minor units and decides, with the book's tiers, how many must approve.
    """

    book: int
    kind: str
    subject: str
    payload: JsonValue
    amount: int
    currency: str
    maker: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Decision:
    """What one person decided."""

    checker: str
    decision: Verdict
    note: str | None
    at: datetime


@dataclass(frozen=True, slots=True)
class NewDecision:
    """What `checker` decides about a subject; `payload_sha256`: refuse it when what is stored is another content."""

    book: int
    kind: str
    subject: str
    checker: str
    approve: bool
    note: str | None
    payload_sha256: str | None


@dataclass(frozen=True, slots=True)
class Approval:
    """Something that waits for `needed` people other than `maker`, or waited. `decisions`: the oldest first."""

    book: int
    id: int
    kind: str
    subject: str
    payload: JsonValue
    payload_sha256: str
    amount: int
    currency: str
    maker: str
    needed: int
    state: ApprovalState
    expires_at: datetime
    created_at: datetime
    decided_at: datetime | None
    decisions: tuple[Decision, ...] = ()


async def insert(tx: Tx, approvals: Sequence[Approval]) -> set[tuple[int, int]]:
    """Insert what has no approval of its subject pending; answers (book, id) of those that are in."""
    rows = await tx.fetch(
        """insert into approval (book, id, kind, subject, payload, payload_sha256, amount, currency, maker, needed,
               state, expires_at, created_at, decided_at)
           select * from unnest($1::bigint[], $2::bigint[], $3::text[], $4::text[], $5::jsonb[], $6::text[],
               $7::bigint[], $8::text[], $9::text[], $10::int[], $11::text[], $12::timestamptz[], $13::timestamptz[],
               $14::timestamptz[])
           on conflict (book, kind, subject) where state = 'pending' do nothing returning book, id""",
        [one.book for one in approvals], [one.id for one in approvals], [one.kind for one in approvals],
        [one.subject for one in approvals], [msgspec.json.encode(one.payload).decode() for one in approvals],
        [one.payload_sha256 for one in approvals], [one.amount for one in approvals],
        [one.currency for one in approvals], [one.maker for one in approvals], [one.needed for one in approvals],
        [one.state for one in approvals], [one.expires_at for one in approvals],
        [one.created_at for one in approvals], [one.decided_at for one in approvals],
    )  # fmt: skip
    return {(row["book"], row["id"]) for row in rows}


async def pending(tx: Tx, keys: Sequence[Key]) -> dict[Key, Approval]:
    """The pending approvals of (book, kind, subject)."""
    rows = await tx.fetch(
        """select * from approval where state = 'pending' and book = any($1::bigint[]) and kind = any($2::text[])
               and subject = any($3::text[])""",
        [book for book, _, _ in keys], [kind for _, kind, _ in keys], [subject for _, _, subject in keys],
    )  # fmt: skip
    found = await _with_decisions(tx, rows)
    return {(one.book, one.kind, one.subject): one for one in found}


async def newest(tx: Tx, *, book: int, kind: str, subject: str) -> Approval | None:
    """The newest approval of a subject."""
    return (await newest_of(tx, book=book, kind=kind, subjects=[subject])).get(subject)


async def lock_newest(tx: Tx, keys: Sequence[Key]) -> dict[Key, Approval]:
    """The newest approval of each subject, locked in the order of ids; the lock also guards its decisions.

    A subject has few, and all of them are locked: which is the newest one is known without asking twice.
    """
    rows = await tx.fetch(
        """select * from approval where book = any($1::bigint[]) and kind = any($2::text[])
               and subject = any($3::text[]) order by id for update""",
        [book for book, _, _ in keys], [kind for _, kind, _ in keys], [subject for _, _, subject in keys],
    )  # fmt: skip
    return {(one.book, one.kind, one.subject): one for one in await _with_decisions(tx, rows)}


async def newest_of(tx: Tx, *, book: int, kind: str, subjects: Sequence[str]) -> dict[str, Approval]:
    """The newest approval of each subject of one kind; a subject has few.

    They are put in order here: to save a sort, a plan made on an empty table would walk the primary key.
    """
    rows = await tx.fetch(
        "select * from approval where book = $1 and kind = $2 and subject = any($3::text[])", book, kind, subjects
    )
    found = await _with_decisions(tx, rows)
    return {one.subject: one for one in sorted(found, key=lambda one: one.id)}


async def by_id(tx: Tx, *, book: int, id: int) -> Approval | None:
    """An approval of a book by its number."""
    found = await _with_decisions(tx, await tx.fetch("select * from approval where book = $1 and id = $2", book, id))
    return found[0] if found else None


async def page(
    tx: Tx, *, book: int, kind: str | None = None, state: ApprovalState | None = None, limit: int,
    older_than: int | None = None,
) -> list[Approval]:  # fmt: skip
    """A page of a book's approvals, newest first, of one kind or state or of all (keyset)."""
    if state == "pending":
        rows = await tx.fetch(_PAGE_OF_PENDING, book, older_than, limit, kind)
    else:
        rows = await tx.fetch(_PAGE, book, older_than, limit, kind, state)
    return await _with_decisions(tx, rows)


async def insert_decisions(tx: Tx, made: Sequence[tuple[Approval, Decision]]) -> None:
    """Write what people decided about locked, pending approvals."""
    if made:
        await tx.execute(
            """insert into approval_decision (book, approval, checker, decision, note, at)
               select * from unnest($1::bigint[], $2::bigint[], $3::text[], $4::text[], $5::text[],
                   $6::timestamptz[])""",
            [of.book for of, _ in made], [of.id for of, _ in made], [one.checker for _, one in made],
            [one.decision for _, one in made], [one.note for _, one in made], [one.at for _, one in made],
        )  # fmt: skip


async def end(tx: Tx, approvals: Sequence[Approval]) -> None:
    """Write the states that locked approvals end in."""
    if approvals:
        await tx.execute(
            """update approval set state = ended.state, decided_at = ended.decided_at
               from unnest($1::bigint[], $2::bigint[], $3::text[], $4::timestamptz[])
                   as ended(book, id, state, decided_at)
               where approval.book = any($1::bigint[]) and approval.id = any($2::bigint[])
                   and approval.book = ended.book and approval.id = ended.id""",
            [one.book for one in approvals], [one.id for one in approvals], [one.state for one in approvals],
            [one.decided_at for one in approvals],
        )  # fmt: skip


async def expire(tx: Tx, *, now: datetime, limit: int) -> list[Approval]:
    """End pending approvals whose time is over, the oldest first; those that somebody decides just now are left."""
    due = await tx.fetch(
        """select book, id from approval where state = 'pending' and expires_at <= $1 order by expires_at limit $2
           for update skip locked""",
        now, limit,
    )  # fmt: skip
    rows = await tx.fetch(
        """update approval set state = 'expired', decided_at = $1 where book = any($2::bigint[])
               and id = any($3::bigint[]) returning *""",
        now, sorted({row["book"] for row in due}), [row["id"] for row in due],
    )  # fmt: skip
    return await _with_decisions(tx, rows)


_BEYOND = "book = $1 and id < coalesce($2::bigint, 9223372036854775807) and ($4::text is null or kind = $4)"
_PAGE = f"select * from approval where {_BEYOND} and ($5::text is null or state = $5) order by id desc limit $3"  # noqa: S608 (our own words)
_PAGE_OF_PENDING = f"select * from approval where {_BEYOND} and state = 'pending' order by id desc limit $3"  # noqa: S608 (our own words)


async def _with_decisions(tx: Tx, rows: Sequence[Record]) -> list[Approval]:
    if not rows:
        return []
    decided = await tx.fetch(
        """select * from approval_decision where book = any($1::bigint[]) and approval = any($2::bigint[])
           order by at, checker""",
        [row["book"] for row in rows], [row["id"] for row in rows],
    )  # fmt: skip
    decisions: dict[tuple[int, int], list[Decision]] = {}
    for row in decided:
        one = Decision(row["checker"], row["decision"], row["note"], row["at"])
        decisions.setdefault((row["book"], row["approval"]), []).append(one)
    return [
        Approval(
            row["book"], row["id"], row["kind"], row["subject"], msgspec.json.decode(row["payload"]),
            row["payload_sha256"], row["amount"], row["currency"], row["maker"], row["needed"], row["state"],
            row["expires_at"], row["created_at"], row["decided_at"],
            tuple(decisions.get((row["book"], row["id"]), ())),
        )
        for row in rows
    ]  # fmt: skip
