"""The database: a pool of connections tuned for short transactions, and the two types that carry the transaction rule.

`tx: Tx` means "inside the caller's transaction": such a function never commits and never touches the network.
`db: Database` means "opens its own". Raising rolls back, returning commits.

A connection that breaks while COMMIT is on its way leaves the outcome *unknown*: `OutcomeUnknown` is raised, and the
caller looks its keys up instead of sending again.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Self, TypeAlias

import asyncpg
import asyncpg.pool
import asyncpg.transaction

from tael.base.errors import TaelError

Connection: TypeAlias = asyncpg.pool.PoolConnectionProxy
Pool: TypeAlias = asyncpg.pool.Pool

Record = asyncpg.Record
UniqueViolation = asyncpg.UniqueViolationError

# Every hot statement finds its rows by an index. A generic plan is made once per connection, perhaps while the table
# was still empty, so the planner is told not to believe what an empty table suggests (a sequential scan).
_SHORT_TRANSACTIONS = {
    "application_name": "tael",
    "timezone": "UTC",
    "jit": "off",
    "plan_cache_mode": "force_generic_plan",
    "enable_seqscan": "off",
    "enable_bitmapscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "lock_timeout": "5s",
    "statement_timeout": "30s",
    "idle_in_transaction_session_timeout": "30s",
}
_REPORTING = """
    set local enable_seqscan = on; set local enable_bitmapscan = on; set local enable_hashjoin = on;
    set local enable_mergejoin = on; set local plan_cache_mode = force_custom_plan; set local statement_timeout = 0;
"""


class DatabaseUnavailable(TaelError):
    """The database cannot take the request now; nothing was changed. Try again.
    zh: 数据库暂时不可用，未做任何更改，请稍后重试。
    """

    status = 503
    retryable = True


class OutcomeUnknown(TaelError):
    """The connection broke while the change was being committed: it may or may not have happened. Repeat the
    request with the same key; it takes effect at most once.
    zh: 提交过程中连接中断，结果未知。请使用相同的幂等键重试，最多生效一次。
    """

    status = 503
    retryable = True


class Tx:
    """A running transaction. SQL takes positional parameters ($1, $2 ...) and returns asyncpg records."""

    __slots__ = ("_after_commit", "connection")

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self._after_commit: list[Callable[[], None]] = []

    async def execute(self, sql: str, *args: object) -> str:
        """Run a statement; answers its command tag, such as `UPDATE 3`."""
        return await self.connection.execute(sql, *args)

    async def executemany(self, sql: str, rows: Iterable[Sequence[object]]) -> None:
        """Run one prepared statement for many rows in one round trip."""
        await self.connection.executemany(sql, rows)

    async def fetch(self, sql: str, *args: object) -> list[Record]:
        """All rows."""
        return await self.connection.fetch(sql, *args)

    async def fetchrow(self, sql: str, *args: object) -> Record | None:
        """The first row, or None."""
        return await self.connection.fetchrow(sql, *args)

    async def fetchval(self, sql: str, *args: object) -> object:
        """The first column of the first row, or None."""
        return await self.connection.fetchval(sql, *args)

    def on_commit(self, callback: Callable[[], None]) -> None:
        """Call `callback` once this transaction is known to be committed, and never otherwise. It must not raise."""
        self._after_commit.append(callback)

    def committed(self) -> None:
        """Run the callbacks. Only `Database.transaction` calls this."""
        for callback in self._after_commit:
            callback()


class Database:
    """A pool of connections to one PostgreSQL. `async with await Database.connect(dsn) as db: ...`"""

    def __init__(self, pool: Pool, dsn: str) -> None:
        self._pool = pool
        self.dsn = dsn

    @classmethod
    async def connect(cls, dsn: str, *, min_size: int = 2, max_size: int = 20) -> Self:
        """Open the pool. `dsn` is a libpq URL; raises `DatabaseUnavailable` when no connection can be made."""
        try:
            pool = await asyncpg.create_pool(
                dsn, min_size=min_size, max_size=max_size, server_settings=_SHORT_TRANSACTIONS,
                statement_cache_size=512, max_cached_statement_lifetime=0, command_timeout=60,
                reset=_keep_session, max_inactive_connection_lifetime=0,
            )  # fmt: skip
        except _BROKEN as problem:
            raise DatabaseUnavailable(f"no connection: {type(problem).__name__}") from problem
        return cls(pool, dsn)

    @asynccontextmanager
    async def transaction(self) -> AsyncGenerator[Tx]:
        """Open a read-committed transaction; commits on return, rolls back on any exception."""
        async with self._connection() as connection:
            transaction = connection.transaction()
            tx = Tx(connection)
            try:
                await transaction.start()
                yield tx
            except BaseException:
                await _roll_back(connection, transaction)
                raise
            await _commit(transaction)
            tx.committed()

    @asynccontextmanager
    async def report(self) -> AsyncGenerator[Tx]:
        """A read-only snapshot with the planner's ordinary settings and no time limit: for checks over many rows."""
        async with self._connection() as connection, connection.transaction(isolation="repeatable_read", readonly=True):
            await connection.execute(_REPORTING)
            yield Tx(connection)

    async def close(self) -> None:
        """Close all connections; waits for those in use, ten seconds at most."""
        try:
            async with asyncio.timeout(10):
                await self._pool.close()
        except TimeoutError:
            self._pool.terminate()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    @asynccontextmanager
    async def _connection(self) -> AsyncGenerator[Connection]:
        try:
            connection = await self._pool.acquire(timeout=5)
        except (*_BROKEN, TimeoutError, asyncpg.TooManyConnectionsError) as problem:
            raise DatabaseUnavailable(f"no connection: {type(problem).__name__}") from problem
        try:
            yield connection
        except _NOTHING_CHANGED as problem:
            if isinstance(problem, ValueError):  # a value the driver cannot encode is our own mistake
                raise
            raise DatabaseUnavailable(type(problem).__name__) from problem
        finally:
            await self._pool.release(connection)


# The connection is of no use any more. The driver reports some deaths of the server as a mistake inside itself.
_BROKEN = (
    asyncpg.PostgresConnectionError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.CannotConnectNowError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    OSError,
)
# Raised before COMMIT was sent: the server has rolled back or will.
_NOTHING_CHANGED = (
    *_BROKEN,
    asyncpg.LockNotAvailableError,
    asyncpg.QueryCanceledError,
    asyncpg.DeadlockDetectedError,
    asyncpg.SerializationError,
    asyncpg.DiskFullError,
    asyncpg.ReadOnlySQLTransactionError,
    asyncpg.IdleInTransactionSessionTimeoutError,
)
_COMMIT_LOST = (*_BROKEN, TimeoutError)


async def _commit(transaction: asyncpg.transaction.Transaction) -> None:
    try:
        await transaction.commit()
    except _COMMIT_LOST as problem:
        raise OutcomeUnknown(type(problem).__name__) from problem


async def _roll_back(connection: Connection, transaction: asyncpg.transaction.Transaction) -> None:
    if connection.is_closed():
        return
    try:
        await transaction.rollback()
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError):
        # The connection is broken; the server rolls back by itself and the pool replaces the connection.
        connection.terminate()


async def _keep_session(connection: Connection) -> None:
    """No session state is ever set outside a transaction, so a returned connection needs no reset round trip."""
