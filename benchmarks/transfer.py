"""Row `transfer`: transfers between customers' accounts, three ways, against pgbench's tpcb-like script.

    in process   256 callers of `Transfers.start`, each with one transfer at a time
    batches      batches of 500 through `Transfers.start_batch`, four callers
    HTTP         64 connections that POST /v1/transfers to one worker, `tael up` in a process of its own

Every transfer is a row, a posting, an event and, when it comes alone, an idempotency key with its stored answer; every
caller waits for the commit. The peer keeps no row but a history line and checks no balance. `ours` are the batches;
everything runs on the same server in the same run, and the figures are medians of the rounds.
"""

import asyncio
import itertools
import os
import random
import tempfile
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import uvloop

from benchmarks.ledger_world import BOOK, World, pgbench, pgbench_tables, world
from benchmarks.report import middle, percentile, report
from tael.app import master_key
from tael.base.ids import Ids
from tael.base.money import Money
from tael.base.settings import Settings
from tael.channels.accounts import MerchantAccounts
from tael.guard import claim_for, keys
from tael.ledger import AccountId, Ledger, NewAccount, Posting, open_accounts, posting_id
from tael.payments.chart import Chart
from tael.payments.platform import Platform
from tael.transfers.transfer import Move, StartBatch, StartTransfer, Transfers
from tael_demo.stage import Server
from tael_sandbox.outgoing import Poster

CALLERS, BATCH_CALLERS, CONNECTIONS, SIZE = 256, 4, 64, 500
CUSTOMERS = 10_000
SECONDS = int(os.environ.get("BENCH_SECONDS", "6"))
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "3"))
FIRST = 1_000_001
_number = itertools.count()
_pairs = itertools.cycle(
    [tuple(random.Random(seed).sample(range(FIRST, FIRST + CUSTOMERS), 2)) for seed in range(20_000)]
)
Rate = tuple[float, list[float]]


async def main() -> None:
    """Run the row, on the event loop that Tael's workers use."""
    await asyncio.to_thread(uvloop.run, _measure())


async def _measure() -> None:
    found: dict[str, list[float]] = {"alone": [], "batches": [], "http": [], "pgbench": []}
    late: dict[str, list[float]] = {"alone": [], "batches": [], "http": []}
    async with world(wallets=100) as here:
        await _customers(here)
        await pgbench_tables(here.server)
        async with _process(here) as transfers, _worker(here) as (server, post):
            ways: dict[str, tuple[int, Callable[[], Awaitable[int]]]] = {
                "alone": (CALLERS, lambda: _one(transfers)), "batches": (BATCH_CALLERS, lambda: _batch(transfers)),
                "http": (CONNECTIONS, post),
            }  # fmt: skip
            for callers, act in ways.values():
                await _load(act, callers, seconds=2)
            cpu: dict[str, float] = {}
            for _ in range(ROUNDS):
                found["pgbench"].append(
                    max([await pgbench(here.server, clients=clients, seconds=SECONDS) for clients in (8, 32)])
                )
                for name, (callers, act) in ways.items():
                    processes = {"tael": [server.pid], "PostgreSQL": await _backends(here), "load": [os.getpid()]}
                    before = {who: sum(map(_cpu_s, pids)) for who, pids in processes.items()}
                    rate, latencies = await _load(act, callers, seconds=SECONDS)
                    found[name].append(rate)
                    late[name] += latencies
                    if name == "http":
                        done = rate * SECONDS
                        cpu = {
                            who: 1000 * (sum(map(_cpu_s, pids)) - before[who]) / done for who, pids in processes.items()
                        }
    _report(found, late, cpu)


def _report(found: dict[str, list[float]], late: dict[str, list[float]], cpu: dict[str, float]) -> None:
    rates = {name: middle(rounds) for name, rounds in found.items()}
    peer, p99 = rates["pgbench"], {name: percentile(values, 0.99) for name, values in late.items()}

    def told(name: str) -> str:
        return f"{rates[name]:,.0f}/s = {rates[name] / peer:.2f}x, p99 {p99[name]:.1f} ms"

    report(
        "transfer", ours=rates["batches"], peer=peer, ratio=rates["batches"] / peer,
        p50_ms=percentile(late["batches"], 0.5), p99_ms=p99["batches"],
        table=[
            ("pgbench tpcb-like, best of 8 and 32 clients", f"{peer:,.0f}/s"),
            (f"batches of {SIZE}, {BATCH_CALLERS} callers", told("batches")),
            (f"one by one in process, {CALLERS} callers", told("alone")),
            (f"POST /v1/transfers, {CONNECTIONS} connections, one worker", told("http")),
            ("CPU ms per request over HTTP", "  ".join(f"{who} {used:.3f}" for who, used in cpu.items())),
        ],
        detail={"rates": found, "p99_ms": p99, "http_cpu_ms": cpu},
    )  # fmt: skip


