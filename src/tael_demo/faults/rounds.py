"""The command of a fault run: plays its rounds, says what each one found, and shows them all at the end."""

import asyncio
import logging
import random
import sys
import tempfile
from collections.abc import AsyncGenerator, Callable, Generator, Mapping, Sequence
from contextlib import aclosing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import msgspec
from rich.console import Console
from rich.table import Table

from tael_demo.faults.verdict import Findings


@dataclass(frozen=True, slots=True)
class Round:
    """What a round did and what was found. Kills, acknowledgements and what was `done` are counted since the start."""

    number: int
    kills: int
    how: str
    acknowledged: int
    done: Mapping[str, int]
    findings: Findings

    @property
    def ok(self) -> bool:
        """Nothing is wrong, and there was something to go wrong."""
        return not self.findings.all and min(self.acknowledged, self.kills) > 0

    @property
    def row(self) -> dict[str, int | str]:
        """Its figures, in the order in which they are shown."""
        found = self.findings
        return {
            "number": self.number, "kills": self.kills, "how": self.how, "acknowledged": self.acknowledged,
            **self.done, "lost": len(found.lost), "doubled": len(found.doubled), "unexplained": len(found.unexplained),
        }  # fmt: skip


def command(
    play: Callable[[Path, int], AsyncGenerator[Round]], *, rounds: int, seed: int | None, as_json: bool
) -> NoReturn:
    """Play and end the process; exit code 1 when a round was wrong or missing. `play` takes a folder, which every user
    may pass through, and the seed."""
    chosen = seed if seed is not None else random.SystemRandom().randrange(10**6)
    logging.getLogger("asyncpg").setLevel(logging.CRITICAL)  # that PostgreSQL is away now and then is the purpose
    out = Console(stderr=True)
    out.print(f"seed {chosen}")
    with _folder() as folder:
        done = asyncio.run(_collect(play(folder, chosen), out))
    if as_json:
        sys.stdout.write(msgspec.json.encode({"seed": chosen, "rounds": [one.row for one in done]}).decode() + "\n")
    elif done:
        _show(done)
    sys.exit(0 if len(done) == rounds and all(one.ok for one in done) else 1)


@contextmanager
def _folder() -> Generator[Path]:
    with tempfile.TemporaryDirectory(prefix="tael-faults-") as name:
        Path(name).chmod(0o711)
        yield Path(name)


async def _collect(played: AsyncGenerator[Round], out: Console) -> list[Round]:
    done: list[Round] = []
    async with aclosing(played):
        async for one in played:
            done.append(one)
            out.print(f"round {one.number}: {one.how}: {'ok' if one.ok else 'WRONG'}", highlight=False)
            for line in one.findings.all:
                out.print(f"  {line}", style="red", markup=False, highlight=False)
    return done


def _show(rounds: Sequence[Round]) -> None:
    names = [name for name in rounds[-1].row if name != "how"]
    table = Table("round", *(name.replace("_", " ") for name in names[1:]))
    for one in rounds:
        table.add_row(*(str(one.row[name]) for name in names), style="" if one.ok else "red")
    Console().print(table)
    last, found = rounds[-1], [one.findings for one in rounds]
    Console().print(
        f"kills={last.kills} acknowledged={last.acknowledged} lost={sum(len(one.lost) for one in found)} "
        f"doubled={sum(len(one.doubled) for one in found)} unexplained={sum(len(one.unexplained) for one in found)}",
        highlight=False,
    )
