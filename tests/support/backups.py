"""A backup of a store, written into a file for the test."""

from __future__ import annotations

import os
from pathlib import Path

from hooktui.store.sqlite.store import SqliteStore


def never() -> bool:
    """Stop no backup."""
    return False


async def save_backup(store: SqliteStore, file: Path) -> None:
    """Write what a caller of the API would get."""
    async with store.backup(never) as copy:
        _write(file, os.pread(copy.file, copy.size, 0))


def _write(file: Path, content: bytes) -> None:
    file.write_bytes(content)
    file.chmod(0o600)
