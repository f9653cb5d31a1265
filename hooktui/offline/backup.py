"""``hooktui backup`` except its output: writes the copy with the caller's rights.

The file gets its name only when it is on disk, has the digest that the server announced, and passes
SQLite's check. Until then, and after a failure, there is no file. The folder may be one in which
other users may rename files: nothing is written by name, and a file that is not the caller's own is
not taken for the backup.
"""

from __future__ import annotations

import os
import secrets
import sqlite3
import stat
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import BinaryIO

from hooktui.client.download import Download
from hooktui.domain.errors import Conflict, HooktuiError, Refused
from hooktui.domain.paths import SQLITE_BEGIN
from hooktui.domain.text import in_bytes
from hooktui.domain.wire.server import Backup
from hooktui.store.durable_files import sync
from hooktui.store.sqlite.backup import BadBackup, check_whole
from hooktui.store.sqlite.files import free_bytes, open_readonly

_COUNTS = "SELECT (SELECT COUNT(*) FROM event), (SELECT COUNT(*) FROM delivery)"


class CannotWrite(HooktuiError):
    """The caller may not write the backup to this path."""

    title = "Cannot write"


def there_already(target: Path) -> bool:
    """Return whether a backup would replace a file.

    Raises:
        Refused: the path is not a regular file, is a database in use, or holds something else.
        OSError, ValueError: the path is not valid, or the file cannot be read.
    """
    try:
        mode = target.lstat().st_mode
    except FileNotFoundError:
        return False
    if not stat.S_ISREG(mode):
        raise Refused(f"{target} is not a regular file; give another name, or - for stdout")
    if target.with_name(f"{target.name}-wal").exists():
        raise Refused(f"{target} is a database in use; give another name, or - for stdout")
    # Another user may replace it by a pipe meanwhile.
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC
    with os.fdopen(os.open(target, flags), "rb") as file:
        head = file.read(len(SQLITE_BEGIN))
    if head not in (b"", SQLITE_BEGIN):  # such as the key file, which no backup contains
        raise Refused(f"{target} is not a backup; give another name, or remove it first")
    return True


@dataclass(frozen=True, slots=True)
class Draft:
    """A private file that becomes a backup: its path, and the open file."""

    path: Path
    file: FileIO

    def write(self, piece: bytes) -> None:
        """Write a piece to its end.

        Raises:
            OSError: the disk is full, or fails.
        """
        rest = memoryview(piece)
        while rest:
            rest = rest[self.file.write(rest) :]

    def check_is_at(self, path: Path) -> None:
        """Check that a path still is, or now is, that of this file.

        Raises:
            CannotWrite: another file is there.
        """
        try:
            found = path.lstat()
        except OSError as error:
            raise CannotWrite(f"cannot write {path}: {error.strerror}") from None
        if not os.path.samestat(found, os.fstat(self.file.fileno())):
            raise CannotWrite(
                f"another user has replaced {path}: it is not the backup. Choose a folder in"
                " which only you may create files"
            )


@contextmanager
def draft_for(target: Path) -> Iterator[Draft]:
    """Create an empty, private file next to a path; it is removed when the block ends.

    Raises:
        CannotWrite: it cannot be created.
    """
    draft = target.with_name(f".{target.name[:100]}.{secrets.token_hex(4)}.part")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        file = os.fdopen(os.open(draft, flags, 0o600), "wb", buffering=0)
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise CannotWrite(f"cannot write in {target.parent}: {why}") from None
    with file:
        try:
            yield Draft(draft, file)
        finally:
            draft.unlink(missing_ok=True)


def save(
    download: Download,
    draft: Draft,
    target: Path,
    *,
    replace: bool,
    progress: Callable[[str], None],
) -> Backup:
    """Write a backup to its draft, check it, and rename it.

    Raises:
        CannotWrite: there is no space, the disk fails, or another user replaced the draft.
        Conflict: the path exists meanwhile.
        BrokenDownload: it did not arrive intact.
        BadBackup: it is damaged.
    """
    free = free_bytes(target.parent)
    if free < download.size:
        raise CannotWrite(
            f"the backup needs {in_bytes(download.size)} in {target.parent};"
            f" {in_bytes(free)} are free"
        )
    arrived = 0
    for piece in download.pieces():
        try:
            draft.write(piece)
        except OSError as error:
            raise CannotWrite(f"cannot write {target}: {error.strerror}") from None
        arrived += len(piece)
        progress(f"receiving the copy: {100 * arrived // max(download.size, 1)} %")
    progress("checking the copy")
    try:
        os.fsync(draft.file.fileno())
        draft.check_is_at(draft.path)
        with closing(open_readonly(draft.path, immutable=True)) as copy:
            check_whole(copy, draft.path)
            events, deliveries = copy.execute(_COUNTS).fetchone()
    except sqlite3.Error as error:
        raise BadBackup(f"the copy cannot be read: {error}; try again") from None
    except OSError as error:
        raise CannotWrite(f"cannot write {target}: {error.strerror}") from None
    _name(draft.path, target, replace=replace)
    draft.check_is_at(target)
    return Backup(str(target), download.size, download.sha256.hex(), events, deliveries)


def pass_on(download: Download, out: BinaryIO) -> None:
    """Write a backup to a stream.

    Raises:
        BrokenDownload: it did not arrive intact; the output must not be used.
        OSError: the stream cannot be written.
    """
    for piece in download.pieces():
        out.write(piece)
    out.flush()


def _name(draft: Path, target: Path, *, replace: bool) -> None:
    try:
        if replace:
            draft.replace(target)
        else:
            _name_a_new_file(draft, target)
        sync(target.parent)
    except FileExistsError:
        raise Conflict(f"{target} already exists; choose another name") from None
    except OSError as error:
        raise CannotWrite(f"cannot write {target}: {error.strerror}") from None


def _name_a_new_file(draft: Path, target: Path) -> None:
    """Rename a draft without replacing a file that was created meanwhile."""
    try:
        os.link(draft, target)
    except FileExistsError:
        raise
    except OSError:  # a file system without hard links, such as that of a USB stick
        os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        try:
            draft.replace(target)
        except BaseException:
            with suppress(OSError):
                target.unlink()
            raise
