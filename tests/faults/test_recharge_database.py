"""PostgreSQL dies, refuses and deadlocks while customers recharge; servers are restarted one by one (F07, F50, F54)."""

import asyncio
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tael.base.embedded import Server, embedded
from tael_demo.faults.customers import Customers, Plan, customers
from tael_demo.faults.recharge import play
from tael_demo.faults.stage import fault_stage, kill_postgres
from tael_demo.faults.verdict import examine, finish


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that PostgreSQL's user may pass through."""
    with tempfile.TemporaryDirectory(prefix="tael-faults-") as name:
        Path(name).chmod(0o711)
        yield Path(name)


@pytest.fixture
def own_server(folder: Path) -> Iterator[Server]:
    """A PostgreSQL that may be killed."""
    with embedded(folder / "database") as server:
        yield server


def load(people: Customers, account: str, customers: int) -> asyncio.Future[list[None]]:
    plans = [Plan(f"key-{n}", account, 100 + n, pays=bool(n % 5)) for n in range(customers)]
    return asyncio.gather(*(people.journey(plan) for plan in plans))


@pytest.mark.slow
async def test_postgres_is_killed_during_a_stream_of_recharges(own_server: Server, folder: Path) -> None:
    async with fault_stage(folder, own_server.dsn) as stage, customers(stage, folder) as people:
        await stage.start()
        await stage.subscribe()
        going = load(people, await stage.customer(1), 50)
        for told in (5, 15, 30):
            await people.diary.until(told)
            await kill_postgres(own_server)
            await stage.end_leases()
        await going
        await finish(people)
        assert (await examine(people)).all == []
        assert stage.deaths == 0, "Tael itself outlives its database"


async def test_serialization_failures_and_deadlocks_are_only_a_delay(dsn: str, tmp_path: Path) -> None:
    """One write in ten fails in a way that says: nothing happened, try again."""
    async with fault_stage(tmp_path, dsn) as stage, customers(stage, tmp_path) as people:
        await stage.start()
        await stage.subscribe()
        account = await stage.customer(1)
        async with stage.db.transaction() as tx:
            await tx.execute(
                """create function stumble() returns trigger language plpgsql as $$ begin
                       if random() < 0.1 then
                           raise exception 'stumbled' using errcode = case when random() < 0.5 then '40001' else '40P01'
                                                                      end;
                       end if;
                       return null;
                   end $$"""
            )
            for table in ("payment_order", "payment_attempt", "channel_notice", "event", "posting", "idempotency"):
                await tx.execute(
                    f"""create trigger stumble after insert or update on {table} for each statement
                        execute function stumble()"""
                )
        going = load(people, account, 30)
        while not going.done():
            await asyncio.sleep(0.5)
            await stage.end_leases()  # nobody has to wait for a key whose answer could not be stored
        await finish(people)
        assert (await examine(people)).all == []


async def test_servers_are_restarted_one_by_one_and_nobody_is_turned_away_for_good(dsn: str, tmp_path: Path) -> None:
    async with fault_stage(tmp_path, dsn, servers=2) as stage, customers(stage, tmp_path) as people:
        await stage.start()
        await stage.subscribe()
        going = load(people, await stage.customer(1), 60)
        for turn, told in enumerate((5, 20, 35, 50)):
            await people.diary.until(told)
            server = stage.servers[turn % 2]
            await server.end(signal.SIGTERM)
            assert await server.start()
        await going
        assert people.diary.strange == []
        await finish(people)
        assert (await examine(people)).all == []
        assert stage.deaths == 0


@pytest.mark.slow
async def test_a_short_fault_run(folder: Path) -> None:
    """`tael faults recharge`, three rounds of it."""
    rounds = [one async for one in play(folder, rounds=3, seed=20_261_121)]
    assert [one.findings.all for one in rounds] == [[], [], []]
    assert all(one.ok for one in rounds)
    assert rounds[-1].kills >= 6
