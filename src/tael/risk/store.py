"""Rows of risk control and every SQL statement on them. Private to the package.

Keys come as arrays and rows are found by `column = any(array)`; where that finds more than was asked for (a number of
another operation), the rows are told apart afterwards. Payees are probed one by one: what one person paid to one payee
over the years is a long list of which one row is enough.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal

import msgspec

from tael.base.db import Record, Tx
from tael.base.errors import JsonValue

RuleSetState = Literal["draft", "shadow", "active", "retired"]
Key = tuple[int, str, str]
"""Book, operation, number."""


@dataclass(frozen=True, slots=True)
class RuleSet:
    """One version of the rules of an operation. Book 0: shipped."""

    book: int
    operation: str
    version: int
    state: RuleSetState
    content: dict[str, JsonValue]
    note: str
    author: str
    created_at: datetime
    activated_at: datetime | None


@dataclass(frozen=True, slots=True)
class InForce:
    """Which version is active or in shadow, without its content."""

    book: int
    operation: str
    version: int
    state: RuleSetState


@dataclass(frozen=True, slots=True)
class Use:
    """How often and how much a person did something on one day in one currency, and how often in the last hour."""

    day: date
    currency: str
    count: int
    amount: int
    last_hour: int


@dataclass(frozen=True, slots=True)
class Counted:
    """An operation that counts towards its person's limits."""

    book: int
    operation: str
    number: str
    person: int
    day: date
    amount: int
    currency: str
    payee: str | None


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was asked and answered. `rules_of` is the book of the rules: 0 when they are the shipped ones."""

    book: int
    operation: str
    number: str
    person: int
    facts: dict[str, JsonValue]
    rules_of: int
    version: int
    outcome: str
    rules: tuple[str, ...]
    reasons: dict[str, dict[str, str]]
    trace: list[JsonValue]
    shadow: dict[str, JsonValue] | None
    at: datetime


@dataclass(frozen=True, slots=True)
class Past:
    """An operation that was judged; its facts as they are stored (JSON)."""

    number: str
    person: int
    facts: str
    outcome: str
    at: datetime


async def lock_persons(tx: Tx, persons: Sequence[tuple[int, int]]) -> None:
    """Make whoever judges these persons (book, person; sorted) wait for the end of this transaction."""
    books, numbers = [book for book, _ in persons], [person for _, person in persons]
    await tx.execute(
        """insert into risk_subject (book, person) select * from unnest($1::bigint[], $2::bigint[]) order by 1, 2
           on conflict do nothing""",
        books, numbers,
    )  # fmt: skip
    await tx.execute(
        """select 1 from risk_subject where book = any($1::bigint[]) and person = any($2::bigint[])
           order by book, person for update""",
        books, numbers,
    )  # fmt: skip


async def uses(
    tx: Tx, persons: Sequence[tuple[int, int, str]], *, since: date, hour: datetime
) -> dict[tuple[int, int, str], list[Use]]:
    """What persons (book, person, operation) did since a day, and of that since `hour`."""
    rows = await tx.fetch(
        """select book, person, operation, day, currency, count(*) as count, sum(amount) as amount,
               count(*) filter (where at > $5) as last_hour
           from risk_usage
           where state = 'counted' and book = any($1::bigint[]) and person = any($2::bigint[])
               and operation = any($3::text[]) and day >= $4
           group by book, person, operation, day, currency""",
        *_distinct(persons), since, hour,
    )  # fmt: skip
    found: dict[tuple[int, int, str], list[Use]] = {}
    for row in rows:
        use = Use(row["day"], row["currency"], row["count"], int(row["amount"]), row["last_hour"])
        found.setdefault((row["book"], row["person"], row["operation"]), []).append(use)
    return found


async def used_payees(
    tx: Tx, asked: Sequence[tuple[int, int, str, str]], *, before: date
) -> set[tuple[int, int, str, str]]:
    """Which payees (book, person, operation, payee) were used on an earlier day."""
    rows = await tx.fetch(
        """select k.place from unnest($1::bigint[], $2::bigint[], $3::text[], $4::text[])
               with ordinality k(book, person, operation, payee, place)
           cross join lateral (
               select 1 from risk_usage u where state = 'counted' and u.payee is not null and u.book = k.book
                   and u.payee >= k.payee and u.payee <= k.payee and u.person = k.person
                   and u.operation = k.operation and u.day < $5
               order by u.payee limit 1) found""",
        *(list(column) for column in zip(*asked, strict=True)), before,
    )  # fmt: skip
    return {asked[row["place"] - 1] for row in rows}


async def insert_verdicts(tx: Tx, verdicts: Sequence[Verdict]) -> set[Key]:
    """Store verdicts; answers the keys of those that were new."""
    rows = await tx.fetch(
        """insert into risk_verdict (book, operation, number, person, facts, rules_of, version, outcome, rules,
               reasons, trace, shadow, at)
           select book, operation, number, person, facts, rules_of, version, outcome, string_to_array(rules, ','),
               reasons, trace, shadow, at
           from unnest($1::bigint[], $2::text[], $3::text[], $4::bigint[], $5::jsonb[], $6::bigint[], $7::int[],
               $8::text[], $9::text[], $10::jsonb[], $11::jsonb[], $12::jsonb[], $13::timestamptz[])
               as n(book, operation, number, person, facts, rules_of, version, outcome, rules, reasons, trace, shadow,
                   at)
           order by book, operation, number on conflict do nothing returning book, operation, number""",
        [one.book for one in verdicts], [one.operation for one in verdicts], [one.number for one in verdicts],
        [one.person for one in verdicts], [_json(one.facts) for one in verdicts], [one.rules_of for one in verdicts],
        [one.version for one in verdicts], [one.outcome for one in verdicts],
        [",".join(one.rules) for one in verdicts], [_json(one.reasons) for one in verdicts],
        [_json(one.trace) for one in verdicts],
        [None if one.shadow is None else _json(one.shadow) for one in verdicts], [one.at for one in verdicts],
    )  # fmt: skip
    return {(row["book"], row["operation"], row["number"]) for row in rows}


async def insert_uses(tx: Tx, counted: Sequence[Counted], *, now: datetime) -> None:
    """Count operations."""
    await tx.execute(
        """insert into risk_usage (book, operation, number, person, day, amount, currency, payee, at)
           select *, $9::timestamptz from unnest($1::bigint[], $2::text[], $3::text[], $4::bigint[], $5::date[],
               $6::bigint[], $7::text[], $8::text[]) order by 1, 2, 3""",
        [one.book for one in counted], [one.operation for one in counted], [one.number for one in counted],
        [one.person for one in counted], [one.day for one in counted], [one.amount for one in counted],
        [one.currency for one in counted], [one.payee for one in counted], now,
    )  # fmt: skip


async def void_uses(tx: Tx, keys: Sequence[Key]) -> None:
    """Count these operations no longer."""
    await tx.execute(
        """update risk_usage u set state = 'void'
           from unnest($1::bigint[], $2::text[], $3::text[]) as n(book, operation, number)
           where u.book = any($1::bigint[]) and u.operation = any($2::text[]) and u.number = any($3::text[])
               and u.book = n.book and u.operation = n.operation and u.number = n.number and u.state = 'counted'""",
        [book for book, _, _ in keys], [operation for _, operation, _ in keys], [number for _, _, number in keys],
    )  # fmt: skip


async def verdicts(tx: Tx, keys: Sequence[Key]) -> dict[Key, Verdict]:
    """Stored verdicts by book, operation and number."""
    rows = await tx.fetch(
        """select * from risk_verdict
           where book = any($1::bigint[]) and operation = any($2::text[]) and number = any($3::text[])""",
        *_distinct(keys),
    )  # fmt: skip
    found = {(row["book"], row["operation"], row["number"]): read_verdict(row) for row in rows}
    return {key: found[key] for key in keys if key in found}


async def past(tx: Tx, *, book: int, operation: str, since: datetime, most: int) -> list[Past]:
    """What was judged of an operation since an instant, newest first."""
    rows = await tx.fetch(
        """select number, person, facts, outcome, at from risk_verdict
           where book = $1 and operation = $2 and at >= $3 order by book, operation, at desc limit $4""",
        book, operation, since, most,
    )  # fmt: skip
    return [Past(*row) for row in rows]


async def in_force(tx: Tx, operations: Sequence[tuple[int, str]]) -> list[InForce]:
    """Which versions are active or in shadow for (book, operation), and for book 0."""
    rows = await tx.fetch(
        """(select book, operation, version, state from risk_rule_set
            where state = 'active' and book = any($1::bigint[]) and operation = any($2::text[]))
           union all
           (select book, operation, version, state from risk_rule_set
            where state = 'shadow' and book = any($1::bigint[]) and operation = any($2::text[]))""",
        sorted({0, *(book for book, _ in operations)}), sorted({operation for _, operation in operations}),
    )  # fmt: skip
    return [InForce(row["book"], row["operation"], row["version"], row["state"]) for row in rows]


async def rule_sets(tx: Tx, keys: Sequence[tuple[int, str, int]]) -> list[RuleSet]:
    """Versions by book, operation and version."""
    rows = await tx.fetch(
        """select * from risk_rule_set
           where book = any($1::bigint[]) and operation = any($2::text[]) and version = any($3::int[])
           order by book, operation, version""",
        *_distinct(keys),
    )  # fmt: skip
    return [one for row in rows if (one := read_rule_set(row)) and (one.book, one.operation, one.version) in keys]


async def list_rule_sets(tx: Tx, *, book: int, operation: str | None, most: int) -> list[RuleSet]:
    """Versions of a book, newest first by operation."""
    if operation is None:
        sql = "select * from risk_rule_set where book = $1 order by book, operation, version desc limit $2"
        return [read_rule_set(row) for row in await tx.fetch(sql, book, most)]
    rows = await tx.fetch(
        """select * from risk_rule_set where book = $1 and operation = $2
           order by book desc, operation desc, version desc limit $3""",
        book, operation, most,
    )  # fmt: skip
    return [read_rule_set(row) for row in rows]


async def lock_rule_sets(tx: Tx, book: int) -> None:
    """Until the end of the transaction, nobody else changes the rule sets of this book."""
    await tx.execute("select pg_advisory_xact_lock($1, hashint8($2))", _CHANGING, book)


async def insert_rule_set(tx: Tx, new: RuleSet) -> None:
    """Add a version."""
    await tx.execute(
        """insert into risk_rule_set (book, operation, version, state, content, note, author, created_at, activated_at)
           values ($1, $2, $3, $4, $5, $6, $7, $8, $9)""",
        new.book, new.operation, new.version, new.state, _json(new.content), new.note, new.author, new.created_at,
        new.activated_at,
    )  # fmt: skip


async def next_version(tx: Tx, *, book: int, operation: str) -> int:
    """The number of the next version; the caller has locked the book's rule sets."""
    newest = await tx.fetchval(
        """select version from risk_rule_set where book = $1 and operation = $2
           order by book desc, operation desc, version desc limit 1""",
        book, operation,
    )  # fmt: skip
    return newest + 1 if isinstance(newest, int) else 1


