"""The people of a payments fault run: customers that move money in, about and out, and a second person who approves.

    saver   recharge -> pay at the channel -> withdraw, transfer, and ask for more than there is, all at once
    buyer   payment for goods -> pay at the channel -> refunds in parts, at once, one more than there is
    odd     pays twice, pays another amount, pays after the order was closed, or walks away

Everybody repeats a request with its key until there is an answer; a process may die in the middle of any of them.
"""

import asyncio
import contextlib
import random
import time
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from pathlib import Path

import httpx2
import msgspec

from tael_demo.faults.clients import ENDED, PATIENCE_S, PAUSE_S, Clients, Impatient, clients_of
from tael_demo.faults.payments_diary import Ask, PaymentsDiary, Seen, Told
from tael_demo.faults.payments_stage import CURRENCY, Channels
from tael_demo.faults.stage import FaultStage, Named
from tael_sandbox.remote import Refused

_FINAL_NO = frozenset({409, 422})
MOODS = ("pays", "pays", "pays", "pays", "pays", "pays", "twice", "other amount", "late", "leaves", "closes")


@dataclass(frozen=True, slots=True)
class Plan:
    """What a customer is going to do. `mood` is how the money comes in; `number` makes names unique."""

    number: str
    owner: int
    buys: bool
    channel: str
    payee: str
    mood: str
    amount: int
    verdict: str
    repeats: bool


