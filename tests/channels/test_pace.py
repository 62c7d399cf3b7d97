"""The pace that all processes keep together: never above the limit, none lost, slower on "too many", breaker."""

import asyncio
import time
from dataclasses import replace
from itertools import pairwise

import pytest

from channels.otherside import NOW, account, payment, problem, reply, scripted, wired
from tael.base.db import Database
from tael.channels.contract import ErrorKind, Operation, Outcome
from tael.channels.pace import Refusal, SharedPace
from tael.channels.transport import Transport
from tael.channels.wechat import WechatPay

SECOND = 1_000_000_000
OURS = account()


async def take(db: Database, places: int, *, rate: int, longest_s: int = 3600) -> tuple[int, int, int, bool]:
    async with db.transaction() as tx:
        row = await tx.fetchrow(
            "select * from take_places(1, 7, 'payout', $1, $2, $3)", places, rate, longest_s * 1_000_000
        )
    assert row is not None
    return row["wait_us"], row["granted"], row["spacing_us"], row["is_open"]


async def test_five_thousand_calls_through_a_hundred_a_second_all_get_a_place_and_no_second_holds_more(
    db: Database,
) -> None:
    """Taken in uneven portions by many askers at once, as processes would: the places never come closer."""
    begun = time.monotonic_ns()

    async def ask(portion: int) -> list[int]:
        heard_before = time.monotonic_ns()
        wait_us, granted, spacing_us, _ = await take(db, portion, rate=100)
        assert granted == portion
        return [heard_before + (wait_us + index * spacing_us) * 1000 for index in range(granted)]

    answers = await asyncio.gather(*(ask(portion) for portion in [50, 150] * 25))
    places = sorted(place for answer in answers for place in answer)
    assert len(places) == 5_000
    # What the asker adds to the database's instant is its own delay; a row of places has to be as long as the limit.
    assert places[-1] - begun >= 4_999 * SECOND // 100
    async with db.transaction() as tx:
        left = await tx.fetchval("select extract(epoch from next_at - clock_timestamp())::int from channel_pace")
    assert 49 <= left <= 53


async def test_calls_keep_their_distance_over_two_processes(db: Database) -> None:
    first, second = SharedPace(db), SharedPace(db)
    turns: list[int] = []

    async def call(pace: SharedPace) -> None:
        assert await pace.enter(OURS, Operation.CREATE, 200) is None
        turns.append(time.monotonic_ns())

    await asyncio.gather(*(call(pace) for _ in range(100) for pace in (first, second)))
    turns.sort()
    assert len(turns) == 200
    assert turns[-1] - turns[0] >= 199 * SECOND // 200 * 95 // 100


async def test_who_would_wait_too_long_is_refused_at_once_and_takes_no_place(db: Database) -> None:
    pace = SharedPace(db)
    ended = await asyncio.gather(*(pace.enter(OURS, Operation.CREATE, 5) for _ in range(30)))
    refused = [why for why in ended if why is not None]
    assert set(refused) == {Refusal.THROTTLED}
    assert 10 <= len(ended) - len(refused) <= 11
    assert await pace.enter(OURS, Operation.QUERY, 5) is None, "another operation has its own row"
    assert await pace.enter(replace(OURS, id=99), Operation.CREATE, 5) is None, "and so has another account"


async def test_turns_come_in_the_order_of_asking(db: Database) -> None:
    pace, order = SharedPace(db), list[int]()

    async def call(number: int) -> None:
        assert await pace.enter(OURS, Operation.CREATE, 100) is None
        order.append(number)

    await asyncio.gather(*(call(number) for number in range(60)))
    assert order == sorted(order)


