"""The composition root: the only module that knows everybody, and the only one that reads the clock.

    settings -> database -> migrations -> clock, node number, keys -> packages -> routes + background work

`System` is one process. Its background work: publish the outbox, deliver callbacks, recover lost orders, and a few
periodic jobs; each is safe to run in any number of processes at once.
"""

import asyncio
import gc
import os
import secrets
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import structlog
from fastapi import APIRouter, FastAPI
from fastapi.routing import APIRoute
from starlette.types import ASGIApp

from tael import __version__
from tael.base import health
from tael.base.clock import Clock, DatabaseClock
from tael.base.db import Database
from tael.base.errors import TaelError
from tael.base.gate import Gate
from tael.base.http import install_problems
from tael.base.ids import Ids
from tael.base.migrate import migrate, pending
from tael.base.outbox import Relay
from tael.base.settings import Settings, refuse_unsafe
from tael.base.tasks import Worker
from tael.callbacks import Callbacks, Courier, Policy, observe_outbox
from tael.callbacks import Transport as CallbackTransport
from tael.callbacks import forget_old as forget_callbacks
from tael.callbacks import routes as callback_routes
from tael.channels import registry
from tael.channels.accounts import MerchantAccounts
from tael.channels.pace import SharedPace
from tael.channels.transport import Transport as ChannelTransport
from tael.console import docs, status
from tael.guard import KeyRing, declared_scope, forget_old
from tael.ledger import Ledger, cut_day
from tael.ledger import books as ledger_books
from tael.ledger import routes as ledger_routes
from tael.orders import forget_submissions
from tael.payments import routes as payment_routes
from tael.payments.chart import Chart
from tael.payments.from_balance import BalancePayments
from tael.payments.handover import Handover
from tael.payments.kinds import TOPICS
from tael.payments.notice_endpoint import NoticeEndpoint
from tael.payments.notices import Listeners, Notices, PayoutTold, RefundTold
from tael.payments.platform import Platform
from tael.payments.recover import Recovery
from tael.payments.settlement import RECOVERY, Settlement, UnknownAttempt
from tael.payments.start import PayIns

_log = structlog.get_logger("tael.app")


class UnguardedRoute(TaelError):
    """A route declares no permission; the application does not start.
    zh: 存在未声明权限的接口，应用拒绝启动。
    """

    status = 500


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
    ids: Ids
    platform: Platform
    key_ring: KeyRing
    callbacks: Callbacks
    settlement: Settlement
    handover: Handover
    pay_ins: PayIns
    balance_payments: BalancePayments
    notices: Notices
    recovery: Recovery
    relay: Relay
    courier: Courier
    recoverer: Worker
    api: FastAPI
    app: ASGIApp
    _tasks: list[asyncio.Task[None]] = field(default_factory=list[asyncio.Task[None]])

    def work(self) -> None:
        """Start the background work of this process."""
        self._tasks += [
            asyncio.create_task(self.relay.run()),
            asyncio.create_task(self.courier.run()),
            asyncio.create_task(self.recoverer.run()),
            *(asyncio.create_task(_every(seconds, job)) for seconds, job in self._periodic()),
        ]

    async def stop(self) -> None:
        """Finish what is under way, give the node number back, close connections."""
        self.relay.stop()
        self.courier.stop()
        self.recoverer.stop()
        loops, periodic = self._tasks[:3], self._tasks[3:]
        for task in periodic:
            task.cancel()
        await asyncio.gather(*loops, *periodic, return_exceptions=True)
        await self.notices.close()
        await self.pay_ins.close()
        await self.balance_payments.close()
        await self.handover.close()
        await self.callbacks.transport.close()
        with suppress(TaelError):
            await self.ids.release(self.db)

    def _periodic(self) -> list[tuple[int, Callable[[], Awaitable[object]]]]:
        return [
            (20, lambda: self.ids.renew(self.db)),
            (30, self._synchronise),
            (30, self.refresh_accounts),
            (20, self.forget),
            (5, self.keep_books),
        ]

    async def _synchronise(self) -> None:
        if isinstance(self.clock, DatabaseClock):
            await self.clock.synchronise(self.db)

    async def refresh_accounts(self) -> None:
        """Load new and changed merchant accounts and renew the channels' keys; what is unusable is logged."""
        for refusal in await self.platform.accounts.refresh(self.db):
            _log.error("merchant_account.unusable", error=str(refusal))
        for account in self.platform.accounts:
            await self.platform.connector(account).keep_keys(account, now=self.clock.now())

    async def keep_books(self) -> None:
        """Move every book's accounting day on when it is over, and record the expiry of holds whose time is over."""
        async with self.db.transaction() as tx:
            books = await ledger_books(tx)
        for book in books:
            async with self.db.transaction() as tx:
                await cut_day(tx, book, now=self.clock.now())
                await self.platform.ledger.expire_due(tx, book, now=self.clock.now())

    async def forget(self) -> None:
        """Delete what is kept for a time only, a bounded batch of each kind."""
        async with self.db.transaction() as tx:
            await forget_old(tx, now=self.clock.now())
            await forget_submissions(tx, now=self.clock.now())
            await forget_callbacks(tx, now=self.clock.now())


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
        system = await _build(settings, db, clock or await DatabaseClock.synchronised(db))
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


