"""`tael doctor`: is this installation fit to run? Each check says what is wrong and what to do."""

import sys
import time
from dataclasses import dataclass
from typing import Literal

from rich.console import Console

from tael.base.clock import DatabaseClock, milliseconds
from tael.base.db import Database
from tael.base.errors import TaelError
from tael.base.migrate import pending
from tael.base.settings import Settings, refuse_unsafe
from tael.channels import registry
from tael.channels.accounts import MerchantAccounts
from tael.channels.transport import Transport
from tael.cli.connection import connect
from tael.cli.printing import print_json

_CLOCK_TOLERANCE_MS = 2_000


@dataclass(frozen=True, slots=True)
class Check:
    """One finding."""

    name: str
    state: Literal["ok", "problem"]
    detail: str


async def doctor(*, json: bool = False) -> None:
    """Check database, schema, durability, clock, settings, merchant accounts; exit code 1 when something is wrong."""
    settings = Settings()
    async with connect() as db:
        checks = [await _schema(db), await _durability(db), await _clock(db), await _safety(settings, db)]
        checks += await _accounts(db)
    if json:
        print_json(checks)
    else:
        for check in checks:
            mark = "[green]✓[/]" if check.state == "ok" else "[red]✗[/]"
            Console().print(f"{mark} {check.name:<18} {check.detail}")
    if any(check.state == "problem" for check in checks):
        sys.exit(1)


async def _schema(db: Database) -> Check:
    missing = await pending(db)
    names = ", ".join(f"{one.number:04d}_{one.name}" for one in missing)
    return _check("schema", f"missing {names}: run `tael migrate`" if missing else "", "up to date")


async def _durability(db: Database) -> Check:
    async with db.transaction() as tx:
        off = [
            name for name in ("fsync", "synchronous_commit", "full_page_writes")
            if await tx.fetchval("select current_setting($1)", name) == "off"
        ]  # fmt: skip
        version = await tx.fetchval("show server_version")
    return _check(
        "durability", f"{', '.join(off)} is off: acknowledged money can be lost" if off else "", f"PostgreSQL {version}"
    )


async def _clock(db: Database) -> Check:
    theirs = milliseconds((await DatabaseClock.synchronised(db)).now())
    skew = theirs - time.time_ns() // 1_000_000
    wrong = f"this machine differs by {skew} ms from the database; channels refuse signatures that are off by minutes"
    return _check("clock", wrong if abs(skew) > _CLOCK_TOLERANCE_MS else "", f"differs by {skew} ms")


async def _safety(settings: Settings, db: Database) -> Check:
    try:
        await refuse_unsafe(settings, db)
    except TaelError as problem:
        return _check("settings", str(problem), "")
    return _check("settings", "", f"{settings.mode} mode")


async def _accounts(db: Database) -> list[Check]:
    if await pending(db):
        return []
    accounts = MerchantAccounts(registry.connectors(Transport()))
    refused = await accounts.refresh(db)
    good = [_check(f"channel {account.name}", "", f"{account.channel} {account.mchid}") for account in accounts]
    return good + [_check("channel", str(problem), "") for problem in refused]


def _check(name: str, problem: str, fine: str) -> Check:
    return Check(name, "problem", problem) if problem else Check(name, "ok", fine)
