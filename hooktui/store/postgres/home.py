"""The home of a server whose data lies elsewhere: one server at a time, and its lease."""

from __future__ import annotations

import os
from pathlib import Path

from hooktui.store.sqlite_files import HomeLock

_FILE = "hooktui.lease"


class Home:
    """A home, locked.

    The lock proves that the server which held this home before is dead, so its leases may be taken
    over at once; the file says which ones those are.

    Attributes:
        token_before: the lease token of the server before, if there was one.
    """

    def __init__(self, folder: Path) -> None:
        self.token_before: int | None = None
        self._lock = HomeLock(folder / "hooktui.lock")
        self._file = folder / _FILE

    def take(self) -> None:
        """Lock the home.

        Raises:
            Conflict: another process holds it.
        """
        self._lock.take()
        try:
            text = self._file.read_text(encoding="ascii").strip()
        except FileNotFoundError:
            return
        self.token_before = int(text) if text.isdecimal() else None

    def keep_token(self, token: int) -> None:
        """Remember the lease token of this server, for the one after it."""
        draft = self._file.with_suffix(".new")
        file = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(file, "w", encoding="ascii") as out:
            out.write(f"{token}\n")
            out.flush()
            os.fsync(out.fileno())
        draft.replace(self._file)

    def drop(self) -> None:
        """Give the home back."""
        self._lock.drop()
