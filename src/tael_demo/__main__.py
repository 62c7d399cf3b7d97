"""`python -m tael_demo`: set the stage, play the story, keep everything running for whoever wants to look."""

import asyncio
import contextlib
import shutil
import signal
import sys
import time
from pathlib import Path
from typing import Annotated

import cyclopts
import uvloop
from cyclopts import Parameter
from rich.console import Console

from tael import __version__
from tael.base import logs
from tael.base.errors import TaelError
from tael_demo.company import Company, Unexpected
from tael_demo.keyboard import listening
from tael_demo.play import Broken, Play
from tael_demo.stage import Stage, alone, stage
from tael_demo.story import Story

app = cyclopts.App(name="demo", help="Tael with simulated channels. No real money moves.")


@app.default
def demo(
    *,
    once: Annotated[bool, Parameter(negative=())] = False,
    quiet: Annotated[bool, Parameter(negative=())] = False,
    reset: Annotated[bool, Parameter(negative=())] = False,
    home: Path = Path(".tael/demo"),
) -> None:
    """Play the story, then run until Ctrl-C.

    Parameters
    ----------
    once: end after the story; exit code 0 when every assertion held, 1 otherwise
    quiet: start everything and skip the story
    reset: forget the data of earlier runs first
    home: where the data is kept
    """
    logs.configure(json=False)
    if reset:
        shutil.rmtree(home, ignore_errors=True)
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    sys.exit(uvloop.run(_run(home, home.resolve(), once=once, quiet=quiet)))


async def _run(named: Path, home: Path, *, once: bool, quiet: bool) -> int:
    out, started = Console(soft_wrap=True), time.monotonic()
    over = asyncio.Event()
    for which in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(which, over.set)
    try:
        async with alone(home), stage(home) as set_up:
            out.print(f"[bold]Tael {__version__}[/] · demo (SANDBOX, no real money)   data {named}")
            out.print(f"  PostgreSQL {set_up.postgres}   API {set_up.server.url}   simulator {set_up.sandbox.base_url}")
            out.print(f"  ready after {time.monotonic() - started:.1f} s", highlight=False)
            if not quiet and not await _told(set_up, out, over, once=once):
                return 130
            if not once:
                await _stay(out, over, set_up)
    except (Broken, Unexpected, TaelError, RuntimeError) as problem:
        out.print(f"\n[red]✗ {type(problem).__name__}: {problem}[/]", highlight=False)
        return 1
    return 0


async def _told(set_up: Stage, out: Console, over: asyncio.Event, *, once: bool) -> bool:
    """Tell the story to its end; False when somebody ended it before. Raises `Broken`."""
    play = Play(set_up, Company(set_up.http, set_up.checker), out, run=int(time.time()))
    with contextlib.nullcontext() if once else listening() as pressed:
        telling = asyncio.create_task(Story(play, pressed).tell())
        await asyncio.wait({telling, ending := asyncio.create_task(over.wait())}, return_when="FIRST_COMPLETED")
        ending.cancel()
        if not telling.done():
            telling.cancel()
            await asyncio.wait({telling})
            return False
        telling.result()
    out.print(f"\n[green]{play.checks} assertions held.[/]")
    return True


async def _stay(out: Console, over: asyncio.Event, set_up: Stage) -> None:
    out.print("\nIt keeps running. Ctrl-C ends all of it; the data stays.")
    api, cashier = set_up.server.url, set_up.sandbox.base_url
    for name, url in (
        ("Status page", set_up.console_url),
        ("Withdrawals", set_up.to_decide("withdrawals")),
        ("API docs", f"{api}/docs"),
        ("Metrics", f"{api}/metrics"),
        ("Cashier", f"{cashier}/"),
    ):
        out.print(f"  {name:<12} {url}", soft_wrap=True, highlight=False)
    await over.wait()
    out.print("Stopping ...")


if __name__ == "__main__":
    app()
