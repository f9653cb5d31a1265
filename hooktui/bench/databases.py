"""The databases of measured servers: a file in their home, or a new database on PostgreSQL."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Coroutine, Iterator, Sequence
from contextlib import (
    AbstractContextManager,
    AsyncExitStack,
    asynccontextmanager,
    contextmanager,
    nullcontext,
)
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar
from urllib.parse import urlsplit

import asyncpg

from hooktui.bench.machine import cpu_s, family_cpu_s, written_bytes
from hooktui.domain.errors import HooktuiError, Refused

if TYPE_CHECKING:
    Raw: TypeAlias = asyncpg.Connection[asyncpg.Record]

T = TypeVar("T")

_PREFIX = "hooktui_bench_"
_RESPONDS_WITHIN_S = 10.0


@dataclass(frozen=True, slots=True)
class Cost:
    """The total cost of measured servers up to a time.

    Attributes:
        servers_s: CPU seconds of the servers.
        disk_bytes: bytes that they, or PostgreSQL's log, wrote.
        database_s: CPU seconds of PostgreSQL, if known.
    """

    servers_s: float
    disk_bytes: int
    database_s: float | None


class Databases:
    """An empty database for each case: here a file that each server creates in its own home.

    Attributes:
        kind: of the databases, with their version.
    """

    kind = "SQLite"

    def fresh(self) -> AbstractContextManager[str | None]:
        """Create one for a block; return its URL, None for a file in a home."""
        return nullcontext(None)

    def cost(self, pids: Sequence[int]) -> Cost:
        """Return the cost of measured servers, and of that of their databases."""
        return Cost(sum(map(cpu_s, pids)), sum(map(written_bytes, pids)), None)


class PostgresDatabases(Databases):
    """Databases on the server of a URL, whose user may create them; dropped after the block.

    Raises:
        HooktuiError: the server does not respond.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        with asyncio.Runner() as runner:
            self.kind = f"PostgreSQL {runner.run(self._prepare())}"

    @contextmanager
    def fresh(self) -> Iterator[str]:
        """Create a database.

        Raises:
            HooktuiError: it could not be created.
        """
        name = f"{_PREFIX}{secrets.token_hex(6)}"
        url = urlsplit(self._url)._replace(path=f"/{name}").geturl()
        holder = AsyncExitStack()
        with asyncio.Runner() as runner:
            runner.run(self._administer(f'CREATE DATABASE "{name}"'))
            drop = f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)'
            holder.push_async_callback(self._administer, drop)
            try:
                # The connection marks the database as used, so that it is not dropped as a
                # leftover.
                runner.run(holder.enter_async_context(connected(url)))
                yield url
            finally:
                runner.run(holder.aclose())

    def cost(self, pids: Sequence[int]) -> Cost:
        """Return the cost of measured servers, and of PostgreSQL with all its databases.

        Raises:
            HooktuiError: it does not respond.
        """
        with asyncio.Runner() as runner:
            return runner.run(self._cost(sum(map(cpu_s, pids))))

    async def _cost(self, servers_s: float) -> Cost:
        async with connected(self._url) as connection:
            row = await connection.fetchrow(
                "SELECT (pg_current_wal_insert_lsn() - '0/0'::pg_lsn)::bigint AS log_bytes,"
                " pg_backend_pid() AS pid"
            )
            if row is None:
                raise HooktuiError("--database: PostgreSQL does not report its log")
            return Cost(servers_s, row["log_bytes"], family_cpu_s(row["pid"]))

    async def _prepare(self) -> str:
        """Drop databases that killed measurements left; return the server's version."""
        async with connected(self._url) as connection:
            left = await connection.fetch(
                "SELECT datname FROM pg_database d WHERE starts_with(datname, $1) AND NOT EXISTS"
                " (SELECT FROM pg_stat_activity a WHERE a.datname = d.datname)",
                _PREFIX,
            )
            for row in left:
                await connection.execute(f'DROP DATABASE IF EXISTS "{row["datname"]}"')
            version: str = await connection.fetchval("SHOW server_version")
            return version

    async def _administer(self, statement: str) -> None:
        async with connected(self._url) as connection:
            await _our_errors(connection.execute(statement))


def databases_of(url: str | None) -> Databases:
    """Return the provider of the databases of a measurement.

    Raises:
        Refused: the URL does not name a PostgreSQL database.
        HooktuiError: PostgreSQL does not respond.
    """
    if url is None:
        return Databases()
    if urlsplit(url).scheme not in ("postgresql", "postgres"):
        raise Refused("--database: a measurement creates its own SQLite files; pass postgresql://…")
    return PostgresDatabases(url)


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[Raw]:
    """Connect to PostgreSQL for a block.

    Raises:
        HooktuiError: it cannot be reached.
    """
    connection = await _our_errors(asyncpg.connect(url, timeout=_RESPONDS_WITHIN_S))
    try:
        yield connection
    finally:
        await connection.close()


async def _our_errors(work: Coroutine[Any, Any, T]) -> T:
    """Return the result of a call of PostgreSQL.

    Raises:
        HooktuiError: it refuses, or cannot be reached.
    """
    try:
        return await work
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise HooktuiError(f"--database: {error}") from error
