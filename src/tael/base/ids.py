"""Numbers that are unique without asking anybody: 64-bit ids and 32-character order numbers.

    id        41 bits milliseconds since 1970 | 11 bits sequence | 10 bits node           19 digits, fits a bigint
    order_no  RC 1 03 0K A1B2 20261120093015123 0042
              | | |  |  |    |                 counter 1..9999
              | | |  |  |    time, 17 digits, Asia/Shanghai
              | | |  |  the account's last four base-36 digits
              | | |  shard gene of the account: both "by number" and "by account" lead to the same shard
              | | node
              | version
              business

The node number is leased from the database, so two processes never share one. A node's time never goes back: not
when the clock does, and not after a restart, because the lease remembers how far ids may have been issued.
"""

import secrets
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from tael.base.clock import ACCOUNTING_ZONE, milliseconds
from tael.base.db import Database, Tx
from tael.base.errors import TaelError

NODES = 1024
SHARDS = 1296
LEASE_S = 60
_SEQUENCES = 2048
_COUNTERS = 9999
_VERSION = "1"
_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"


class NodeLeaseLost(TaelError):
    """This process no longer holds its node number and must not issue ids. It will acquire a new one.
    zh: 本进程已失去节点号租约，不能再生成编号，将重新申请。
    """

    status = 503
    retryable = True


class NoFreeNode(TaelError):
    """All node numbers are leased; a process must stop before another can start.
    zh: 节点号已用尽。
    """

    status = 503


@dataclass(slots=True)
class _Lease:
    node: int
    owner: uuid.UUID
    high_ms: int
    valid_until: int  # monotonic nanoseconds, taken before the lease was written


class Ids:
    """Issues ids and order numbers for one process. Safe for one event loop; not shared between threads."""

    def __init__(self, lease: _Lease, now: Callable[[], datetime]) -> None:
        self._lease = lease
        self._now = now
        self._ms = lease.high_ms - _reserve_ms()  # where the last holder of this node may have stopped
        self._sequence = 0
        self._order_ms = self._ms
        self._counter = secrets.randbelow(_COUNTERS)
        self._used_in_ms = 0

    @classmethod
    async def lease(cls, db: Database, now: Callable[[], datetime]) -> "Ids":
        """Take a free node number for a minute; call `renew` every twenty seconds. Raises `NoFreeNode`."""
        return cls(await _acquire(db, now), now)

    async def renew(self, db: Database) -> None:
        """Extend the lease; a process that slept past its end gets another node number."""
        if not await _extend(db, self._lease, self._now):
            self._lease = await _acquire(db, self._now)
            self._ms = max(self._ms, self._lease.high_ms - _reserve_ms())
            self._order_ms = max(self._order_ms, self._ms)

    async def release(self, db: Database) -> None:
        """Give the node number back; the next holder starts right after the last number issued here."""
        async with db.transaction() as tx:
            await tx.execute(
                "update node set expires_at = clock_timestamp(), high_ms = $3 where node = $1 and owner = $2",
                self._lease.node, self._lease.owner, max(self._ms, self._order_ms) + 1,
            )  # fmt: skip
        self._lease.valid_until = 0

    def next(self) -> int:
        """The next 64-bit id: larger than every id this node issued before. Raises `NodeLeaseLost`."""
        ms = self._check(milliseconds(self._now()))
        if ms > self._ms:
            self._ms, self._sequence = ms, secrets.randbelow(64)
        elif self._sequence + 1 < _SEQUENCES:
            self._sequence += 1
        else:
            self._ms, self._sequence = self._check(self._ms + 1), 0
        return ((self._ms << 11 | self._sequence) << 10) | self._lease.node

    def order_no(self, *, business: str, account: int) -> str:
        """A 32-character order number for `account`, `business` being its two-character prefix."""
        assert len(business) == 2
        assert business.isascii()
        assert business.isalnum()
        ms = max(self._check(milliseconds(self._now())), self._order_ms)
        if ms > self._order_ms:
            self._order_ms, self._used_in_ms = ms, 0
        elif self._used_in_ms == _COUNTERS:
            self._order_ms, self._used_in_ms = self._check(self._order_ms + 1), 0
        self._used_in_ms += 1
        self._counter = self._counter % _COUNTERS + 1
        node, gene = base36(self._lease.node, 2), base36(shard_gene(account), 2)
        return f"{business}{_VERSION}{node}{gene}{base36(account, 4)}{_stamp(self._order_ms)}{self._counter:04d}"

    def _check(self, ms: int) -> int:
        if ms >= self._lease.high_ms or time.monotonic_ns() >= self._lease.valid_until:
            raise NodeLeaseLost(f"node {self._lease.node}")
        return ms


