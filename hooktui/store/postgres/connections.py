"""Connections to PostgreSQL: deadlines for every call, and readable errors.

A connection that writes rows of the feed first skips the numbers that a crash took back. Claims are
committed before they are on disk, and readers of the feed see them immediately. A crash of the
database loses the last of them and the sequence's last numbers. The next rows would reuse those
numbers, and a reader that is past them would miss these rows (measured: 38 of 80). A restored dump
does the same with more rows. After either, every server needs a new connection to write.
"""

from __future__ import annotations

import contextlib
import itertools
import logging
import os
import random
import re
import socket
import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache, partial
from typing import Final, TypeAlias
from urllib.parse import parse_qs, unquote, urlsplit
from weakref import WeakValueDictionary

import asyncpg
from asyncpg import exceptions as pg

from hooktui.domain.errors import DiskFull, Refused, Unavailable
from hooktui.store.postgres import locks, sql

_log = logging.getLogger(__name__)

Raw: TypeAlias = "asyncpg.Connection[asyncpg.Record]"

CONNECT_S: Final = 5.0
CLOSE_S: Final = 2.0
"""A stop closes several connections one after another, and systemd waits for 45 s."""
STATEMENT_S: Final = 10.0
"""Maximum duration of a statement."""
RESPONSE_S: Final = STATEMENT_S + 2
"""How long to wait for a response: a little longer than PostgreSQL works at a statement."""
LOCK_S: Final = 5.0
IDLE_IN_TRANSACTION_S: Final = 4.0
"""After this PostgreSQL drops a session that holds locks and is silent, such as a stopped process,
before others have waited for those locks for too long."""
MIGRATION: Final = {
    "statement_timeout": "0", "lock_timeout": "0", "idle_in_transaction_session_timeout": "0",
}  # fmt: skip
"""A large table takes long, and the second migration waits for the first."""

_DEADLINES: Final = {
    "statement_timeout": f"{STATEMENT_S * 1000:.0f}",
    "lock_timeout": f"{LOCK_S * 1000:.0f}",
    "idle_in_transaction_session_timeout": f"{IDLE_IN_TRANSACTION_S * 1000:.0f}",
}
_BY_INDEX: Final = {"enable_seqscan": "off", "enable_bitmapscan": "off"}
"""A young table has no statistics, by which a list would read its index as a bitmap and sort it."""
_TLS_FILES: Final = ("sslrootcert", "sslcert", "sslkey", "sslcrl")
_NAME: Final = {"application_name": "hooktui"}
SETTINGS: Final[dict[str, str]] = {
    "timezone": "UTC",
    "default_transaction_isolation": "read committed",
    "synchronous_commit": "on",  # off loses acknowledged rows in a crash
    "jit": "off",
    **_BY_INDEX,
    "standard_conforming_strings": "on",
    # Keeps a silent connection open in firewalls, and detects a dead one.
    "tcp_keepalives_idle": "60",
    "tcp_keepalives_interval": "10",
    "tcp_keepalives_count": "3",
    "tcp_user_timeout": "30000",  # the same while data waits for its acknowledgement
    **_DEADLINES,
    "idle_session_timeout": "0",  # PostgreSQL 14: ends the session that holds this server's number
    "transaction_timeout": "0",  # PostgreSQL 17: ends migrations
}
HOT: Final = {
    **_BY_INDEX, "enable_sort": "off", "enable_hashjoin": "off", "enable_mergejoin": "off",
    "plan_cache_mode": "force_generic_plan",
}  # fmt: skip
"""The hot statements depend on their indexes even if the statistics of a young table are wrong."""

PATIENCE_S: Final = 5.0
"""How long a transaction waits for a database that is unreachable, such as during a restart."""
TRIES: Final = 4
"""After a deadlock or a serialization failure."""
_RETRY_S: Final = (0.05, 0.1, 0.25, 0.5, 1.0, 2.0)

