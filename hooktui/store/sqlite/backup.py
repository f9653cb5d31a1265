"""Creates a complete, checked and private copy of the database while the server is running.

``VACUUM INTO`` reads one snapshot over a separate connection and writes a compact file beside the
database. After the check the file is unlinked and stays open: no copy is left, however the server
or its caller ends.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import os
import secrets
import sqlite3
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Executor
from contextlib import AbstractContextManager, asynccontextmanager, closing
from functools import partial
from pathlib import Path

from hooktui import failpoints
from hooktui.domain.errors import Conflict, DiskFull, HooktuiError, Unavailable
from hooktui.domain.text import in_bytes
from hooktui.store.contract import DatabaseCopy
from hooktui.store.durable_files import sync
from hooktui.store.sqlite.files import file_size, free_bytes, open_readonly

_log = logging.getLogger(__name__)

_STEPS_BETWEEN_LOOKS = 100_000  # of SQLite's virtual machine, some milliseconds
_PIECE_BYTES = 1 << 20
_NEWEST = "SELECT COALESCE(MAX(id), 0) FROM audit"  # append-only: it can only grow


class BadBackup(HooktuiError):
    """A copy is damaged or incomplete and must not be used."""

    title = "Backup is damaged"


class Backups:
    """The copies of one database, one at a time.

    A copy leaves ``reserve`` bytes of the disk free, runs in ``pool``, and counts as a reader while
    the block of ``reading`` runs.
    """

    def __init__(
        self,
        database: Path,
        reserve: int,
        pool: Executor,
        reading: Callable[[], AbstractContextManager[None]],
    ) -> None:
        self._database = database
        self._reserve = reserve
        self._pool = pool
        self._reading = reading
        self._copying = asyncio.Lock()

    @asynccontextmanager
    async def copy(self, stopped: Callable[[], bool]) -> AsyncIterator[DatabaseCopy]:
        """Create a copy; it is deleted when the block ends.

        Raises:
            Conflict: another copy is being created or sent.
            HooktuiError: as `copy_database`.
        """
        if self._copying.locked():
            raise Conflict("another backup is in progress; wait until it has ended")
        async with self._copying:
            with self._reading():
                copy = await self._copied(stopped)
            try:
                yield copy
            finally:
                os.close(copy.file)

    async def _copied(self, stopped: Callable[[], bool]) -> DatabaseCopy:
        abandoned = False

        def gone() -> bool:
            return abandoned or stopped()

        work = partial(copy_database, self._database, self._reserve, gone)
        copying = asyncio.get_running_loop().run_in_executor(self._pool, work)
        try:
            return await asyncio.shield(copying)
        except asyncio.CancelledError:
            abandoned = True  # a thread cannot be cancelled; it polls this
            copying.add_done_callback(_close_copy)
            raise


def _close_copy(copying: asyncio.Future[DatabaseCopy]) -> None:
    if copying.exception() is None:
        os.close(copying.result().file)


def copy_database(database: Path, reserve: int, stopped: Callable[[], bool]) -> DatabaseCopy:
    """Copy a database; call it in a thread.

    Args:
        database: the file; a server may be using it.
        reserve: bytes of the disk that the copy leaves free.
        stopped: polled; True cancels the copy.

    Raises:
        DiskFull: there is no room.
        Unavailable: it was cancelled, or the database could not be read.
        BadBackup: the copy differs from the database.
    """
    draft = database.with_name(f"{_draft_begin(database)}{secrets.token_hex(4)}")
    log = database.with_name(f"{database.name}-wal")
    need, free = (file_size(database) or 0) + (file_size(log) or 0), free_bytes(database.parent)
    if free < need + reserve:
        raise DiskFull(
            f"a copy of the database needs {in_bytes(need)} beside it in {database.parent} and"
            f" {in_bytes(reserve)} must stay free; {in_bytes(free)} are free. Free some space first"
        )
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        os.close(os.open(draft, flags, 0o600))
        copy_into(database, draft, stopped)
        failpoints.hit("after_backup_is_copied")
        file = os.open(draft, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError as error:
        raise Unavailable(f"cannot write in {database.parent}: {error.strerror}") from None
    finally:
        draft.unlink(missing_ok=True)
        draft.with_name(f"{draft.name}-journal").unlink(missing_ok=True)
    try:
        return DatabaseCopy(file, os.fstat(file).st_size, _digest(file, stopped))
    except BaseException:
        os.close(file)
        raise


def remove_drafts(database: Path) -> None:
    """Remove what a killed server or restore left; the caller holds the lock of the home.

    Raises:
        OSError: one cannot be removed.
    """
    begins = (_draft_begin(database), restore_draft(database).name)
    for left in [path for path in database.parent.iterdir() if path.name.startswith(begins)]:
        left.unlink(missing_ok=True)
        _log.info("removed %s, left by an interrupted backup or restore", left)


def restore_draft(database: Path) -> Path:
    """Return the path of the copy that a restore prepares."""
    return database.with_name(f".{database.name}.restoring")


def _draft_begin(database: Path) -> str:
    return f".{database.name}.backup-"


def _digest(file: int, stopped: Callable[[], bool]) -> bytes:
    digest, offset = hashlib.sha256(), 0
    while piece := os.pread(file, _PIECE_BYTES, offset):
        if stopped():
            raise Unavailable("the copy was cancelled")
        digest.update(piece)
        offset += len(piece)
    return digest.digest()


def copy_into(database: Path, draft: Path, stopped: Callable[[], bool]) -> None:
    """Copy a database into an empty file, sync it, and check it.

    Raises:
        Unavailable: it was cancelled, or the database could not be read.
        BadBackup: the copy differs from the database.
    """
    try:
        with closing(open_readonly(database)) as source:
            source.set_progress_handler(stopped, _STEPS_BETWEEN_LOOKS)
            (before,) = source.execute(_NEWEST).fetchone()
            source.execute("VACUUM INTO ?", (str(draft),))
        sync(draft)
        with closing(open_readonly(draft)) as copy:
            copy.set_progress_handler(stopped, _STEPS_BETWEEN_LOOKS)
            check_whole(copy, draft)
            (after,) = copy.execute(_NEWEST).fetchone()
    except sqlite3.Error as error:
        if stopped():
            raise Unavailable("the copy was cancelled") from None
        if getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_FULL:
            raise DiskFull(f"there is no space left in {draft.parent} for a copy") from None
        raise Unavailable(f"{database} could not be copied: {error}") from None
    if after < before:
        raise BadBackup(f"the copy of {database} lacks data that existed when it began")


def check_whole(copy: sqlite3.Connection, file: Path) -> None:
    """Check the integrity of a whole database.

    Raises:
        BadBackup: it is damaged.
    """
    result = copy.execute("PRAGMA integrity_check(1)").fetchone()[0]
    if result != "ok":
        raise BadBackup(f"{file} is damaged ({result}); use another backup")
