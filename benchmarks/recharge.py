"""Row `recharge`: the full life of a recharge, all on this machine.

request -> signed channel call -> QR code -> payer pays -> signed notice verified -> settled -> callback queued

Tael (one worker), the simulator, PostgreSQL and the load share the two cores, so the figure is what the whole machine
does. The peer is the simulator by itself: the lives that one core could serve if Tael cost nothing, measured as the
simulator's CPU time in this very run.
"""

import asyncio
import os
import shutil
import tempfile
import time
from pathlib import Path

import msgspec

from benchmarks.report import percentile, report
from tael_demo.stage import Stage, stage
from tael_sandbox.outgoing import Poster

RECHARGES = int(os.environ.get("BENCH_RECHARGES", "6000"))
CALLERS = 64
ACCOUNTS = 200


async def main() -> None:
    """Run the row."""
    home = Path(tempfile.mkdtemp(prefix="tael-bench-"))
    home.chmod(0o711)
    try:
        async with stage(home) as on:
            accounts = [await _account(on, 10_000 + number) for number in range(ACCOUNTS)]
            await _run(on, accounts, 500, "warm")
            await _measure(on, accounts)
    finally:
        shutil.rmtree(home, ignore_errors=True)


async def _measure(on: Stage, accounts: list[str]) -> None:
    backends = await _backends(on)
    processes = {"tael": [on.server.pid], "simulator": [on.sandbox.pid], "PostgreSQL": backends, "load": [os.getpid()]}
    before = {name: sum(map(_cpu_s, pids)) for name, pids in processes.items()}
    started = time.perf_counter()
    latencies = await _run(on, accounts, RECHARGES, "run")
    took = time.perf_counter() - started
    cpu = {name: sum(map(_cpu_s, pids)) - before[name] for name, pids in processes.items()}
    rate, peer = RECHARGES / took, RECHARGES / cpu["simulator"]
    p50, p99 = percentile(latencies, 0.5), percentile(latencies, 0.99)
    report(
        "recharge", ours=rate, peer=peer, ratio=rate / peer, p50_ms=p50, p99_ms=p99,
        table=[
            ("full lives per second", f"{rate:,.0f}"),
            ("request to QR code, p50 / p99", f"{p50:.1f} / {p99:.1f} ms at {CALLERS} callers"),
            ("CPU ms per life", "  ".join(f"{name} {1000 * used / RECHARGES:.2f}" for name, used in cpu.items())),
            ("simulator alone, one core", f"{peer:,.0f}"),
        ],
        detail={
            "recharges": RECHARGES, "callers": CALLERS,
            "cpu_ms": {name: 1000 * used / RECHARGES for name, used in cpu.items()},
        },
    )  # fmt: skip


async def _run(on: Stage, accounts: list[str], count: int, tag: str) -> list[float]:
    """`count` lives with CALLERS at a time; returns when all are booked. Answers create latencies in milliseconds."""
    numbers = iter(range(count))
    latencies: list[float] = []
    poster = Poster()
    start = await _booked(on)

    async def caller() -> None:
        for number in numbers:
            began = time.perf_counter()
            order = await _recharge(on, poster, accounts[number % len(accounts)], f"{tag}-{number}")
            latencies.append(1000 * (time.perf_counter() - began))
            pay = msgspec.json.encode({"out_trade_no": order["attempts"][0]["attempt_no"]})
            paid = await poster.post(f"{on.sandbox.base_url}/_sim/pay", headers=_JSON, body=pay, timeout_s=60)
            assert paid.status == 200, paid.body

    await asyncio.gather(*(caller() for _ in range(CALLERS)))
    while await _booked(on) < start + count:
        await asyncio.sleep(0.01)
    await poster.close()
    return latencies


_JSON = {"content-type": "application/json"}


async def _recharge(on: Stage, poster: Poster, account: str, key: str) -> dict:
    body = {
        "account_id": account, "amount": 100, "currency": "CNY", "channel": "wechat", "method": "native",
        "description": key,
    }  # fmt: skip
    headers = _JSON | {"idempotency-key": key, "authorization": on.http.headers["authorization"]}
    heard = await poster.post(
        f"{on.server.url}/v1/recharges", headers=headers, body=msgspec.json.encode(body), timeout_s=60
    )
    assert heard.status == 201, heard.body
    return msgspec.json.decode(heard.body)


async def _account(on: Stage, owner: int) -> str:
    made = await on.http.post("/v1/accounts", json={"owner": str(owner), "currency": "CNY"})
    return made.json()["id"]


async def _booked(on: Stage) -> int:
    """Recharges whose callback is queued: the end of the life."""
    async with on.db.transaction() as tx:
        found = await tx.fetchval("select count(*) from event where topic = 'recharge.paid'")
    assert isinstance(found, int)
    return found


async def _backends(on: Stage) -> list[int]:
    """Process ids of the server's backends and helpers, on this machine."""
    async with on.db.transaction() as tx:
        return [row["pid"] for row in await tx.fetch("select pid from pg_stat_activity")]


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
