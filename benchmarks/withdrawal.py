"""Row `withdrawal`: the full life of a withdrawal to an Alipay user, all on this machine.

request with hold and verdict of risk control -> approved by a second person -> routed -> signed channel call
-> signed answer verified -> settled -> callback queued

Tael (one worker), the simulator, PostgreSQL and the load share the two cores, so the figure is what the whole machine
does; it counts until the last withdrawal's callback is queued. The peer is the channel side by itself: the same signed
transfers, sent to the same simulator by a bare client that keeps nothing and asks nobody.
"""

import asyncio
import os
import tempfile
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import uvloop

from benchmarks.report import percentile, report
from tael.base.embedded import embedded
from tael.base.money import Money
from tael.base.wire import Wire, address
from tael.channels import registry
from tael.channels.accounts import MerchantAccounts
from tael.channels.alipay.payouts import build_payout
from tael.channels.contract import AlipayUser, MerchantAccount, PayoutRequest
from tael.channels.transport import Transport
from tael.ledger import AccountId, Ledger, NewAccount, Posting, open_accounts, posting_id, require_posted
from tael_demo.faults.payments_stage import Channels, open_channels
from tael_demo.faults.stage import BOOK, FaultStage, fault_stage
from tael_sandbox.outgoing import Heard, Poster

WITHDRAWALS = int(os.environ.get("BENCH_WITHDRAWALS", "3000"))
WARM = 300
CALLERS = 64
A_DAY = 3
"""How often the shipped rules let a person withdraw in a day."""
AMOUNT = 100
_SOURCE = AccountId(1)
_JSON = {"content-type": "application/json"}
_SETTINGS = {"TAEL_DATABASE_POOL": "20", "TAEL_RECOVERY_LADDER_S": "[10, 20, 30, 60]"}


@dataclass(frozen=True, slots=True)
class World:
    """Everything that runs, and members with an account and a payee each."""

    on: FaultStage
    channels: Channels
    members: list[tuple[str, str]]

    def header(self, *, key: str) -> dict[str, str]:
        """Whose request it is."""
        return {**_JSON, "authorization": f"Bearer {key}"}


async def main() -> None:
    """Run the row."""
    await asyncio.to_thread(uvloop.run, _main())