FAULTS: Final = (pg.PostgresError, pg.InterfaceError, pg.InternalClientError, OSError)
"""Errors of the driver; an exceeded time is an OSError."""
_LOST = (
    pg.PostgresConnectionError, pg.AdminShutdownError, pg.CrashShutdownError,
    pg.CannotConnectNowError, pg.InterfaceError, pg.InternalClientError,
    pg.TooManyConnectionsError,
    pg.IdleInTransactionSessionTimeoutError, pg.ReadOnlySQLTransactionError, OSError,
)  # fmt: skip
_AGAIN = (pg.DeadlockDetectedError, pg.SerializationError)


Host: TypeAlias = tuple[str, int | None]
"""A name, address or folder of a socket, and the port if it is given."""


@dataclass(slots=True)
class DatabaseAddress:
    """A database's address; ``shown`` omits the password.

    Attributes:
        hosts: those that the address names, such as a primary and its standbys. The one in use is
            first: a primary that failed may be silent, or come back as a second one.
        hung_s: when a connection last got no response in time, monotonic seconds. Pools replace
            those that were open then: if the network was cut, each would wait as long.
    """

    url: str = field(repr=False)
    shown: str
    hosts: list[Host] = field(compare=False)
    hung_s: float = field(default=0.0, compare=False)


_HOST: Final = re.compile(r"(?:\[([^][]+)\]|([^][:]*))(?::(\d*))?")
_LAST_PORT: Final = 65535


@lru_cache
def parse_database_url(url: str) -> DatabaseAddress:
    """Parse an address such as ``postgresql://user:password@host:port/name?sslmode=verify-full``.

    Like libpq it may name several hosts, as ``host:port,host:port``. The same address is the same
    object, so that doctor in a server uses the host that the server does.

    Raises:
        Refused: it is not an address.
    """
    try:
        parts = urlsplit(url)
        query = parse_qs(parts.query)
        named = parts.netloc.rpartition("@")[2] or query.get("host", [""])[-1]
        hosts = parse_hosts(named, query.get("port", [""])[-1])
    except ValueError:  # its text may quote the password
        raise Refused(
            "the address of the database cannot be read: ports are 1 to 65535, and in user and"
            " password : / ? # [ ] @ are written as %3A %2F %3F %23 %5B %5D %40"
        ) from None
    name = unquote(parts.path.removeprefix("/"))
    if parts.scheme not in ("postgresql", "postgres") or not name or "/" in name:
        raise Refused(
            "write the address of the database as postgresql://USER:PASSWORD@HOST:PORT/NAME"
        )
    shown = ",".join(map(_shown, hosts))
    return DatabaseAddress(url, f"postgresql://{shown}/{name}", hosts)


def parse_hosts(named: str, ports: str = "") -> list[Host]:
    """Parse a list of hosts; ``ports`` has one for all, or for each that names none.

    Raises:
        ValueError: it is not a list of hosts.
    """
    others = ports.split(",")
    hosts: list[Host] = []
    for number, spec in enumerate(named.split(",")):
        if spec.startswith("/"):  # the folder of a socket
            host, port = spec, None
        else:
            found = _HOST.fullmatch(spec)
            if found is None:
                raise ValueError(spec)
            host, port = unquote(found[1] or found[2]), found[3]
        given = port or others[number % len(others)]
        hosts.append((host, _port(given) if given else None))
    if len(hosts) > 1 and not all(host for host, _ in hosts):
        raise ValueError(named)  # the driver has a default for one host only
    return hosts


def _port(text: str) -> int:
    number = int(text)
    if not 0 < number <= _LAST_PORT:
        raise ValueError(text)  # the system would use the last 16 bits
    return number


def _shown(host: Host) -> str:
    name = f"[{host[0]}]" if ":" in host[0] else host[0]
    return name if host[1] is None else f"{name}:{host[1]}"


