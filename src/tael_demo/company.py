"""The company in the demo: a small typed client of Tael's API, as a Python team would write one."""

from typing import TypeVar

import msgspec
from httpx2 import AsyncClient, Response
from msgspec import Struct

T = TypeVar("T")


class Handoff(Struct):
    """What the payer opens; of a QR code, its text."""

    type: str
    text: str = ""


class Attempt(Struct):
    """One attempt to pay."""

    attempt_no: str
    state: str
    handoff: Handoff | None


class Order(Struct):
    """A recharge."""

    order_no: str
    state: str
    paid_at: str | None
    attempts: list[Attempt]

    @property
    def number(self) -> str:
        """Our number at the channel."""
        return self.attempts[-1].attempt_no

    @property
    def code(self) -> str:
        """The QR code's text."""
        handoff = self.attempts[-1].handoff
        assert handoff is not None
        return handoff.text


class Entry(Struct):
    """One entry of an account."""

    amount: int
    counterpart_subject: str


class Problem(Struct):
    """A refusal."""

    code: str
    status: int


class _Account(Struct):
    id: str
    available: int


class _Orders(Struct):
    data: list[Order]


class _Entries(Struct):
    data: list[Entry]


class Unexpected(Exception):
    """The API answered something the company did not expect."""


class Company:
    """Asks Tael with the company's API key."""

    def __init__(self, http: AsyncClient) -> None:
        self._http = http

    async def open_account(self, owner: int) -> str:
        """The account of a customer."""
        said = await self._http.post("/v1/accounts", json={"owner": str(owner), "currency": "CNY"})
        return _read(said, _Account, 200, 201).id

    async def recharge(self, account: str, amount: int, *, key: str) -> Order | Problem:
        """Ask for a QR code; a refusal is an answer too."""
        body = {
            "account_id": account, "amount": amount, "currency": "CNY", "channel": "wechat", "method": "native",
            "description": "Recharge 充值",
        }  # fmt: skip
        said = await self._http.post("/v1/recharges", json=body, headers={"Idempotency-Key": key})
        return _read(said, Problem, 409) if said.status_code == 409 else _read(said, Order, 201, 202)

    async def order(self, order_no: str) -> Order:
        """A recharge as it is now."""
        return _read(await self._http.get(f"/v1/recharges/{order_no}"), Order, 200)

    async def latest_order(self, account: str) -> Order:
        """The newest recharge of an account."""
        said = await self._http.get("/v1/recharges", params={"account_id": account, "limit": 1})
        return _read(said, _Orders, 200).data[0]

    async def entries(self, account: str) -> list[Entry]:
        """Everything that was booked on an account."""
        return _read(await self._http.get(f"/v1/accounts/{account}/entries"), _Entries, 200).data

    async def available(self, account: str) -> int:
        """What a customer can spend, in fen."""
        return _read(await self._http.get(f"/v1/accounts/{account}"), _Account, 200).available


def _read(said: Response, kind: type[T], *expected: int) -> T:
    if said.status_code not in expected:
        raise Unexpected(f"{said.request.method} {said.request.url.path} answered {said.status_code}: {said.text}")
    return msgspec.json.decode(said.content, type=kind)