async def _main() -> None:
    with tempfile.TemporaryDirectory(prefix="tael-bench-") as name:
        home = Path(name)
        home.chmod(0o711)
        with embedded(home / "database") as server:
            async with fault_stage(home, server.dsn, settings=_SETTINGS) as on:
                channels = await open_channels(on)
                async with on.db.transaction() as tx:  # the channel's own limit is not what is measured
                    await tx.execute(
                        """update merchant_account set qps = '{"payout": 100000, "query_payout": 100000}'"""
                    )
                await on.start()
                await on.subscribe("withdrawal.paid")
                world = World(on, channels, await _members(on, (WITHDRAWALS + WARM) // A_DAY + CALLERS))
                await _measure(world)


async def _measure(world: World) -> None:
    await _run(world, range(WARM))
    backends = await _backends(world.on)
    processes = {
        "tael": [world.on.servers[0].pid], "simulator": [world.on.sandbox.pid], "PostgreSQL": backends,
        "load": [os.getpid()],
    }  # fmt: skip
    before = {name: sum(map(_cpu_s, pids)) for name, pids in processes.items()}
    started = time.perf_counter()
    latencies = await _run(world, range(WARM, WARM + WITHDRAWALS))
    took = time.perf_counter() - started
    cpu = {name: 1000 * (sum(map(_cpu_s, pids)) - before[name]) / WITHDRAWALS for name, pids in processes.items()}
    peer = await _bare(world)
    rate, p50, p99 = WITHDRAWALS / took, percentile(latencies, 0.5), percentile(latencies, 0.99)
    report(
        "withdrawal", ours=rate, peer=peer, ratio=rate / peer, p50_ms=p50, p99_ms=p99,
        table=[
            ("full lives per second", f"{rate:,.0f}"),
            ("request and approval answered, p50 / p99", f"{p50:.1f} / {p99:.1f} ms at {CALLERS} callers"),
            ("CPU ms per life", "  ".join(f"{name} {used:.2f}" for name, used in cpu.items())),
            ("bare signed calls to the simulator per second", f"{peer:,.0f}"),
        ],
        detail={
            "withdrawals": WITHDRAWALS, "callers": CALLERS, "approval": "by a second person, over HTTP",
            "channel": "alipay", "cpu_ms": {name: round(used, 3) for name, used in cpu.items()},
        },
    )  # fmt: skip


async def _run(world: World, numbers: range) -> list[float]:
    """Lives with CALLERS at a time; returns when all callbacks are queued. Milliseconds to the answered approval."""
    waiting, latencies, poster = iter(numbers), list[float](), Poster()
    maker, checker = world.header(key=world.on.api_key), world.header(key=world.channels.second_person)
    url, start = world.on.servers[0].url, await _paid(world.on)

    async def caller() -> None:
        for number in waiting:
            account, payee = world.members[number // A_DAY]
            body = {
                "account_id": account, "payee_id": payee, "amount": AMOUNT, "currency": "CNY", "description": "bench",
            }  # fmt: skip
            began, key = time.perf_counter(), {"idempotency-key": f"bench-{number}"}
            asked = await _ask(poster, f"{url}/v1/withdrawals", maker | key, msgspec.json.encode(body))
            assert asked.status == 201, asked.body
            order_no = msgspec.json.decode(asked.body)["order_no"]
            approved = await _ask(poster, f"{url}/v1/withdrawals/{order_no}/approve", checker, b"{}")
            assert approved.status == 200 or b'"already_decided"' in approved.body, approved.body
            latencies.append(1000 * (time.perf_counter() - began))

    await asyncio.gather(*(caller() for _ in range(CALLERS)))
    while await _paid(world.on) < start + len(numbers):
        await asyncio.sleep(0.02)
    await poster.close()
    return latencies


async def _ask(poster: Poster, url: str, headers: dict[str, str], body: bytes) -> Heard:
    """Ask; a server that has too much to do is asked again."""
    while (heard := await poster.post(url, headers=headers, body=body, timeout_s=60)).status == 503:
        await asyncio.sleep(0.05)
    return heard


async def _bare(world: World) -> float:
    """Signed transfers a second, by a client that does nothing else."""
    loaded = MerchantAccounts(registry.connectors(Transport()))
    assert await loaded.refresh(world.on.db) == []
    account = loaded.get(book=BOOK, id=world.channels.accounts["alipay"])
    waiting, wire = iter(range(WITHDRAWALS)), Wire()

    async def caller() -> None:
        for number in waiting:
            request = build_payout(account, _transfer(account, number), now=datetime.now(UTC))
            reply = await wire.exchange(request, address(account.base_url))
            assert reply.status == 200, reply.body

    started = time.perf_counter()
    await asyncio.gather(*(caller() for _ in range(CALLERS)))
    took = time.perf_counter() - started
    wire.close()
    return WITHDRAWALS / took


def _transfer(account: MerchantAccount, number: int) -> PayoutRequest:
    return PayoutRequest(
        number=f"BARE{number:020d}", payee=AlipayUser(f"2088{number:012d}", "ALIPAY_USER_ID"),
        amount=Money(AMOUNT, "CNY"), remark="bench", notify_url=f"{account.base_url}/nobody",
    )  # fmt: skip


async def _members(on: FaultStage, count: int) -> list[tuple[str, str]]:
    """Members with money and a payee: ids of account and payee."""
    poster, waiting, made = Poster(), iter(range(count)), list[tuple[str, str]]()
    headers, url = {**_JSON, "authorization": f"Bearer {on.api_key}"}, on.servers[0].url

    async def caller() -> None:
        for number in waiting:
            owner = str(1_000 + number)
            account = {"owner": owner, "currency": "CNY"}
            payee = {
                "owner": owner, "kind": "alipay_user", "number": f"2088{number:012d}",
                "identity_type": "ALIPAY_USER_ID",
            }  # fmt: skip
            ids: list[str] = []
            for path, body in (("accounts", account), ("payees", payee)):
                heard = await _ask(poster, f"{url}/v1/{path}", headers, msgspec.json.encode(body))
                assert heard.status == 201, heard.body
                ids.append(msgspec.json.decode(heard.body)["id"])
            made.append((ids[0], ids[1]))

    await asyncio.gather(*(caller() for _ in range(CALLERS)))
    await poster.close()
    await _fund(on, [account for account, _ in made])
    return made


async def _fund(on: FaultStage, accounts: list[str]) -> None:
    now = datetime.now(UTC)
    async with on.db.transaction() as tx:
        await open_accounts(
            tx, [NewAccount(book=BOOK, id=_SOURCE, subject="1002", currency="CNY", normal="debit")], now=now
        )
    ledger = Ledger()
    for start in range(0, len(accounts), 500):
        funds = [
            Posting(
                book=BOOK, id=posting_id("bench", account), debit=_SOURCE, credit=AccountId(int(account)),
                amount=A_DAY * AMOUNT, currency="CNY", code=1,
            )
            for account in accounts[start : start + 500]
        ]  # fmt: skip
        async with on.db.transaction() as tx:
            require_posted(await ledger.post(tx, funds, now=now))


async def _paid(on: FaultStage) -> int:
    """Withdrawals whose callback is queued: the end of the life."""
    async with on.db.transaction() as tx:
        found = await tx.fetchval("select count(*) from event where topic = 'withdrawal.paid'")
    assert isinstance(found, int)
    return found


async def _backends(on: FaultStage) -> list[int]:
    """Process ids of the server's backends and helpers, on this machine."""
    async with on.db.transaction() as tx:
        return [row["pid"] for row in await tx.fetch("select pid from pg_stat_activity")]


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