class _Connection(asyncpg.Connection):  # type: ignore[misc]
    """A connection that is aborted if PostgreSQL does not respond when it is closed."""

    async def close(self, *, timeout: float | None = None) -> None:
        """Close the connection; the pools of SQLAlchemy give no time."""
        with contextlib.suppress(*FAULTS):  # aborted by then
            await super().close(timeout=CLOSE_S if timeout is None else timeout)


async def connect(target: DatabaseAddress, **settings: str) -> Raw:
    """Open a connection; ``settings`` are those of its session, before our own.

    Raises:
        Unavailable: PostgreSQL cannot be reached or rejects the login, or a pooler shares its
            sessions; names the fix.
    """
    raw: Raw | None = None
    try:
        raw = await _connect_to_any(target, _patience_s(settings))
        host = target.hosts[0]
        await _begin_session(raw, {**SETTINGS, **settings}, target)
        if target.hosts[0] != host:
            raise ConnectionResetError(f"{_shown(target.hosts[0])} is in use meanwhile")
    except BaseException as error:
        if raw is not None:
            raw.terminate()
        if isinstance(error, (*FAULTS, ValueError)):
            raise _connect_error(target, error) from error
        raise
    return raw


async def _connect_to_any(target: DatabaseAddress, patience_s: float | None) -> Raw:
    """Connect to the first of several hosts that accepts writes.

    The driver has one deadline for all hosts, which a silent one uses up.

    Raises:
        Unavailable: none of them does.
    """
    open_one = partial(
        asyncpg.connect,
        target.url,
        timeout=CONNECT_S,
        command_timeout=patience_s,
        server_settings=_NAME,
        connection_class=_Connection,
    )
    if len(target.hosts) == 1:
        return await open_one()
    failed, last = [], None
    order = list(target.hosts)
    for host in order:
        name, port = host
        try:
            raw = await open_one(host=name, port=port, target_session_attrs="read-write")
        except (OSError, pg.CannotConnectNowError, pg.TargetServerAttributeNotMatched) as error:
            failed.append(f"{_shown(host)}: {reason_of(error)}")
            last = error
            continue
        if target.hosts[0] not in (order[0], host):  # another connection left this host meanwhile
            raw.terminate()
            return await _connect_to_any(target, patience_s)
        _use(target, host)
        return raw
    raise Unavailable(f"cannot reach {target.shown}: {'; '.join(failed)}") from last


def _use(target: DatabaseAddress, host: Host) -> None:
    """Use this host only: two primaries at the same time would each have a part of the data."""
    if target.hosts[0] != host:
        _log.info("using %s as the primary of %s", _shown(host), target.shown)
        target.hosts.sort(key=lambda other: other != host)
        for (url, *_), raw in list(_sessions.items()):
            if url == target.url:
                raw.terminate()


# PgBouncer refuses most settings of a session when it begins, so they are set in it; an older
# PostgreSQL lacks some.
_BEGIN_SESSION: Final = """
SELECT pid, backend_start, current_setting('server_encoding') AS encoding,
  (SELECT count(set_config(name, value, false))
  FROM unnest($1::text[], $2::text[]) AS setting (name, value)
  WHERE current_setting(name, true) IS NOT NULL)
FROM pg_stat_get_activity(pg_backend_pid())"""
_sessions: Final[WeakValueDictionary[tuple[str, int, datetime], Raw]] = WeakValueDictionary()


