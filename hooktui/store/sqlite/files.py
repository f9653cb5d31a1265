"""The files of a SQLite store: their permissions, creation, reading and sync duration.

Only SQLite opens the database file once SQLite has it open: closing any other descriptor of it
would drop the process's POSIX locks.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import re
import sqlite3
import statistics
import struct
import tempfile
import time
from pathlib import Path
from urllib.parse import quote

from hooktui.domain.errors import Conflict, DiskFull, HooktuiError, Refused, Unavailable

_log = logging.getLogger(__name__)

OLDEST_SQLITE = (3, 34, 0)
"""The oldest library with which the tests of the store were run: that of RHEL 9."""

# SQLite's WAL needs locks and mmap that do not work over these.
NETWORK_FILE_SYSTEMS = frozenset({
    "nfs", "nfs4", "cifs", "smb3", "smbfs", "ncpfs", "afs", "ceph", "glusterfs", "lustre", "beegfs",
    "gpfs", "davfs", "fuse.sshfs", "fuse.glusterfs", "fuse.cephfs", "fuse.s3fs", "fuse.rclone",
    "fuse.davfs",
})  # fmt: skip
_SYNCS, _SYNC_BYTES = 7, 4096
_FULL_BYTES = 1 << 20
"""With less free space, a failed start is due to it: SQLite calls it an I/O error."""
_LOCKED_WHILE_OPEN = 128  # UNIX_SHM_DMS in SQLite's os_unix.c
_FLOCK = "hhqqi4x"  # struct flock of 64-bit Linux


def make_database_file(path: Path) -> None:
    """Create an empty database file that only its owner can read, unless it exists."""
    with contextlib.suppress(FileExistsError):
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))


def open_readonly(database: Path, *, immutable: bool = False) -> sqlite3.Connection:
    """Open a database for reading; the connection can neither write nor checkpoint.

    ``immutable``: no process changes it and it has no log, so no file is created beside it.
    """
    how = "mode=ro&immutable=1" if immutable else "mode=ro"
    raw = sqlite3.connect(
        f"file:{quote(str(database))}?{how}", uri=True, timeout=5, isolation_level=None,
        check_same_thread=False,
    )  # fmt: skip
    for pragma in ("trusted_schema = OFF", "cell_size_check = ON", "wal_autocheckpoint = 0"):
        raw.execute(f"PRAGMA {pragma}")
    return raw


def opened_by(database: Path) -> int | None:
    """Return another process that has a database open, such as a sqlite3 shell; None: none.

    Each connection in WAL mode holds a lock on one byte of the index (``-shm``). Do not call it
    while this process has the database open itself.
    """
    try:
        file = os.open(database.with_name(f"{database.name}-shm"), os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        lock = struct.pack(_FLOCK, fcntl.F_WRLCK, os.SEEK_SET, _LOCKED_WHILE_OPEN, 1, 0)
        kind, _, _, _, pid = struct.unpack(_FLOCK, fcntl.fcntl(file, fcntl.F_GETLK, lock))
    finally:
        os.close(file)
    return None if kind == fcntl.F_UNLCK else int(pid)


def refuse_opened(database: Path) -> None:
    """Check that no other process has a database open: on exit it would remove files by name.

    Raises:
        Conflict: names the process.
    """
    pid = opened_by(database)
    if pid is not None:
        raise Conflict(f"process {pid} has {database} open (perhaps a sqlite3 shell); end it first")


def refuse_served(database: Path) -> None:
    """Check that no server has a database open: without its lock file, it holds a nameless lock.

    Raises:
        Conflict: names the process.
    """
    try:
        locks = Path("/proc/locks").read_text(encoding="ascii")
        index = database.with_name(f"{database.name}-shm").stat().st_ino
    except OSError:
        return  # not Linux, or nothing has it open
    opened = re.compile(rf" POSIX .* (\d+) [^ ]+:{index} {_LOCKED_WHILE_OPEN} ")
    for pid in opened.findall(locks):
        if int(pid) != os.getpid() and re.search(rf" FLOCK +ADVISORY +WRITE {pid} ", locks):
            raise Conflict(
                f"another server (pid {pid}) works on {database}, though its lock file was moved or"
                f" deleted; stop it first with: kill {pid}"
            )


def refuse_old_library() -> None:
    """Check the version of the SQLite library, which this Python brings or finds on the machine.

    Raises:
        Refused: it is too old; statements of a later start, or of a migration, would fail.
    """
    if sqlite3.sqlite_version_info < OLDEST_SQLITE:
        oldest = ".".join(map(str, OLDEST_SQLITE[:2]))
        raise Refused(
            f"this Python uses SQLite {sqlite3.sqlite_version}, and hooktui needs {oldest} or"
            " later: use another Python, such as one that uv installs, or use PostgreSQL"
        )


def refuse_network_file_system(folder: Path) -> None:
    """Check that a folder is not on a network file system.

    Raises:
        Refused: it is.
    """
    kind = file_system(folder)
    if kind in NETWORK_FILE_SYSTEMS:
        raise Refused(
            f"{folder} is on a network file system ({kind}), where SQLite loses data; "
            "choose a local folder, or use PostgreSQL"
        )


def file_system(folder: Path) -> str:
    """Return the type of the file system that holds a folder; "" if unknown."""
    try:
        mounts = Path("/proc/self/mounts").read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return ""  # not Linux
    return file_system_of(folder.resolve(), mounts)


def file_system_of(folder: Path, mounts: str) -> str:
    """Return the type of the file system that holds a folder, from the text of /proc/mounts."""
    longest, kind = -1, ""
    for line in mounts.splitlines():
        fields = line.split(" ")
        if len(fields) < 3:
            continue
        mount_point = Path(_unescape(fields[1]))
        if folder.is_relative_to(mount_point) and len(mount_point.parts) >= longest:
            longest, kind = len(mount_point.parts), fields[2]
    return kind


def _unescape(field: str) -> str:
    for code, letter in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        field = field.replace(code, letter)
    return field


SLOW_FSYNC_MS = 3.0
"""Of the median: above it, waiting for the disk would hold the event loop, so a thread commits."""


def measure_fsync_ms(folder: Path) -> float:
    """Return the median duration in milliseconds of writing and syncing one page.

    Raises:
        HooktuiError: the folder cannot be written.
    """
    times_s = []
    try:
        with tempfile.TemporaryFile(dir=folder) as scratch:
            for _ in range(_SYNCS):
                start_s = time.perf_counter()
                os.pwrite(scratch.fileno(), os.urandom(_SYNC_BYTES), 0)
                os.fdatasync(scratch.fileno())
                times_s.append(time.perf_counter() - start_s)
    except OSError as error:
        raise HooktuiError(f"cannot write in {folder}: {error.strerror}") from error
    return statistics.median(times_s) * 1000


def file_size(path: Path) -> int | None:
    """Return the bytes of a file; None if it does not exist."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return None


