"""`tael route ...` against a real database."""

import json
from collections.abc import Awaitable, Callable

import pytest

from tael.base.db import Database
from tael.channels.accounts import MerchantAccountNotFound
from tael.cli.routing import app
from tael.routing import InvalidRoute, RouteNotFound

from .conftest import BOOK, NOON, A, reserve_now, wanted, went

ACCOUNTS = """
    insert into merchant_account (book, id, name, channel, mode, state, mchid, base_url, secret_refs, created_at,
        changed_at)
    values ($1, $2, $3, $4, 'test', 'active', $3, 'http://127.0.0.1:9', '{}', $5, $5)
"""
Run = Callable[..., Awaitable[str]]


@pytest.fixture
async def run(dsn: str, db: Database, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command; answers what it prints."""
    monkeypatch.setenv("TAEL_DATABASE_URL", dsn)
    monkeypatch.setenv("COLUMNS", "200")
    async with db.transaction() as tx:
        for book, id, name, channel in (
            (1, A, "north", "wechat"),
            (1, 12, "south", "alipay"),
            (2, 13, "far", "wechat"),
        ):
            await tx.execute(ACCOUNTS, book, id, name, channel, NOON)

    async def run(line: str) -> str:
        capsys.readouterr()
        await app.run_async(line.split(), result_action="return_value")
        return capsys.readouterr().out

    return run


async def listed(run: Run) -> list[dict[str, object]]:
    return json.loads(await run("list --json"))


async def test_set_keeps_what_is_not_named(run: Run) -> None:
    assert "payout in CNY, priority 10, day 1.00" in await run("set north --priority 10 --daily-limit 100")
    assert "priority 10, day 1.00, month 5.00, 3 a day and payee" in await run(
        "set north --monthly-limit 500 --payee-daily-count 3"
    )
    assert "priority 20, month 5.00, 3 a day" in await run("set north --daily-limit 0 --priority 20")
    (route,) = await listed(run)
    assert (route["label"], route["channel"], route["merchant_account"]) == ("north", "wechat", A)
    assert (route["daily_limit"], route["monthly_limit"], route["payee_daily_count"]) == (None, 500, 3)
    assert json.loads(await run("set south --operation payment --currency USD --json"))["priority"] == 100
    assert len(await listed(run)) == 2
    with pytest.raises(MerchantAccountNotFound):
        await run("set far")
    with pytest.raises(InvalidRoute):
        await run("set north --single-min 5 --single-max 4")


async def test_pause_and_resume(run: Run, db: Database) -> None:
    await run("set north")
    await run("pause north")
    assert (await listed(run))[0]["state"] == "paused"
    assert went(await reserve_now(db, wanted())) == ["no_routes"]
    assert "is active" in await run("resume north")
    assert went(await reserve_now(db, wanted())) == [A]
    with pytest.raises(RouteNotFound):
        await run("pause south")


async def test_list_and_explain(run: Run, db: Database) -> None:
    await run("set north --priority 1 --daily-limit 15000 --payee-daily-count 2")
    await run("set south --priority 2 --single-min 100 --single-max 20000")
    async with db.transaction() as tx:
        now = await tx.fetchval("select now()")
    await reserve_now(db, wanted(10_000), now=now)
    shown = await run("list")
    assert "0.00 + 100.00 of 150.00" in shown
    assert "1.00 to 200.00" in shown

    shown = await run("explain 6000 --payee x")
    assert "payout of 60.00 CNY" in shown
    lines = [line.split("│") for line in shown.splitlines() if "north" in line or "south" in line]
    assert [(line[1].strip(), line[5].strip()) for line in lines] == [("", "daily limit"), ("→", "chosen")]
    assert "0 of 2 times" in shown
    first, second = json.loads(await run("explain 5000 --json"))
    assert (first["verdict"], first["quotas"][0]["remaining"], second["verdict"]) == ("chosen", 5_000, "available")
    with pytest.raises(SystemExit):
        await run("explain 6000 --only north")
    with pytest.raises(SystemExit):
        await run("explain 6000 --channel wechat --exclude south --json")
    with pytest.raises(MerchantAccountNotFound):
        await run("explain 1 --only far")
    async with db.transaction() as tx:
        assert await tx.fetchval("select count(*) from route_hold where book = $1", BOOK) == 1
