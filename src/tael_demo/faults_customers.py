"""Customers of a fault run: patient clients that keep a diary of what they were told.

    ask, with one key, until a 2xx comes -> written down and synced -> pay at the channel, or close the order
    give up at the first broken line     -> somebody else has to finish what was begun

A customer never counts on a single process: whoever answers may die in the middle of the answer.
"""

import asyncio
import contextlib
import os
import random
import time
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass, field
from pathlib import Path

import httpx2
import msgspec

from tael_demo.faults_stage import FaultStage
from tael_sandbox.remote import Refused

PATIENCE_S = 60
_PAUSE_S = 0.05
ENDED = frozenset({"paid", "closed", "failed", "invalid"})


class Impatient(Exception):
    """Something did not come to its end within a minute."""


class Attempt(msgspec.Struct):
    """An attempt as the API shows it."""

    attempt_no: str
    state: str
    handoff: dict[str, str] | None


class Order(msgspec.Struct):
    """A recharge as the API shows it."""

    order_no: str
    state: str
    account_id: str
    amount: int
    attempts: list[Attempt]


@dataclass(frozen=True, slots=True)
class Plan:
    """What a customer wants: to recharge, to pay or to close, to repeat the request when it fails or to give up."""

    key: str
    account: str
    amount: int
    pays: bool = True
    repeats: bool = True

    @property
    def body(self) -> bytes:
        """The request: the same bytes every time."""
        wish = {
            "account_id": self.account, "amount": self.amount, "currency": "CNY", "channel": "wechat",
            "method": "native", "description": f"Recharge {self.key}",
        }  # fmt: skip
        return msgspec.json.encode(wish)


@dataclass(frozen=True, slots=True)
class Told:
    """A 2xx that a customer has seen."""

    plan: Plan
    status: int
    body: bytes

    @property
    def order(self) -> Order:
        """What it said."""
        return msgspec.json.decode(self.body, type=Order)


@dataclass(slots=True)
class Diary:
    """Every 2xx, synced to disk before its customer goes on; `strange` are answers that nobody should get."""

    path: Path
    told: dict[str, Told] = field(default_factory=dict[str, Told])
    strange: list[str] = field(default_factory=list[str])
    written: asyncio.Event = field(default_factory=asyncio.Event)

    async def until(self, keys: int) -> None:
        """Wait until so many keys are answered."""
        while len(self.told) < keys:
            self.written.clear()
            await self.written.wait()

    def write(self, told: Told) -> None:
        """Note a 2xx; another one for the same key must have said the same."""
        line = msgspec.json.encode({"key": told.plan.key, "status": told.status, "body": told.body.decode()})
        with self.path.open("ab") as file:
            file.write(line + b"\n")
            file.flush()
            os.fsync(file.fileno())
        self.written.set()
        first = self.told.setdefault(told.plan.key, told)
        if (first.status, first.body) != (told.status, told.body):
            self.strange.append(f"{told.plan.key}: two answers\n  {first.body.decode()}\n  {told.body.decode()}")


@dataclass(slots=True)
class Customers:
    """The clients of all servers of a stage, and their common diary."""

    stage: FaultStage
    diary: Diary
    chance: random.Random
    clients: list[httpx2.AsyncClient]

    async def journey(self, plan: Plan) -> None:
        """From the request to the payment or the close; what a customer who gives up leaves is left to `finish`."""
        told = await self.ask(plan)
        if told is None:
            return
        if plan.pays:
            await self.pay(told.order.order_no)
        else:
            await self.close(told.order.order_no)

    async def ask(self, plan: Plan) -> Told | None:
        """Request until a 2xx; None when the customer gave up."""
        until = time.monotonic() + PATIENCE_S
        while time.monotonic() < until:
            answer = await self.send("POST", "/v1/recharges", plan.body, {"Idempotency-Key": plan.key})
            if answer is not None and answer.status_code < 300:
                told = Told(plan, answer.status_code, answer.content)
                self.diary.write(told)
                return told
            if answer is not None and answer.status_code not in {409, 429, 503}:
                self.diary.strange.append(f"{plan.key}: {answer.status_code} {answer.text}")
                return None
            if not plan.repeats:
                return None
            await asyncio.sleep(_PAUSE_S)
        raise Impatient(f"no answer to {plan.key}")

    async def pay(self, order_no: str) -> None:
        """Wait for the hand-off and pay it at the channel."""
        order = await self._until(order_no, lambda order: order.state in ENDED or _handed_over(order))
        if order.state not in ENDED:
            # The order may end between our look and our payment; then the channel says no, and nothing was paid.
            with contextlib.suppress(Refused):
                await self.stage.sandbox.pay(order.attempts[-1].attempt_no)

    async def close(self, order_no: str) -> None:
        """Close an order, again and again, until it has ended."""
        until = time.monotonic() + PATIENCE_S
        while time.monotonic() < until:
            await self.send("POST", f"/v1/recharges/{order_no}/close")
            order = await self.look(order_no)
            if order is not None and order.state in ENDED:
                return
            await asyncio.sleep(_PAUSE_S)
        raise Impatient(f"{order_no} does not close")

    async def look(self, order_no: str) -> Order | None:
        """The order now; None while nobody answers."""
        answer = await self.send("GET", f"/v1/recharges/{order_no}")
        if answer is None or answer.status_code != 200:
            return None
        return msgspec.json.decode(answer.content, type=Order)

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
            self.diary.strange.append(f"{method} {path}: {answer.status_code} {answer.text}")
        return answer

    async def _until(self, order_no: str, holds: Callable[[Order], bool]) -> Order:
        until = time.monotonic() + PATIENCE_S
        while time.monotonic() < until:
            order = await self.look(order_no)
            if order is not None and holds(order):
                return order
            await asyncio.sleep(_PAUSE_S)
        raise Impatient(f"{order_no} does not move on")


@contextlib.asynccontextmanager
async def customers(stage: FaultStage, folder: Path, *, seed: int = 0) -> AsyncGenerator[Customers]:
    """Customers of a stage whose diary lies in `folder`; `seed` decides which server each request goes to."""
    async with contextlib.AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(stage.client(n)) for n in range(len(stage.servers))]
        yield Customers(stage, Diary(folder / "diary.jsonl"), random.Random(seed), clients)  # noqa: S311 (no secret)


def _handed_over(order: Order) -> bool:
    return bool(order.attempts) and order.attempts[-1].handoff is not None
