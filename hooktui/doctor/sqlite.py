"""Checks the SQLite database of an installation over a read-only connection.

This runs in the server's process if there is one, else in the command's: two processes never have
the file open.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

from sqlalchemy.exc import DBAPIError

from hooktui.doctor.machine import StartTime, machine_checks
from hooktui.doctor.rows import check_key, check_rows
from hooktui.doctor.rules import assess_sqlite, assess_wal
from hooktui.domain.clock import now_ms
from hooktui.domain.errors import HooktuiError
from hooktui.domain.paths import InstallPaths
from hooktui.domain.text import in_bytes
from hooktui.domain.wire.diagnosis import Check
from hooktui.sockets import no_file_left
from hooktui.store.sqlite.connections import sqlalchemy_over
from hooktui.store.sqlite.files import open_readonly, opened_by
from hooktui.store.sqlite.moved_marker import refuse_moved
from hooktui.store.sqlite.restore import unfinished

_STEPS_BETWEEN_LOOKS = 100_000  # of SQLite's virtual machine, some milliseconds


def check_installation(
    where: InstallPaths,
    reserve: int,
    started: StartTime | None,
    look_for_s: float,
    free: int | None = None,
) -> list[Check]:
    """Check a whole installation; call it in a thread.

    ``look_for_s`` limits the integrity check of the database; the other arguments are those of
    `machine_checks`.
    """
    return [
        *machine_checks(where, started, reserve, free),
        *check_database(where.database, where.key_file, started is not None, look_for_s),
    ]


def check_database(database: Path, key_file: Path, working: bool, look_for_s: float) -> list[Check]:
    """Check only the database; ``working``: this process is a server that runs on it."""
    library = assess_sqlite(sqlite3.sqlite_version_info)
    unusable = _unusable(database, working=working)
    if unusable is not None:
        return [library, unusable]
    holder = None if working else opened_by(database)
    log = database.with_name(f"{database.name}-wal")
    wal_size = log.stat().st_size if log.exists() else 0
    checks = [library, assess_wal(wal_size, working=working)]
    if holder is not None:
        has = f"process {holder} has the database open but is not a server"
        checks.append(Check("opened", "warn", has, "stop it before you start one"))
    try:
        # Without a server or a log not even an index of the log is created.
        with closing(open_readonly(database, immutable=not working and not wal_size)) as raw:
            checks += _checks_of(raw, database, key_file, working, look_for_s)
    except (sqlite3.Error, DBAPIError) as error:
        cause = error.orig if isinstance(error, DBAPIError) else error
        advice = _NOT_OPENED if _cannot_open(cause) else _DAMAGED
        damaged = Check("database", "fail", f"{database} cannot be read: {cause}", advice)
        checks = [*(check for check in checks if check.name != damaged.name), damaged]
    return checks


def _unusable(database: Path, *, working: bool) -> Check | None:
    """Return why a database cannot be read now; None: it can."""
    if no_file_left():
        return Check("database", "fail", f"{database}: no file can be opened", _NOT_OPENED)
    try:
        refuse_moved(database)
    except HooktuiError as error:
        return Check("database", "fail", error.detail, "use the new database, or undo the move")
    if unfinished(database):
        return Check("database", "warn", "a restore was interrupted", "the next start completes it")
    if working and not database.exists():
        return Check("database", "fail", f"{database} was moved or deleted", _DAMAGED)
    if not database.exists():
        return Check("database", "ok", f"none yet at {database}", "the first start creates it")
    return None


_DAMAGED = "stop the server, keep a copy of the files, and run: hooktui restore BACKUP"

_NOT_OPENED = (
    "no sign of damage: see the check of open files, and whether the server's user can read the"
    " database and its folder"
)


_READ_ONLY = "chmod u+w as the owner, and check that the file system is not mounted read-only"


def _cannot_open(error: BaseException | None) -> bool:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_CANTOPEN


def _checks_of(
    raw: sqlite3.Connection, database: Path, key_file: Path, working: bool, look_for_s: float
) -> Iterator[Check]:
    yield _size_of(database)
    yield _integrity(raw, look_for_s)
    with sqlalchemy_over(raw) as conn:
        yield from check_rows(conn, check_key, key_file, now_ms(), working=working)


def _size_of(database: Path) -> Check:
    for path in (database, database.with_name(f"{database.name}-wal")):
        if path.exists() and not os.access(path, os.W_OK):
            return Check("database", "fail", f"{path} is read-only", _READ_ONLY)
    return Check("database", "ok", f"{database}, {in_bytes(database.stat().st_size)}")


def _integrity(raw: sqlite3.Connection, look_for_s: float) -> Check:
    end_s = time.monotonic() + look_for_s
    late: Callable[[], bool] = lambda: time.monotonic() > end_s  # noqa: E731
    raw.set_progress_handler(late, _STEPS_BETWEEN_LOOKS)
    begun_s = time.monotonic()
    try:
        result = raw.execute("PRAGMA quick_check(1)").fetchone()[0]
    except sqlite3.OperationalError:
        if not late():
            raise
        return Check(
            "integrity",
            "warn",
            f"no damage found in {look_for_s:g} s, check incomplete",
            "for a complete check, stop the server and run hooktui doctor",
        )
    finally:
        raw.set_progress_handler(None, 0)
    if result != "ok":
        return Check("integrity", "fail", f"damaged: {result}", _DAMAGED)
    return Check("integrity", "ok", f"no damage (quick_check, {time.monotonic() - begun_s:.1f} s)")
