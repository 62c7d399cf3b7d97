"""Tael dies by SIGKILL at every step of a recharge, is started again, and nothing is lost or done twice (F01-F05, F57).

Each case is one customer with a real `tael up`. Afterwards everything has ended, and our books, the channel's journal
and what the customer was told agree.
"""

from pathlib import Path

import pytest

from tael_demo.faults.customers import Plan, customers
from tael_demo.faults.stage import fault_stage
from tael_demo.faults.verdict import examine, finish
from tael_sandbox import Fault

PAYS, CLOSES, LEAVES, NOTICE_LOST = "pays", "closes", "leaves", "notice lost"
CASES = [
    ("recharge.before_commit", PAYS, "paid"),
    ("recharge.before_commit", LEAVES, None),
    ("recharge.committed", PAYS, "paid"),
    ("recharge.committed", LEAVES, "closed"),
    ("handover.channel_answered", PAYS, "paid"),
    ("handover.channel_answered", LEAVES, "closed"),
    ("handover.before_commit", PAYS, "paid"),
    ("handover.committed", PAYS, "paid"),
    ("handover.committed", LEAVES, "closed"),
    ("notice.kept", PAYS, "paid"),
    ("settle.before_commit", PAYS, "paid"),
    ("settle.before_commit", NOTICE_LOST, "paid"),
    ("settle.committed", PAYS, "paid"),
    ("settle.committed", NOTICE_LOST, "paid"),
    ("notice.before_acknowledgement", PAYS, "paid"),
    ("recover.query_answered", NOTICE_LOST, "paid"),
    ("recover.worked", NOTICE_LOST, "paid"),
    ("recover.close_answered", CLOSES, "closed"),
    ("recover.ended", CLOSES, "closed"),
    ("outbox.before_commit", PAYS, "paid"),
    ("outbox.published", PAYS, "paid"),
    ("outbox.published", CLOSES, "closed"),
]


@pytest.mark.slow
@pytest.mark.parametrize(("point", "what", "state"), CASES, ids=str)
async def test_dead_after_a_step(dsn: str, tmp_path: Path, point: str, what: str, state: str | None) -> None:
    async with fault_stage(tmp_path, dsn) as stage, customers(stage, tmp_path) as people:
        await stage.start(crash_at=point)
        await stage.subscribe()
        plan = Plan("the-key", await stage.customer(1), 12_345, pays=what != CLOSES, repeats=what != LEAVES)
        if what == NOTICE_LOST:
            await stage.sandbox.fault(Fault(operation="notify", kind="drop", count=None))
        await people.journey(plan)
        await finish(people)
        assert (await examine(people)).all == []
        assert stage.deaths == 1, "the process died at the point"
        async with stage.db.transaction() as tx:
            assert [row["state"] for row in await tx.fetch("select state from payment_order")] == [state] * bool(state)
