"""A fresh sandbox for each test, a merchant's server that calls it, and an ear for its notices."""

from collections.abc import AsyncIterator
from pathlib import Path
from shutil import copytree

import pytest
from tael_sandbox_alipay import Door, Store
from tael_sandbox_shop import NOON_MS, Ear, Shop

from tael_sandbox import NewMerchant, Sandbox


@pytest.fixture(scope="session")
async def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with one merchant with both kinds of platform key: making keys is slow, copying them is not."""
    folder = tmp_path_factory.mktemp("sandbox") / "prepared"
    async with Sandbox.start(folder, seed="tests", merchant=NewMerchant(mode="both")):
        return folder


@pytest.fixture
async def sim(tmp_path: Path, prepared: Path) -> AsyncIterator[Sandbox]:
    """A fresh sandbox with the prepared merchant; its clock stands still."""
    copytree(prepared, tmp_path / "sim")
    async with Sandbox.start(tmp_path / "sim") as sandbox:
        await sandbox.set_clock(mode="manual", now_ms=NOON_MS)
        yield sandbox


@pytest.fixture
async def shop(sim: Sandbox) -> AsyncIterator[Shop]:
    """The merchant's server, on the sandbox's clock."""
    caller = Shop(sim.merchant, now=NOON_MS // 1000)
    async with caller.http:
        yield caller


@pytest.fixture
async def ear() -> AsyncIterator[Ear]:
    """A notice endpoint."""
    async with Ear.listening() as listening:
        yield listening


@pytest.fixture
async def store(sim: Sandbox) -> AsyncIterator[Store]:
    """The server of Alipay's first merchant."""
    caller = Store(sim.alipay.merchant)
    async with caller.http:
        yield caller


@pytest.fixture
async def door() -> AsyncIterator[Door]:
    """A notice endpoint that answers as Alipay wants."""
    async with Door.listening() as opened:
        yield opened
