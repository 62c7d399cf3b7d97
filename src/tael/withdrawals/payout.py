"""Payout (出款): pay approved withdrawals through a channel, and never twice.

    tx     the intent: route, attempt and number are committed            intent.py
    no tx  channel.payout, channel.cancel_payout or channel.query_payout  may end in any way
    tx     what it said: paid, failed, or still open                      settle.py

What to do next follows from what the channel said, and from nothing else:

    UNKNOWN    the ladder: query; when the channel does not know it, the identical request at once
    NOT_SENT   the ladder: the same request
    DECLINED   another merchant account with a new number when the reason is the account's own; else it has failed

For what the company has called back, every rung wishes it cancelled and then asks. The answer to the wish is kept and
decides nothing: a query or a notice says whether the payee confirmed first. It is never sent again, not even when the
channel does not know it. Sending could pay what is called back, and releasing could give back what is still paid: the
channel has known this number, for it waited for the payee. So it stays held, and a person is told after days. (A step
that began before may still send it; the next one wishes that back.)

Time alone decides nothing. What stays unknown stays held, is asked about at the ladder's last pause, and is reported.
"""

from collections.abc import Sequence
from datetime import timedelta

import structlog
from prometheus_client import Counter

from tael.alerts import Alert, raise_alert
from tael.base.batch import Batcher
from tael.base.crash import crash_point
from tael.base.db import Tx
from tael.base.errors import TaelError
from tael.base.tasks import Again, Dead, Done, Task
from tael.base.tasks import Verdict as Fate
from tael.channels.contract import Operation, Outcome, PayoutNotPossible, PayoutRef
from tael.orders import Attempt
from tael.payments.alarms import PAYOUT_UNKNOWN
from tael.payments.notices import PayoutTold
from tael.payments.platform import MAX_WAIT_MS, Platform
from tael.risk import Risk
from tael.routing import Considered
from tael.withdrawals.candidates import request_for
from tael.withdrawals.intent import Ask, CallBack, Halted, Intents, Over, Send, Step, Waiting
from tael.withdrawals.lookup import Found
from tael.withdrawals.payees import Payees
from tael.withdrawals.said import Said, Verdict, answered
from tael.withdrawals.settle import LATE_QUERY_S, PATIENCE_S, Settling
from tael.withdrawals.store import Key

_STEPS = 16
"""Steps in one go: there are not that many merchant accounts to refuse one after the other."""

_log = structlog.get_logger("tael.payout")
_PAYOUTS = Counter("tael_payouts", "Steps of payouts by channel and what came of them", ["channel", "verdict"])


