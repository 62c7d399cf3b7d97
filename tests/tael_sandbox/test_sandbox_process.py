"""The sandbox as a program of its own: what it prints, and how it ends."""

import asyncio
import signal
import sys
from pathlib import Path
from shutil import copytree

import pytest

from tael_sandbox import SandboxProcess


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
async def test_it_says_where_it_is_and_ends_when_told(tmp_path: Path, prepared: Path, how: signal.Signals) -> None:
    copytree(prepared, tmp_path / "sim")
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tael_sandbox", "--data", str(tmp_path / "sim")), stdout=asyncio.subprocess.PIPE
    )
    first = (await process.stdout.readline()).decode().split()
    assert (first[0], first[1][:17]) == ("Sandbox", "http://127.0.0.1:")
    process.send_signal(how)
    rest, _ = await process.communicate()
    assert process.returncode == 0
    assert b"merchants" in rest


async def test_a_process_keeps_its_port_and_merchant_over_a_kill(tmp_path: Path, prepared: Path) -> None:
    copytree(prepared, tmp_path / "sim")
    async with SandboxProcess.start(tmp_path / "sim") as sim:
        merchant, pid = sim.merchant, sim.pid
        await sim.kill()
        await sim.restart()
        assert (sim.merchant, sim.pid != pid) == (merchant, True)
        assert await sim.orders() == []


async def test_a_taken_port_is_an_error(tmp_path: Path, prepared: Path) -> None:
    copytree(prepared, tmp_path / "one")
    copytree(prepared, tmp_path / "two")
    async with SandboxProcess.start(tmp_path / "one") as sim:
        with pytest.raises(RuntimeError, match="did not start"):
            async with SandboxProcess.start(tmp_path / "two", port=sim.port):
                pass
