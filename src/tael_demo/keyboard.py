"""Single keys, heard while the demo goes on. Only on a terminal in the foreground, which is as it was afterwards."""

import asyncio
import contextlib
import os
import sys
import termios
import tty
from collections.abc import Generator


@contextlib.contextmanager
def listening() -> "Generator[asyncio.Queue[str] | None]":
    """The keys that are pressed while the block runs; None where nobody can press one."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()) or os.tcgetpgrp(sys.stdin.fileno()) != os.getpgrp():
        yield None
        return
    terminal, loop = sys.stdin.fileno(), asyncio.get_running_loop()
    pressed: asyncio.Queue[str] = asyncio.Queue()

    def hear() -> None:
        key = os.read(terminal, 1)
        if key:
            pressed.put_nowait(key.decode(errors="replace"))
        else:  # the terminal is gone
            loop.remove_reader(terminal)

    before = termios.tcgetattr(terminal)
    loop.add_reader(terminal, hear)
    tty.setcbreak(terminal)  # a key counts without Enter; Ctrl-C stays what it is
    try:
        yield pressed
    finally:
        loop.remove_reader(terminal)
        termios.tcsetattr(terminal, termios.TCSADRAIN, before)
