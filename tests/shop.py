"""A shop: Tael on its own database, the WeChat Pay simulator, a business's receiver, on loopback, one stepped clock.

No background work runs by itself: a test says when recovery, publishing and delivery happen, and how much time passes.
"""

import asyncio
import contextlib
import itertools
import socket
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import httpx2
import uvicorn

from tael.app import System, running
from tael.app.topics import listeners
from tael.base.clock import SteppedClock
from tael.base.db import Database
from tael.base.outbox import publish_batch
from tael.base.settings import Settings
from tael.channels.accounts import AccountRow
from tael.guard import keys
from tael.ledger import BookId, balance, open_book
from tael.ledger.verify import verify
from tael_sandbox import Sandbox
from tael_sandbox.receiver import Receiver

BOOK = 1
MASTER_KEY = "test-master-key-" + "0123456789abcdef" * 2


@dataclass(slots=True)
class Shop:
    """What a flow plays with."""

    system: System
    db: Database
    clock: SteppedClock
    sim: Sandbox
    receiver: Receiver
    http: httpx2.AsyncClient
    merchant_account: int
    numbers: "itertools.count[int]" = field(default_factory=lambda: itertools.count(1))

    async def account(self, owner: int = 1001, currency: str = "CNY") -> str:
        """A customer's account."""
        answer = await self.http.post("/v1/accounts", json={"owner": str(owner), "currency": currency})
        assert answer.status_code in {200, 201}, answer.text
        return answer.json()["id"]

    async def recharge(self, account: str, amount: int = 10_000, *, key: str = "", **more: object) -> httpx2.Response:
        """Ask for a recharge by QR code."""
        number = next(self.numbers)
        body = {
            "account_id": account, "amount": amount, "currency": "CNY", "channel": "wechat", "method": "native",
            "description": f"Recharge {number}",
        } | more  # fmt: skip
        return await self.http.post("/v1/recharges", json=body, headers={"Idempotency-Key": key or f"key-{number}"})

    async def payment(self, account: str, amount: int = 10_000, *, key: str = "", **more: object) -> httpx2.Response:
        """Ask for a payment for goods by QR code."""
        number = next(self.numbers)
        body = {
            "business_order_no": f"S-{number}", "account_id": account, "amount": amount, "currency": "CNY",
            "channel": "wechat", "method": "native", "description": f"Goods {number}",
        } | more  # fmt: skip
        return await self.http.post("/v1/payments", json=body, headers={"Idempotency-Key": key or f"key-{number}"})

    async def paid(self, account: str, amount: int = 10_000, **more: object) -> dict[str, object]:
        """A payment for goods that the payer has made, as the API shows it."""
        order = (await self.payment(account, amount, **more)).json()
        await self.sim.pay(order["attempts"][0]["attempt_no"])
        await self.sim.drain()
        return (await self.http.get(f"/v1/payments/{order['order_no']}")).json()

    async def refund(self, payment_no: str, amount: int, /, *, key: str = "", **more: object) -> httpx2.Response:
        """Ask for a refund."""
        number = next(self.numbers)
        body = {
            "payment_no": payment_no, "business_refund_no": f"B-{number}", "amount": amount, "currency": "CNY",
            "reason": "broken",
        } | more  # fmt: skip
        return await self.http.post("/v1/refunds", json=body, headers={"Idempotency-Key": key or f"key-{number}"})

    async def order(self, order_no: str) -> dict[str, object]:
        """The recharge as the API shows it."""
        answer = await self.http.get(f"/v1/recharges/{order_no}")
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def advance(self, seconds: int) -> None:
        """Let time pass here and at the channel."""
        self.clock.advance(seconds)
        await self.system.ids.renew(self.db)
        await self.sim.advance(seconds)
        await self.sim.drain()

    async def recover(self) -> int:
        """Run what recovery has to do now."""
        return await self.system.recoverer.run_due()

    async def send_refunds(self) -> int:
        """Run what the sender of refunds has to do now."""
        return await self.system.refunder.run_due()

    async def deliver(self) -> None:
        """Publish the outbox and deliver callbacks."""
        await publish_batch(self.db, listeners(self.system.parts), now=self.clock.now())
        await self.system.courier.run_due()

    async def available(self, account: str) -> int:
        """What the customer can spend, in minor units."""
        async with self.db.transaction() as tx:
            return (await balance(tx, BOOK, int(account))).available

    async def count(self, table: str, where: str = "true") -> int:
        """Rows of a table."""
        async with self.db.transaction() as tx:
            found = await tx.fetchval(f"select count(*) from {table} where {where}")
        assert isinstance(found, int)
        return found

    async def check_books(self) -> None:
        """Every invariant of the ledger holds, and the channel's book agrees with ours."""
        report = await verify(self.db, BookId(BOOK))
        assert report.ok, report
        booked = await self.count("posting", "code in (101, 102, 103)")
        at_channel = sum(len(order.payments) for order in await self.sim.orders())
        assert booked == at_channel
        given_back = await self.count("posting", "code in (121, 123)")
        assert given_back == sum(refund.state == "SUCCESS" for refund in await self.sim.refunds())


