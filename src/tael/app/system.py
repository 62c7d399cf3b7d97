"""One process of Tael, from start to end.

Its background work: publish the outbox, deliver callbacks, recover lost orders, pay out, and the periodic chores; each
is safe to run in any number of processes at once.
"""

import asyncio
import gc
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

import structlog
from fastapi import FastAPI
from starlette.types import ASGIApp

from tael import approvals, risk
from tael.app.chores import Chores
from tael.app.front import front
from tael.app.parts import Parts, put_together
from tael.app.topics import listeners
from tael.base.clock import Clock, DatabaseClock
from tael.base.db import Database
from tael.base.errors import TaelError
from tael.base.ids import Ids
from tael.base.jobs import Jobs
from tael.base.migrate import migrate, pending
from tael.base.outbox import Relay
from tael.base.settings import Settings, refuse_unsafe
from tael.base.tasks import Worker
from tael.callbacks import Callbacks, Courier
from tael.guard import KeyRing
from tael.payments.fulfilment import FULFIL, Fulfilments
from tael.payments.platform import Platform
from tael.payments.settlement import RECOVERY
from tael.refunds import REFUNDS
from tael.withdrawals import PAYOUT

_log = structlog.get_logger("tael.app")


class SchemaOutdated(TaelError):
    """The database schema is older than this program. Run `tael migrate` first.
    zh: 数据库结构版本过旧，请先执行 tael migrate。
    """

    status = 503


@dataclass(slots=True)
class System:
    """One running process of Tael. Use `running(settings)`; `app` is the ASGI application."""

    settings: Settings
    db: Database
    clock: Clock
    parts: Parts
    chores: Chores
    jobs: Jobs
    relay: Relay
    courier: Courier
    recoverer: Worker
    payer: Worker
    refunder: Worker
    fulfiller: Worker
    api: FastAPI
    app: ASGIApp
    _tasks: list[asyncio.Task[None]] = field(default_factory=list[asyncio.Task[None]])

    @property
    def platform(self) -> Platform:
        """Database, ledger, numbers, merchant accounts and clock."""
        return self.parts.platform

    @property
    def ids(self) -> Ids:
        """The numbers of this process."""
        return self.parts.platform.ids

    @property
    def key_ring(self) -> KeyRing:
        """The API keys."""
        return self.parts.key_ring

    @property
    def callbacks(self) -> Callbacks:
        """Events on their way to businesses."""
        return self.parts.callbacks

    def work(self) -> None:
        """Start the background work of this process."""
        self._tasks += [
            *(asyncio.create_task(loop.run()) for loop in self._loops()),
            *(asyncio.create_task(_every(seconds, chore)) for seconds, chore in self.chores.own()),
        ]

    async def stop(self) -> None:
        """Finish what is under way, give the node number back, close connections."""
        loops = self._loops()
        for loop in loops:
            loop.stop()
        for task in self._tasks[len(loops) :]:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.parts.close()
        with suppress(TaelError):
            await self.ids.release(self.db)

    def _loops(self) -> "list[Relay | Courier | Jobs | Worker]":
        return [self.jobs, self.relay, self.courier, self.recoverer, self.payer, self.refunder, self.fulfiller]


@asynccontextmanager
async def running(
    settings: Settings, *, dsn: str, clock: Clock | None = None, work: bool = True
) -> AsyncGenerator[System]:
    """A system on the database `dsn`. `clock` replaces the database's clock (tests), `work` starts background work.

    Test mode migrates by itself; live mode raises `SchemaOutdated` instead.
    """
    async with await Database.connect(dsn, max_size=settings.database_pool) as db:
        await refuse_unsafe(settings, db)
        if settings.mode == "test":
            await migrate(db)
        elif missing := await pending(db):
            raise SchemaOutdated(f"missing: {', '.join(one.name for one in missing)}")
        system = await _start(settings, db, clock or await DatabaseClock.synchronised(db))
        if work:
            system.work()
        try:
            yield system
        finally:
            await system.stop()


def quieten_collector() -> None:
    """Keep the garbage collector from pausing requests: what exists at start is never looked at again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 50, 1_000)


async def _start(settings: Settings, db: Database, clock: Clock) -> System:
    async with db.transaction() as tx:
        await risk.install_shipped(tx, now=clock.now())
        if settings.mode == "live":
            await approvals.refuse_zero_tiers(tx)
    parts = await put_together(settings, db, clock)
    chores = Chores(parts, clock)
    await chores.refresh_accounts()
    api, app = front(parts, ready=lambda: _ready(db, parts.platform.ids))
    return System(
        settings=settings, db=db, clock=clock, parts=parts, chores=chores, api=api, app=app,
        jobs=Jobs(db, chores.jobs(), clock.now),
        relay=Relay(db, listeners(parts), clock.now), courier=Courier(parts.callbacks),
        recoverer=Worker(db, RECOVERY, parts.recovery.work, clock.now, concurrency=32),
        payer=Worker(db, PAYOUT, parts.payouts.work, clock.now, concurrency=256),
        refunder=Worker(db, REFUNDS, parts.refunds.work, clock.now, concurrency=32),
        fulfiller=Worker(db, FULFIL, Fulfilments(parts.platform).work, clock.now, concurrency=8, poll_s=2),
    )  # fmt: skip


async def _ready(db: Database, ids: Ids) -> dict[str, str]:
    """Reasons why this process should get no traffic, by check; empty when it is ready."""
    reasons: dict[str, str] = {}
    try:
        if missing := await pending(db):
            reasons["migrations"] = f"{len(missing)} missing"
        ids.next()
    except TaelError as problem:
        reasons["database"] = str(problem)
    return reasons


async def _every(seconds: int, chore: Callable[[], Awaitable[object]]) -> None:
    """Run a chore for ever; its failures are logged, never the end of the loop."""
    while True:
        await asyncio.sleep(seconds)
        try:
            await chore()
        except Exception as problem:  # noqa: BLE001 (a worker loop outlives its chores)
            _log.warning("chore.failed", chore=getattr(chore, "__name__", str(chore)), exc_info=problem)
