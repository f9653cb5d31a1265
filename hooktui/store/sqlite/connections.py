"""Connections to the SQLite file: one writes and makes checkpoints, the others only read.

SQLite 3.7.0 to 3.51.2 can lose committed rows when a checkpoint on one connection overlaps a write
on another (fixed in 3.51.3, 3.50.7 and 3.44.6). Here only the writer makes checkpoints, so it
cannot.

A checkpoint copies the log (WAL) into the database. Normally the writer's own PASSIVE checkpoints
do it after a commit. They cannot truncate a log that grew while a reader held it. It is
truncated between transactions and only while there is no reader, since TRUNCATE would wait for
readers.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import TypeVar, cast

from sqlalchemy import Connection, Engine, create_engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.pool import QueuePool, StaticPool

from hooktui.domain.errors import Unavailable
from hooktui.store.sqlite.files import damaged, is_damage, open_readonly

R = TypeVar("R")

READERS = 4
"""Concurrent reads of callers: each read is short, and the engine needs the cores."""
OWN = 2
"""For the server's own reads, one at a time, and for the look-ups of each call and what is due; the
reads of callers delay neither."""
READ_DEADLINE_S = 10.0
_CHECK_EVERY_STEPS = 200_000
"""Instructions of SQLite's virtual machine, about 5 ms. For each check a reader waits for the
interpreter, which a busy event loop may hold as long."""
_AUTOCHECKPOINT_PAGES = 4000  # 16 MB: fewer syncs than the default 4 MB, but bounded

_COMMON = (
    "PRAGMA synchronous = FULL",  # NORMAL loses acknowledged rows on a power failure
    "PRAGMA foreign_keys = ON",
    "PRAGMA journal_size_limit = 67108864",
    "PRAGMA trusted_schema = OFF",
    "PRAGMA cell_size_check = ON",
    "PRAGMA secure_delete = ON",
    "PRAGMA temp_store = MEMORY",
)


def open_writer(database: Path) -> sqlite3.Connection:
    """Open the connection that writes; it never waits for a lock inside SQLite."""
    raw = sqlite3.connect(
        database, timeout=0, isolation_level=None, check_same_thread=False, cached_statements=256
    )
    try:
        for pragma in (
            "PRAGMA busy_timeout = 0",
            "PRAGMA journal_mode = WAL",
            *_COMMON,
            f"PRAGMA wal_autocheckpoint = {_AUTOCHECKPOINT_PAGES}",
            "PRAGMA cache_size = -16000",
        ):
            raw.execute(pragma)
    except sqlite3.Error:
        raw.close()
        raise
    return raw


def sqlalchemy_over(raw: sqlite3.Connection) -> Connection:
    """Return a SQLAlchemy connection over the writer's.

    Its own transaction begins once and never ends; the writer issues BEGIN and COMMIT.
    """
    engine = create_engine(
        "sqlite://",
        creator=lambda: raw,
        poolclass=StaticPool,
        pool_reset_on_return=None,
        hide_parameters=True,  # an error names the statement, not its values
    )
    connection = engine.connect()
    connection.begin()
    return connection


def open_reader(database: Path) -> sqlite3.Connection:
    """Open a connection that reads only."""
    raw = open_readonly(database)
    for pragma in (
        "PRAGMA busy_timeout = 2000",
        "PRAGMA journal_mode = WAL",
        *_COMMON,
        "PRAGMA query_only = ON",
    ):
        raw.execute(pragma)
    raw.create_function("translate", 3, _translate, deterministic=True)
    return raw


def _translate(text: str, letters: str, others: str) -> str:
    """Replace letters by those of the other case, as searches do with PostgreSQL's function."""
    if text.isascii():  # most are; to fold its other letters, too, changes no result of a search
        return text.lower()
    return text.translate(_translations(letters, others))


@lru_cache(maxsize=100)
def _translations(letters: str, others: str) -> dict[int, int]:
    # A letter without an entry costs an exception, three times as much as one with.
    return {code: code for code in range(0x80)} | str.maketrans(letters, others)


