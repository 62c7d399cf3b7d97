"""Rows and statements of alerts; private to this package. Rows are found by `column = any(array)`: index probes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import msgspec

from tael.base.db import Record, Tx
from tael.base.errors import JsonValue

Severity = Literal["warning", "critical"]


@dataclass(frozen=True, slots=True)
class StoredAlert:
    """An alert; it is open while `closed_at` is None. `times` counts how often it was raised meanwhile."""

    book: int
    id: int
    kind: str
    subject: str
    severity: Severity
    text_en: str
    text_zh: str
    data: Mapping[str, JsonValue]
    opened_at: datetime
    last_at: datetime
    times: int = 1
    acknowledged_by: str | None = None
    acknowledged_at: datetime | None = None
    closed_at: datetime | None = None


async def put(tx: Tx, alerts: Sequence[StoredAlert]) -> set[tuple[int, int]]:
    """Insert alerts of different (book, kind, subject); one that is open already is counted and tells the newest.

    Answers (book, id) of those that are new.
    """
    rows = await tx.fetch(
        """insert into alert (book, id, kind, subject, severity, text_en, text_zh, data, opened_at, last_at)
           select * from unnest($1::bigint[], $2::bigint[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[],
               $8::jsonb[], $9::timestamptz[], $10::timestamptz[])
           on conflict (book, kind, subject) where closed_at is null do update set times = alert.times + 1,
               last_at = greatest(alert.last_at, excluded.last_at), severity = excluded.severity,
               text_en = excluded.text_en, text_zh = excluded.text_zh, data = excluded.data
           returning book, id""",
        [one.book for one in alerts], [one.id for one in alerts], [one.kind for one in alerts],
        [one.subject for one in alerts], [one.severity for one in alerts], [one.text_en for one in alerts],
        [one.text_zh for one in alerts], [msgspec.json.encode(one.data).decode() for one in alerts],
        [one.opened_at for one in alerts], [one.last_at for one in alerts],
    )  # fmt: skip
    stored = {(row["book"], row["id"]) for row in rows}
    return {(one.book, one.id) for one in alerts} & stored


async def open_of(tx: Tx, keys: Sequence[tuple[int, str, str]]) -> list[StoredAlert]:
    """The open alerts among (book, kind, subject)."""
    rows = await tx.fetch(
        """select * from alert where closed_at is null and book = any($1::bigint[]) and kind = any($2::text[])
               and subject = any($3::text[])""",
        [book for book, _, _ in keys], [kind for _, kind, _ in keys], [subject for _, _, subject in keys],
    )  # fmt: skip
    wanted = set(keys)
    return [one for one in map(_read, rows) if (one.book, one.kind, one.subject) in wanted]


async def open_of_kinds(tx: Tx, kinds: Sequence[str]) -> list[StoredAlert]:
    """Every open alert of some kinds."""
    rows = await tx.fetch("select * from alert where closed_at is null and kind = any($1::text[])", list(kinds))
    return [_read(row) for row in rows]


async def close(tx: Tx, alerts: Sequence[tuple[int, int]], *, now: datetime) -> None:
    """Close alerts by (book, id); a closed one stays as it is."""
    await tx.execute(
        """update alert set closed_at = $3
           where book = any($1::bigint[]) and id = any($2::bigint[]) and closed_at is null""",
        [book for book, _ in alerts], [id for _, id in alerts], now,
    )  # fmt: skip


async def acknowledge(tx: Tx, *, book: int, id: int, by: str, now: datetime) -> StoredAlert | None:
    """Write who knows of an alert, the first time; answers it as it stands, None when there is none."""
    row = await tx.fetchrow(
        """update alert set acknowledged_by = coalesce(acknowledged_by, $3),
               acknowledged_at = coalesce(acknowledged_at, $4::timestamptz)
           where book = $1 and id = $2 returning *""",
        book, id, by, now,
    )  # fmt: skip
    return None if row is None else _read(row)


async def page(tx: Tx, *, book: int, is_open: bool, older_than: int | None, limit: int) -> list[StoredAlert]:
    """Open or closed alerts of a book, newest first (keyset)."""
    rows = await tx.fetch(_OPEN_PAGE if is_open else _CLOSED_PAGE, book, older_than, limit)
    return [_read(row) for row in rows]


async def count_open(tx: Tx) -> dict[tuple[str, Severity], int]:
    """How many alerts are open, by kind and severity."""
    rows = await tx.fetch("select kind, severity, count(*) from alert where closed_at is null group by kind, severity")
    return {(row["kind"], row["severity"]): row["count"] for row in rows}


_PAGE = "select * from alert where book = $1 and id < coalesce($2::bigint, 9223372036854775807) and closed_at is"
_OPEN_PAGE = f"{_PAGE} null order by id desc limit $3"
_CLOSED_PAGE = f"{_PAGE} not null order by id desc limit $3"


def _read(row: Record) -> StoredAlert:
    return StoredAlert(**{**dict(row), "data": msgspec.json.decode(row["data"])})
