"""The databases of measured servers: a file in their home, or a new database on PostgreSQL."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Coroutine, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, TypeVar
from urllib.parse import urlsplit

import asyncpg

from hooktui.bench.machine import family_cpu_s
from hooktui.domain.errors import HooktuiError, Refused

if TYPE_CHECKING:
    Raw: TypeAlias = asyncpg.Connection[asyncpg.Record]

T = TypeVar("T")

_PREFIX = "hooktui_proof_"
_ANSWERS_WITHIN_S = 10.0


@dataclass(frozen=True, slots=True)
class DatabaseCost:
    """The cost of a database server: bytes of its log, CPU seconds (None: unknown)."""

    log_bytes: int
    cpu_s: float | None


class Databases(Protocol):
    """Provides an empty database for each case."""

    @property
    def kind(self) -> str:
        """The kind of the databases with their version, for the report."""
        ...

    def fresh(self) -> AbstractContextManager[str | None]:
        """Create one for a block; return its URL, None for a file in a home."""
        ...

    def cost(self) -> DatabaseCost | None:
        """Return the cost of the databases' server; None if there is no server."""
        ...


class SqliteDatabases:
    """Each server creates the file in its own home."""

    kind = "SQLite"

    def fresh(self) -> AbstractContextManager[str | None]:
        """Create nothing."""
        return nullcontext(None)

    def cost(self) -> None:
        """Return None: the servers do this work themselves."""


class PostgresDatabases:
    """Databases on the server of a URL, whose user may create them; dropped after the block.

    Args:
        url: of any database of that server.

    Raises:
        HooktuiError: the server does not respond.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        with asyncio.Runner() as runner:
            self.kind = f"PostgreSQL {runner.run(self._look())}"

    @contextmanager
    def fresh(self) -> Iterator[str]:
        """Create a database.

        Raises:
            HooktuiError: it could not be created.
        """
        name = f"{_PREFIX}{secrets.token_hex(6)}"
        url = urlsplit(self._url)._replace(path=f"/{name}").geturl()
        with asyncio.Runner() as runner:
            runner.run(self._administer(f'CREATE DATABASE "{name}"'))
            try:
                # The connection marks the database as used, so that it is not dropped as a
                # leftover.
                holder = runner.run(connect(url))
                try:
                    yield url
                finally:
                    runner.run(holder.close())
            finally:
                runner.run(self._administer(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)'))

    def cost(self) -> DatabaseCost:
        """Return the cost of PostgreSQL with all its databases.

        Raises:
            HooktuiError: it does not respond.
        """
        with asyncio.Runner() as runner:
            return runner.run(self._cost())

    async def _cost(self) -> DatabaseCost:
        connection = await connect(self._url)
        try:
            row = await connection.fetchrow(
                "SELECT (pg_current_wal_insert_lsn() - '0/0'::pg_lsn)::bigint AS log_bytes,"
                " pg_backend_pid() AS pid"
            )
            if row is None:
                raise HooktuiError("--database: PostgreSQL does not report its log")
            return DatabaseCost(row["log_bytes"], family_cpu_s(row["pid"]))
        finally:
            await connection.close()

    async def _look(self) -> str:
        """Return the server's version; drop databases that killed measurements left."""
        connection = await connect(self._url)
        try:
            left = await connection.fetch(
                "SELECT datname FROM pg_database d WHERE starts_with(datname, $1) AND NOT EXISTS"
                " (SELECT FROM pg_stat_activity a WHERE a.datname = d.datname)",
                _PREFIX,
            )
            for row in left:
                await connection.execute(f'DROP DATABASE IF EXISTS "{row["datname"]}"')
            version: str = await connection.fetchval("SHOW server_version")
        finally:
            await connection.close()
        return version

    async def _administer(self, statement: str) -> None:
        connection = await connect(self._url)
        try:
            await _our_errors(connection.execute(statement))
        finally:
            await connection.close()


def databases_of(url: str | None) -> Databases:
    """Return the provider of the databases of a measurement.

    Raises:
        Refused: the URL does not name a PostgreSQL database.
        HooktuiError: PostgreSQL does not respond.
    """
    if url is None:
        return SqliteDatabases()
    if urlsplit(url).scheme not in ("postgresql", "postgres"):
        raise Refused("--database: a measurement creates its own SQLite files; pass postgresql://…")
    return PostgresDatabases(url)


async def connect(url: str) -> Raw:
    """Connect to PostgreSQL.

    Raises:
        HooktuiError: it cannot be reached.
    """
    return await _our_errors(asyncpg.connect(url, timeout=_ANSWERS_WITHIN_S))


async def _our_errors(work: Coroutine[Any, Any, T]) -> T:
    """Return the result of a call of PostgreSQL.

    Raises:
        HooktuiError: it refuses, or cannot be reached.
    """
    try:
        return await work
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise HooktuiError(f"--database: {error}") from error
