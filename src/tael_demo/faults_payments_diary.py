"""What the customers of a payments fault run are told: every 2xx, synced to disk before its customer goes on."""

import asyncio
import os
from dataclasses import dataclass, field
from pathlib import Path

import msgspec


class SeenAttempt(msgspec.Struct):
    """An attempt as the API shows it."""

    attempt_no: str
    state: str
    channel: str
    handoff: dict[str, object] | None = None


class Seen(msgspec.Struct):
    """An order as the API shows it: a payment, a withdrawal, a refund or a transfer."""

    state: str
    amount: int
    order_no: str = ""
    refund_no: str = ""
    attempts: list[SeenAttempt] = []

    @property
    def number(self) -> str:
        """Its order number."""
        return self.order_no or self.refund_no


@dataclass(frozen=True, slots=True)
class Ask:
    """A request with a key, always the same bytes. `repeats`: until there is an answer; `refusable`: a no is one."""

    path: str
    key: str
    body: bytes
    repeats: bool = True
    refusable: bool = False


@dataclass(frozen=True, slots=True)
class Told:
    """A 2xx that a customer has seen."""

    ask: Ask
    status: int
    body: bytes

    @property
    def seen(self) -> Seen:
        """What it said."""
        return msgspec.json.decode(self.body, type=Seen)


@dataclass(slots=True)
class Diary:
    """The witness. `told` by key; `decided`: which decisions about an order were acknowledged; `strange`: answers that
    nobody should get."""

    path: Path
    told: dict[str, Told] = field(default_factory=dict[str, Told])
    decided: dict[str, set[str]] = field(default_factory=dict[str, set[str]])
    strange: list[str] = field(default_factory=list[str])
    refused: int = 0
    written: asyncio.Event = field(default_factory=asyncio.Event)

    async def until(self, keys: int) -> None:
        """Wait until so many keys are answered."""
        while len(self.told) < keys:
            self.written.clear()
            await self.written.wait()

    def write(self, told: Told) -> None:
        """Note a 2xx; another one for the same key must have said the same."""
        self._keep({"key": told.ask.key, "status": told.status, "body": told.body.decode()})
        first = self.told.setdefault(told.ask.key, told)
        if (first.status, first.body) != (told.status, told.body):
            self.strange.append(f"{told.ask.key}: two answers\n  {first.body.decode()}\n  {told.body.decode()}")
        self.written.set()

    def decide(self, order_no: str, decision: str) -> None:
        """Note a decision about an order that was acknowledged."""
        self._keep({"order": order_no, "decision": decision})
        self.decided.setdefault(order_no, set()).add(decision)

    def _keep(self, said: dict[str, object]) -> None:
        with self.path.open("ab") as file:
            file.write(msgspec.json.encode(said) + b"\n")
            file.flush()
            os.fsync(file.fileno())
