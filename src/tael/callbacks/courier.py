"""The courier: takes deliveries from the queue, sends them, and records what became of them.

    claim -> send -> 2xx: delivered
                  -> 410: dead, and the endpoint is disabled
                  -> anything else: the next rung of the ladder, after the last one dead

One loop settles whatever has been finished meanwhile and claims for the free slots, in one transaction. A round costs
the same for one delivery as for fifty, so the loop rests a moment after each unless more is known to wait: what comes
after a quiet time goes out at once, and a steady stream goes out in batches. An endpoint has few slots, and one that
is failing has a single slot out of a small share, so that a receiver that hangs delays nobody but itself. A process
that dies leaves its claims to their leases: the receiver may get a message twice, with the same `webhook-id`.
"""

import asyncio
from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta

import structlog

from tael.base.db import Tx
from tael.base.errors import TaelError
from tael.callbacks import metrics, queue, signing
from tael.callbacks.callbacks import Callbacks
from tael.callbacks.queue import Health, Job, Key, Removal, Result, Verdict
from tael.callbacks.transport import Outcome, Reply

LADDER_S = (0, 5, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400)
"""Seconds to wait before each attempt, after the one before it: 75 h 35 m in all."""
PAUSE_AFTER = timedelta(days=5)
_LEASE = timedelta(seconds=60)
_POLL_S = 0.5
_REST_S = 0.02
_NOT_THE_RECEIVER = (Outcome.NOT_SENT, Outcome.INTERNAL)

_log = structlog.get_logger("tael.callbacks")


class Courier:
    """Delivers until stopped. Several couriers, also of several processes, share the work."""

    def __init__(self, callbacks: Callbacks, *, slots: int = 256, failing_slots: int = 64, each: int = 8) -> None:
        """At most `slots` sends at a time and `each` per endpoint; of these, `failing_slots` for failing endpoints."""
        self._callbacks = callbacks
        self._slots, self._failing_slots, self._each = slots, failing_slots, each
        self._sends: dict[asyncio.Task[None], Job] = {}
        self._finished: list[Result] = []
        self._stopping = False

    def stop(self) -> None:
        """Claim nothing more; `run` returns when what is under way has been settled."""
        self._stopping = True
        self._callbacks.queued.set()

    async def run(self) -> None:
        """Deliver until `stop`."""
        while not self._stopping:
            self._callbacks.queued.clear()
            if not self._fills_an_endpoint(await self._round()):
                await asyncio.sleep(_REST_S)
            await _wait(self._callbacks.queued)
        if self._sends:
            await asyncio.wait(self._sends)
        await self._round()

    async def run_due(self) -> int:
        """Deliver everything that is due now, and answer how many attempts that took. For tests and tools that move
        the clock."""
        attempts = 0
        while await self._round():
            attempts += len(self._sends)
            await asyncio.wait(self._sends)
        return attempts

    async def _round(self) -> list[Job]:
        """Settle and, unless stopping, claim; then start what was claimed, and answer it."""
        results, self._finished = self._finished, []
        try:
            async with self._callbacks.db.transaction() as tx:
                removals = await self._settle(tx, results)
                jobs = [] if self._stopping else await self._claim(tx)
        except TaelError as problem:
            _log.warning("callbacks.round_failed", error=str(problem))
            self._finished = results + self._finished
            return []
        for removal in removals:
            _log.warning("callbacks.endpoint_removed", endpoint_id=removal.endpoint_id, status=removal.status)
        _count(results)
        for job in jobs:
            sending = asyncio.create_task(self._send(job))
            self._sends[sending] = job
            sending.add_done_callback(self._sends.__delitem__)
        return jobs

    async def _settle(self, tx: Tx, results: Sequence[Result]) -> list[Removal]:
        if not results:
            return []
        now = self._callbacks.now()
        await queue.settle(tx, results)
        return await queue.judge(tx, _verdicts(results), pause_before=now - PAUSE_AFTER, now=now)

    async def _claim(self, tx: Tx) -> list[Job]:
        failing = sum(_is_failing(job) for job in self._sends.values())
        jobs = await self._take(tx, "failing", each=1, limit=min(self._failing_slots - failing, self._free))
        return jobs + await self._take(tx, "healthy", each=self._each, limit=self._free - len(jobs))

    async def _take(self, tx: Tx, health: Health, *, each: int, limit: int) -> list[Job]:
        if limit <= 0:
            return []
        now = self._callbacks.now()
        return await queue.claim(
            tx, health, in_flight=self._in_flight(), each=each, limit=limit, now=now, lease_end=now + _LEASE
        )

    @property
    def _free(self) -> int:
        return self._slots - len(self._sends)

    def _in_flight(self) -> Counter[Key]:
        return Counter(_key(job) for job in self._sends.values())

    def _fills_an_endpoint(self, jobs: Sequence[Job]) -> bool:
        """Whether these gave an endpoint all that it may have at a time; then more may wait for it."""
        in_flight = self._in_flight()
        return any(in_flight[_key(job)] >= self._each for job in jobs)

    async def _send(self, job: Job) -> None:
        started = self._callbacks.now()
        try:
            reply = await self._attempt(job, now=started)
        except Exception as problem:  # noqa: BLE001 (a worker loop outlives its work)
            _log.warning("callbacks.attempt_failed", endpoint_id=job.endpoint.id, exc_info=problem)
            reply = Reply(Outcome.INTERNAL)
        self._finished.append(_conclude(job, reply, started=started, now=self._callbacks.now()))
        self._callbacks.queued.set()

    async def _attempt(self, job: Job, *, now: datetime) -> Reply:
        if job.endpoint.status != "enabled":
            return Reply(Outcome.NOT_SENT)
        body = job.body.encode()
        keys = self._callbacks.signing_keys(job.endpoint, now=now)
        headers = signing.headers(keys, message_id=str(job.event_id), body=body, now=now)
        headers |= {"content-type": "application/json", "user-agent": "Tael-Callbacks/1"}
        return await self._callbacks.transport.post(job.endpoint.url, headers=headers, body=body)


