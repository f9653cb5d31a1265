"""Connections to the SQLite file: the one that writes and checkpoints, and those that only read.

SQLite 3.7.0 to 3.51.2 can lose committed rows when a checkpoint on one connection overlaps a write
on another (fixed in 3.51.3, 3.50.7 and 3.44.6). Here only the writer checkpoints, so it cannot.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TypeVar, cast
from urllib.parse import quote

from sqlalchemy import Connection, Engine, create_engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.pool import QueuePool, StaticPool

from hooktui.domain.errors import Unavailable

R = TypeVar("R")

READERS = 4
"""Readers at most: each read is short, and the machine's cores are the engine's."""
READ_DEADLINE_S = 10.0
_CHECK_EVERY_STEPS = 200_000
"""Of SQLite's machine, some 5 ms: for each check a reader waits for the interpreter, which a busy
event loop may keep as long."""
_AUTOCHECKPOINT_PAGES = 4000  # 16 MB: fewer syncs than the default 4 MB, and bounded all the same

_COMMON = (
    "PRAGMA synchronous = FULL",  # NORMAL loses acknowledged rows at a power cut
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

    Its own transaction begins once and never ends: BEGIN and COMMIT are the writer's.
    """
    engine = create_engine(
        "sqlite://",
        creator=lambda: raw,
        poolclass=StaticPool,
        pool_reset_on_return=None,
        hide_parameters=True,  # an error tells the statement, not what was in it
    )
    connection = engine.connect()
    connection.begin()
    return connection


class Readers:
    """A small pool of read-only connections; `run` is called in worker threads."""

    def __init__(self, database: Path) -> None:
        self._database = database
        self._reading = 0
        self._counting = threading.Lock()
        self._engine: Engine = create_engine(
            "sqlite://",
            creator=self._open,
            poolclass=QueuePool,
            pool_size=READERS,
            max_overflow=0,
            pool_timeout=READ_DEADLINE_S,
            hide_parameters=True,
        )

    def _open(self) -> sqlite3.Connection:
        raw = sqlite3.connect(
            f"file:{quote(str(self._database))}?mode=ro",
            uri=True,
            timeout=2,
            isolation_level=None,
            check_same_thread=False,
        )
        for pragma in (
            "PRAGMA busy_timeout = 2000",
            "PRAGMA journal_mode = WAL",
            *_COMMON,
            "PRAGMA wal_autocheckpoint = 0",
            "PRAGMA query_only = ON",
        ):
            raw.execute(pragma)
        return raw

    def open_all(self) -> None:
        """Open all connections now: later there may be no file left for them."""
        with ExitStack() as stack:
            for _ in range(READERS):
                conn = stack.enter_context(self._engine.connect())
                conn.exec_driver_sql("SELECT count(*) FROM sqlite_master")

    @property
    def in_use(self) -> bool:
        """Whether somebody reads now."""
        return self._reading > 0

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Count as a reader: no checkpoint waits for what this one holds."""
        with self._counting:
            self._reading += 1
        try:
            yield
        finally:
            with self._counting:
                self._reading -= 1

    def run(self, query: Callable[[Connection], R], abandoned: Callable[[], bool]) -> R:
        """Run a query in one read transaction; stop it when it is late or nobody waits for it.

        Raises:
            Unavailable: it took too long, or there is no connection to be had.
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
                if isinstance(error, DBAPIError):
                    raise Unavailable(f"the database could not be read ({error.orig})") from error
                raise
            finally:
                raw.set_progress_handler(None, 0)

    def _connect(self) -> Connection:
        try:
            return self._engine.connect()
        except PoolTimeout:
            raise Unavailable("too many ask the database at once; try again") from None
        except DBAPIError as error:  # such as for want of files
            raise Unavailable(f"the database could not be opened ({error.orig})") from error

    def close(self) -> None:
        """Close all connections that are not in use."""
        self._engine.dispose()
