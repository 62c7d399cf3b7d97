"""Ids never repeat: not within a process, not across processes, not when a clock goes back."""

import re
from datetime import UTC, datetime

import pytest

from tael.base.clock import SteppedClock
from tael.base.db import Database
from tael.base.ids import Ids, NodeLeaseLost, base36, shard_gene

ORDER_NO = re.compile(r"[0-9A-Z]{2}1[0-9A-Z]{2}[0-9A-Z]{2}[0-9A-Z]{4}\d{17}\d{4}")


async def test_ids_have_19_digits_and_grow(db: Database) -> None:
    ids = await Ids.lease(db, SteppedClock().now)
    issued = [ids.next() for _ in range(10_000)]
    assert issued == sorted(set(issued))
    assert {len(str(number)) for number in issued} == {19}
    assert issued[-1] < 2**63


async def test_order_numbers_are_32_alphanumerics_with_their_parts(db: Database) -> None:
    clock = SteppedClock(datetime(2026, 11, 20, 1, 30, 15, 123000, tzinfo=UTC))
    ids = await Ids.lease(db, clock.now)
    number = ids.order_no(business="RC", account=36**4 + 5)
    assert ORDER_NO.fullmatch(number)
    assert number[:3] == "RC1"
    assert number[5:7] == base36(shard_gene(36**4 + 5), 2)
    assert number[7:11] == "0005"
    assert number[11:28] == "20261120093015123"


async def test_order_numbers_of_one_millisecond_do_not_repeat_when_the_counter_wraps(db: Database) -> None:
    ids = await Ids.lease(db, SteppedClock().now)
    issued = [ids.order_no(business="RC", account=7) for _ in range(25_000)]
    assert len(set(issued)) == 25_000
    assert {number[-4:] for number in issued} == {f"{count:04d}" for count in range(1, 10_000)}


async def test_two_processes_hold_different_nodes(db: Database) -> None:
    clock = SteppedClock()
    first, second = await Ids.lease(db, clock.now), await Ids.lease(db, clock.now)
    issued = [ids.next() for _ in range(3000) for ids in (first, second)]
    numbers = [ids.order_no(business="RC", account=1) for _ in range(3000) for ids in (first, second)]
    assert len(set(issued)) == len(set(numbers)) == 6000


async def test_a_clock_that_goes_back_while_running_repeats_nothing(db: Database) -> None:
    clock = SteppedClock()
    ids = await Ids.lease(db, clock.now)
    before = [ids.next() for _ in range(100)], [ids.order_no(business="RC", account=1) for _ in range(100)]
    clock.advance(-4 * 3600)
    after = [ids.next() for _ in range(100)], [ids.order_no(business="RC", account=1) for _ in range(100)]
    assert min(after[0]) > max(before[0])
    assert not set(before[1]) & set(after[1])


async def test_a_clock_that_goes_back_over_a_restart_repeats_nothing(db: Database) -> None:
    clock = SteppedClock()
    ids = await Ids.lease(db, clock.now)
    before = [ids.next() for _ in range(5000)]
    await ids.release(db)
    clock.advance(-3 * 86400)
    again = await Ids.lease(db, clock.now)
    assert again.next() > max(before)
    assert again.order_no(business="RC", account=1)[11:28] >= "20260105100000000"


async def test_a_clock_far_ahead_stops_issuing_instead_of_leaving_the_lease(db: Database) -> None:
    clock = SteppedClock()
    ids = await Ids.lease(db, clock.now)
    clock.advance(3 * 86400)
    with pytest.raises(NodeLeaseLost):
        ids.next()
    await ids.renew(db)
    assert len(str(ids.next())) == 19


async def test_an_expired_lease_is_taken_over_above_everything_the_sleeper_may_have_issued(db: Database) -> None:
    clock = SteppedClock()
    sleeper = await Ids.lease(db, clock.now)
    last = sleeper.next()
    async with db.transaction() as tx:
        await tx.execute("update node set expires_at = clock_timestamp() - interval '1 second'")
    successor = await Ids.lease(db, clock.now)
    assert successor.next() > last
    await sleeper.renew(db)  # finds its number taken and gets another
    assert sleeper.next() & 1023 != successor.next() & 1023


def test_shard_genes_spread_evenly() -> None:
    genes = [shard_gene(account) % 16 for account in range(16_000)]
    assert max(genes.count(shard) for shard in range(16)) < 1_400


async def test_restarts_do_not_push_the_time_in_numbers_ahead(db: Database) -> None:
    clock = SteppedClock(datetime(2026, 11, 20, 1, 30, tzinfo=UTC))
    for _ in range(20):
        ids = await Ids.lease(db, clock.now)
        number = ids.order_no(business="RC", account=1)
        await ids.release(db)
        with pytest.raises(NodeLeaseLost):
            ids.next()
    assert number[11:23] == "202611200930"
