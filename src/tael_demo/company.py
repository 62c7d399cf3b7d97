"""The company in the demo: a small typed client of Tael's API, as a Python team would write one."""

from typing import TypeVar

import msgspec
from httpx2 import AsyncClient, Response
from msgspec import Struct

T = TypeVar("T")
_CNY = "CNY"


class Handoff(Struct):
    """What the payer opens; of a QR code, its text."""

    type: str
    text: str = ""


class Attempt(Struct):
    """One attempt to pay."""

    attempt_no: str
    state: str
    channel: str
    merchant_account: str | None
    handoff: Handoff | None


class Order(Struct):
    """A recharge, or a payment for goods."""

    order_no: str
    state: str
    paid_at: str | None
    refunded_amount: int
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


class Decision(Struct):
    """What one person decided."""

    checker: str
    decision: str


class Approval(Struct):
    """What waits for other people's decision; the digest names the content they were shown."""

    state: str
    maker: str
    payload_sha256: str
    decisions: list[Decision]


class Withdrawal(Struct):
    """Money on its way to a customer's bank card."""

    order_no: str
    state: str
    amount: int
    reason: str | None
    attempts: list[Attempt]
    approval: Approval | None


class Refund(Struct):
    """Money on its way back."""

    refund_no: str
    state: str
    amount: int
    channel: str


class Transfer(Struct):
    """Money moved between two customers."""

    order_no: str
    state: str


class Account(Struct):
    """What a customer has, in fen."""

    id: str
    total: int
    held: int
    available: int


class Entry(Struct):
    """One entry of an account."""

    amount: int
    counterpart_subject: str


class Quota(Struct):
    """What is used and held of a limit, in fen."""

    used_amount: int
    held_amount: int
    amount_limit: int | None


class Considered(Struct):
    """A route, and what became of it."""

    label: str
    verdict: str
    quotas: list[Quota]


class Suspended(Struct):
    """Money that its order could not take."""

    order_no: str
    reason: str
    amount: int
    state: str
    refund_no: str | None


class Problem(Struct):
    """A refusal."""

    code: str
    status: int
    title: str
    reason: str | None = None


class _Id(Struct):
    id: str


class _Usage(Struct):
    label: str
    day: Quota


class _Usages(Struct):
    data: list[_Usage]


class _Explanation(Struct):
    considered: list[Considered]


class _Entries(Struct):
    data: list[Entry]


class _Orders(Struct):
    data: list[Order]


class _Suspended(Struct):
    data: list[Suspended]


class Unexpected(Exception):
    """The API answered something the company did not expect."""


