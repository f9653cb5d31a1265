"""Files that survive a crash: the lock of a home, synced writes, drafts next to their target."""

from __future__ import annotations

import fcntl
import os
import secrets
from pathlib import Path

from hooktui.domain.errors import Conflict, HooktuiError, Refused
from hooktui.domain.paths import stop_command


def replace_file(target: Path, content: bytes) -> None:
    """Write or replace a private file; it is on disk when this returns.

    Raises:
        Refused: nothing can be created beside it.
        HooktuiError: the disk is full, or fails.
    """
    draft = target.with_name(f".{target.name[:100]}.{secrets.token_hex(4)}")
    try:
        file = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise Refused(f"cannot write in {target.parent}: {error.strerror}") from None
    try:
        with os.fdopen(file, "wb") as out:
            out.write(content)
            out.flush()
            os.fsync(out.fileno())
        draft.replace(target)
        sync(target.parent)
    except OSError as error:
        raise HooktuiError(f"cannot write {target}: {error.strerror}; try again") from None
    finally:
        draft.unlink(missing_ok=True)


def sync(path: Path) -> None:
    """Sync a file or a folder, so that its content, or the names in it, are on disk."""
    opened = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


class HomeLock:
    """The lock that makes a server the only one on a home; the store holds it while open."""

    def __init__(self, home: Path) -> None:
        self._path = home / "hooktui.lock"
        self._file: int | None = None

    def acquire(self) -> None:
        """Take the lock without waiting.

        Raises:
            Conflict: another process holds it; names its pid.
            Refused: it cannot be opened or written, or is a link.
        """
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        try:
            file = os.open(self._path, flags, 0o600)
        except OSError as error:
            raise Refused(f"cannot lock {self._path}: {error.strerror}") from None
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.ftruncate(file, 0)
            os.pwrite(file, f"{os.getpid()}\n".encode(), 0)
        except BlockingIOError:
            holder = os.read(file, 32).decode("ascii", "replace").strip()
            os.close(file)
            raise Conflict(
                f"another server (pid {holder or 'unknown'}) works on {self._path.parent}; "
                f"use that one, or stop it first with: {stop_command(self._path.parent, holder)}"
            ) from None
        except OSError as error:
            os.close(file)
            raise Refused(f"cannot lock {self._path}: {error.strerror}") from None
        self._file = file

    def release(self) -> None:
        """Release the lock and keep the file: removing it would let two processes hold the lock."""
        if self._file is not None:
            os.close(self._file)
            self._file = None
