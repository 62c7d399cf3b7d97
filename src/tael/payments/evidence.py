"""What channels said, kept before anything is decided: verified notices and exchanges. Only verdicts come later."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import msgspec

from tael.base.db import Tx
from tael.base.ids import Ids
from tael.channels.contract import Operation, Outcome, RawExchange, VerifiedEvent


@dataclass(frozen=True, slots=True)
class Notice:
    """A verified notice of a merchant account, with its raw body."""

    book: int
    id: int
    merchant_account: int
    event: VerifiedEvent
    raw: bytes


@dataclass(frozen=True, slots=True)
class Exchange:
    """One call about an attempt and how it ended."""

    book: int
    attempt_no: str
    operation: Operation
    outcome: Outcome
    raw: RawExchange


async def keep_notices(tx: Tx, notices: Sequence[Notice], *, now: datetime) -> None:
    """Store notices in one statement."""
    await tx.execute(
        """insert into channel_notice (book, id, merchant_account, event_id, attempt_no, state, sha256, raw,
               received_at)
           select *, $9::timestamptz from unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::text[], $5::text[],
               $6::text[], $7::text[], $8::bytea[])""",
        [notice.book for notice in notices], [notice.id for notice in notices],
        [notice.merchant_account for notice in notices], [notice.event.id for notice in notices],
        [notice.event.subject.number for notice in notices], [notice.event.subject.state for notice in notices],
        [notice.event.sha256 for notice in notices], [notice.raw for notice in notices], now,
    )  # fmt: skip


async def note_verdicts(tx: Tx, verdicts: Sequence[tuple[int, int, str]]) -> None:
    """Note what became of notices: (book, notice id, verdict)."""
    if verdicts:
        await tx.execute(
            """update channel_notice n set verdict = v.verdict
               from unnest($1::bigint[], $2::bigint[], $3::text[]) as v(book, id, verdict)
               where n.book = any($1::bigint[]) and n.id = any($2::bigint[]) and n.book = v.book and n.id = v.id""",
            [book for book, _, _ in verdicts], [id for _, id, _ in verdicts], [verdict for _, _, verdict in verdicts],
        )  # fmt: skip


async def keep_exchanges(tx: Tx, exchanges: Sequence[Exchange], *, ids: Ids, now: datetime) -> None:
    """Store exchanges in one statement."""
    if exchanges:
        await tx.execute(
            """insert into channel_exchange (book, id, attempt_no, operation, outcome, exchange, at)
               select *, $7::timestamptz from unnest($1::bigint[], $2::bigint[], $3::text[], $4::text[], $5::text[],
                   $6::jsonb[])""",
            [one.book for one in exchanges], [ids.next() for _ in exchanges], [one.attempt_no for one in exchanges],
            [one.operation for one in exchanges], [one.outcome for one in exchanges],
            [_jsonb(one.raw) for one in exchanges], now,
        )  # fmt: skip


def _jsonb(raw: RawExchange) -> str:
    # jsonb cannot hold NUL, and a hostile or broken reply may contain it.
    return msgspec.json.encode(raw).decode().replace("\\u0000", "\\ufffd")
