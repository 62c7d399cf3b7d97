"""Row `ledger-concurrent`: 256 callers in one process, each posting one movement at a time, against pgbench.

Every caller waits for its commit before it posts again. `uniform` moves money between random wallets, `hot` from
random wallets into one. The peer is pgbench's tpcb-like script, prepared, best of 8 and 32 clients, on the same server
in the same run; rounds alternate, and the figures are medians of the rounds. Each round posts for a second and a half
before it is measured, as pgbench's connections and PostgreSQL's cache are warm too: a worker runs for weeks.
"""

import asyncio
import itertools
import os
import random
import time
from datetime import UTC, datetime
from functools import cache

import uvloop

from benchmarks.ledger_world import BOOK, World, pgbench, pgbench_tables, world
from benchmarks.report import middle, percentile, report
from tael.ledger import AccountId, Ledger, Posting, posting_id
from tael.ledger.writer import LedgerWriter

CALLERS = 256
SECONDS = int(os.environ.get("BENCH_SECONDS", "6"))
WARM_S = 1.5
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "3"))
PAIRS = 100_000
_number = itertools.count()


async def load(here: World, *, hot: bool, seconds: float) -> tuple[float, list[float]]:
    """Postings per second, and every caller's latency in milliseconds."""
    writer = LedgerWriter(here.db, Ledger(), now=lambda: datetime.now(UTC))
    latencies: list[float] = []
    pairs, clock = itertools.cycle(_pairs(tuple(here.accounts), hot=hot)), time.perf_counter
    begin = clock() + WARM_S
    end = begin + seconds

    async def caller() -> None:
        while (start := clock()) < end:
            debit, credit = next(pairs)
            key = posting_id("bench", str(next(_number)), at=datetime.now(UTC))
            result = await writer.post_one(
                Posting(book=BOOK, id=key, debit=debit, credit=credit, amount=1, currency="CNY", code=1)
            )
            assert result.ok, result
            if start >= begin:
                latencies.append((clock() - start) * 1000)

    await asyncio.gather(*(caller() for _ in range(CALLERS)))
    taken = clock() - begin
    await writer.close()
    return len(latencies) / taken, latencies


@cache
def _pairs(accounts: tuple[AccountId, ...], *, hot: bool) -> list[tuple[AccountId, AccountId]]:
    """Who pays whom, drawn before the clock starts."""
    draw = random.Random(7)
    if hot:
        return [(debit, accounts[0]) for debit in draw.choices(accounts[1:], k=PAIRS)]
    return [(debit, credit) for debit, credit in (draw.sample(accounts, 2) for _ in range(PAIRS))]


async def main() -> None:
    """Run the row, on the event loop that Tael's workers use."""
    await asyncio.to_thread(uvloop.run, _measure())


async def _measure() -> None:
    peers: dict[int, list[float]] = {8: [], 32: []}
    uniform: list[float] = []
    hot: list[float] = []
    latencies: dict[str, list[float]] = {"uniform": [], "hot": []}
    async with world() as here:
        await pgbench_tables(here.server)
        await load(here, hot=False, seconds=2)
        for _ in range(ROUNDS):
            for clients, found in peers.items():
                found.append(await pgbench(here.server, clients=clients, seconds=SECONDS))
            for name, rates in (("uniform", uniform), ("hot", hot)):
                rate, measured = await load(here, hot=name == "hot", seconds=SECONDS)
                rates.append(rate)
                latencies[name] += measured
    peer = max(middle(rates) for rates in peers.values())
    ours, hottest = middle(uniform), middle(hot)
    p99 = {name: percentile(values, 0.99) for name, values in latencies.items()}
    report(
        "ledger-concurrent", ours=ours, peer=peer, ratio=ours / peer,
        p50_ms=percentile(latencies["uniform"], 0.5), p99_ms=p99["uniform"],
        table=[
            ("pgbench, 8 clients", f"{middle(peers[8]):,.0f}/s"),
            ("pgbench, 32 clients", f"{middle(peers[32]):,.0f}/s"),
            ("256 callers, uniform", f"{ours:,.0f}/s = {ours / peer:.1f}x, p99 {p99['uniform']:.1f} ms"),
            ("256 callers, one hot account", f"{hottest:,.0f}/s = {hottest / peer:.1f}x, p99 {p99['hot']:.1f} ms"),
        ],
        detail={"hot": hottest, "hot_ratio": hottest / peer, "hot_p99_ms": p99["hot"], "rounds": ROUNDS,
                "pgbench": {str(clients): rates for clients, rates in peers.items()}, "uniform": uniform, "hots": hot},
    )  # fmt: skip
