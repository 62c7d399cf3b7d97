"""Proposals of a company where wang proposes and li, zhao and qian check."""

from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest

from tael import approvals
from tael.approvals import Approval, NewApproval
from tael.base.clock import SteppedClock
from tael.base.db import Database
from tael.base.ids import Ids

BOOK = 1
KIND = "withdrawal"

Ask = Callable[..., Awaitable[Approval]]
Decide = Callable[..., Awaitable[Approval]]


@pytest.fixture
def clock() -> SteppedClock:
    return SteppedClock()


@pytest.fixture
async def ids(db: Database, clock: SteppedClock) -> Ids:
    return await Ids.lease(db, clock.now)


def proposal(clock: SteppedClock, subject: str = "WD1", **more: object) -> NewApproval:
    fields: dict[str, object] = {
        "book": BOOK, "kind": KIND, "subject": subject, "payload": {"to": "6222", "lines": [1, 2]}, "amount": 100,
        "currency": "CNY", "maker": "wang", "expires_at": clock.now() + timedelta(hours=1),
    }  # fmt: skip
    return NewApproval(**{**fields, **more})


@pytest.fixture
def ask(db: Database, ids: Ids, clock: SteppedClock) -> Ask:
    """Ask for one approval in a transaction of its own."""

    async def one(subject: str = "WD1", *, least: int = 0, **more: object) -> Approval:
        async with db.transaction() as tx:
            (approval,) = await approvals.ask(
                tx, [proposal(clock, subject, **more)], ids=ids, now=clock.now(), least=least
            )
        return approval

    return one


@pytest.fixture
def decide(db: Database, clock: SteppedClock) -> Decide:
    """Decide in a transaction of its own."""

    async def one(checker: str, *, approve: bool = True, subject: str = "WD1", **more: object) -> Approval:
        options: dict[str, object] = {"book": BOOK, "kind": KIND, "note": None, "payload_sha256": None} | more
        async with db.transaction() as tx:
            return await approvals.decide(
                tx, subject=subject, checker=checker, approve=approve, now=clock.now(), **options
            )

    return one