class Payouts:
    """Works the payout queue and settles notices. Concurrent steps share transactions. One per process."""

    def __init__(self, platform: Platform, payees: Payees, risk: Risk) -> None:
        self._platform = platform
        self._intents, self._settling = Intents(platform, payees), Settling(platform, risk)
        self._beginning: Batcher[Key, Step] = Batcher(self._begin, max_wait_ms=MAX_WAIT_MS)
        self._recording: Batcher[Said, Verdict | TaelError] = Batcher(self._settling.settle, max_wait_ms=MAX_WAIT_MS)

    async def work(self, task: Task) -> Fate:
        """One rung of the ladder for the order `task.key`."""
        for _ in range(_STEPS):
            step = await self._beginning.submit((task.book, task.key))
            match step:
                case Over():
                    return Done()
                case Halted(reason):
                    _log.error("payout.halted", order_no=task.key, reason=reason)
                    return Dead(reason)
                case Waiting(reason):
                    _log.error("payout.waits", order_no=task.key, reason=reason)
                    return self._later(task, reason)
                case Send() | Ask() | CallBack():
                    verdict = await self._carry_out(step)
            if verdict is not Verdict.NEXT:
                return await self._fate(task, step, verdict)
        return self._later(task, "every merchant account refused")

    async def settle_notices(self, told: Sequence[PayoutTold]) -> list[str | TaelError]:
        """Settle verified notices about payouts; one verdict or refusal each, after the commit."""
        said = [
            Said(
                one.account, one.payout.number, Operation.QUERY_PAYOUT, Outcome.SUCCEEDED, one.payout,
                one.payout.reason, notice=one.notice,
            )
            for one in told
        ]  # fmt: skip
        return list(await self._settling.settle(said))

    async def explain(self, tx: Tx, found: Found) -> list[Considered]:
        """Through which merchant account a withdrawal would be paid now, and why; nothing is reserved."""
        return await self._intents.explain(tx, found)

    async def close(self) -> None:
        """Finish what is under way."""
        await self._beginning.close()
        await self._recording.close()

    async def _begin(self, keys: Sequence[Key]) -> list[Step]:
        async with self._platform.db.transaction() as tx:
            steps = await self._intents.next_steps(tx, keys)
            crash_point("payout.intent_before_commit")
        crash_point("payout.intent_committed")
        return steps

    async def _carry_out(self, step: Send | Ask | CallBack) -> Verdict | TaelError:
        """Call the channel and record what it said; a payout that it does not know is sent again, unchanged, unless
        it was called back, or the channel may have forgotten it: paid and forgotten looks like never heard of."""
        forgotten = self._may_be_forgotten(step.attempt)
        if isinstance(step, CallBack):
            await self._call_back(step)
        verdict = await (self._send(step) if isinstance(step, Send) and not forgotten else self._ask(step))
        if verdict is Verdict.RESEND and isinstance(step, Ask) and not forgotten:
            verdict = await self._send(Send(step.attempt, step.wish))
        found = type(verdict).__name__ if isinstance(verdict, TaelError) else verdict.value
        _PAYOUTS.labels(step.attempt.channel, found).inc()
        return verdict

    async def _send(self, step: Send) -> Verdict | TaelError:
        account, number = self._platform.account_of(step.attempt), step.attempt.attempt_no
        request = request_for(self._platform, account, step.wish, number=number)
        try:
            result = await self._platform.accounts.pays_out(account).payout(account, request, now=self._platform.now())
        except PayoutNotPossible as problem:
            # The merchant account's settings have changed since the intent. Nothing was sent now, but perhaps before.
            _log.error("payout.not_possible", attempt_no=number, merchant_account=account.id, error=str(problem))
            return problem
        crash_point("payout.channel_answered")
        return await self._recording.submit(answered(account, number, Operation.PAYOUT, result))

    async def _call_back(self, step: CallBack) -> None:
        """Wish the payout back. The answer is evidence and nothing else: only what is said afterwards ends it."""
        account, ref = self._platform.account_of(step.attempt), _ref(step.attempt)
        result = await self._platform.accounts.pays_out(account).cancel_payout(account, ref, now=self._platform.now())
        crash_point("payout.channel_answered")
        await self._recording.submit(answered(account, ref.number, Operation.CANCEL_PAYOUT, result))

    async def _ask(self, step: Send | Ask | CallBack) -> Verdict | TaelError:
        account, ref = self._platform.account_of(step.attempt), _ref(step.attempt)
        result = await self._platform.accounts.pays_out(account).query_payout(account, ref, now=self._platform.now())
        crash_point("payout.channel_answered")
        return await self._recording.submit(answered(account, ref.number, Operation.QUERY_PAYOUT, result))

    def _may_be_forgotten(self, attempt: Attempt) -> bool:
        remembers_s = self._platform.connector(self._platform.account_of(attempt)).spec.remembers_s
        return bool(remembers_s) and self._platform.now() >= attempt.created_at + timedelta(seconds=remembers_s)

    async def _fate(self, task: Task, step: Send | Ask | CallBack, verdict: Verdict | TaelError) -> Fate:
        """What becomes of the task. What is over took its task away in its own commit, so `Done` finds nothing."""
        if isinstance(verdict, TaelError):
            return self._later(task, str(verdict))
        match verdict:
            case Verdict.PAID | Verdict.FAILED | Verdict.RETURNED:
                return Done()
            case Verdict.OPEN | Verdict.RESEND | Verdict.NEXT:
                age = self._platform.now() - step.attempt.created_at
                if age >= timedelta(seconds=PATIENCE_S):
                    await self._alarm(step.attempt, days=age.days)
                return self._later(task)
            case Verdict.KNOWN | Verdict.CONTRADICTS:
                ended = step.attempt.ended_at is not None
                return Again(self._platform.now() + timedelta(seconds=LATE_QUERY_S)) if ended else self._later(task)

    async def _alarm(self, attempt: Attempt, *, days: int) -> None:
        alarm = Alert(attempt.book, PAYOUT_UNKNOWN, attempt.attempt_no, {"days": days, "order_no": attempt.order_no})
        async with self._platform.db.transaction() as tx:
            await raise_alert(tx, [alarm], ids=self._platform.ids, now=self._platform.now())

    def _later(self, task: Task, error: str | None = None) -> Again:
        return Again(self._platform.now() + self._platform.settings.recovery_pause(task.attempt - 1), error)


def _ref(attempt: Attempt) -> PayoutRef:
    return PayoutRef(attempt.attempt_no, attempt.channel_ref, attempt.created_at)
