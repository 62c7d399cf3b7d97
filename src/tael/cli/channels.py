"""`tael channel add | list | check | pause | activate`: merchant accounts at payment channels."""

import secrets
from typing import Annotated, Literal

from cyclopts import App, Parameter
from rich.console import Console
from rich.table import Table

from tael.base.clock import DatabaseClock
from tael.base.db import Database
from tael.base.errors import TaelError, code
from tael.channels.accounts import AccountRow, InvalidMerchantAccount, MerchantAccounts, list_accounts, set_state
from tael.channels.contract import MerchantAccount, Mode, Operation, PaymentRef, PayoutRef, TakesPayments
from tael.channels.registry import connectors
from tael.channels.transport import Transport
from tael.cli.connection import connect, leased_ids, transaction
from tael.cli.printing import print_json

app = App(name="channel", help="Merchant accounts at payment channels.")


@app.command
async def add(
    name: str,
    *,
    mchid: str,
    appid: str = "",
    channel: str = "wechat",
    mode: Mode = "test",
    base_url: str | None = None,
    book: int = 1,
    config: Annotated[dict[str, str] | None, Parameter(help="Channel settings: --config.serial_no ABC...")] = None,
    secret: Annotated[
        dict[str, str] | None, Parameter(help="Where a secret is: --secret.apiv3_key file:/run/secrets/apiv3")
    ] = None,
    qps: Annotated[dict[str, int] | None, Parameter(help="Calls per second: --qps.create 200")] = None,
) -> None:
    """Store a merchant account. Secrets are read and checked, but only their places are stored."""
    known = connectors(Transport())
    accounts = MerchantAccounts(known)
    usual = known[channel].spec.base_urls[0] if channel in known else ""
    async with connect() as db:
        clock = await DatabaseClock.synchronised(db)
        async with leased_ids(db, clock.now) as ids, db.transaction() as tx:
            row = AccountRow(
                book=book, id=ids.next(), name=name, channel=channel, mode=mode, state="active",
                mchid=mchid, appid=appid, base_url=base_url or usual, config=config or {},
                secret_refs=secret or {}, qps=_rates(qps or {}), changed_at=clock.now(),
            )  # fmt: skip
            await accounts.add(tx, row)
    Console().print(f"{name}: merchant account {row.id}")


@app.command(name="list")
async def list_(*, json: bool = False) -> None:
    """Show the stored merchant accounts; never their secrets."""
    async with connect() as db, db.transaction() as tx:
        rows = await list_accounts(tx)
    if json:
        print_json(rows)
        return
    table = Table("book", "name", "id", "channel", "mode", "state", "mchid", "appid", "address")
    for row in rows:
        table.add_row(
            str(row.book), row.name, str(row.id), row.channel, row.mode, row.state, row.mchid, row.appid, row.base_url
        )
    Console().print(table)


@app.command
async def check(name: str | None = None, *, ask: Literal["nobody", "channel"] = "channel", json: bool = False) -> None:
    """Read all secrets and ask the channel about something that does not exist: proves keys, numbers and address.

    With `--ask nobody` only the secrets are checked. Exit status 1 when anything is wrong.
    """
    transport = Transport()
    try:
        async with connect() as db:
            found = await _check(db, MerchantAccounts(connectors(transport)), name, ask)
    finally:
        transport.close()
    if json:
        print_json(found)
    else:
        for subject, verdict in found.items():
            Console().print(f"{'✓' if verdict == 'ok' else '✗'} {subject}: {verdict}")
    if any(verdict != "ok" for verdict in found.values()):
        raise SystemExit(1)


@app.command
async def pause(name: str, *, book: int = 1) -> None:
    """Open no new payments through an account; what exists is still queried, closed and notified."""
    await _set_state(book, name, "paused")


@app.command
async def activate(name: str, *, book: int = 1) -> None:
    """Use a paused account again."""
    await _set_state(book, name, "active")


def _rates(qps: dict[str, int]) -> dict[Operation, int]:
    known = {operation.value: operation for operation in Operation}
    for name in sorted(qps.keys() - known.keys()):
        raise InvalidMerchantAccount(f"there is no operation {name}", param="qps")
    return {known[name]: rate for name, rate in qps.items()}


async def _set_state(book: int, name: str, state: Literal["active", "paused"]) -> None:
    async with transaction() as (tx, now):
        await set_state(tx, book=book, name=name, state=state, now=now)


async def _check(db: Database, accounts: MerchantAccounts, name: str | None, ask: str) -> dict[str, str]:
    """A verdict per account: `ok` or what is wrong."""
    clock = await DatabaseClock.synchronised(db)
    found: dict[str, str] = {}
    async with db.transaction() as tx:
        rows = [row for row in await list_accounts(tx) if name in (None, row.name)]
    for row in rows:
        try:
            account = accounts.load(row)
        except TaelError as problem:
            found[f"{row.book}/{row.name}"] = f"{code(type(problem))}: {problem}"
        else:
            found[f"{row.book}/{row.name}"] = "ok" if ask == "nobody" else await _ask(accounts, account, clock)
    return found or {name or "merchant accounts": "there is none"}


async def _ask(accounts: MerchantAccounts, account: MerchantAccount, clock: DatabaseClock) -> str:
    connector, number = accounts.connector(account), "CHECK" + secrets.token_hex(12).upper()
    if isinstance(connector, TakesPayments):
        result = await connector.query_payment(account, PaymentRef(number), now=clock.now())
    else:
        result = await accounts.pays_out(account).query_payout(account, PayoutRef(number), now=clock.now())
    if result.value is not None:
        return "ok"
    return f"{result.outcome.value}: {result.error.code if result.error else ''}"