def _conclude(job: Job, reply: Reply, *, started: datetime, now: datetime) -> Result:
    """The delivery's next state. `rung` counts failures, so the first failure leads to the ladder's second entry."""
    final = reply.outcome in (Outcome.GONE, Outcome.NOT_SENT) or job.rung + 1 >= len(LADDER_S)
    due_at = now if final else now + timedelta(seconds=LADDER_S[job.rung + 1])
    status = "delivered" if reply.outcome is Outcome.DELIVERED else "dead" if final else "waiting"
    return Result(job, started, _error(reply), reply.status, reply.duration_ms, reply.sha256, status, due_at)


def _error(reply: Reply) -> str:
    """The error class that people read: `delivered`, `timeout`, `http_503` ..."""
    return f"http_{reply.status}" if reply.outcome is Outcome.STATUS else reply.outcome.value


def _verdicts(results: Sequence[Result]) -> list[Verdict]:
    """The results of a batch, endpoint by endpoint, in the order in which they came in."""
    found: dict[Key, Verdict] = {}
    for result in results:
        key = _key(result.job)
        before = found.get(key, Verdict(*key, succeeded=False, failures=0, gone=False))
        if result.outcome == Outcome.DELIVERED:
            found[key] = Verdict(*key, succeeded=True, failures=0, gone=before.gone)
        elif result.outcome not in _NOT_THE_RECEIVER:
            gone = before.gone or result.outcome == Outcome.GONE
            found[key] = Verdict(*key, succeeded=before.succeeded, failures=before.failures + 1, gone=gone)
    return list(found.values())


def _count(results: Sequence[Result]) -> None:
    for result in results:
        metrics.attempts.labels(outcome=result.outcome).inc()
        if result.status == "dead":
            metrics.dead.inc()


def _key(job: Job) -> Key:
    return job.endpoint.book, job.endpoint.id


def _is_failing(job: Job) -> bool:
    return job.endpoint.failures > 0


async def _wait(event: asyncio.Event) -> None:
    try:
        async with asyncio.timeout(_POLL_S):
            await event.wait()
    except TimeoutError:
        return