@contextlib.asynccontextmanager
async def open_shop(dsn: str, folder: Path, **more: object) -> AsyncGenerator[Shop]:
    """Build a shop in `folder`; `more` are settings."""
    clock = SteppedClock(datetime.now(UTC).replace(microsecond=0))
    with contextlib.closing(_listener()) as listener:
        port = listener.getsockname()[1]
        settings = Settings(home=folder / "tael", port=port, master_key=MASTER_KEY, **more)
        async with (
            Sandbox.start(folder / "sandbox", seed="flows") as sim,
            Receiver() as receiver,
            running(settings, dsn=dsn, clock=clock, work=False) as system,
            _serving(system, listener),
        ):
            await sim.set_clock(mode="manual", now_ms=int(clock.now().timestamp() * 1000))
            key, account = await prepare(system, sim)
            headers = {"Authorization": f"Bearer {key}"}
            async with httpx2.AsyncClient(
                base_url=f"http://127.0.0.1:{port}", headers=headers, timeout=60, trust_env=False
            ) as http:
                yield Shop(system, system.db, clock, sim, receiver, http, account)


async def prepare(system: System, sim: Sandbox, *, book: int = BOOK) -> tuple[str, int]:
    """Open the book, make an API key and the merchant account of the simulator; answers key and account id."""
    now, merchant = system.clock.now(), sim.merchant
    row = AccountRow(
        book=book, id=system.ids.next(), name="sandbox", channel="wechat", mode="test", state="active",
        mchid=merchant.mchid, appid=merchant.appid, base_url=sim.base_url,
        config={
            "serial_no": merchant.serial, "public_key_id": merchant.public_key_id, "transfer_scene_id": "1000",
            "transfer_scene_report_infos": '[{"info_type": "活动名称", "info_content": "提现"}]',
        },
        secret_refs={
            "merchant_key": f"file:{merchant.private_key_path}", "apiv3_key": f"file:{merchant.apiv3_key_path}",
            "public_key": f"file:{merchant.public_key_path}",
        },
        qps={}, changed_at=now,
    )  # fmt: skip
    async with system.db.transaction() as tx:
        await open_book(tx, book, name=f"company {book}", now=now)
        await system.platform.accounts.add(tx, row)
        key = await keys.issue(tx, book=book, mode="test", pepper=system.key_ring.pepper, now=now)
    await system.platform.accounts.refresh(system.db)
    return key, row.id


@contextlib.asynccontextmanager
async def _serving(system: System, listener: socket.socket) -> AsyncGenerator[None]:
    config = uvicorn.Config(system.app, log_config=None, lifespan="off", access_log=False, timeout_graceful_shutdown=5)
    server = uvicorn.Server(config)
    server.install_signal_handlers = lambda: None
    task = asyncio.create_task(server.serve(sockets=[listener]))
    while not server.started:
        await asyncio.sleep(0)
    try:
        yield
    finally:
        server.should_exit = True
        await task


def _listener() -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.bind(("127.0.0.1", 0))
    listener.listen(512)
    return listener