async def _begin_session(raw: Raw, settings: Mapping[str, str], target: DatabaseAddress) -> None:
    """Set the settings of a session that belongs to no other open connection of this process.

    Raises:
        Unavailable: a pooler gives the session to several connections. Settings and locks of one
            would apply to the others, and end with the transaction. Or the database cannot store
            all characters.
    """
    names, values = list(settings), list(settings.values())
    found = await raw.fetchrow(_BEGIN_SESSION, names, values, timeout=CONNECT_S)
    if found["encoding"] != "UTF8":
        raise Unavailable(
            f"{target.shown} has the encoding {found['encoding']}: hooktui needs a database with"
            " UTF8; create one with: createdb --template=template0 --encoding=UTF8"
        )
    session = target.url, found["pid"], found["backend_start"]
    other = _sessions.get(session)
    if other is not None and not other.is_closed():
        raise Unavailable(
            f"{target.shown} is a pooler in transaction mode: hooktui needs sessions of its own."
            " Connect directly to PostgreSQL, or through a pooler in session mode"
        )
    _sessions[session] = raw


def _patience_s(settings: Mapping[str, str]) -> float | None:
    """Return how long to wait for a response: a little longer than the server's own limit."""
    limit_ms = int(settings.get("statement_timeout", SETTINGS["statement_timeout"]))
    return limit_ms / 1000 + 2 if limit_ms else None


def waits() -> Iterator[float]:
    """Return the waits before further attempts to connect: increasing, with jitter."""
    for wait_s in itertools.chain(_RETRY_S, itertools.repeat(_RETRY_S[-1])):
        yield wait_s * random.uniform(0.75, 1.25)  # noqa: S311 - jitter


def cause_of(error: BaseException) -> BaseException:
    """Return the driver's error that SQLAlchemy wrapped."""
    original = getattr(error, "orig", None)
    if not isinstance(original, BaseException):
        return error
    return original.__cause__ or original


def is_lost(error: BaseException) -> bool:
    """Return whether the connection was lost, or can no longer be trusted."""
    return isinstance(cause_of(error), _LOST)


def has_hung(error: BaseException, took_s: float) -> bool:
    """Return whether the database had its time for a statement and did not respond.

    ``took_s`` is the time since the work began, which may include a close. If it is longer, this
    process may have been stopped, and the next connection may respond.
    """
    return isinstance(cause_of(error), TimeoutError) and took_s < RESPONSE_S + CLOSE_S + 1


def outcome_unknown() -> Unavailable:
    """Return the error of a transaction whose commit may have been stored."""
    error = Unavailable(
        "the connection to the database was lost during the commit; check whether it was stored "
        "before you repeat it"
    )
    error.outcome_unknown = True
    return error


def may_repeat(error: BaseException) -> bool:
    """Return whether repeating the same transaction may succeed."""
    return isinstance(cause_of(error), _AGAIN)


def explain(error: Exception, target: DatabaseAddress) -> Exception:
    """Return an error of ours for an error of PostgreSQL; others are returned unchanged."""
    cause = cause_of(error)
    if not isinstance(cause, FAULTS):
        return error
    where = target.shown
    if isinstance(cause, pg.DiskFullError):
        return DiskFull(
            f"the disk of {where} is full; nothing was stored. Free some space there and try again"
        )
    if isinstance(cause, pg.LockNotAvailableError):
        return Unavailable(
            f"a lock has been held in {where} for over {LOCK_S:g} s; nothing was stored"
        )
    if isinstance(cause, pg.QueryCanceledError):
        return Unavailable(f"{where} took over {STATEMENT_S:g} s and was stopped")
    if isinstance(cause, TimeoutError):
        return Unavailable(
            f"{where} did not respond in time: it is unreachable or hangs, or its synchronous"
            " standby is away; try again"
        )
    if isinstance(cause, pg.InsufficientPrivilegeError):
        return Unavailable(
            f"{where}: {reason_of(cause)}; this user needs CREATE on the schema public before the"
            " first start, and owns all tables of hooktui"
        )
    if isinstance(cause, pg.ReadOnlySQLTransactionError):
        return Unavailable(
            f"{where} rejects writes: it is a standby, or default_transaction_read_only is on for"
            " this user or database"
        )
    if isinstance(cause, pg.InvalidSchemaNameError):
        return Unavailable(
            f"{where}: {reason_of(cause)}; create the schema that search_path names for this user"
        )
    if is_lost(cause):
        return Unavailable(f"the connection to {where} was lost ({reason_of(cause)}); try again")
    return Unavailable(f"{where} reported an error: {reason_of(cause)}")