class Readers:
    """A small pool of read-only connections; `run` is called in worker threads."""

    def __init__(self, database: Path) -> None:
        self._reading = 0
        self._counting = threading.Lock()
        self._engine: Engine = create_engine(
            "sqlite://",
            creator=partial(open_reader, database),
            poolclass=QueuePool,
            pool_size=READERS + OWN,
            max_overflow=0,
            pool_timeout=READ_DEADLINE_S,
            hide_parameters=True,
            execution_options={"may_pause": True},
        )

    def open_all(self) -> None:
        """Open all connections now: file descriptors may run out later."""
        with ExitStack() as stack:
            for _ in range(READERS + OWN):
                conn = stack.enter_context(self._engine.connect())
                conn.exec_driver_sql("SELECT count(*) FROM sqlite_master")

    @property
    def in_use(self) -> bool:
        """Whether there is an active reader."""
        return self._reading > 0

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Count as a reader, so that no checkpoint waits for this one."""
        with self._counting:
            self._reading += 1
        try:
            yield
        finally:
            with self._counting:
                self._reading -= 1

    def run(self, query: Callable[[Connection], R], abandoned: Callable[[], bool]) -> R:
        """Run a query in one read transaction; stop it when it is late or was abandoned.

        Raises:
            Unavailable: it took too long, or no connection is free.
        """
        deadline_s = time.monotonic() + READ_DEADLINE_S

        def give_up() -> bool:
            return abandoned() or time.monotonic() > deadline_s

        with self.reading(), self._connect() as conn:
            raw = cast("sqlite3.Connection", conn.connection.dbapi_connection)
            raw.set_progress_handler(give_up, _CHECK_EVERY_STEPS)
            try:
                conn.exec_driver_sql("BEGIN")
                return query(conn)
            except Exception as error:
                if give_up():
                    raise Unavailable(
                        f"the query took over {READ_DEADLINE_S:g} s and was stopped; narrow it"
                    ) from error
                if isinstance(error, DBAPIError) and is_damage(error.orig):
                    raise damaged(error.orig, "could not be read") from error
                if isinstance(error, DBAPIError):
                    raise Unavailable(f"the database could not be read ({error.orig})") from error
                raise
            finally:
                raw.set_progress_handler(None, 0)

    def _connect(self) -> Connection:
        try:
            return self._engine.connect()
        except PoolTimeout:
            raise Unavailable("too many queries at the same time; try again") from None
        except DBAPIError as error:  # for example out of file descriptors
            raise Unavailable(f"the database could not be opened ({error.orig})") from error

    def close(self) -> None:
        """Close all connections that are not in use."""
        self._engine.dispose()


_log = logging.getLogger(__name__)

LARGE_WAL_BYTES = 32 * 1024 * 1024
"""Twice the size that automatic checkpoints allow."""
SMALL_WAL_BYTES = 1024 * 1024
HUGE_WAL_BYTES = 256 * 1024 * 1024
"""The size that is logged as a warning: a reader holds the log, which uses space for events."""


def truncate(raw: sqlite3.Connection) -> bool:
    """Copy the whole log into the database and truncate it; False if a reader prevented it.

    For the writer, outside of a transaction. Its ``busy_timeout`` is 0, so this does not wait.
    """
    blocked, _, _ = raw.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    return not blocked


def copy_log(raw: sqlite3.Connection) -> None:
    """Copy the part of the log that no reader holds into the database, without waiting.

    For the writer, outside of a transaction.
    """
    raw.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()


@dataclass(slots=True)
class WalWatch:
    """Decides when to truncate the log, and warns when it grows too large."""

    _warned_at: int = HUGE_WAL_BYTES // 2

    def wants_truncate(self, size: int, *, in_use: bool, short: bool) -> bool:
        """Return whether the log should be truncated now.

        Args:
            size: its bytes.
            in_use: whether there is a reader, or the writer has work.
            short: whether the disk is nearly full: then a small log is truncated, too.
        """
        if size >= 2 * self._warned_at:
            self._warned_at = size
            _log.warning(
                "the log of the database has grown to %d MiB: a reader holds it (a long backup, or"
                " an open sqlite3 shell)",
                size >> 20,
            )
        elif size < LARGE_WAL_BYTES:
            self._warned_at = HUGE_WAL_BYTES // 2
        return size > (SMALL_WAL_BYTES if short else LARGE_WAL_BYTES) and not in_use