class Company:
    """Asks Tael with the company's API key, and approves with that of a second person."""

    def __init__(self, http: AsyncClient, checker: AsyncClient) -> None:
        self._http, self._checker = http, checker

    async def open_account(self, owner: int) -> str:
        """The account of a customer."""
        said = await self._http.post("/v1/accounts", json={"owner": str(owner), "currency": _CNY})
        return _read(said, Account, 200, 201).id

    async def account(self, account: str) -> Account:
        """What a customer has."""
        return _read(await self._http.get(f"/v1/accounts/{account}"), Account, 200)

    async def entries(self, account: str) -> list[Entry]:
        """Everything that was booked on an account."""
        return _read(await self._http.get(f"/v1/accounts/{account}/entries"), _Entries, 200).data

    async def recharge(self, account: str, amount: int, *, key: str) -> Order | Problem:
        """Ask for a QR code; a refusal is an answer too."""
        body = {
            "account_id": account, "amount": amount, "currency": _CNY, "channel": "wechat", "method": "native",
            "description": "Recharge 充值",
        }  # fmt: skip
        return _order_or_refusal(await self._post("/v1/recharges", body, key=key))

    async def sell(self, account: str, amount: int, *, channel: str, number: str) -> Order | Problem:
        """Ask for a QR code for goods; `number` is the company's own of the sale."""
        body = {
            "business_order_no": number, "account_id": account, "amount": amount, "currency": _CNY, "channel": channel,
            "method": "native", "description": "Tea 茶叶",
        }  # fmt: skip
        return _order_or_refusal(await self._post("/v1/payments", body, key=number))

    async def through(self, order: Order, channel: str) -> Order:
        """Another QR code for an open sale, through another channel."""
        said = await self._http.post(
            f"/v1/payments/{order.order_no}/pay", json={"channel": channel, "method": "native"}
        )
        return _read(said, Order, 201)

    async def order(self, order_no: str) -> Order:
        """A recharge or a sale as it is now."""
        kind = "recharges" if order_no.startswith("RC") else "payments"
        return _read(await self._http.get(f"/v1/{kind}/{order_no}"), Order, 200)

    async def latest_order(self, account: str) -> Order:
        """The newest recharge of an account."""
        said = await self._http.get("/v1/recharges", params={"account_id": account, "limit": 1})
        return _read(said, _Orders, 200).data[0]

    async def suspended(self, order_no: str) -> list[Suspended]:
        """Money that came for an order and that it could not take."""
        found = _read(await self._http.get("/v1/suspense_items"), _Suspended, 200).data
        return [one for one in found if one.order_no == order_no]

    async def give_back(self, order: Order, amount: int, *, number: str) -> Refund | Problem:
        """Ask for a refund; a refusal is an answer too."""
        body = {
            "payment_no": order.order_no, "business_refund_no": number, "amount": amount, "currency": _CNY,
            "reason": "not wanted",
        }  # fmt: skip
        said = await self._post("/v1/refunds", body, key=number)
        return _read(said, Problem, 422) if said.status_code == 422 else _read(said, Refund, 201, 202)

    async def refund(self, refund_no: str) -> Refund:
        """A refund as it is now."""
        return _read(await self._http.get(f"/v1/refunds/{refund_no}"), Refund, 200)

    async def bind_card(self, owner: int, *, card: str, holder: str) -> str:
        """A customer's bank card; its number is never shown again."""
        body = {"owner": str(owner), "kind": "bank_card", "number": card, "holder": holder, "bank": "招商银行"}
        return _read(await self._http.post("/v1/payees", json=body), _Id, 200, 201).id

    async def withdraw(
        self, account: str, payee: str, amount: int, *, key: str, description: str = "提现"
    ) -> Withdrawal | Problem:
        """Ask for a withdrawal; a refusal is an answer too."""
        body = {
            "account_id": account, "payee_id": payee, "amount": amount, "currency": _CNY, "description": description,
        }  # fmt: skip
        said = await self._post("/v1/withdrawals", body, key=key)
        return _read(said, Problem, 422) if said.status_code == 422 else _read(said, Withdrawal, 201)

    async def withdrawal(self, order_no: str) -> Withdrawal:
        """A withdrawal as it is now."""
        return _read(await self._http.get(f"/v1/withdrawals/{order_no}"), Withdrawal, 200)

    async def approve(self, withdrawal: Withdrawal) -> Withdrawal | Problem:
        """The second person approves what was shown; a refusal (somebody else decided) is an answer too."""
        assert withdrawal.approval is not None, "every withdrawal here waits for a person"
        path = f"/v1/withdrawals/{withdrawal.order_no}/approve"
        said = await self._checker.post(path, json={"payload_sha256": withdrawal.approval.payload_sha256})
        return _read(said, Problem, 409) if said.status_code == 409 else _read(said, Withdrawal, 200)

    async def approve_own(self, withdrawal: Withdrawal) -> Problem:
        """The person who has asked tries to approve: always refused."""
        said = await self._http.post(f"/v1/withdrawals/{withdrawal.order_no}/approve", json={})
        return _read(said, Problem, 403)

    async def used_today(self, label: str) -> int:
        """What a merchant account has paid or is about to pay today."""
        found = _read(await self._http.get("/v1/routes/usage"), _Usages, 200).data
        return sum(one.day.used_amount + one.day.held_amount for one in found if one.label == label)

    async def limit_payouts(self, merchant_account: int, *, daily: int, priority: int) -> None:
        """Let a merchant account pay out at most `daily` in a day."""
        body = {
            "merchant_account": str(merchant_account), "operation": "payout", "currency": _CNY, "priority": priority,
            "daily_limit": daily,
        }  # fmt: skip
        _read(await self._http.put("/v1/routes", json=body), Struct, 200)

    async def explain_payout(self, amount: int, *, channel: str) -> list[Considered]:
        """Where a payout would go now, and why."""
        body = {"operation": "payout", "amount": amount, "currency": _CNY, "channels": [channel]}
        return _read(await self._http.post("/v1/routes/explain", json=body), _Explanation, 200).considered

    async def transfer(self, payer: str, payee: str, amount: int, *, key: str) -> Transfer:
        """Move money between two customers."""
        body = {"from_account_id": payer, "to_account_id": payee, "amount": amount, "currency": _CNY, "note": "dinner"}
        return _read(await self._post("/v1/transfers", body, key=key), Transfer, 201)

    async def _post(self, path: str, body: dict[str, str | int], *, key: str) -> Response:
        return await self._http.post(path, json=body, headers={"Idempotency-Key": key})


def _order_or_refusal(said: Response) -> Order | Problem:
    return _read(said, Problem, 409) if said.status_code == 409 else _read(said, Order, 201, 202)


def _read(said: Response, kind: type[T], *expected: int) -> T:
    if said.status_code not in expected:
        raise Unexpected(f"{said.request.method} {said.request.url.path} answered {said.status_code}: {said.text}")
    return msgspec.json.decode(said.content, type=kind)