class OpenedFiles:
    """The files of a database that this process has open, by which it sees that they are gone.

    SQLite also writes into files without a name; what it writes there ends with the process.

    Args:
        database: it is open, and so is its log.
    """

    def __init__(self, database: Path) -> None:
        paths = (database, database.with_name(f"{database.name}-wal"))
        self._opened = [(path, path.stat()) for path in paths]
        self._reported = False

    def check(self) -> None:
        """Check that the names still belong to the open files.

        Raises:
            Unavailable: a file was moved, deleted or replaced.
        """
        for path, opened in self._opened:
            try:
                same = os.path.samestat(path.stat(), opened)
            except OSError:
                same = False
            if not same:
                error = Unavailable(
                    f"{path} was moved, deleted or replaced while the server was using it; nothing "
                    "was stored. Move that file back, or stop the server and restore a backup"
                )
                if not self._reported:
                    _log.error("%s", error)
                self._reported = True
                raise error
        self._reported = False


def free_bytes(folder: Path) -> int:
    """Return the free bytes for this user on the disk of a folder."""
    room = os.statvfs(folder)
    return room.f_bavail * room.f_frsize


def not_opened(database: Path, error: sqlite3.DatabaseError) -> HooktuiError:
    """Return the error for a database that cannot be opened or read as a whole."""
    if is_damage(error):
        return HooktuiError(
            f"the database {database} is damaged ({error}): keep a copy of the files, and run:"
            " hooktui restore BACKUP"
        )
    full = isinstance(error, sqlite3.OperationalError) and free_bytes(database.parent) < _FULL_BYTES
    if full:
        return DiskFull(f"cannot open the database {database}: the disk is full; free some space")
    return HooktuiError(f"cannot open the database {database}: {error}")


def is_damage(error: BaseException | None) -> bool:
    """Return whether SQLite found that the database is damaged."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    return code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def damaged(error: BaseException | None, what: str) -> Unavailable:
    """Return the error for damage that a running server meets; ``what`` was not done."""
    return Unavailable(
        f"the database is damaged ({error}), and {what}: stop the server, and restore a backup"
    )
