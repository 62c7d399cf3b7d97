"""The rows of merchant accounts and every statement on them."""

from dataclasses import dataclass
from datetime import datetime

import msgspec

from tael.base.db import Record, Tx
from tael.channels.contract import AccountState, Mode, Operation

_ALL = """
    select book, id, name, channel, mode, state, mchid, appid, base_url, config, secret_refs, qps, changed_at
    from merchant_account order by book, name
"""


@dataclass(frozen=True, slots=True)
class AccountRow:
    """A merchant account as stored: with references to its secrets, without them."""

    book: int
    id: int
    name: str
    channel: str
    mode: Mode
    state: AccountState
    mchid: str
    appid: str
    base_url: str
    config: dict[str, str]
    secret_refs: dict[str, str]
    qps: dict[Operation, int]
    changed_at: datetime


async def insert(tx: Tx, row: AccountRow) -> bool:
    """Store a new account; False when its id, name or (channel, mchid, appid) is taken in the book."""
    done = await tx.execute(
        """insert into merchant_account (book, id, name, channel, mode, state, mchid, appid, base_url, config,
               secret_refs, qps, created_at, changed_at)
           values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $13) on conflict do nothing""",
        row.book, row.id, row.name, row.channel, row.mode, row.state, row.mchid, row.appid, row.base_url,
        _json(row.config), _json(row.secret_refs), _json(row.qps), row.changed_at,
    )  # fmt: skip
    return done.endswith(" 1")


async def all_rows(tx: Tx) -> list[AccountRow]:
    """Every account of every book, in order of book and name."""
    return [_row(record) for record in await tx.fetch(_ALL)]


async def set_state(tx: Tx, *, book: int, name: str, state: AccountState, now: datetime) -> bool:
    """Pause or activate; False when there is no such account."""
    done = await tx.execute(
        "update merchant_account set state = $3, changed_at = $4 where book = $1 and name = $2",
        book, name, state, now,
    )  # fmt: skip
    return done.endswith(" 1")


def _row(record: Record) -> AccountRow:
    values = dict(record) | {name: msgspec.json.decode(record[name]) for name in ("config", "secret_refs", "qps")}
    return msgspec.convert(values, AccountRow)


def _json(value: dict[str, str] | dict[Operation, int]) -> str:
    return msgspec.json.encode(value).decode()
