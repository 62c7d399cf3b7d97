"""The demo from start to end, as a person sees it: on a terminal, with a key pressed and Ctrl-C in the end."""

import asyncio
import sys
from pathlib import Path

import pytest

from tael_demo.keyboard import listening

# Runs a command on a terminal of its own; what comes in on the pipe is typed there.
_ON_A_TERMINAL = "import os, pty, sys; sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))"
CTRL_C = b"\x03"


class Terminal:
    """The demo on a terminal."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.seen = ""

    @classmethod
    async def open(cls, home: Path) -> "Terminal":
        """Start it in `home`."""
        return cls(
            await asyncio.create_subprocess_exec(
                sys.executable, "-c", _ON_A_TERMINAL, sys.executable, "-m", "tael_demo", "--home", str(home),
                stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
            )
        )  # fmt: skip

    async def until(self, text: str) -> None:
        """Read until this is said; fails when the demo ends before."""
        assert self._process.stdout is not None
        while text not in self.seen:
            more = await self._process.stdout.read(65536)
            assert more, self.seen
            self.seen += more.decode(errors="replace")

    def press(self, keys: bytes) -> None:
        """Press keys."""
        assert self._process.stdin is not None
        self._process.stdin.write(keys)

    async def end(self) -> int:
        """Read what is still said; answers the exit code."""
        said, _ = await self._process.communicate()
        self.seen += said.decode(errors="replace")
        assert self._process.returncode is not None
        return self._process.returncode


@pytest.mark.slow
async def test_the_story_is_played_and_nothing_is_left_running(tmp_path: Path) -> None:
    home = tmp_path / "demo"
    terminal = await Terminal.open(home)
    await terminal.until("to approve here")
    assert "approve in the console: http://127.0.0.1" in terminal.seen
    terminal.press(b"xa")
    await terminal.until("It keeps running")
    assert "assertions held" in terminal.seen
    assert "approved by li" in terminal.seen
    assert _running(home)
    terminal.press(CTRL_C)
    assert await terminal.end() == 0
    assert "✗" not in terminal.seen
    assert _running(home) == []


@pytest.mark.slow
async def test_ctrl_c_while_it_waits_for_a_person(tmp_path: Path) -> None:
    home = tmp_path / "demo"
    terminal = await Terminal.open(home)
    await terminal.until("to approve here")
    terminal.press(CTRL_C)
    assert await terminal.end() == 130
    assert _running(home) == []


def test_nobody_can_press_a_key_where_there_is_no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    with Path("/dev/null").open() as nothing:
        monkeypatch.setattr(sys, "stdin", nothing)
        with listening() as pressed:
            assert pressed is None


def _running(home: Path) -> list[str]:
    """The processes that were told of this folder, as an argument or in their environment."""
    found: list[str] = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            said = (process / "cmdline").read_bytes() + (process / "environ").read_bytes()
        except OSError:
            continue
        if str(home).encode() in said:
            found.append(process.name)
    return found