def master_key(settings: Settings) -> bytes:
    """The key everything secret derives from: the setting, or in test mode one that is made and kept in `home`."""
    given = settings.master_key.get_secret_value()
    if given:
        return given.encode()
    return _kept_key(settings.home / "master.key")


async def _build(settings: Settings, db: Database, clock: Clock) -> System:
    ids = await Ids.lease(db, clock.now)
    key = master_key(settings)
    accounts = MerchantAccounts(registry.connectors(ChannelTransport(pace=SharedPace(db))))
    platform = Platform(db, ids, Ledger(), Chart(), accounts, settings, clock.now)
    hooks = Callbacks(
        db, ids, clock.now, key, CallbackTransport(Policy(settings.mode, allow_loopback=settings.allow_loopback))
    )
    settlement, handover = Settlement(platform), Handover(platform)
    pay_ins, balance_payments = PayIns(platform, handover), BalancePayments(platform)
    notices = Notices(platform, settlement, Listeners(_no_refunds, _no_payouts))
    recovery = Recovery(platform, settlement, handover)
    ring = KeyRing(db, pepper=key, mode=settings.mode, now=clock.now)
    app = FastAPI(
        title="Tael", version=__version__, docs_url=None, redoc_url=None,
        openapi_url="/openapi.json" if settings.mode == "test" else None,
    )  # fmt: skip
    system = System(
        settings, db, clock, ids, platform, ring, hooks, settlement, handover, pay_ins, balance_payments, notices,
        recovery,
        Relay(db, {topic: [hooks.fan_out] for topic in TOPICS}, clock.now), Courier(hooks),
        Worker(db, RECOVERY, recovery.work, clock.now, concurrency=32), app, Gate(NoticeEndpoint(app, notices)),
    )  # fmt: skip
    await system.refresh_accounts()
    app.state.key_ring = ring
    install_problems(app)
    routers = [
        ledger_routes.router(db, clock.now),
        payment_routes.router(platform, pay_ins, balance_payments, recovery),
        callback_routes.router(hooks),
        status.router(status.Page(db, key, settings.mode, clock.now)),
        health.router(
            ready=lambda: _ready(system), observe=lambda: observe_outbox(db, now=clock.now()),
            metrics_token=settings.metrics_token.get_secret_value() if settings.mode == "live" else None,
        ),
        *([docs.router()] if settings.mode == "test" else []),
    ]  # fmt: skip
    scopes_of(routers)
    for router in routers:
        app.include_router(router)
    return system


async def _no_refunds(told: Sequence[RefundTold]) -> list[str | TaelError]:
    return [UnknownAttempt(one.refund.number) for one in told]


async def _no_payouts(told: Sequence[PayoutTold]) -> list[str | TaelError]:
    return [UnknownAttempt(one.payout.number) for one in told]


async def _ready(system: System) -> dict[str, str]:
    """Reasons why this process should get no traffic, by check; empty when it is ready."""
    reasons: dict[str, str] = {}
    try:
        if missing := await pending(system.db):
            reasons["migrations"] = f"{len(missing)} missing"
        system.ids.next()
    except TaelError as problem:
        reasons["database"] = str(problem)
    return reasons


def scopes_of(routers: Sequence[APIRouter]) -> dict[tuple[str, str], str]:
    """The permission of every operation below /v1 by method and path. Raises `UnguardedRoute` when one has none."""
    found: dict[tuple[str, str], str] = {}
    for route in (route for router in routers for route in router.routes):
        if isinstance(route, APIRoute) and route.path.startswith("/v1/"):
            scopes = [scope for one in route.dependant.dependencies if (scope := declared_scope(one.call))]
            if not scopes:
                raise UnguardedRoute(route.path)
            found |= {(method, route.path): scopes[0] for method in route.methods or ()}
    return found


def _kept_key(path: Path) -> bytes:
    path.parent.mkdir(parents=True, exist_ok=True)
    with suppress(FileExistsError), os.fdopen(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w") as file:
        file.write(secrets.token_hex(32))
    return path.read_bytes()


async def _every(seconds: int, job: Callable[[], Awaitable[object]]) -> None:
    """Run a periodic job for ever; its failures are logged, never the end of the loop."""
    while True:
        await asyncio.sleep(seconds)
        try:
            await job()
        except Exception as problem:  # noqa: BLE001 (a worker loop outlives its jobs)
            _log.warning("job.failed", job=getattr(job, "__name__", str(job)), exc_info=problem)