@dataclass(slots=True, kw_only=True)
class Crowd(Clients):
    """Clients of all servers of a stage and their diary."""

    channels: Channels
    diary: PaymentsDiary
    shop: str = ""
    people: dict[int, str] = field(default_factory=dict[int, str])

    async def journey(self, plan: Plan) -> None:
        """All that one customer does."""
        account = self.shop if plan.buys else await self.account(plan.owner)
        told = await self.pay_in(plan, account)
        if told is None or not await self._paid(plan, told):
            return
        if plan.buys:
            await self._refund(plan, told.seen.number)
        else:
            await self._spend(plan, account)

    async def account(self, owner: int) -> str:
        """The account of a member; it is made when it is not there."""
        if owner not in self.people:
            body = msgspec.json.encode({"owner": str(owner), "currency": CURRENCY})
            made = await self._until_answered("POST", "/v1/accounts", body)
            self.people[owner] = msgspec.json.decode(made.content, type=Named).id
        return self.people[owner]

    async def pay_in(self, plan: Plan, account: str) -> Told | None:
        """Ask for a recharge or a payment; None when the customer gave up."""
        wish: dict[str, object] = {
            "account_id": account, "amount": plan.amount, "currency": CURRENCY, "channel": plan.channel,
            "method": "native", "description": f"{plan.number}",
        }  # fmt: skip
        if plan.buys:
            wish["business_order_no"] = f"goods-{plan.number}"
        path = "/v1/payments" if plan.buys else "/v1/recharges"
        return await self.ask(Ask(path, f"in-{plan.number}", msgspec.json.encode(wish), repeats=plan.repeats))

    async def ask(self, ask: Ask) -> Told | None:
        """Request until a 2xx; None for a no that was expected, and for one who gave up."""
        until = time.monotonic() + PATIENCE_S
        while time.monotonic() < until:
            answer = await self.send("POST", ask.path, ask.body, {"Idempotency-Key": ask.key})
            if answer is not None and answer.status_code < 300:
                told = Told(ask.key, answer.status_code, answer.content, ask)
                self.diary.write(told)
                return told
            if answer is not None and ask.refusable and answer.status_code in _FINAL_NO and not _in_flight(answer):
                self.diary.refused += 1
                return None
            if answer is not None and not _in_flight(answer) and answer.status_code not in {429, 503}:
                self.diary.strange.append(f"{ask.key}: {answer.status_code} {answer.text}")
                return None
            if not ask.repeats:
                return None
            await asyncio.sleep(PAUSE_S)
        raise Impatient(f"no answer to {ask.key}")

    async def decide(self, order_no: str, verdict: str) -> None:
        """The second person approves or rejects, or the first cancels, until it is certain what became of it."""
        until = time.monotonic() + PATIENCE_S
        key = self.channels.second_person if verdict in {"approve", "reject"} else self.stage.api_key
        body = b"{}" if verdict in {"approve", "reject"} else None
        while time.monotonic() < until:
            path = f"/v1/withdrawals/{order_no}/{verdict}"
            answer = await self.send("POST", path, body, {"Authorization": f"Bearer {key}"})
            if answer is not None and answer.status_code < 300:
                self.diary.decide(order_no, "approve" if verdict == "approve" else "end")
                return
            if answer is not None and answer.status_code in _FINAL_NO:
                return  # somebody else was faster, or the answer to our own decision was lost
            if answer is not None and answer.status_code not in {429, 503}:
                self.diary.strange.append(f"{verdict} {order_no}: {answer.status_code} {answer.text}")
                return
            await asyncio.sleep(PAUSE_S)
        raise Impatient(f"no answer to {verdict} {order_no}")

    async def close(self, path: str) -> None:
        """Ask to close an order once; `finish` asks again."""
        await self.send("POST", f"{path}/close")

    async def _paid(self, plan: Plan, told: Told) -> bool:
        """Play the payer at the channel; whether the order was paid as it should be."""
        path = f"{told.ask.path}/{told.seen.number}"
        if plan.mood == "leaves":
            return False
        if plan.mood == "closes":
            await self.close(path)
            return False
        order = await self.wait(path, Seen, lambda seen: seen.state in ENDED or _handed_over(seen))
        if order.state in ENDED:
            return False
        if plan.mood == "late":
            await self.close(path)
        number, odd = order.attempts[-1].attempt_no, plan.amount + 1 if plan.mood == "other amount" else None
        # The order may end between our look and our payment; then the channel says no, and nothing was paid.
        with contextlib.suppress(Refused):
            await self.at_channel(plan.channel, number, amount_minor=odd, force=plan.mood == "late")
        if plan.mood == "twice":
            with contextlib.suppress(Refused):
                await self._once_more(plan.channel, number)
        if plan.mood in {"late", "other amount"}:
            return False
        order = await self.wait(path, Seen, lambda seen: seen.state in ENDED)
        return order.state == "paid"

    async def at_channel(self, channel: str, number: str, *, amount_minor: int | None = None, force: bool) -> None:
        """The payer pays. Raises `Refused`."""
        if channel == "alipay":
            await self.stage.sandbox.alipay.pay(number, amount_minor=amount_minor, force=force)
        else:
            await self.stage.sandbox.pay(number, amount_minor=amount_minor, force=force)

    async def _once_more(self, channel: str, number: str) -> None:
        """WeChat Pay is paid a second time, under a number of its own. A trade of Alipay's has one number, so a second
        payment of it cannot be told from a repeated notice; there, a notice is repeated. Raises `Refused`."""
        if channel == "alipay":
            await self.stage.sandbox.alipay.renotify(number)
        else:
            await self.stage.sandbox.pay(number, force=True)

    async def _spend(self, plan: Plan, account: str) -> None:
        """Two withdrawals, a transfer to the shop, and a withdrawal of more than there is, all at once."""
        payee, part = await self._payee(plan), plan.amount // 4
        await asyncio.gather(
            self._withdraw(plan, f"{plan.number}-a", account, payee, part),
            self._withdraw(plan, f"{plan.number}-b", account, payee, part + 1),
            self._withdraw(plan, f"{plan.number}-greedy", account, payee, plan.amount * 9),
            self._transfer(plan, account, part),
        )

    async def _payee(self, plan: Plan) -> str:
        owner, number = str(plan.owner), f"{plan.owner:016d}"
        body: dict[str, str] = {
            "bank_card": {"kind": "bank_card", "number": f"6214{number[4:]}", "holder": "张三", "bank": "招商银行"},
            "wechat_user": {"kind": "wechat_user", "number": f"o{number}", "app_id": self.channels.app_id},
            "alipay_user": {
                "kind": "alipay_user", "number": f"2088{number[4:]}", "identity_type": "ALIPAY_USER_ID"
            },
        }[plan.payee]  # fmt: skip
        made = await self._until_answered("POST", "/v1/payees", msgspec.json.encode(body | {"owner": owner}))
        return msgspec.json.decode(made.content, type=Named).id

    async def _withdraw(self, plan: Plan, key: str, account: str, payee: str, amount: int) -> None:
        wish = {
            "account_id": account, "payee_id": payee, "amount": amount, "currency": CURRENCY, "description": key,
        }  # fmt: skip
        told = await self.ask(Ask("/v1/withdrawals", f"out-{key}", msgspec.json.encode(wish), refusable=True))
        if told is None:
            return
        number = told.seen.number
        if plan.verdict == "race":
            await asyncio.gather(*(self.decide(number, one) for one in ("approve", "cancel", "reject", "approve")))
        else:
            await self.decide(number, plan.verdict)

    async def _transfer(self, plan: Plan, account: str, amount: int) -> None:
        wish = {
            "from_account_id": account, "to_account_id": self.shop, "amount": amount, "currency": CURRENCY,
            "note": plan.number,
        }  # fmt: skip
        await self.ask(Ask("/v1/transfers", f"move-{plan.number}", msgspec.json.encode(wish), refusable=True))

    async def _refund(self, plan: Plan, payment: str) -> None:
        """Three parts at once, of which two fit."""
        wishes = {
            part: {
                "payment_no": payment, "business_refund_no": f"back-{plan.number}-{part}",
                "amount": plan.amount // 2 - (part == "a"), "currency": CURRENCY, "reason": "broken",
            }
            for part in ("a", "b", "c")
        }  # fmt: skip
        await asyncio.gather(
            *(
                self.ask(Ask("/v1/refunds", f"back-{plan.number}-{part}", msgspec.json.encode(wish), refusable=True))
                for part, wish in wishes.items()
            )
        )

    async def _until_answered(self, method: str, path: str, body: bytes) -> httpx2.Response:
        until = time.monotonic() + PATIENCE_S
        while time.monotonic() < until:
            answer = await self.send(method, path, body)
            if answer is not None and answer.status_code < 300:
                return answer
            if answer is not None and answer.status_code not in {409, 429, 503}:
                raise Impatient(f"{method} {path}: {answer.status_code} {answer.text}")
            await asyncio.sleep(PAUSE_S)
        raise Impatient(f"no answer to {method} {path}")


@contextlib.asynccontextmanager
async def crowd(stage: FaultStage, channels: Channels, folder: Path, *, seed: int = 0) -> AsyncGenerator[Crowd]:
    """The people of a stage, whose diary lies in `folder`; `seed` decides which server each request goes to."""
    diary, chance = PaymentsDiary(folder / "payments-diary.jsonl"), random.Random(seed)  # noqa: S311 (no secret)
    async with clients_of(stage) as clients:
        yield Crowd(stage=stage, chance=chance, clients=clients, strange=diary.strange, channels=channels, diary=diary)


def _handed_over(seen: Seen) -> bool:
    return bool(seen.attempts) and seen.attempts[-1].handoff is not None


def _in_flight(answer: httpx2.Response) -> bool:
    """The first request with this key is still being worked on."""
    return answer.status_code == 409 and msgspec.json.decode(answer.content, type=_Problem).code in _WAIT


class _Problem(msgspec.Struct):
    code: str


_WAIT = frozenset({"idempotency_in_flight"})
