"""Runs the functions over SQLAlchemy connections, queries and changes, in pools of their own.

The functions are synchronous; SQLAlchemy runs each in a greenlet that waits in the event loop.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from functools import lru_cache, partial
from typing import TypeVar

from sqlalchemy import Connection, event
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DBAPIError, DisconnectionError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry, StaticPool

from hooktui.domain.errors import HooktuiError, Unavailable
from hooktui.store.postgres import sql
from hooktui.store.postgres.connections import (
    PATIENCE_S,
    STATEMENT_S,
    TRIES,
    DatabaseAddress,
    Raw,
    connect,
    connect_to_write,
    explain,
    has_hung,
    is_lost,
    may_repeat,
    outcome_unknown,
    waits,
)
from hooktui.store.postgres.transaction import Shared, WriteTransaction, begin

R = TypeVar("R")

READERS = 4
"""Connections for reads of callers."""
OWN = 2
"""Connections for the server's own queries, which reads of callers do not delay.

`own_read` uses one at a time, so that look-ups of due deliveries have the other."""
LOOK_UPS = 1
"""For the tokens and accounts of calls, however many searches and unknown tokens there are."""
CHANGERS = 2


def engine(open_one: Callable[[], Awaitable[Raw]], size: int, isolation: str) -> AsyncEngine:
    """Return a pool of connections; a connection is checked by its use, not before."""
    return create_async_engine(
        "postgresql+asyncpg://",
        async_creator=open_one,
        pool_size=size,
        max_overflow=0,
        pool_timeout=STATEMENT_S,
        isolation_level=isolation,
        hide_parameters=True,  # an error names the statement, not its values
    )


def _replace_hung(pool: AsyncEngine, target: DatabaseAddress) -> None:
    """Let a pool replace the connections that were open when the database last hung."""

    @event.listens_for(pool.sync_engine, "connect")
    def _note_time(_: DBAPIConnection, record: ConnectionPoolEntry) -> None:
        record.info["opened_s"] = time.monotonic()

    @event.listens_for(pool.sync_engine, "checkout")
    def _check_time(_: DBAPIConnection, record: ConnectionPoolEntry, __: object) -> None:
        if record.info["opened_s"] < target.hung_s:
            raw: Raw | None = record.driver_connection
            if raw is not None:
                raw.terminate()  # a clean close waits for a response
            raise DisconnectionError


async def run_over(raw: Raw, change: Callable[[Connection], R]) -> R:
    """Run a function of a SQLAlchemy connection in the open transaction of a connection."""
    async with engine_over(raw).connect() as conn:
        return await conn.run_sync(change)


@lru_cache(maxsize=1)
def engine_over(raw: Raw) -> AsyncEngine:
    """Return an engine over one connection, which it never closes; the last one is kept."""

    async def same() -> Raw:
        return raw

    return create_async_engine(
        "postgresql+asyncpg://",
        async_creator=same,
        poolclass=StaticPool,
        pool_reset_on_return=None,
        isolation_level="AUTOCOMMIT",
        hide_parameters=True,
    )


class Queries:
    """Runs queries, each in a short read-only transaction on one snapshot."""

    def __init__(self, target: DatabaseAddress, size: int) -> None:
        pool = engine(partial(connect, target), size, "REPEATABLE READ")
        _replace_hung(pool, target)
        self._engine = pool.execution_options(postgresql_readonly=True, may_pause=True)
        self._target = target

    async def run(self, query: Callable[[Connection], R]) -> R:
        """Run a query; repeat it on another connection if its own broke.

        Raises:
            Unavailable: the database is unreachable, or took too long.
        """
        give_up_s = time.monotonic() + PATIENCE_S
        results: list[R] = []
        for tries, wait_s in enumerate(waits(), 1):
            began_s = time.monotonic()
            try:
                async with self._engine.connect() as conn:
                    results.append(await conn.run_sync(query))
            except Exception as error:
                if results:  # only the end of its transaction failed
                    return results[0]
                lost = _is_worth_another(self._target, error, began_s)
                if _too_late(give_up_s, tries, lost=lost) or not (
                    lost or isinstance(error, Unavailable)
                ):
                    raise _plain(error, self._target) from error
            else:
                return results[0]
            await asyncio.sleep(wait_s)
        raise AssertionError("waits never end")

    async def close(self) -> None:
        """Close all connections."""
        await self._engine.dispose()


class Changes:
    """Runs changes of people, one at a time over all servers."""

    def __init__(self, target: DatabaseAddress, shared: Shared) -> None:
        # We issue BEGIN and COMMIT ourselves, as on the hot path.
        self._engine = engine(partial(connect_to_write, target), CHANGERS, "AUTOCOMMIT")
        _replace_hung(self._engine, target)
        self._shared = shared
        self._target = target

    async def run(
        self, change: Callable[[Connection, WriteTransaction], R]
    ) -> tuple[R, WriteTransaction]:
        """Run a change in a transaction; repeat it after a deadlock or a broken connection.

        Raises:
            HooktuiError: the change refused, or the database could not store it.
        """
        give_up_s = time.monotonic() + PATIENCE_S
        for tries, wait_s in enumerate(waits(), 1):
            committing: list[bool] = []
            began_s = time.monotonic()
            try:
                async with self._engine.connect() as conn:
                    return await self._transact(conn, change, committing)
            except Exception as error:
                lost = _is_worth_another(self._target, error, began_s)
                if committing and is_lost(error):
                    raise outcome_unknown() from error
                again = lost or (may_repeat(error) and tries < TRIES)
                if _too_late(give_up_s, tries, lost=lost) or not again:
                    raise _plain(error, self._target) from error
            await asyncio.sleep(wait_s)
        raise AssertionError("waits never end")

    async def _transact(
        self,
        conn: AsyncConnection,
        change: Callable[[Connection, WriteTransaction], R],
        committing: list[bool],
    ) -> tuple[R, WriteTransaction]:
        raw: Raw | None = (await conn.get_raw_connection()).driver_connection
        if raw is None:
            raise Unavailable("the connection to the database was lost; try again")
        try:
            work = await begin(raw, self._shared, alone=True)
            self._shared.ids.go_beyond(await raw.fetchval(sql.HIGHEST_IDS))
            result = await conn.run_sync(change, work)
            committing.append(True)
            await work.commit()
            await work.find_feed_end()
        except BaseException:
            if not raw.is_closed() and raw.is_in_transaction():
                await raw.execute("ROLLBACK")
            else:  # it is closed, or its BEGIN was cancelled and is not known to have begun
                await conn.invalidate()
            raise
        return result, work

    async def close(self) -> None:
        """Close all connections."""
        await self._engine.dispose()


def _is_worth_another(target: DatabaseAddress, error: BaseException, began_s: float) -> bool:
    """Return whether another connection may do what this one did not."""
    if has_hung(error, time.monotonic() - began_s):
        target.hung_s = time.monotonic()
        return False
    return is_lost(error)


def _too_late(give_up_s: float, tries: int, *, lost: bool) -> bool:
    """Return whether it is too late to try again.

    Never after the first try if its connection was lost: PostgreSQL ends the session of a process
    that was stopped for longer, whose time is then over.
    """
    return time.monotonic() > give_up_s and not (lost and tries == 1)


def _plain(error: Exception, target: DatabaseAddress) -> Exception:
    if isinstance(error, PoolTimeout):
        return Unavailable("too many queries at the same time; try again")
    plain = explain(error, target)
    if isinstance(plain, DBAPIError):
        return HooktuiError(f"the database rejected a statement of hooktui: {plain.orig}")
    return plain
