"""A backup to restore, opened with the rights of the calling user.

It is copied as bytes into the home: a foreign file is parsed only after the rights of the caller
are dropped, and no file is created beside it.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from hooktui.domain.errors import Refused
from hooktui.domain.paths import SQLITE_BEGIN
from hooktui.store.sqlite.files import make_database_file, refuse_opened

LOGS: Final = ("-wal", "-journal")
"""Files of a database besides the main one; they may hold rows that it does not have yet."""
_PIECE_BYTES: Final = 8 << 20


@dataclass(frozen=True, slots=True)
class BackupSource:
    """A database file and its logs, open for reading.

    Attributes:
        name: the path by which it was opened.
        files: descriptors by suffix; "" is the database itself.
    """

    name: str
    files: dict[str, int]

    @property
    def size(self) -> int:
        """The bytes of all files."""
        return sum(os.fstat(file).st_size for file in self.files.values())

    def is_file(self, path: Path) -> bool:
        """Return whether a path names this same file."""
        try:
            return os.path.samestat(path.stat(), os.fstat(self.files[""]))
        except FileNotFoundError:
            return False

    def check_kind(self) -> None:
        """Check the header and the size before SQLite opens the file.

        Raises:
            Refused: it is not a SQLite database, or not a whole one.
        """
        head = os.pread(self.files[""], len(SQLITE_BEGIN) + 2, 0)
        if not head.startswith(SQLITE_BEGIN):
            raise Refused(
                f"{self.name} is not a SQLite database; give the file that hooktui backup wrote"
            )
        page = int.from_bytes(head[len(SQLITE_BEGIN) :], "big")
        # SQLite reads what is missing of a page as zeros. A page cut by a kill is in the log.
        if page and self.size % page and len(self.files) == 1:
            raise Refused(
                f"{self.name} is incomplete: its {self.size:,} bytes are not whole pages of"
                f" {page:,}; copy it again, or use another backup"
            )

    def copy_to(self, draft: Path, progress: Callable[[str], None]) -> None:
        """Copy the database and its logs to a path, readable by this process's user only.

        Raises:
            Refused: it cannot be read.
            OSError: the path cannot be written.
        """
        total, done = max(self.size, 1), 0
        for suffix, file in self.files.items():
            target = draft.with_name(draft.name + suffix)
            make_database_file(target)
            with target.open("r+b") as out:
                offset = 0
                while piece := self._piece(file, offset):
                    out.write(piece)
                    offset += len(piece)
                    progress(f"copying: {100 * (done + offset) // total} %")
                done += offset

    def _piece(self, file: int, offset: int) -> bytes:
        try:
            return os.pread(file, _PIECE_BYTES, offset)
        except OSError as error:
            raise Refused(
                f"cannot read {self.name}: {error.strerror}; use another backup"
            ) from None


@contextmanager
def open_backup(path: Path) -> Iterator[BackupSource]:
    """Open a backup until the block ends.

    Raises:
        Conflict: another program has the database open, so its bytes may change.
        Refused: a file beside it, which belongs to it by its name, is not its owner's.
        OSError: it cannot be read, or is not a regular file.
    """
    files: dict[str, int] = {}
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK
    try:
        files[""] = os.open(path, flags)
        found = os.fstat(files[""])
        if not stat.S_ISREG(found.st_mode):
            raise OSError(errno.EINVAL, "not a regular file", str(path))
        refuse_opened(path)
        for suffix in LOGS:
            try:
                log = path.with_name(path.name + suffix)
                files[suffix] = os.open(log, flags | os.O_NOFOLLOW)
            except FileNotFoundError:
                continue
            beside = os.fstat(files[suffix])
            if not stat.S_ISREG(beside.st_mode) or beside.st_uid != found.st_uid:
                raise Refused(f"{log} is not a regular file of the owner of {path}; move it away")
        yield BackupSource(str(path), files)
    finally:
        for file in files.values():
            os.close(file)
