"""Notices from channels: `POST /v1/notices/{channel}/{account}`.

    raw bytes -> verified (pure; nothing is stored or called for a bad one) -> kept -> settled -> acknowledged

What a notice tells of decides who settles it: a payment here, a refund or a payout where those are made.

The channel repeats a notice until it is acknowledged, so the acknowledgement is given only after the commit.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import structlog
from prometheus_client import Counter

from tael.base.batch import Batcher
from tael.base.crash import crash_point
from tael.base.errors import TaelError, code
from tael.channels.contract import (
    BadNotification,
    HttpReply,
    MerchantAccount,
    PaymentView,
    PayoutView,
    RefundView,
    SignatureProbe,
    VerifiedEvent,
)
from tael.payments import evidence
from tael.payments.evidence import Notice
from tael.payments.platform import MAX_WAIT_MS, Platform
from tael.payments.settlement import Fact, NotOurPayment, Settlement, UnknownAttempt, Verdict, fact_of

_log = structlog.get_logger("tael.notices")
_NOTICES = Counter("tael_channel_notices", "Notices by channel and what became of them", ["channel", "verdict"])


@dataclass(frozen=True, slots=True)
class _Received:
    account: MerchantAccount
    event: VerifiedEvent
    raw: bytes


@dataclass(frozen=True, slots=True)
class RefundTold:
    """A verified notice about a refund; `notice` is its id in the evidence."""

    account: MerchantAccount
    refund: RefundView
    notice: int


@dataclass(frozen=True, slots=True)
class PayoutTold:
    """A verified notice about a payout; `notice` is its id in the evidence."""

    account: MerchantAccount
    payout: PayoutView
    notice: int


@dataclass(frozen=True, slots=True)
class Listeners:
    """Who settles what is not a payment; each answers one verdict or refusal per notice, in order, after its commit."""

    refunds: Callable[[Sequence[RefundTold]], Awaitable[Sequence[str | TaelError]]]
    payouts: Callable[[Sequence[PayoutTold]], Awaitable[Sequence[str | TaelError]]]


class Notices:
    """Receives notices. Concurrent ones are kept and settled in batches."""

    def __init__(self, platform: Platform, settlement: Settlement, listeners: Listeners) -> None:
        self._platform, self._settlement, self._listeners = platform, settlement, listeners
        self._batch: Batcher[_Received, str | TaelError] = Batcher(self._settle, max_wait_ms=MAX_WAIT_MS)

    async def receive(
        self, *, channel: str, account_id: int, headers: Sequence[tuple[str, str]], raw: bytes
    ) -> HttpReply:
        """Handle one notice; answers what the channel expects to hear, never raises a refusal."""
        account = self._find(channel, account_id)
        if account is None:
            _NOTICES.labels("unknown", "no_account").inc()
            return HttpReply(status=404, headers=(("content-type", "application/json"),), body=b'{"code":"FAIL"}')
        connector = self._platform.connector(account)
        try:
            event = connector.verify_notification(account, headers, raw, now=self._platform.now())
            verdict = await self._apply(account, event, raw)
        except TaelError as refusal:
            self._report_refusal(account, refusal)
            return connector.refuse(refusal)
        _NOTICES.labels(channel, verdict).inc()
        crash_point("notice.before_acknowledgement")
        return connector.acknowledge()

    async def close(self) -> None:
        """Finish what has been received."""
        await self._batch.close()

    def _find(self, channel: str, account_id: int) -> MerchantAccount | None:
        mode = self._platform.settings.mode
        for account in self._platform.accounts:
            if account.id == account_id and account.channel == channel and account.mode == mode:
                return account
        return None

    async def _apply(self, account: MerchantAccount, event: VerifiedEvent, raw: bytes) -> str:
        outcome = await self._batch.submit(_Received(account, event, raw))
        if isinstance(outcome, TaelError):
            raise outcome
        return outcome

    async def _settle(self, received: Sequence[_Received]) -> list[str | TaelError]:
        """Keep the evidence in a commit of its own, then let each notice be settled by whoever made its subject."""
        now, platform = self._platform.now(), self._platform
        notices = [
            Notice(one.account.book, platform.ids.next(), one.account.id, one.event, one.raw) for one in received
        ]
        async with platform.db.transaction() as tx:
            await evidence.keep_notices(tx, notices, now=now)
        crash_point("notice.kept")
        facts: dict[int, Fact] = {}
        refunds: dict[int, RefundTold] = {}
        payouts: dict[int, PayoutTold] = {}
        for index, (one, notice) in enumerate(zip(received, notices, strict=True)):
            match one.event.subject:
                case PaymentView() as payment:
                    fact = fact_of(one.account, payment)
                    if fact is not None:
                        facts[index] = Fact(fact.account, fact.payment, notice.id)
                case RefundView() as refund:
                    refunds[index] = RefundTold(one.account, refund, notice.id)
                case PayoutView() as payout:
                    payouts[index] = PayoutTold(one.account, payout, notice.id)
        settled: dict[int, str | TaelError] = {}
        if facts:
            settled |= zip(facts, await self._settlement.settle(list(facts.values()), now=now), strict=True)
        if refunds:
            settled |= zip(refunds, await self._listeners.refunds(list(refunds.values())), strict=True)
        if payouts:
            settled |= zip(payouts, await self._listeners.payouts(list(payouts.values())), strict=True)
        # A verified notice of a payment that does not say "paid" decides nothing: recovery asks the channel.
        return [settled.get(index, Verdict.KNOWN) for index in range(len(received))]

    def _report_refusal(self, account: MerchantAccount, refusal: TaelError) -> None:
        _NOTICES.labels(account.channel, code(type(refusal))).inc()
        if isinstance(refusal, SignatureProbe):
            return
        alarming = isinstance(refusal, NotOurPayment | UnknownAttempt | BadNotification)
        log = _log.warning if alarming else _log.error
        log("notice.refused", channel=account.channel, merchant_account=account.id, refusal=code(type(refusal)))
