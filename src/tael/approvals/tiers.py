"""Tiers: from which amount on how many people must approve, per kind and currency.

    shipped    below 50,000.00 one, from 50,000.00 two, from 500,000.00 three
    by a book  set as a whole, from 0 upwards; more money never needs fewer people; 0 people only in test mode

Every change is kept with the person and the time.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Literal

import msgspec

from tael.base.db import Tx
from tael.base.errors import TaelError
from tael.base.ids import Ids
from tael.base.money import EXPONENTS, InvalidCurrency

MOST = 3
_SHIPPED = ((0, 1), (50_000, 2), (500_000, 3))


class TiersRefused(TaelError):
    """Tiers start at amount 0 and rise; more money never needs fewer people, and never more than three.
    zh: 复核档位须从金额 0 起逐级递增；金额越大所需人数不得减少，最多三人。
    """

    status = 422


class FourEyesRequired(TaelError):
    """In live mode every tier needs at least one person.
    zh: 正式环境的每个复核档位至少需要一人。
    """

    status = 422


@dataclass(frozen=True, slots=True)
class Tier:
    """From `from_minor` minor units on, `needed` people must approve; 0 = nobody."""

    from_minor: int
    needed: int


@dataclass(frozen=True, slots=True)
class Change:
    """What a person set tiers to."""

    tiers: tuple[Tier, ...]
    person: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Tiers:
    """The tiers of a kind and currency in a book, the lowest first; `is_shipped`: the book has set none."""

    kind: str
    currency: str
    tiers: tuple[Tier, ...]
    is_shipped: bool

    def needed(self, amount: int) -> int:
        """How many must approve this amount."""
        return max((tier for tier in self.tiers if tier.from_minor <= amount), key=lambda tier: tier.from_minor).needed


def shipped(currency: str) -> tuple[Tier, ...]:
    """The tiers of a book that has set none. Raises `InvalidCurrency`."""
    if currency not in EXPONENTS:
        raise InvalidCurrency(param="currency")
    return tuple(Tier(units * 10 ** EXPONENTS[currency], needed) for units, needed in _SHIPPED)


async def needed(tx: Tx, *, book: int, kind: str, amount: int, currency: str) -> int:
    """How many people must approve something of this kind and amount."""
    (tiers,) = await tiers_of(tx, [(book, kind, currency)])
    return tiers.needed(amount)


async def tiers_of(tx: Tx, keys: Sequence[tuple[int, str, str]]) -> list[Tiers]:
    """The tiers in force for each (book, kind, currency), in order."""
    rows = await tx.fetch(
        """select * from approval_tier where book = any($1::bigint[]) and kind = any($2::text[])
               and currency = any($3::text[]) order by from_minor""",
        [book for book, _, _ in keys], [kind for _, kind, _ in keys], [currency for _, _, currency in keys],
    )  # fmt: skip
    found: dict[tuple[int, str, str], list[Tier]] = {}
    for row in rows:
        tier = Tier(row["from_minor"], row["needed"])
        found.setdefault((row["book"], row["kind"], row["currency"]), []).append(tier)
    return [
        Tiers(key[1], key[2], tuple(found.get(key, ())) or shipped(key[2]), is_shipped=key not in found) for key in keys
    ]


async def set_tiers(
    tx: Tx, *, book: int, kind: str, currency: str, tiers: Sequence[Tier], mode: Literal["test", "live"], person: str,
    ids: Ids, now: datetime,
) -> Tiers:  # fmt: skip
    """Replace the tiers of a kind and currency. Raises `TiersRefused`, `FourEyesRequired` or `InvalidCurrency`."""
    check(currency, tiers, mode=mode)
    # The lowest tier is always there: whoever writes it first holds off everybody else until the set is complete.
    await tx.execute(
        """insert into approval_tier (book, kind, currency, from_minor, needed) values ($1, $2, $3, 0, $4)
           on conflict (book, kind, currency, from_minor) do update set needed = excluded.needed""",
        book, kind, currency, tiers[0].needed,
    )  # fmt: skip
    await tx.execute(
        "delete from approval_tier where book = $1 and kind = $2 and currency = $3 and from_minor > 0",
        book, kind, currency,
    )  # fmt: skip
    await tx.execute(
        """insert into approval_tier (book, kind, currency, from_minor, needed)
           select $1, $2, $3, * from unnest($4::bigint[], $5::int[])""",
        book, kind, currency, [tier.from_minor for tier in tiers[1:]], [tier.needed for tier in tiers[1:]],
    )  # fmt: skip
    await tx.execute(
        """insert into approval_tier_change (book, id, kind, currency, tiers, person, at)
           values ($1, $2, $3, $4, $5, $6, $7)""",
        book, ids.next(), kind, currency, msgspec.json.encode(tiers).decode(), person, now,
    )  # fmt: skip
    return Tiers(kind, currency, tuple(tiers), is_shipped=False)


async def changes_of(tx: Tx, *, book: int, kind: str, currency: str, limit: int) -> list[Change]:
    """Who set the tiers of a kind and currency when and to what, the newest first."""
    rows = await tx.fetch(
        """select tiers, person, at from approval_tier_change where book = $1 and kind = $2 and currency = $3
           order by id desc limit $4""",
        book, kind, currency, limit,
    )  # fmt: skip
    return [Change(tuple(msgspec.json.decode(row["tiers"], type=list[Tier])), row["person"], row["at"]) for row in rows]


def check(currency: str, tiers: Sequence[Tier], *, mode: Literal["test", "live"]) -> None:
    """Refuse tiers that leave an amount without an answer, or that are weaker than the mode allows. Pure."""
    if currency not in EXPONENTS:
        raise InvalidCurrency(param="currency")
    rising = all(low.from_minor < high.from_minor and low.needed <= high.needed for low, high in pairwise(tiers))
    if not tiers or tiers[0].from_minor != 0 or not rising or not 0 <= tiers[0].needed <= tiers[-1].needed <= MOST:
        raise TiersRefused(param="tiers")
    if mode == "live" and tiers[0].needed == 0:
        raise FourEyesRequired(param="tiers")


async def refuse_zero_tiers(tx: Tx) -> None:
    """Raise `FourEyesRequired` when any book lets something pass unapproved: a live system does not start like that."""
    row = await tx.fetchrow("select book, kind, currency from approval_tier where needed = 0 limit 1")
    if row is not None:
        raise FourEyesRequired(f"book {row['book']}: {row['kind']} in {row['currency']}")
