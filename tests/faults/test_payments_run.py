"""`tael faults payments`, a short version; and its judge, who must name what is wrong in a world that is."""

import random
import re
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tael.base.embedded import Server, embedded
from tael.base.money import Money
from tael.channels import registry
from tael.channels.accounts import MerchantAccounts
from tael.channels.contract import AlipayUser, PayoutRequest
from tael.channels.transport import Transport
from tael_demo.faults import payments_world as world
from tael_demo.faults.payments import POINTS, finish, play
from tael_demo.faults.payments_crowd import Crowd, Plan, crowd
from tael_demo.faults.payments_stage import TOPICS, open_channels
from tael_demo.faults.payments_verdict import examine, judge
from tael_demo.faults.stage import BOOK, fault_stage
from tael_demo.faults.verdict import Findings

SOURCES = Path(__file__).parent.parent.parent / "src" / "tael"
ELSEWHERE = ("job.", "adjustment.", "hold.", "fulfil.")
"""Points of other paths, which have crash tests of their own."""


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that PostgreSQL's user may pass through."""
    with tempfile.TemporaryDirectory(prefix="tael-faults-") as name:
        Path(name).chmod(0o711)
        yield Path(name)


@pytest.fixture
def own_server(folder: Path) -> Iterator[Server]:
    """A PostgreSQL whose triggers may be switched off."""
    with embedded(folder / "database") as server:
        yield server


@pytest.fixture
async def people(own_server: Server, folder: Path) -> AsyncIterator[Crowd]:
    """A buyer whose payment was refunded in part and a saver who was paid out, in a world that is in order."""
    async with fault_stage(folder, own_server.dsn) as stage:
        channels = await open_channels(stage)
        async with crowd(stage, channels, folder) as people:
            await stage.start()
            await stage.subscribe(*TOPICS)
            people.shop = await people.account(1)
            for buys, channel in ((True, "wechat"), (False, "alipay")):
                plan = Plan(f"only-{channel}", 7, buys, channel, "alipay_user", "pays", 20_000, "approve", repeats=True)
                await people.journey(plan)
            await finish(people, random.Random(0))
            assert (await examine(people)).all == []
            yield people


def test_every_point_has_its_turn() -> None:
    placed = {
        name for path in SOURCES.rglob("*.py") for name in re.findall(r'crash_point\("([a-z_.]+)"\)', path.read_text())
    }
    assert {name for name in placed if not name.startswith(ELSEWHERE)} == set(POINTS)


@pytest.mark.slow
async def test_a_short_run(folder: Path) -> None:
    rounds = [one async for one in play(folder, rounds=1, seed=20_261_121, customers=20)]
    assert [one.findings.all for one in rounds] == [[]]
    assert all(one.ok for one in rounds)
    assert rounds[-1].done["paid"] > 0


async def test_a_payout_that_only_the_channel_knows_is_named(people: Crowd) -> None:
    """Paid a second time at the channel, under a number that is not ours."""
    loaded = MerchantAccounts(registry.connectors(Transport()))
    assert await loaded.refresh(people.stage.db) == []
    account = loaded.get(book=BOOK, id=people.channels.accounts["alipay"])
    again = PayoutRequest("AGAIN1", AlipayUser("2088000000000007", "ALIPAY_USER_ID"), Money(4_999, "CNY"), "again", "")
    await loaded.pays_out(account).payout(account, again, now=datetime.now(UTC))
    found = await examine(people)
    assert "a channel has AGAIN1, we have no such attempt" in found.unexplained
    assert any(line.startswith("alipay: its book says") for line in found.unexplained)
    assert found.lost == found.doubled == []


PLANTED = [
    ("delete from posting where code = 111", "lost", r"paid out: at the channel \[5000\], booked \[\]"),
    ("delete from posting where code = 121", "lost", r"refunded: at the channel \[(9999|10000)\], booked \[\]"),
    ("update posting set amount = amount + 1 where code = 101", "unexplained",
     r" paid: at the channel \[20000\], booked \[20001\]"),
    ("update route_hold set amount = amount + 1", "unexplained", r"quota used is not what was paid out"),
    ("update route_hold set state = 'returned' where state = 'used'", "unexplained", r"windows are not the sum"),
    ("update payment_order set state = 'approved' where kind = 'withdrawal' and state = 'paid'", "unexplained",
     r"unfinished: order withdrawal"),
    ("delete from approval_decision", "unexplained", r"nobody else has approved it"),
    ("update payment_order set refunded = refunded - 1 where kind = 'payment' and refunded > 0", "unexplained",
     r"not the sum of its refunds"),
    ("delete from transfer", "lost", r"acknowledged .* is gone"),
    ("update payment_order set amount = amount + 1 where kind = 'recharge'", "unexplained",
     r"not what was acknowledged"),
    ("update event set payload = jsonb_set(payload, '{state}', '\"closed\"') where topic = 'withdrawal.created'",
     "unexplained", r"closed cannot have become"),
    ("update event set published_at = null where topic = 'withdrawal.paid'", "unexplained", r"unfinished: event"),
]  # fmt: skip


async def test_what_is_planted_is_named(people: Crowd) -> None:
    """Each wrong world by itself: planted, judged, and thrown away, because the judge reads the same transaction."""
    missed, told = list[str](), await world.read(people.stage)
    for statement, kind, pattern in PLANTED:
        findings = Findings()
        with suppress(_ThrownAway):
            async with people.stage.db.transaction() as tx:
                await tx.execute("set local session_replication_role = replica")  # no trigger, no foreign key
                await tx.execute(statement)
                await judge(tx, people, told, findings)
                raise _ThrownAway
        if not any(re.search(pattern, line) for line in getattr(findings, kind)):
            missed.append(f"{statement}: {findings}")
    assert missed == []


class _ThrownAway(Exception):
    """Rolls a planted world back."""
