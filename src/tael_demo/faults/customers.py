"""Customers of a recharge fault run: patient clients that keep a diary of what they were told.

ask, with one key, until a 2xx comes -> written down and synced -> pay at the channel, or close the order
give up at the first broken line     -> somebody else has to finish what was begun
"""

import asyncio
import contextlib
import random
import time
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from pathlib import Path

import msgspec

from tael_demo.faults.clients import ENDED, PATIENCE_S, PAUSE_S, Acknowledged, Clients, Diary, Impatient, clients_of
from tael_demo.faults.stage import FaultStage
from tael_sandbox.remote import Refused


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
class Told(Acknowledged):
    """A 2xx that a customer has seen."""

    plan: Plan

    @property
    def order(self) -> Order:
        """What it said."""
        return msgspec.json.decode(self.body, type=Order)


@dataclass(slots=True, kw_only=True)
class Customers(Clients):
    """The clients of all servers of a stage, and their common diary."""

    diary: Diary[Told]

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
                told = Told(plan.key, answer.status_code, answer.content, plan)
                self.diary.write(told)
                return told
            if answer is not None and answer.status_code not in {409, 429, 503}:
                self.diary.strange.append(f"{plan.key}: {answer.status_code} {answer.text}")
                return None
            if not plan.repeats:
                return None
            await asyncio.sleep(PAUSE_S)
        raise Impatient(f"no answer to {plan.key}")

    async def pay(self, order_no: str) -> None:
        """Wait for the hand-off and pay it at the channel."""
        order = await self.wait(
            f"/v1/recharges/{order_no}", Order, lambda order: order.state in ENDED or _handed_over(order)
        )
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
            await asyncio.sleep(PAUSE_S)
        raise Impatient(f"{order_no} does not close")

    async def look(self, order_no: str) -> Order | None:
        """The order now; None while nobody answers."""
        return await self.see(f"/v1/recharges/{order_no}", Order)


@contextlib.asynccontextmanager
async def customers(stage: FaultStage, folder: Path, *, seed: int = 0) -> AsyncGenerator[Customers]:
    """Customers of a stage whose diary lies in `folder`; `seed` decides which server each request goes to."""
    diary, chance = Diary[Told](folder / "diary.jsonl"), random.Random(seed)  # noqa: S311 (no secret)
    async with clients_of(stage) as clients:
        yield Customers(stage=stage, chance=chance, clients=clients, strange=diary.strange, diary=diary)


def _handed_over(order: Order) -> bool:
    return bool(order.attempts) and order.attempts[-1].handoff is not None