async def set_state(
    tx: Tx, *, book: int, operation: str, version: int, state: RuleSetState, activated_at: datetime | None
) -> None:
    """Move a version to another state."""
    await tx.execute(
        """update risk_rule_set set state = $4, activated_at = coalesce(activated_at, $5)
           where book = $1 and operation = $2 and version = $3""",
        book, operation, version, state, activated_at,
    )  # fmt: skip


async def displace(tx: Tx, *, book: int, operation: str, state: RuleSetState, becomes: RuleSetState) -> None:
    """Move the version that is in `state` to another."""
    await tx.execute(
        "update risk_rule_set set state = $4 where book = $1 and operation = $2 and state = $3",
        book, operation, state, becomes,
    )  # fmt: skip


def read_rule_set(row: Record) -> RuleSet:
    """A rule set from its row."""
    return RuleSet(
        row["book"], row["operation"], row["version"], row["state"], msgspec.json.decode(row["content"]), row["note"],
        row["author"], row["created_at"], row["activated_at"],
    )  # fmt: skip


def read_verdict(row: Record) -> Verdict:
    """A verdict from its row."""
    shadow = row["shadow"]
    return Verdict(
        row["book"], row["operation"], row["number"], row["person"], msgspec.json.decode(row["facts"]),
        row["rules_of"], row["version"], row["outcome"], tuple(row["rules"]), msgspec.json.decode(row["reasons"]),
        msgspec.json.decode(row["trace"]), None if shadow is None else msgspec.json.decode(shadow), row["at"],
    )  # fmt: skip


_CHANGING = 7_305_410  # one number for "the rule sets of a book change"


def _distinct(keys: Sequence[tuple[object, ...]]) -> list[list[object]]:
    """The columns of keys, each value once: an index is probed for every combination."""
    return [list(dict.fromkeys(column)) for column in zip(*keys, strict=True)]


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()
