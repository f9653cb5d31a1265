"""Replaces the database by a backup, so that a kill at any moment loses neither of them.

The copy is created beside the database, checked, migrated, and opened with the key file as on a
start; nothing else has changed until then. Then it is renamed to ``hooktui.db.restored-<time>``:
from that moment on the restore is decided, and `finish_restore` completes it, now or, after a kill,
when the home is opened next. The old database is kept completely as ``hooktui.db.before-<time>``.
"""

from __future__ import annotations

import errno
import sqlite3
import time
from collections.abc import Callable, Iterator, Set
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError
from sqlmodel import SQLModel

from hooktui import failpoints
from hooktui.domain.clock import now_ms, optional_rfc3339
from hooktui.domain.errors import Conflict, DiskFull, Refused
from hooktui.domain.roles import Actor
from hooktui.domain.text import in_bytes
from hooktui.store import audit
from hooktui.store.durable_files import HomeLock, sync
from hooktui.store.key_ring import find_keys
from hooktui.store.live_hooks import UnusableHook, load_live_hooks
from hooktui.store.migrations import at_head, upgrade
from hooktui.store.sqlite.backup import BadBackup, check_whole, restore_draft
from hooktui.store.sqlite.backup_source import LOGS, BackupSource
from hooktui.store.sqlite.connections import sqlalchemy_over
from hooktui.store.sqlite.disk_guard import RESERVE_BYTES
from hooktui.store.sqlite.files import free_bytes, refuse_network_file_system, refuse_opened
from hooktui.store.sqlite.moved_marker import refuse_moved
from hooktui.store.vault import Vault

_TABLES = frozenset({"alembic_version", "account", "hook", "event", "delivery", "audit"})
_UNREADABLE = (sqlite3.Error, DBAPIError, ValueError, TypeError, msgspec.MsgspecError)
"""The errors of a file that cannot be read, or holds other values than it was written with."""
_COUNTS = """
SELECT (SELECT count(*) FROM event), (SELECT count(*) FROM delivery),
  (SELECT count(*) FROM delivery WHERE status IN ('pending', 'sending')),
  (SELECT count(*) FROM hook WHERE deleted_at IS NULL),
  (SELECT created_at FROM event ORDER BY id DESC LIMIT 1)
"""
_SKIP_NUMBERS = text(
    "INSERT INTO sqlite_sequence (name, seq) SELECT 'feed', max(coalesce(max(pos), 0), :now)"
    " FROM feed"
)


@dataclass(frozen=True, slots=True)
class Restored:
    """The result of a restore, and the counts of rows in the store.

    ``kept`` is the path of the previous database, if there was one; ``migrated_from`` the schema of
    the backup if it was older than this version's; ``waiting`` counts open deliveries.
    """

    file: str
    database: str
    kept: str | None
    migrated_from: str | None
    events: int
    deliveries: int
    waiting: int
    hooks: int
    newest_event_at: str | None


def restore(
    database: Path,
    key_file: Path,
    source: BackupSource,
    actor: Actor,
    progress: Callable[[str], None],
) -> Restored:
    """Replace a database by a backup; no server may be running on it.

    Raises:
        Conflict: a server works on this home, or another program has the database open.
        Refused: the file is not a complete hooktui database, or the home cannot hold one.
        SchemaTooNew: a newer version wrote it.
        KeyProblem: the key file is missing, or did not encrypt its secrets.
        DiskFull: there is no room for another copy.
    """
    refuse_network_file_system(database.parent)
    lock = HomeLock(database.parent)
    lock.acquire()
    try:
        refuse_moved(database)
        refuse_opened(database)
        finish_restore(database)
        if source.is_file(database):
            raise Refused(f"{source.name} is the database itself; there is nothing to restore")
        vault = Vault(find_keys(key_file).keys)
        draft = restore_draft(database)
        _remove(draft)
        try:
            restored = _prepare(database, source, vault, actor, progress)
            previous = _switch(database, draft)
        finally:
            _remove(draft)
    finally:
        lock.release()
    return restored if previous is None else replace(restored, kept=str(previous))


def unfinished(database: Path) -> list[Path]:
    """Return the prepared copies that will replace a database, oldest first."""
    if not database.parent.is_dir():
        return []
    begin = f"{database.name}.restored-"
    return sorted(path for path in database.parent.iterdir() if path.name.startswith(begin))


def finish_restore(database: Path) -> Path | None:
    """Complete a decided restore, if there is one; return where the old database is kept.

    The caller holds the lock of the home and has not opened the database. A kill may have come
    after any step; no step removes anything except the index of the log (``-shm``).
    """
    previous = None
    for ready in unfinished(database):
        refuse_opened(database)
        previous = database.with_name(ready.name.replace(".restored-", ".before-", 1))
        for suffix in ("", *LOGS):
            old, aside = _beside(database, suffix), _beside(previous, suffix)
            if old.exists():
                if aside.exists():
                    raise Conflict(f"both {old} and {aside} are there; move one of them elsewhere")
                old.rename(aside)
                failpoints.hit("while_restore_keeps_the_old")
        _beside(database, "-shm").unlink(missing_ok=True)
        sync(database.parent)  # the old log is never beside the new database
        failpoints.hit("before_restore_ends")
        ready.rename(database)
        sync(database.parent)
        previous = previous if previous.exists() else None
    return previous


