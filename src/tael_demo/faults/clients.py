"""The clients of a fault run: they ask any server, bear with broken lines, and keep a diary of what they were told.

A client never counts on a single process: whoever answers may die in the middle of the answer. So every 2xx is written
down and synced to disk before its customer goes on, and a request that is repeated with its key must get it again.
"""

import asyncio
import contextlib
import os
import random
import time
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic, TypeVar

import httpx2
import msgspec

from tael_demo.faults.stage import FaultStage

PATIENCE_S = 60
PAUSE_S = 0.05
ENDED = frozenset({"paid", "closed", "failed", "invalid"})
_Seen = TypeVar("_Seen")


class Impatient(Exception):
    """Something did not come to its end within a minute."""


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """A 2xx that a customer has seen, and the key of the request."""

    key: str
    status: int
    body: bytes


_Told = TypeVar("_Told", bound=Acknowledged)


@dataclass(slots=True)
class Diary(Generic[_Told]):
    """Every 2xx by the key of its request, synced to disk; `strange`: answers that nobody should get."""

    path: Path
    told: dict[str, _Told] = field(default_factory=dict[str, _Told])
    strange: list[str] = field(default_factory=list[str])
    written: asyncio.Event = field(default_factory=asyncio.Event)

    async def until(self, keys: int) -> None:
        """Wait until so many keys are answered."""
        while len(self.told) < keys:
            self.written.clear()
            await self.written.wait()

    def write(self, told: _Told) -> None:
        """Note a 2xx; another one for the same key must have said the same."""
        self.keep({"key": told.key, "status": told.status, "body": told.body.decode()})
        first = self.told.setdefault(told.key, told)
        if (first.status, first.body) != (told.status, told.body):
            self.strange.append(f"{told.key}: two answers\n  {first.body.decode()}\n  {told.body.decode()}")
        self.written.set()

    def keep(self, said: dict[str, object]) -> None:
        """Write a line, synced to disk."""
        with self.path.open("ab") as file:
            file.write(msgspec.json.encode(said) + b"\n")
            file.flush()
            os.fsync(file.fileno())


@dataclass(slots=True, kw_only=True)
class Clients:
    """Clients of all servers of a stage; `chance` decides which server is asked. `strange` is the diary's."""

    stage: FaultStage
    chance: random.Random
    clients: list[httpx2.AsyncClient]
    strange: list[str]

    async def send(
        self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> httpx2.Response | None:
        """One request to any server; None when the line broke, a 500 is noted as strange."""
        client = self.chance.choice(self.clients)
        kind = {"content-type": "application/json"} if body else {}
        try:
            answer = await client.request(method, path, content=body, headers={**kind, **(headers or {})})
        except httpx2.TransportError:
            return None
        if answer.status_code >= 500 and answer.status_code != 503:
            self.strange.append(f"{method} {path}: {answer.status_code} {answer.text}")
        return answer

    async def see(self, path: str, kind: type[_Seen]) -> _Seen | None:
        """What is at `path` now; None while nobody answers."""
        answer = await self.send("GET", path)
        if answer is None or answer.status_code != 200:
            return None
        return msgspec.json.decode(answer.content, type=kind)

    async def wait(self, path: str, kind: type[_Seen], holds: Callable[[_Seen], bool]) -> _Seen:
        """What is at `path`, as soon as it is as wanted. Raises `Impatient`."""
        until = time.monotonic() + PATIENCE_S
        while time.monotonic() < until:
            seen = await self.see(path, kind)
            if seen is not None and holds(seen):
                return seen
            await asyncio.sleep(2 * PAUSE_S)
        raise Impatient(f"{path} does not move on")


@contextlib.asynccontextmanager
async def clients_of(stage: FaultStage) -> AsyncGenerator[list[httpx2.AsyncClient]]:
    """A client of each server, in order."""
    async with contextlib.AsyncExitStack() as stack:
        yield [await stack.enter_async_context(stage.client(number)) for number in range(len(stage.servers))]
