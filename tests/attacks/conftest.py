"""One arena for the whole table: a refused case changes nothing, so the next one finds it as it was."""

import os
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest

from attacks.arena import Arena, open_arena
from flows.conftest import Shop, open_shop


@pytest.fixture(scope="session")
async def arena(server_dsn: str, template: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Arena]:
    """The arena, on a database of its own."""
    name = f"tael_arena_{os.getpid()}"
    await _run(server_dsn, f"create database {name} template {template} strategy file_copy")
    head, _, query = server_dsn.partition("?")
    dsn = f"{head.rsplit('/', 1)[0]}/{name}" + (f"?{query}" if query else "")
    async with open_arena(dsn, tmp_path_factory.mktemp("arena")) as opened:
        await opened.changes()
        yield opened
    await _run(server_dsn, f"drop database {name} with (force)")


async def _run(dsn: str, sql: str) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(sql)
    finally:
        await connection.close()


@pytest.fixture
async def shop(dsn: str, tmp_path: Path) -> AsyncIterator[Shop]:
    """A shop of a test's own, which may change it. The guard against double submission is off: keys are tried here."""
    async with open_shop(dsn, tmp_path, submission_guard_s=0) as opened:
        yield opened
