"""Merchant accounts: stored without secrets, loaded once with parsed keys, and reloaded when their row changes.

    add -> active <-> paused       (never deleted: payments made through an account refer to it for ever)

A row that did not change keeps its loaded account, and with it the platform's keys that were downloaded meanwhile.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from typing import TypeVar

from tael.base.db import Database, Tx
from tael.base.errors import TaelError
from tael.channels import store
from tael.channels.contract import (
    AccountState,
    Connector,
    MakesRefunds,
    MerchantAccount,
    Operation,
    PaysOut,
    ServesBills,
    TakesPayments,
)
from tael.channels.secrets import check_references, read_secrets
from tael.channels.store import AccountRow
from tael.channels.transport import check_address

__all__ = ["AccountRow", "MerchantAccounts"]

C = TypeVar("C")


class UnknownChannel(TaelError):
    """There is no such payment channel.
    zh: 没有该支付渠道。
    """

    status = 422


class MerchantAccountNotFound(TaelError):
    """There is no such merchant account.
    zh: 商户号不存在。
    """

    status = 404


class MerchantAccountExists(TaelError):
    """The book already has a merchant account with this name, or with this number and app id at the channel.
    zh: 该账簿中已存在同名或相同商户号与 appid 的商户账户。
    """

    status = 409


class InvalidMerchantAccount(TaelError):
    """The merchant account cannot be stored as it stands.
    zh: 商户账户信息无效。
    """

    status = 422


class OperationNotSupported(TaelError):
    """This channel cannot do that.
    zh: 该渠道不支持此操作。
    """

    status = 422


class MerchantAccounts:
    """The loaded merchant accounts of one process. Fill with `refresh`, then `get` without a query."""

    def __init__(self, connectors: Mapping[str, Connector]) -> None:
        self._connectors = connectors
        self._takes_payments = {name: one for name, one in connectors.items() if isinstance(one, TakesPayments)}
        self._makes_refunds = {name: one for name, one in connectors.items() if isinstance(one, MakesRefunds)}
        self._pays_out = {name: one for name, one in connectors.items() if isinstance(one, PaysOut)}
        self._serves_bills = {name: one for name, one in connectors.items() if isinstance(one, ServesBills)}
        self._loaded: dict[tuple[int, int], tuple[AccountRow, MerchantAccount]] = {}

    def __iter__(self) -> Iterator[MerchantAccount]:
        return iter([account for _, account in self._loaded.values()])

    def get(self, *, book: int, id: int) -> MerchantAccount:
        """A loaded account, active or paused. Raises `MerchantAccountNotFound`."""
        found = self._loaded.get((book, id))
        if found is None:
            raise MerchantAccountNotFound(f"{id}")
        return found[1]

    def connector(self, account: MerchantAccount) -> Connector:
        """The connector that speaks for an account."""
        return self._connectors[account.channel]

    def takes_payments(self, account: MerchantAccount) -> TakesPayments:
        """The connector of an account that is to take a payment. Raises `OperationNotSupported`."""
        return _able(self._takes_payments, account.channel)

    def makes_refunds(self, account: MerchantAccount) -> MakesRefunds:
        """The connector of an account that is to refund. Raises `OperationNotSupported`."""
        return _able(self._makes_refunds, account.channel)

    def pays_out(self, account: MerchantAccount) -> PaysOut:
        """The connector of an account that is to pay out. Raises `OperationNotSupported`."""
        return _able(self._pays_out, account.channel)

    def serves_bills(self, account: MerchantAccount) -> ServesBills:
        """The connector of an account whose bills are wanted. Raises `OperationNotSupported`."""
        return _able(self._serves_bills, account.channel)

    async def refresh(self, db: Database) -> list[TaelError]:
        """Load what is new or changed; answers one refusal per account that cannot be used.

        At start-up a refusal is a reason not to start. Later the last good state of the account stays in use.
        """
        async with db.transaction() as tx:
            rows = await store.all_rows(tx)
        refused: list[TaelError] = []
        for row in rows:
            known = self._loaded.get((row.book, row.id))
            if known is not None and known[0] == row:
                continue
            try:
                self._loaded[row.book, row.id] = (row, _with_keys_of(known, row) or self.load(row))
            except TaelError as problem:
                refused.append(type(problem)(f"merchant account {row.name}: {problem}", param=problem.param))
        return refused

    async def add(self, tx: Tx, row: AccountRow) -> None:
        """Store a new account after checking all of it, secrets included.

        Raises `UnknownChannel`, `InvalidMerchantAccount`, `AddressNotAllowed`, `BadCredentials`,
        `MerchantAccountExists`.
        """
        self.load(row)
        if not await store.insert(tx, row):
            raise MerchantAccountExists(row.name)

    def load(self, row: AccountRow) -> MerchantAccount:
        """Read and parse the secrets of an account: a lint of everything but the channel's opinion."""
        connector = self._connectors.get(row.channel)
        if connector is None:
            raise UnknownChannel(row.channel, param="channel")
        _check(row)
        check_address(row.base_url, mode=row.mode, spec=connector.spec)
        check_references(row.secret_refs, connector.spec)
        keys = connector.load_keys(read_secrets(row.secret_refs, connector.spec), row.config)
        return MerchantAccount(
            book=row.book,
            id=row.id,
            name=row.name,
            channel=row.channel,
            mode=row.mode,
            state=row.state,
            mchid=row.mchid,
            appid=row.appid,
            base_url=row.base_url,
            config=row.config,
            qps=row.qps,
            keys=keys,
        )


async def list_accounts(tx: Tx) -> list[AccountRow]:
    """Every stored account, in order of book and name."""
    return await store.all_rows(tx)


async def set_state(tx: Tx, *, book: int, name: str, state: AccountState, now: datetime) -> None:
    """Pause an account (it opens no new payments) or activate it. Raises `MerchantAccountNotFound`."""
    if not await store.set_state(tx, book=book, name=name, state=state, now=now):
        raise MerchantAccountNotFound(name)


def _able(connectors: Mapping[str, C], channel: str) -> C:
    found = connectors.get(channel)
    if found is None:
        raise OperationNotSupported(channel, param="channel")
    return found


def _with_keys_of(known: tuple[AccountRow, MerchantAccount] | None, row: AccountRow) -> MerchantAccount | None:
    """The loaded account under its new row when only its state or limits changed; None when it must be loaded."""
    if known is None or replace(known[0], state=row.state, qps=row.qps, changed_at=row.changed_at) != row:
        return None
    return replace(known[1], state=row.state, qps=row.qps)


def _check(row: AccountRow) -> None:
    if not re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,62}", row.name):
        raise InvalidMerchantAccount("name must be lower-case letters, digits, - and _", param="name")
    for field, text in (("mchid", row.mchid), ("appid", row.appid or "none")):
        if not text.isascii() or not text.isalnum() or len(text) > 32:
            raise InvalidMerchantAccount(f"{field} must be letters and digits", param=field)
    for operation, rate in row.qps.items():
        if operation not in set(Operation) or not 1 <= rate <= 100_000:
            raise InvalidMerchantAccount("calls per second must be between 1 and 100,000", param="qps")
