"""Connections to PostgreSQL: deadlines on everything, and clear words for what goes wrong.

A connection that writes rows of the feed first skips the numbers that a crash took back. Claims are
committed before they are on disk, and readers of the feed see them at once. A crash of the database
forgets the last of them, and what the sequence knew of their numbers. The next rows would get those
numbers again, and a reader that is past them would see none of these rows (measured: 38 of 80). A
dump that is restored does the same, with more of them. After either, every server needs a new
connection to write.
"""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, TypeAlias
from urllib.parse import parse_qs, unquote, urlsplit

import asyncpg
from asyncpg import exceptions as pg

from hooktui.domain.errors import DiskFull, HooktuiError, Refused, Unavailable
from hooktui.store.postgres import locks, sql

if TYPE_CHECKING:
    Raw: TypeAlias = asyncpg.Connection[asyncpg.Record]


CONNECT_S: Final = 5.0
STATEMENT_S: Final = 10.0
"""What a statement may take."""
LOCK_S: Final = 5.0
IDLE_IN_TRANSACTION_S: Final = 4.0
"""After it PostgreSQL drops who holds locks and says nothing, such as a stopped process: before
others have waited for those locks for too long."""
MIGRATION: Final = {
    "statement_timeout": "0", "lock_timeout": "0", "idle_in_transaction_session_timeout": "0",
}  # fmt: skip
"""A large table takes as long as it takes, and who comes second waits for who came first."""

_DEADLINES: Final = {
    "statement_timeout": f"{STATEMENT_S * 1000:.0f}",
    "lock_timeout": f"{LOCK_S * 1000:.0f}",
    "idle_in_transaction_session_timeout": f"{IDLE_IN_TRANSACTION_S * 1000:.0f}",
}
SETTINGS: Final[dict[str, str]] = {
    "application_name": "hooktui",
    "timezone": "UTC",
    "default_transaction_isolation": "read committed",
    "synchronous_commit": "on",  # off loses acknowledged rows at a crash
    "jit": "off",
    "standard_conforming_strings": "on",
    # So that a silent connection is not forgotten on the way, and a dead one is noticed.
    "tcp_keepalives_idle": "60",
    "tcp_keepalives_interval": "10",
    "tcp_keepalives_count": "3",
    **_DEADLINES,
}
HOT: Final = {
    "enable_seqscan": "off", "enable_hashjoin": "off", "enable_mergejoin": "off",
    "plan_cache_mode": "force_generic_plan",
}  # fmt: skip
"""The hot statements live on their indexes, also while the statistics of a young table lie."""

_RETRY_S: Final = (0.05, 0.1, 0.25, 0.5, 1.0, 2.0)

FAULTS: Final = (pg.PostgresError, pg.InterfaceError, pg.InternalClientError, OSError)
"""What the driver raises; a time that was exceeded is an OSError."""
_LOST = (
    pg.PostgresConnectionError, pg.AdminShutdownError, pg.CrashShutdownError,
    pg.CannotConnectNowError, pg.InterfaceError, pg.InternalClientError,
    pg.TooManyConnectionsError,
    pg.IdleInTransactionSessionTimeoutError, pg.ReadOnlySQLTransactionError, OSError,
)  # fmt: skip
_AGAIN = (pg.DeadlockDetectedError, pg.SerializationError)


@dataclass(frozen=True, slots=True)
class DatabaseAddress:
    """A database's address; ``shown`` is what may be shown of it: no password."""

    url: str = field(repr=False)
    shown: str


def parse_database_url(url: str) -> DatabaseAddress:
    """Read an address as ``postgresql://user:password@host:port/name?sslmode=verify-full``.

    Raises:
        Refused: it is none.
    """
    try:
        parts = urlsplit(url)
        query = parse_qs(parts.query)
        host, port = parts.hostname or query.get("host", [""])[-1], parts.port
    except ValueError:  # its words may quote the password
        raise Refused(
            "the address of the database cannot be read; in user and password write : / ? # [ ] @"
            " as %3A %2F %3F %23 %5B %5D %40"
        ) from None
    name = unquote(parts.path.removeprefix("/"))
    if parts.scheme not in ("postgresql", "postgres") or not name or "/" in name:
        raise Refused(
            "write the address of the database as postgresql://USER:PASSWORD@HOST:PORT/NAME"
        )
    shown_host = f"[{host}]" if ":" in host else host
    shown_port = "" if port is None else f":{port}"
    return DatabaseAddress(url, f"postgresql://{shown_host}{shown_port}/{name}")


async def connect(target: DatabaseAddress, **settings: str) -> Raw:
    """Open a connection; ``settings`` are those of its session, before our own.

    Raises:
        HooktuiError: PostgreSQL cannot be reached, or does not let us in; says what to do.
    """
    try:
        return await asyncpg.connect(
            target.url,
            timeout=CONNECT_S,
            command_timeout=_patience_s(settings),
            server_settings={**SETTINGS, **settings},
        )
    except (*FAULTS, ValueError) as error:
        raise _not_let_in(target, error) from error


