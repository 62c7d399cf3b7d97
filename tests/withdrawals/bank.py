"""A bank that pays out as it is told to: a channel whose answers a test writes, kept in files so that it outlives us.

Each payout is one file. The same number with the same content is the same payout; with other content the bank refuses
to be a channel at all (an assertion). What it has really paid is what counts in the end.
"""

import re
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

import msgspec

from tael.base.errors import TaelError
from tael.base.money import Money
from tael.channels.contract import (
    BadNotification,
    ChannelError,
    ChannelKeys,
    ConnectorSpec,
    ErrorKind,
    HttpReply,
    MerchantAccount,
    Operation,
    Outcome,
    PayoutNotPossible,
    PayoutRef,
    PayoutRequest,
    PayoutState,
    PayoutView,
    RawExchange,
    Result,
    Retry,
    VerifiedEvent,
)

SPEC = ConnectorSpec(
    name="bank", methods=frozenset(), payees=frozenset({"bank_card"}), currencies=frozenset({"CNY"}),
    numbers={Operation.PAYOUT: re.compile("[0-9A-Z]{32}")}, min_minor=100, max_minor=100_000_000, qps={},
    notify_total_s=86_400, handoff_s={}, base_urls=("https://bank.example",), secrets=frozenset(),
    secrets_optional=frozenset(),
)  # fmt: skip


OPEN = frozenset({"processing", "waiting", "cancelling"})
"""A payout in one of these may still end in any way."""


class Paid(msgspec.Struct):
    """A payout as the bank knows it."""

    number: str
    account: int
    card: str
    amount: int
    remark: str
    state: str
    ref: str
    sent: int = 1
    kind: str | None = None


@dataclass(slots=True)
class Bank:
    """The connector. `answers` are told to the next payouts, `replies` to the next queries, `heard` to the next wishes
    to call one back; then it behaves.

    An answer: `paid`, `processing`, `waiting`, `pending`, `lost request`, `lost reply`, `not sent`, or
    `declined KIND`; a reply: `unknown` or nothing; to a wish: `lost request`, `lost reply`, `declined`, a state that
    it claims without being in it, or nothing. What waits for its payee can be called back: it is cancelling then,
    until it `becomes` something else. `broke`: merchant accounts without money.
    """

    folder: Path
    spec: ConnectorSpec = SPEC
    answers: deque[str] = field(default_factory=deque)
    replies: deque[str] = field(default_factory=deque)
    heard: deque[str] = field(default_factory=deque)
    always: str = "paid"
    broke: set[int] = field(default_factory=set)
    misconfigured: bool = False
    calls: list[tuple[str, str]] = field(default_factory=list)

    def load_keys(self, secrets: Mapping[str, bytes], config: Mapping[str, str]) -> ChannelKeys:
        return ChannelKeys()

    async def keep_keys(self, account: MerchantAccount, *, now: datetime) -> None:
        return None

    def verify_notification(
        self, account: MerchantAccount, headers: Sequence[tuple[str, str]], raw: bytes, *, now: datetime
    ) -> VerifiedEvent:
        raise BadNotification

    def acknowledge(self) -> HttpReply:
        return HttpReply(status=200, headers=(), body=b"")

    def refuse(self, problem: TaelError) -> HttpReply:
        return HttpReply(status=400, headers=(), body=b"")

    def check_payout(self, account: MerchantAccount, request: PayoutRequest, *, now: datetime) -> None:
        if not SPEC.min_minor <= request.amount.minor <= SPEC.max_minor:
            raise PayoutNotPossible("the bank pays 1.00 to 1,000,000.00", param="amount")

    async def payout(self, account: MerchantAccount, request: PayoutRequest, *, now: datetime) -> Result[PayoutView]:
        if self.misconfigured:
            raise PayoutNotPossible("the account has no agreement any more")
        self.calls.append(("payout", request.number))
        answer = self.answers.popleft() if self.answers else self.always
        known = self.find(request.number)
        if answer in {"lost request", "not sent"}:
            return _unsure(Outcome.UNKNOWN if answer == "lost request" else Outcome.NOT_SENT)
        if known is not None:
            assert _content(known) == (account.id, _card(request), request.amount.minor, request.remark)
            self.write(msgspec.structs.replace(known, sent=known.sent + 1))
            return _answer(account, known)
        if account.id in self.broke:
            answer = "declined insufficient_channel_balance"
        verdict, _, kind = answer.partition(" ") if answer.startswith("declined") else (answer, "", None)
        state = {"pending": "processing", "lost reply": "paid", "declined": "failed"}.get(verdict, verdict)
        made = Paid(
            request.number, account.id, _card(request), request.amount.minor, request.remark, state,
            f"B{request.number[-12:]}", kind=kind,
        )  # fmt: skip
        self.write(made)
        if kind is not None:
            return _declined(ErrorKind(kind))
        if answer in {"lost reply", "pending"}:
            return _unsure(Outcome.UNKNOWN if answer == "lost reply" else Outcome.PENDING)
        return _answer(account, made)

    async def query_payout(self, account: MerchantAccount, ref: PayoutRef, *, now: datetime) -> Result[PayoutView]:
        self.calls.append(("query", ref.number))
        if (self.replies.popleft() if self.replies else "") == "unknown":
            return _unsure(Outcome.UNKNOWN)
        known = self.find(ref.number)
        if known is None:
            return _succeeded(PayoutView(ref.number, PayoutState.NOT_FOUND))
        return _answer(account, known)

    async def cancel_payout(self, account: MerchantAccount, ref: PayoutRef, *, now: datetime) -> Result[PayoutView]:
        self.calls.append(("cancel", ref.number))
        said, known = self.heard.popleft() if self.heard else "", self.find(ref.number)
        if said == "lost request":
            return _unsure(Outcome.UNKNOWN)
        if known is None or known.state not in {"waiting", "cancelling"} or said == "declined":
            return _declined(ErrorKind.INVALID)
        if said not in {"", "lost reply"}:
            return _succeeded(view_of(account, msgspec.structs.replace(known, state=said)))
        self.becomes(ref.number, "cancelling")
        if said == "lost reply":
            return _unsure(Outcome.UNKNOWN)
        return _succeeded(view_of(account, msgspec.structs.replace(known, state="cancelling"), amount=None))

    def find(self, number: str) -> Paid | None:
        path = self.folder / number
        return msgspec.json.decode(path.read_bytes(), type=Paid) if path.exists() else None

    def all(self) -> list[Paid]:
        """Every payout that the bank has, the oldest number first."""
        return [msgspec.json.decode(path.read_bytes(), type=Paid) for path in sorted(self.folder.iterdir())]

    def becomes(self, number: str, state: str, *, kind: str | None = None) -> None:
        """Let a payout end."""
        known = self.find(number)
        assert known is not None
        self.write(msgspec.structs.replace(known, state=state, kind=kind))

    def paid_total(self) -> int:
        """What has really left, in minor units."""
        return sum(one.amount for one in self.all() if one.state == "paid")

    def write(self, paid: Paid) -> None:
        self.folder.mkdir(exist_ok=True)
        (self.folder / paid.number).write_bytes(msgspec.json.encode(paid))


