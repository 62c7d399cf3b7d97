"""`tael ledger ...` on a real database: what it prints and how it exits."""

import asyncio
import json
import os
import sys
from types import SimpleNamespace

import pytest

from tael.base.db import Database

from .conftest import BOOK, START, on_postgres
from .story import ALICE, tell

MAIN = "import sys; from tael.cli.ledger import app; app(sys.argv[1:])"


@pytest.fixture
async def told(db: Database) -> SimpleNamespace:
    engine = on_postgres(db)
    async with db.transaction() as tx:
        await engine.open_book(tx, BOOK, name="test", now=START)
    await tell(engine)
    return engine


async def tael(dsn: str, *arguments: str) -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", MAIN, *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        env={**os.environ, "TAEL_DATABASE_URL": dsn, "COLUMNS": "200"},
    )  # fmt: skip
    output, _ = await process.communicate()
    return process.returncode or 0, output.decode()


async def test_looking(told: SimpleNamespace, dsn: str) -> None:
    exit_code, output = await tael(dsn, "verify", "--json")
    assert (exit_code, json.loads(output)["ok"]) == (0, True)
    exit_code, output = await tael(dsn, "balance", str(ALICE), "--json")
    (found,) = json.loads(output)
    assert (exit_code, found["total"], found["available"]) == (0, 6_599, 6_099)
    exit_code, output = await tael(dsn, "statement", str(ALICE), "--limit", "2", "--json")
    assert [(entry["seq"], entry["opening"], entry["closing"]["seq"]) for entry in json.loads(output)] == [
        (9, 6_600, 9), (8, 6_600, 8),
    ]  # fmt: skip
    for command in (["verify"], ["balances"], ["statement", str(ALICE)], ["holds", str(ALICE)]):
        exit_code, output = await tael(dsn, *command)
        assert exit_code == 0
        assert output


async def test_posting_by_hand_is_idempotent(told: SimpleNamespace, dsn: str) -> None:
    command = ["post", "post", "k1", "--debit", "101", "--credit", "102", "--amount", "5", "--currency", "CNY"]
    found = [json.loads((await tael(dsn, *command, "--code", "1", "--json"))[1]) for _ in range(2)]
    assert [one["outcome"] for one in found] == ["posted", "exists"]
    assert found[0]["pos"] == found[1]["pos"]
    exit_code, output = await tael(dsn, "post", "reverse", "k2", "--reference", "k1", "--json")
    assert (exit_code, json.loads(output)["amount"]) == (0, 5)


async def test_a_broken_book_exits_with_one(told: SimpleNamespace, db: Database, dsn: str) -> None:
    async with db.transaction() as tx:
        await tx.execute("set local session_replication_role = replica")
        await tx.execute("update posting set code = 9 where pos = 3")
    exit_code, output = await tael(dsn, "verify")
    assert exit_code == 1
    assert "posting 3 differs from its checksum" in output
