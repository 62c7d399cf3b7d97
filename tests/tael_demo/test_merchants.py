"""The demo's merchant accounts: added once, found again, and moved when the simulator has moved."""

from pathlib import Path

from tael.base.clock import SteppedClock
from tael.base.db import Database
from tael.base.ids import Ids
from tael.channels.accounts import AccountRow, list_accounts
from tael.ledger import BookId, open_book
from tael.routing import Route, list_routes, put_route
from tael_demo.merchants import BANKS, banks_of, connect
from tael_sandbox import SandboxProcess

BOOK = 1


async def test_a_second_start_reuses_what_the_first_has_made(db: Database, tmp_path: Path) -> None:
    clock = SteppedClock()
    ids = await Ids.lease(db, clock.now)
    async with db.transaction() as tx:
        await open_book(tx, BookId(BOOK), name="company", now=clock.now())

    async def start(sandbox: SandboxProcess) -> tuple[dict[str, int], list[AccountRow], list[Route]]:
        members = await banks_of(sandbox)
        async with db.transaction() as tx:
            made = await connect(tx, sandbox, members, book=BOOK, ids=ids, now=clock.now())
            return made, await list_accounts(tx), await list_routes(tx, book=BOOK)

    async with SandboxProcess.start(tmp_path / "sandbox") as sandbox:
        first, accounts, routes = await start(sandbox)
        assert list(first) == ["wechat", "alipay", *BANKS]
        assert {row.base_url for row in accounts} == {sandbox.base_url}
        assert [(route.label, route.priority) for route in routes] == [("bank-a", 1), ("bank-b", 2)]
        changed = Route(BOOK, "payout", first["bank-a"], "CNY", "bill99", "bank-a", 7, daily_limit=5)
        async with db.transaction() as tx:
            await put_route(tx, changed, now=clock.now())
    async with SandboxProcess.start(tmp_path / "sandbox") as moved:
        again, accounts, routes = await start(moved)
        assert again == first
        assert {row.base_url for row in accounts} == {moved.base_url}
        assert len(accounts) == 4
        assert [(route.label, route.daily_limit) for route in routes] == [("bank-b", None), ("bank-a", 5)]