def view_of(account: MerchantAccount, paid: Paid, **changes: object) -> PayoutView:
    """What the bank says about a payout."""
    state = {"waiting": PayoutState.WAITING_FOR_PAYEE}.get(paid.state) or PayoutState(paid.state)
    reason = None if paid.kind is None else _error(ErrorKind(paid.kind))
    view = PayoutView(
        paid.number, state, channel_ref=paid.ref, amount=Money(paid.amount, "CNY"), mchid=account.mchid,
        confirmation="open sesame" if paid.state == "waiting" else None, reason=reason,
    )  # fmt: skip
    return replace(view, **changes)


def _answer(account: MerchantAccount, paid: Paid) -> Result[PayoutView]:
    return _succeeded(view_of(account, paid))


def _succeeded(view: PayoutView) -> Result[PayoutView]:
    return Result(Outcome.SUCCEEDED, view, None, _raw())


def _declined(kind: ErrorKind) -> Result[PayoutView]:
    return Result(Outcome.DECLINED, None, _error(kind), _raw())


def _unsure(outcome: Outcome) -> Result[PayoutView]:
    return Result(outcome, None, _error(ErrorKind.UNAVAILABLE), _raw())


def _error(kind: ErrorKind) -> ChannelError:
    return ChannelError(kind, kind.value.upper(), "the test says so", 200, Retry.NEVER)


def _raw() -> RawExchange:
    return RawExchange(
        method="POST", target="/payouts", request_body="", request_sha256="", status=200, response_body="",
        response_sha256=None, request_id=None, elapsed_ms=1,
    )  # fmt: skip


def _card(request: PayoutRequest) -> str:
    return repr(request.payee)


def _content(paid: Paid) -> tuple[int, str, int, str]:
    return paid.account, paid.card, paid.amount, paid.remark