async def _load(act: Callable[[], Awaitable[int]], callers: int, *, seconds: float) -> Rate:
    """Transfers per second, and every call's latency in milliseconds."""
    clock, latencies, done = time.perf_counter, list[float](), 0
    begin = clock()
    end = begin + seconds

    async def caller() -> None:
        nonlocal done
        while (start := clock()) < end:
            moved = await act()
            done += moved
            latencies.append((clock() - start) * 1000)

    await asyncio.gather(*(caller() for _ in range(callers)))
    return done / (clock() - begin), latencies


def _move() -> Move:
    debit, credit = next(_pairs)
    return Move(debit, credit, Money(1, "CNY"), "")


async def _one(transfers: Transfers) -> int:
    claim = claim_for(book=BOOK, key=f"one-{next(_number)}", endpoint="bench", body=b"")
    await transfers.start(StartTransfer(claim, _move()))
    return 1


async def _batch(transfers: Transfers) -> int:
    claim = claim_for(book=BOOK, key=f"batch-{next(_number)}", endpoint="bench", body=b"")
    await transfers.start_batch(StartBatch(claim, [_move() for _ in range(SIZE)], atomic=False))
    return SIZE


async def _customers(here: World) -> None:
    """Open customers' accounts and give each a thousand yuan."""
    now, bank = datetime.now(UTC), here.accounts[0]
    owners = [AccountId(number) for number in range(FIRST, FIRST + CUSTOMERS)]
    ledger = Ledger()
    for start in range(0, CUSTOMERS, 1_000):
        part = owners[start : start + 1_000]
        async with here.db.transaction() as tx:
            opened = [
                NewAccount(
                    book=BOOK, id=one, subject="customer.balance", currency="CNY", kind="customer", limits=1, owner=one
                )
                for one in part
            ]
            await open_accounts(tx, opened, now=now)
            await ledger.post(
                tx,
                [
                    Posting(
                        book=BOOK, id=posting_id("fund", str(one)), debit=bank, credit=one, amount=100_000,
                        currency="CNY", code=101,
                    )
                    for one in part
                ],
                now=now,
            )  # fmt: skip


@asynccontextmanager
async def _process(here: World) -> AsyncGenerator[Transfers]:
    """The use case in this process."""

    def now() -> datetime:
        return datetime.now(UTC)

    ids = await Ids.lease(here.db, now)
    platform = Platform(here.db, ids, Ledger(), Chart(), MerchantAccounts({}), Settings(), now)
    renewing = asyncio.create_task(_renew(ids, here))
    transfers = Transfers(platform)
    yield transfers
    await transfers.close()
    renewing.cancel()


async def _renew(ids: Ids, here: World) -> None:
    while True:
        await asyncio.sleep(15)
        await ids.renew(here.db)


@asynccontextmanager
async def _worker(here: World) -> AsyncGenerator[tuple[Server, Callable[[], Awaitable[int]]]]:
    """One worker over HTTP, and a request to it."""
    with tempfile.TemporaryDirectory(prefix="tael-bench-") as folder:
        settings = Settings(home=Path(folder), port=8790)
        async with here.db.transaction() as tx:
            key = await keys.issue(tx, book=BOOK, mode="test", pepper=master_key(settings), now=datetime.now(UTC))
        server, poster = Server(settings, here.server.dsn), Poster()
        await server.start()

        async def post() -> int:
            debit, credit = next(_pairs)
            body = {"from_account_id": str(debit), "to_account_id": str(credit), "amount": 1, "currency": "CNY"}
            headers = {
                "content-type": "application/json", "authorization": f"Bearer {key}",
                "idempotency-key": f"http-{next(_number)}",
            }  # fmt: skip
            heard = await poster.post(
                f"{server.url}/v1/transfers", headers=headers, body=msgspec.json.encode(body), timeout_s=60
            )
            assert heard.status == 201, heard.body
            return 1

        try:
            yield server, post
        finally:
            await poster.close()
            await server.stop()


async def _backends(here: World) -> list[int]:
    """Process ids of the server's backends and helpers, on this machine."""
    async with here.db.transaction() as tx:
        return [row["pid"] for row in await tx.fetch("select pid from pg_stat_activity")]


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
