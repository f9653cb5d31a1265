"""A copy of the database that is whole, checked and private, made while the server works.

``VACUUM INTO`` reads one snapshot over a connection of its own and writes a compact file. The file
has its name only when it is on disk and checked, so what has the name can be restored.
"""

from __future__ import annotations

import os
import secrets
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import quote

from hooktui.domain.errors import Conflict, DiskFull, HooktuiError, Refused, Unavailable
from hooktui.domain.objects import Backup
from hooktui.store.disk_guard import RESERVE_BYTES
from hooktui.store.sqlite_files import free_bytes

_STEPS_BETWEEN_LOOKS = 100_000  # of SQLite's machine, some milliseconds
_NEWEST = "SELECT COALESCE(MAX(id), 0) FROM audit"  # append-only: it can only grow
_COUNTS = "SELECT (SELECT COUNT(*) FROM event), (SELECT COUNT(*) FROM delivery)"


class BadBackup(HooktuiError):
    """A copy is not what it should be; it is not to be relied on."""

    title = "Backup is damaged"


def never() -> bool:
    """Return False: nothing stops the work."""
    return False


def back_up(database: Path, target: Path, stopped: Callable[[], bool] = never) -> Backup:
    """Copy a database into a file that must not exist yet; call it in a thread.

    Args:
        database: what to copy; a server may be at work on it.
        target: an absolute path; only the owner of this process can read what is made there.
        stopped: asked now and then whether to give up.

    Raises:
        Refused: there can be no file at this path.
        Conflict: there is one already.
        DiskFull: there is no room.
        BadBackup: the copy does not hold what the database does.
    """
    if target.exists() or target.is_symlink():
        raise Conflict(f"{target} is there already; remove it, or choose another name")
    with draft_beside(target) as draft:
        need = database.stat().st_size + RESERVE_BYTES
        if free_bytes(draft.parent) < need:
            raise DiskFull(f"a copy needs {need >> 20} MiB in {draft.parent}; there is less")
        copied = copy_into(database, draft, stopped)
        try:
            os.link(draft, target)  # unlike a rename, it never replaces what came there meanwhile
        except FileExistsError:
            raise Conflict(f"{target} is there already; choose another name") from None
        sync_folder(target.parent)
    return Backup(str(target), *copied)


@contextmanager
def draft_beside(target: Path) -> Iterator[Path]:
    """Make an empty file of the owner's beside a path; it is gone when the block ends.

    Raises:
        Refused: it cannot be made.
    """
    draft = target.with_name(f".{target.name[:100]}.{secrets.token_hex(4)}")
    try:
        os.close(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    except OSError as error:
        raise Refused(f"cannot write in {target.parent}: {error.strerror}") from None
    try:
        yield draft
    finally:
        draft.unlink(missing_ok=True)


def copy_into(database: Path, draft: Path, stopped: Callable[[], bool]) -> tuple[int, int, int]:
    """Copy a database into an empty file, to the disk, and check it; return size and counts.

    Raises:
        Unavailable: it was stopped, or the database could not be read.
        BadBackup: the copy does not hold what the database does.
    """
    try:
        with closing(open_readonly(database)) as source:
            source.set_progress_handler(stopped, _STEPS_BETWEEN_LOOKS)
            (before,) = source.execute(_NEWEST).fetchone()
            source.execute("VACUUM INTO ?", (str(draft),))
        sync_file(draft)
        with closing(open_readonly(draft)) as copy:
            copy.set_progress_handler(stopped, _STEPS_BETWEEN_LOOKS)
            check_whole(copy, draft)
            (after,) = copy.execute(_NEWEST).fetchone()
            events, deliveries = copy.execute(_COUNTS).fetchone()
    except sqlite3.Error as error:
        if stopped():
            raise Unavailable("the server is stopping; the copy was given up") from None
        if getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_FULL:
            raise DiskFull(f"there is no room left in {draft.parent} for a copy") from None
        raise Unavailable(f"{database} could not be copied: {error}") from None
    if after < before:
        raise BadBackup(f"the copy of {database} lacks what was there when it began")
    return draft.stat().st_size, events, deliveries


def open_readonly(database: Path, *, immutable: bool = False) -> sqlite3.Connection:
    """Open a database to read it; this connection can neither write nor checkpoint.

    Args:
        database: its file.
        immutable: nobody changes it, and it has no log: nothing is made beside it.
    """
    how = "mode=ro&immutable=1" if immutable else "mode=ro"
    raw = sqlite3.connect(
        f"file:{quote(str(database))}?{how}", uri=True, timeout=5, isolation_level=None,
        check_same_thread=False,
    )  # fmt: skip
    for pragma in ("trusted_schema = OFF", "cell_size_check = ON", "wal_autocheckpoint = 0"):
        raw.execute(f"PRAGMA {pragma}")
    return raw


def check_whole(copy: sqlite3.Connection, file: Path) -> None:
    """Look through all of a database.

    Raises:
        BadBackup: it is damaged.
    """
    found = copy.execute("PRAGMA integrity_check(1)").fetchone()[0]
    if found != "ok":
        raise BadBackup(f"{file} is damaged ({found}); use another backup")


def sync_folder(folder: Path) -> None:
    """Have the names in a folder reach the disk."""
    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def sync_file(file: Path) -> None:
    """Have the content of a file reach the disk."""
    opened = os.open(file, os.O_RDWR | os.O_CLOEXEC)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
