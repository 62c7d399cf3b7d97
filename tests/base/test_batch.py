"""Group commit without a timer: what is batched, what is refused, whose fault a failure is."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import pytest

from tael.base.batch import Batcher, Overloaded
from tael.base.db import DatabaseUnavailable, OutcomeUnknown
from tael.base.errors import TaelError


class Poisoned(TaelError):
    """This command fails.
    zh: 此命令失败。
    """


class Recorder:
    """Doubles numbers, in batches that it writes down and that wait until they are let go."""

    def __init__(self, *, poison: Callable[[list[int]], Exception | None] = lambda _: None) -> None:
        self.batches: list[list[int]] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.poison = poison

    async def run(self, commands: list[int]) -> list[int | Exception]:
        self.batches.append(commands)
        await self.gate.wait()
        await asyncio.sleep(0)
        if problem := self.poison(commands):
            raise problem
        return [Poisoned() if command < 0 else 2 * command for command in commands]


async def all_of(batcher: Batcher[int, int], numbers: Sequence[int]) -> list[int | BaseException]:
    waiting: list[Awaitable[int]] = [batcher.submit(number) for number in numbers]
    return await asyncio.gather(*waiting, return_exceptions=True)


async def test_what_queues_while_a_batch_runs_is_the_next_batch() -> None:
    recorder = Recorder()
    recorder.gate.clear()
    batcher: Batcher[int, int] = Batcher(recorder.run, lanes=1)
    first = asyncio.create_task(batcher.submit(1))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    others = asyncio.create_task(all_of(batcher, [2, 3, 4]))
    await asyncio.sleep(0)
    recorder.gate.set()
    assert (await first, await others) == (2, [4, 6, 8])
    assert recorder.batches == [[1], [2, 3, 4]]


SPLITS = [
    (1, 8, 100, 10, [8, 2]),
    (2, 8, 100, 10, [8, 2]),
    (2, 8, 6, 10, [5, 5]),
    (2, 100, 6, 11, [6, 5]),
    (3, 100, 6, 12, [4, 4, 4]),
    (1, 100, 6, 12, [12]),
]


@pytest.mark.parametrize(("lanes", "cap", "split_at", "commands", "expected"), SPLITS)
async def test_lanes_and_cap(lanes: int, cap: int, split_at: int, commands: int, expected: list[int]) -> None:
    recorder = Recorder()
    batcher: Batcher[int, int] = Batcher(recorder.run, lanes=lanes, cap=cap, split_at=split_at)
    assert await all_of(batcher, range(commands)) == [2 * number for number in range(commands)]
    assert [len(batch) for batch in recorder.batches] == expected


async def test_one_commands_exception_is_its_own() -> None:
    batcher: Batcher[int, int] = Batcher(Recorder().run)
    found = await all_of(batcher, [1, -1, 3])
    assert (found[0], found[2]) == (2, 6)
    assert isinstance(found[1], Poisoned)


async def test_a_poisoned_command_does_not_fail_its_neighbours() -> None:
    recorder = Recorder(poison=lambda commands: Poisoned() if 7 in commands else None)
    batcher: Batcher[int, int] = Batcher(recorder.run)
    found = await all_of(batcher, range(16))
    assert [number for number, one in enumerate(found) if isinstance(one, Poisoned)] == [7]
    assert [one for one in found if not isinstance(one, Poisoned)] == [2 * n for n in range(16) if n != 7]
    assert len(recorder.batches) == 9


async def test_many_poisoned_commands_do_not_run_for_ever() -> None:
    recorder = Recorder(poison=lambda _: ValueError())
    batcher: Batcher[int, int] = Batcher(recorder.run)
    found = await all_of(batcher, range(500))
    assert all(isinstance(one, ValueError) for one in found)
    assert len(recorder.batches) <= 140


@pytest.mark.parametrize("problem", [OutcomeUnknown, DatabaseUnavailable])
async def test_what_is_nobodys_fault_goes_to_everybody(problem: type[TaelError]) -> None:
    recorder = Recorder(poison=lambda _: problem())
    batcher: Batcher[int, int] = Batcher(recorder.run)
    found = await all_of(batcher, range(8))
    assert [type(one) for one in found] == [problem] * 8
    assert len(recorder.batches) == 1


async def test_a_caller_that_gives_up_does_not_disturb_the_others() -> None:
    recorder = Recorder()
    recorder.gate.clear()
    batcher: Batcher[int, int] = Batcher(recorder.run)
    tasks = [asyncio.create_task(batcher.submit(number)) for number in range(3)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    tasks[1].cancel()
    recorder.gate.set()
    assert [await tasks[0], await tasks[2]] == [0, 4]


async def test_a_full_queue_refuses() -> None:
    recorder = Recorder()
    recorder.gate.clear()
    batcher: Batcher[int, int] = Batcher(recorder.run, cap=4, lanes=1)
    tasks = [asyncio.create_task(batcher.submit(number)) for number in range(16)]
    await asyncio.sleep(0)
    with pytest.raises(Overloaded) as refused:
        await batcher.submit(99)
    assert (refused.value.status, refused.value.extra) == (503, {"retry_after_s": 1})
    recorder.gate.set()
    assert await asyncio.gather(*tasks) == [2 * number for number in range(16)]


async def test_a_batch_that_hangs_refuses_newcomers() -> None:
    recorder = Recorder()
    batcher: Batcher[int, int] = Batcher(recorder.run, lanes=1, max_wait_ms=20)
    assert len(await all_of(batcher, range(64))) == 64
    recorder.gate.clear()
    stuck = asyncio.create_task(batcher.submit(1))
    await asyncio.sleep(0.05)
    with pytest.raises(Overloaded):
        await batcher.submit(2)
    recorder.gate.set()
    assert await stuck == 2


async def test_close_finishes_what_was_taken() -> None:
    recorder = Recorder()
    batcher: Batcher[int, int] = Batcher(recorder.run, cap=3, lanes=2)
    tasks = [asyncio.create_task(batcher.submit(number)) for number in range(10)]
    await asyncio.sleep(0)
    await batcher.close()
    assert [task.result() for task in tasks] == [2 * number for number in range(10)]
    with pytest.raises(Overloaded):
        await batcher.submit(1)
