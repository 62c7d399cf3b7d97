"""The end of a hold, told by what became of its attempt; every function may be repeated and ignores unknown numbers.

    held -> used        settle        the attempt succeeded
    held -> released    release       it failed for certain, or was never sent
    held -> expired     expire_unused it was never bound to an attempt, and its time is over
    used -> returned    give_back     the money of a success came back later
    released, expired -> used         settle: the channel proves a success after all; it counts, even above a limit

An amount moves in the windows in which it was held, however much later. A bound hold never ends by time.
"""

from collections.abc import Sequence
from datetime import datetime

from tael.base.db import Tx
from tael.routing import store
from tael.routing.choice import window_keys
from tael.routing.store import Change, Hold, HoldState, Key, WindowKey


async def settle(tx: Tx, keys: Sequence[Key], *, now: datetime) -> set[Key]:
    """Count the quota of (book, number) as used; answers those that were not so before."""
    return await _end(tx, keys, {"held", "released", "expired"}, "used", now=now)


async def release(tx: Tx, keys: Sequence[Key], *, now: datetime) -> set[Key]:
    """Free the quota of attempts that failed for certain; answers those that were held before."""
    return await _end(tx, keys, {"held"}, "released", now=now)


async def give_back(tx: Tx, keys: Sequence[Key], *, now: datetime) -> set[Key]:
    """Free the quota of successes whose money came back; answers those that were used before."""
    return await _end(tx, keys, {"used"}, "returned", now=now)


async def bind(tx: Tx, keys: Sequence[Key]) -> set[Key]:
    """Attempts exist for these holds now: time does not end them any more.

    Answers the holds that are bound; one that is missing has expired or was released, and must not be paid under.
    """
    return await store.bind_holds(tx, keys)


async def expire_unused(tx: Tx, *, now: datetime, limit: int = 500) -> int:
    """End holds that no attempt was made for within their time, `limit` at most; answers how many."""
    holds = await store.lock_unused(tx, now=now, limit=limit)
    await _move(tx, holds, "expired", now=now)
    return len(holds)


async def _end(tx: Tx, keys: Sequence[Key], before: set[HoldState], after: HoldState, *, now: datetime) -> set[Key]:
    found = await store.lock_holds(tx, keys)
    moving = {key: hold for key, hold in found.items() if hold.state in before}
    await _move(tx, list(moving.values()), after, now=now)
    return set(moving)


async def _move(tx: Tx, holds: Sequence[Hold], after: HoldState, *, now: datetime) -> None:
    if not holds:
        return
    changes: dict[WindowKey, Change] = {}
    for hold in holds:
        used = int(after == "used") - int(hold.state == "used")
        held = -int(hold.state == "held")
        for key in window_keys(hold, hold.payee, day=hold.day):
            so_far = changes.get(key, Change())
            changes[key] = Change(
                so_far.used_amount + used * hold.amount, so_far.held_amount + held * hold.amount,
                so_far.used_count + used, so_far.held_count + held,
            )  # fmt: skip
    await store.end_holds(tx, holds, state=after, now=now)
    await store.change_windows(tx, changes)