async def test_a_process_that_was_held_up_makes_no_burst(db: Database) -> None:
    """Nothing runs for a while, again and again: whoever had a turn meanwhile leaves afterwards, one by one, as far
    apart as ever."""
    pace, left = SharedPace(db), list[int]()

    async def call() -> None:
        assert await pace.enter(OURS, Operation.CREATE, 50) is None
        left.append(time.monotonic_ns())

    calls = asyncio.gather(*(call() for _ in range(40)))
    while len(left) < 3:
        await asyncio.sleep(0.001)
    for _ in range(3):
        time.sleep(0.2)  # the whole process stands still
        await asyncio.sleep(0.001)
    await calls
    assert min(after - before for before, after in pairwise(left)) >= SECOND // 50 * 9 // 10


async def test_too_many_halves_the_rate_and_time_brings_it_back(db: Database) -> None:
    async def slow_down() -> None:
        async with db.transaction() as tx:
            await tx.execute("select slow_down(1, 7, 'payout', 1000)")

    async def an_hour_passes() -> None:
        async with db.transaction() as tx:
            await tx.execute("update channel_pace set slowed_at = slowed_at - interval '1 hour', next_at = '-infinity'")

    _, _, usual, _ = await take(db, 1, rate=1000)
    await slow_down()
    await slow_down()  # a second "too many" of the same moment says nothing new
    wait_us, _, slower, _ = await take(db, 1, rate=1000)
    assert wait_us > 900_000
    assert slower == 2 * usual
    await an_hour_passes()
    assert (await take(db, 1, rate=1000))[2] == usual


async def test_a_channel_that_says_too_many_is_called_less_and_no_payment_is_declined(db: Database) -> None:
    async def answer(request: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(wired(problem(429, "FREQUENCY_LIMITED")))

    transport = Transport(pace=SharedPace(db))
    async with scripted(answer) as server:
        ours = account(base_url=server.base_url)
        result = await WechatPay(transport).create_payment(ours, payment(), now=NOW)
    transport.close()
    assert result.outcome is not Outcome.DECLINED
    assert result.error is not None
    assert result.error.kind is ErrorKind.RATE_LIMITED
    async with db.transaction() as tx:
        assert await tx.fetchval("select slowed_to from channel_pace where operation = 'create'") == 500


@pytest.mark.parametrize("sees", ["nobody", "500"])
async def test_the_breaker_opens_when_nobody_is_there_and_never_declines(db: Database, sees: str) -> None:
    async def answer(request: bytes, writer: asyncio.StreamWriter) -> None:
        if sees == "500":
            writer.write(wired(problem(500, "SYSTEM_ERROR")))
        else:
            writer.close()

    transport = Transport(pace=SharedPace(db))
    connector = WechatPay(transport)
    async with scripted(answer) as server:
        ours = account(base_url=server.base_url)
        outcomes = [(await connector.create_payment(ours, payment(), now=NOW)) for _ in range(25)]
        heard = len(server.requests)
    assert heard == 20
    assert {one.outcome for one in outcomes[:20]} == {Outcome.UNKNOWN}
    assert {(one.outcome, one.error.code if one.error else "") for one in outcomes[20:]} == {
        (Outcome.NOT_SENT, "breaker_open")
    }
    other = SharedPace(db)
    assert await other.enter(ours, Operation.CREATE, 1000) is Refusal.BREAKER_OPEN, "every process knows"
    assert await other.enter(ours, Operation.QUERY, 1000) is None, "questions are another operation"

    async with db.transaction() as tx:
        await tx.execute("update channel_pace set open_until = clock_timestamp() where operation = 'create'")
    async with scripted(lambda _, writer: _paid(writer)) as server:
        ours = replace(ours, base_url=server.base_url)
        tried = await asyncio.gather(*(connector.create_payment(ours, payment(), now=NOW) for _ in range(5)))
        assert len(server.requests) == 1, "one call tries, the others wait for what becomes of it"
        assert sum(one.outcome is Outcome.NOT_SENT for one in tried) == 4
        again = await connector.create_payment(ours, payment(), now=NOW)
        assert again.outcome is Outcome.SUCCEEDED
    transport.close()


async def _paid(writer: asyncio.StreamWriter) -> None:
    writer.write(wired(reply(200, {"code_url": "weixin://wxpay/bizpayurl?pr=1"})))