def _patience_s(settings: Mapping[str, str]) -> float | None:
    """Return how long to wait for an answer: a little longer than the server works on it."""
    limit_ms = int(settings.get("statement_timeout", SETTINGS["statement_timeout"]))
    return limit_ms / 1000 + 2 if limit_ms else None


def waits() -> Iterator[float]:
    """Return how long to wait before each further try to connect: longer and longer, and uneven."""
    place = 0
    while True:
        yield _RETRY_S[min(place, len(_RETRY_S) - 1)] * random.uniform(0.75, 1.25)  # noqa: S311 - jitter
        place += 1


def cause_of(error: BaseException) -> BaseException:
    """Return the driver's error behind what SQLAlchemy made of it."""
    original = getattr(error, "orig", None)
    if not isinstance(original, BaseException):
        return error
    return original.__cause__ or original


def is_lost(error: BaseException) -> bool:
    """Return whether the connection is gone, or cannot be trusted any more."""
    return isinstance(cause_of(error), _LOST)


def may_repeat(error: BaseException) -> bool:
    """Return whether the same transaction may well succeed when it is run again."""
    return isinstance(cause_of(error), _AGAIN)


def explain(error: Exception, target: DatabaseAddress) -> Exception:
    """Return an error in the words of the house; what is not PostgreSQL's stays as it is."""
    cause = cause_of(error)
    if not isinstance(cause, FAULTS):
        return error
    where = target.shown
    if isinstance(cause, pg.DiskFullError):
        return DiskFull(
            f"the disk of {where} is full; nothing was stored. Free some room there and try again"
        )
    if isinstance(cause, pg.LockNotAvailableError):
        return Unavailable(
            f"a lock has been held in {where} for over {LOCK_S:g} s; nothing was stored"
        )
    if isinstance(cause, pg.QueryCanceledError):
        return Unavailable(f"{where} took over {STATEMENT_S:g} s and was stopped")
    if isinstance(cause, pg.ReadOnlySQLTransactionError):
        return Unavailable(f"{where} takes no writes: it is a standby, or was set read-only")
    if is_lost(cause):
        return Unavailable(f"the connection to {where} was lost ({_words(cause)}); try again")
    return Unavailable(f"{where} answered: {_words(cause)}")


def _not_let_in(target: DatabaseAddress, error: Exception) -> HooktuiError:
    where, words = target.shown, _words(error)
    if isinstance(error, pg.InvalidPasswordError | pg.InvalidAuthorizationSpecificationError):
        return HooktuiError(f"{where} rejected the login: {words}; check user and password")
    if isinstance(error, pg.InvalidCatalogNameError):
        return HooktuiError(f"{where}: {words}; make it first, with: createdb")
    if isinstance(error, pg.TooManyConnectionsError):
        return Unavailable(f"{where} has no connection left for us: {words}")
    if isinstance(error, pg.CannotConnectNowError):
        return Unavailable(f"{where} is not ready: {words}")
    if isinstance(error, asyncio.TimeoutError):
        return Unavailable(f"{where} did not respond within {CONNECT_S:g} s")
    return Unavailable(f"cannot reach {where}: {words}")


def _words(error: BaseException) -> str:
    if isinstance(error, OSError) and error.errno:
        return os.strerror(error.errno)
    return " ".join(str(error).split()) or type(error).__name__


_SKIPPED: Final = 20_000
"""More lines than are written in the 0.6 s that a crash takes back, should the clock go back too.

Far more would have several connections in a row run ahead of the time.
"""

# The time in µs runs ahead of the numbers, so one dump may be put back twice. On disk before the
# first line, also where claims need not be: else a second crash takes it back. The empty line keeps
# who read an empty feed from being told of a gap where there is none.
_SKIP: Final = f"""
BEGIN;
SET LOCAL synchronous_commit = on;
SELECT pg_advisory_xact_lock({locks.FEED});
SELECT setval(name, GREATEST(nextval(name) + {_SKIPPED}, 1000 * {sql.NOW}))
FROM CAST(pg_get_serial_sequence('feed', 'pos') AS regclass) AS name;
INSERT INTO feed (at_ms, items, changes) SELECT 0, 0, '[]' WHERE NOT EXISTS (SELECT FROM feed);
COMMIT"""  # noqa: S608 - our own constants


async def connect_to_write(target: DatabaseAddress, **settings: str) -> Raw:
    """Open a connection that may write lines; ``settings`` are those of its session.

    Raises:
        HooktuiError: PostgreSQL cannot be reached, or does not let us in or write.
    """
    raw = await connect(target, **settings)
    try:
        await raw.execute(_SKIP)
    except FAULTS as error:
        raw.terminate()
        raise explain(error, target) from error
    except BaseException:
        raw.terminate()
        raise
    return raw
