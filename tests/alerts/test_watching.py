"""A look finds work given up, events set aside, jobs that fail or are late; what is well again closes by itself."""

from datetime import datetime

import pytest

from tael.alerts import INSTALLATION, watch
from tael.base import outbox, tasks
from tael.base.clock import SteppedClock
from tael.base.db import Database
from tael.base.ids import Ids
from tael.base.jobs import Job, Jobs
from tael.base.outbox import NewEvent
from tael.base.tasks import NewTask

from .conftest import BOOK, Shown

NAMES = {"watch", "sweep"}


class Scene:
    """An installation with a job that sweeps, which may fail, and one that watches."""

    def __init__(self, db: Database, ids: Ids, clock: SteppedClock, shown: Shown) -> None:
        self.db, self.ids, self.clock, self._shown = db, ids, clock, shown
        self.sweeps = True
        self.sweeper = Jobs(db, [Job("sweep", 5, self._sweep)], clock.now)
        self.watcher = Jobs(db, [Job("watch", 20, self._watch)], clock.now)

    async def passes(self, seconds: int, *, sweeping: bool) -> None:
        """Let time pass in steps of a second, working as processes do."""
        for _ in range(seconds):
            self.clock.advance(1)
            await self.ids.renew(self.db)
            if sweeping:
                await self.sweeper.run_due()
            await self.watcher.run_due()

    async def open(self, book: int = INSTALLATION) -> list[tuple[str, str]]:
        return sorted((one.kind, one.subject) for one in await self._shown(book, only_open=True))

    async def _sweep(self, now: datetime) -> None:
        if not self.sweeps:
            raise ValueError("no broom")

    async def _watch(self, now: datetime) -> None:
        async with self.db.transaction() as tx:
            await watch(tx, NAMES, me="watch", ids=self.ids, now=now)


@pytest.fixture
def scene(db: Database, ids: Ids, clock: SteppedClock, shown: Shown) -> Scene:
    return Scene(db, ids, clock, shown)


async def test_a_job_that_fails_three_times_in_a_row_until_it_works(scene: Scene, shown: Shown) -> None:
    await scene.passes(30, sweeping=True)
    scene.sweeps = False
    await scene.passes(1, sweeping=True)
    assert await scene.open() == []
    await scene.passes(40, sweeping=True)
    assert await scene.open() == [("job_failing", "sweep")]
    (alert,) = await shown(INSTALLATION)
    assert "ValueError: no broom" in alert.text_en
    assert alert.times == 1, "what has not changed is not told again"
    scene.sweeps = True
    await scene.passes(41, sweeping=True)
    assert await scene.open() == []


async def test_a_job_that_nobody_does(scene: Scene) -> None:
    await scene.passes(30, sweeping=True)
    await scene.passes(50, sweeping=False)
    assert await scene.open() == []
    await scene.passes(40, sweeping=False)
    assert await scene.open() == [("job_late", "sweep")]
    await scene.passes(21, sweeping=True)
    assert await scene.open() == []


async def test_after_a_stop_everything_is_late_and_nothing_wrong(scene: Scene) -> None:
    await scene.passes(30, sweeping=True)
    scene.clock.advance(86_400)
    await scene.ids.renew(scene.db)
    await scene.watcher.run_due()
    assert await scene.open() == []
    await scene.passes(60, sweeping=True)
    assert await scene.open() == []


async def test_a_job_that_is_no_more_is_not_late(scene: Scene, db: Database) -> None:
    async with db.transaction() as tx:
        await tx.execute("insert into job (name, every_s, due_at) values ('gone', 1, $1)", scene.clock.now())
    await scene.passes(80, sweeping=True)
    assert await scene.open() == []


async def test_dead_letters_by_book_and_queue(scene: Scene, db: Database, shown: Shown) -> None:
    now = scene.clock.now()
    keys = [(book, queue, str(n)) for book in (1, 2) for queue in ("pay", "ask") for n in range(book + 1)]
    async with db.transaction() as tx:
        await tasks.enqueue(tx, [NewTask(*key, None, now) for key in keys], ids=scene.ids, now=now)
        await tx.execute("update task set dead_at = $1 where not (book = 2 and queue = 'ask')", now)
    await scene.passes(1, sweeping=True)
    assert await scene.open(1) == [("dead_letters", "ask"), ("dead_letters", "pay")]
    assert await scene.open(2) == [("dead_letters", "pay")]
    assert [one.data for one in await shown(2)] == [{"count": 3}]
    async with db.transaction() as tx:
        assert await tasks.revive(tx, "pay", book=2, key="0", now=now)
        assert await tasks.revive(tx, "ask", book=1, key="0", now=now)
        assert await tasks.revive(tx, "ask", book=1, key="1", now=now)
        assert await tasks.given_up(tx, most=1) == [(1, "pay", 1)]
        assert await tasks.given_up(tx, most=9) == [(1, "pay", 2), (2, "pay", 2)]
    await scene.passes(20, sweeping=True)
    assert (await scene.open(1), await scene.open(2)) == ([("dead_letters", "pay")], [("dead_letters", "pay")])
    assert [(one.data, one.times) for one in await shown(2)] == [({"count": 2}, 2)]


async def test_parked_events_by_book_and_topic(scene: Scene, db: Database) -> None:
    now = scene.clock.now()
    async with db.transaction() as tx:
        events = [NewEvent(BOOK, topic, "S", n, {}) for n, topic in enumerate(("a.b", "a.b", "c.d", "e.f"), 1)]
        await outbox.emit(tx, events, ids=scene.ids, now=now)
        await tx.execute("update event set failures = 8 where topic <> 'e.f'")
        await tx.execute("update event set failures = 8, published_at = $1 where topic = 'c.d'", now)
        assert await outbox.parked(tx, most=9) == [(BOOK, "a.b", 2)]
    await scene.passes(1, sweeping=True)
    assert await scene.open(BOOK) == [("parked_events", "a.b")]


async def test_a_look_reads_little_however_much_there_is(db: Database, scene: Scene) -> None:
    async with db.transaction() as tx:
        await tx.execute(
            """insert into task (book, id, queue, key, payload, due_at, created_at, dead_at)
               select 1, n, 'q' || n % 3, n::text, 'null', $1, $1, case when n <= 3000 then $1::timestamptz end
               from generate_series(1, 30000) n""",
            scene.clock.now(),
        )
    async with db.transaction() as tx:
        assert await tasks.given_up(tx, most=100) == [(1, "q0", 100), (1, "q1", 100), (1, "q2", 100)]
        read = await tx.fetchval(
            "select seq_tup_read + idx_tup_fetch from pg_stat_xact_user_tables where relname = 'task'"
        )
    assert int(str(read)) < 500