def shard_gene(account: int) -> int:
    """0..1295: where an account's rows live, also readable from every order number of the account."""
    spread = account * 0x9E3779B97F4A7C15 % 2**64  # neighbouring accounts land on different shards
    return (spread >> 32) % SHARDS


def base36(number: int, width: int) -> str:
    """The last `width` base-36 digits of a non-negative number, padded with zeros."""
    digits = ""
    for _ in range(width):
        number, digit = divmod(number, 36)
        digits = _DIGITS[digit] + digits
    return digits


def _stamp(ms: int) -> str:
    instant = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=ms)
    return instant.astimezone(ACCOUNTING_ZONE).strftime("%Y%m%d%H%M%S") + f"{ms % 1000:03d}"


def _reserve_ms() -> int:
    """How far a lease lets ids run ahead of the instant it was written: as long as it is valid, so that a successor,
    who has to wait for its end, starts at the present."""
    return LEASE_S * 1000


async def _acquire(db: Database, now: Callable[[], datetime]) -> _Lease:
    """The lowest node number that is free, or whose lease is over."""
    owner, started = uuid.uuid4(), time.monotonic_ns()
    async with db.transaction() as tx:
        await tx.execute("select pg_advisory_xact_lock(7305402)")
        node = await tx.fetchval(
            """select n from generate_series(0, $1::int - 1) n left join node on node.node = n
               where node.node is null or node.expires_at < clock_timestamp() order by n limit 1""",
            NODES,
        )
        if not isinstance(node, int):
            raise NoFreeNode
        high_ms = await _write(tx, node, owner, milliseconds(now()))
    return _Lease(node, owner, high_ms, started + LEASE_S * 1_000_000_000)


async def _write(tx: Tx, node: int, owner: uuid.UUID, ms: int) -> int:
    """Store the lease; a reserve is added to what the previous holder may have used, so ids never repeat."""
    high_ms = await tx.fetchval(
        """insert into node (node, owner, expires_at, high_ms)
           values ($1, $2, clock_timestamp() + make_interval(secs => $5), $3::bigint + $4::bigint)
           on conflict (node) do update set owner = excluded.owner, expires_at = excluded.expires_at,
               high_ms = greatest($3::bigint, node.high_ms) + $4::bigint
           returning high_ms""",
        node, owner, ms, _reserve_ms(), float(LEASE_S),
    )  # fmt: skip
    assert isinstance(high_ms, int)
    return high_ms


async def _extend(db: Database, lease: _Lease, now: Callable[[], datetime]) -> bool:
    started = time.monotonic_ns()
    async with db.transaction() as tx:
        high_ms = await tx.fetchval(
            """update node set expires_at = clock_timestamp() + make_interval(secs => $4),
                   high_ms = greatest(high_ms, $3::bigint)
               where node = $1 and owner = $2 and expires_at >= clock_timestamp() returning high_ms""",
            lease.node, lease.owner, milliseconds(now()) + _reserve_ms(), float(LEASE_S),
        )  # fmt: skip
    if not isinstance(high_ms, int):
        return False
    lease.high_ms, lease.valid_until = high_ms, started + LEASE_S * 1_000_000_000
    return True