_CLOSED: Final = frozenset({"", "unexpected connection_lost() call"})
"""The texts of the driver for a connection that is closed before it is ready."""


def _connect_error(target: DatabaseAddress, error: Exception) -> Unavailable:
    # Whatever it is, it may begin under a running server, and nothing was stored: producers repeat.
    where, words = target.shown, reason_of(error)
    if isinstance(error, pg.InvalidPasswordError | pg.InvalidAuthorizationSpecificationError):
        return Unavailable(f"{where} rejected the login: {words}; check user and password")
    if isinstance(error, pg.InvalidCatalogNameError):
        return Unavailable(f"{where}: {words}; create it first with: createdb")
    if isinstance(error, pg.TooManyConnectionsError):
        return Unavailable(
            f"{where} has no free connection: {words}; raise this limit of PostgreSQL, or close"
            " other connections"
        )
    if isinstance(error, pg.CannotConnectNowError):
        return Unavailable(f"{where} is not ready: {words}")
    if isinstance(error, TimeoutError):
        return Unavailable(f"{where} did not respond within {CONNECT_S:g} s")
    if isinstance(error, FileNotFoundError | PermissionError) and (file := _unreadable(target)):
        return Unavailable(f"{where}: cannot read {file}: {words}")
    if isinstance(error, pg.ConnectionDoesNotExistError) or (
        isinstance(error, ConnectionError) and str(error) in _CLOSED
    ):
        words = "it closed the connection"
    return Unavailable(f"cannot reach {where}: {words}")


def _unreadable(target: DatabaseAddress) -> str | None:
    """Return the first file for TLS in an address that cannot be read: the driver names none."""
    query = parse_qs(urlsplit(target.url).query)
    files = [file for name in _TLS_FILES for file in query.get(name, [])]
    return next((file for file in files if not os.access(file, os.R_OK)), None)


def reason_of(error: BaseException) -> str:
    """Return an error of the driver in a few words; some have no text."""
    if isinstance(error, TimeoutError):
        return "no response in time"
    if isinstance(error, pg.TargetServerAttributeNotMatched):
        return "a standby, or read-only"
    if isinstance(error, socket.gaierror):
        return error.strerror or str(error)
    # The number of an error of TLS is not one of the system.
    if isinstance(error, OSError) and error.errno and not isinstance(error, ssl.SSLError):
        return os.strerror(error.errno)
    return " ".join(str(error).split()) or type(error).__name__


_SKIPPED: Final = 20_000
"""More rows than are written in the 0.6 s that a crash takes back, if the clock goes back, too.

Many more would let several connections in a row get ahead of the time.
"""

# The time in µs is ahead of the numbers, so one dump may be restored twice. Synced before the first
# row, even if claims are not, or a second crash takes it back. The empty row prevents a reset of
# readers that have read an empty feed.
_SKIP: Final = f"""
BEGIN;
SET LOCAL synchronous_commit = on;
SELECT pg_advisory_xact_lock({locks.FEED});
SELECT setval(name, GREATEST(nextval(name) + {_SKIPPED}, 1000 * {sql.NOW}))
FROM CAST(pg_get_serial_sequence('feed', 'pos') AS regclass) AS name;
INSERT INTO feed (at_ms, items, changes) SELECT 0, 0, '[]' WHERE NOT EXISTS (SELECT FROM feed);
COMMIT"""  # noqa: S608 - our own constants


async def connect_to_write(target: DatabaseAddress, **settings: str) -> Raw:
    """Open a connection that may write feed rows; ``settings`` are those of its session.

    Raises:
        Unavailable: PostgreSQL cannot be reached, or rejects the login or writes.
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