def _switch(database: Path, draft: Path) -> Path | None:
    stamp, count = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime()), 1
    name = stamp
    while any(database.with_name(f"{database.name}.{which}-{name}").exists()
              for which in ("restored", "before")):  # fmt: skip
        count += 1
        name = f"{stamp}-{count}"
    refuse_opened(database)
    failpoints.hit("before_restore_is_decided")
    draft.rename(database.with_name(f"{database.name}.restored-{name}"))
    sync(database.parent)
    failpoints.hit("after_restore_is_decided")
    return finish_restore(database)


def _prepare(
    database: Path,
    source: BackupSource,
    vault: Vault,
    actor: Actor,
    progress: Callable[[str], None],
) -> Restored:
    """Create the draft; return its content, as if there were no database yet."""
    source.check_kind()
    file, draft = source.name, restore_draft(database)
    room, need = free_bytes(draft.parent), source.size + RESERVE_BYTES
    if room < need:
        raise DiskFull(
            f"the restored copy needs {in_bytes(need)} in {draft.parent}; free some space"
        )
    try:
        source.copy_to(draft, progress)
        with closing(_open_draft(draft)) as copy:
            _check_tables(copy, file, _TABLES)
            at_head(sqlalchemy_over(copy))  # raises SchemaTooNew
            progress("checking the copy")
            _check(copy, file)
            with sqlalchemy_over(copy) as conn:
                migrated_from = _migrate(conn, vault, progress)
                _check_tables(copy, file, SQLModel.metadata.tables.keys())
                load_live_hooks(conn, vault, now_ms())  # as on a start: the key fits
                _note(conn, vault, actor, file)
                _restart_feed(conn)
            events, deliveries, waiting, hooks, newest = copy.execute(_COUNTS).fetchone()
        sync(draft)
    except (BadBackup, UnusableHook) as error:
        raise Refused(error.detail) from error
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise _no_room(draft) from error
        raise Refused(f"cannot write in {draft.parent}: {error.strerror}") from error
    except _UNREADABLE as error:
        cause = error.orig if isinstance(error, DBAPIError) else error
        if getattr(cause, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_FULL:
            raise _no_room(draft) from error
        raise Refused(f"{file} cannot be restored: {cause}; use another backup") from error
    return Restored(
        file=file,
        database=str(database),
        kept=None,
        migrated_from=migrated_from,
        events=events,
        deliveries=deliveries,
        waiting=waiting,
        hooks=hooks,
        newest_event_at=optional_rfc3339(newest),
    )


def _no_room(draft: Path) -> DiskFull:
    return DiskFull(f"there is no space left in {draft.parent} for the restored copy; free some")


def _check_tables(copy: sqlite3.Connection, file: str, needed: Set[str]) -> None:
    names = {name for (name,) in copy.execute("SELECT name FROM sqlite_schema")}
    if missing := sorted(needed - names):
        raise Refused(f"{file} is not a database of hooktui: it has no table {missing[0]}")


def _open_draft(draft: Path) -> sqlite3.Connection:
    copy = sqlite3.connect(draft, isolation_level=None)
    for pragma in (
        "PRAGMA trusted_schema = OFF",
        "PRAGMA cell_size_check = ON",
        "PRAGMA journal_mode = DELETE",  # one file, which can be renamed atomically
        "PRAGMA synchronous = FULL",
        "PRAGMA secure_delete = ON",
    ):
        copy.execute(pragma)
    return copy


def _check(copy: sqlite3.Connection, file: str) -> None:
    check_whole(copy, Path(file))
    orphan = copy.execute("PRAGMA foreign_key_check").fetchone()
    if orphan is not None:
        raise Refused(f"{file} is damaged (a row of {orphan[0]} lacks its {orphan[2]});"
                      " use another backup")  # fmt: skip


def _migrate(conn: Connection, vault: Vault, progress: Callable[[str], None]) -> str | None:
    if at_head(conn):
        return None
    progress("migrating the copy to the schema of this version")
    revision = str(conn.execute(text("SELECT version_num FROM alembic_version")).scalar())
    with _transaction(conn):
        upgrade(conn, lambda: vault)
    return revision


def _note(conn: Connection, vault: Vault, actor: Actor, file: str) -> None:
    """Record the origin of the data in the audit trail of the copy."""
    with _transaction(conn):
        audit.append(conn, vault, now_ms(), actor, "restore", file)


def _restart_feed(conn: Connection) -> None:
    """Begin the feed at an unused number: positions from before the restore get a reset.

    The time in ms is ahead of all numbers because fewer than a thousand rows a second are written.
    The newest row stays, with that number: its time says when the store was last written.
    """
    with _transaction(conn):
        conn.exec_driver_sql("DELETE FROM sqlite_sequence WHERE name = 'feed'")
        conn.execute(_SKIP_NUMBERS, {"now": now_ms()})
        conn.exec_driver_sql("DELETE FROM feed WHERE pos < (SELECT max(pos) FROM feed)")
        conn.exec_driver_sql(
            "UPDATE feed SET pos = (SELECT seq FROM sqlite_sequence WHERE name = 'feed')"
        )


@contextmanager
def _transaction(conn: Connection) -> Iterator[None]:
    """Commit at the end of the block; after an error the copy is removed."""
    conn.exec_driver_sql("BEGIN IMMEDIATE")
    yield
    conn.exec_driver_sql("COMMIT")


def _beside(database: Path, suffix: str) -> Path:
    return database.with_name(database.name + suffix)


def _remove(draft: Path) -> None:
    for suffix in (*LOGS, "-shm", ""):
        _beside(draft, suffix).unlink(missing_ok=True)
