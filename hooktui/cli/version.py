"""Which SQLite is linked, and whether it has the WAL-reset bug (https://sqlite.org/wal.html)."""

from __future__ import annotations

import sqlite3

_FIRST_AFFECTED = (3, 7, 0)
_FIXED = (3, 51, 3)
_FIXED_IN_BRANCH = {(3, 50): 7, (3, 44): 6}


def affected(version: tuple[int, int, int]) -> bool:
    """Return whether a checkpoint on one connection may lose a write on another in this version."""
    branch_fix = _FIXED_IN_BRANCH.get(version[:2])
    if branch_fix is not None and version[2] >= branch_fix:
        return False
    return _FIRST_AFFECTED <= version < _FIXED


def sqlite_named() -> str:
    """Return ``SQLite 3.46.1`` and what there is to say about it."""
    major, minor, patch = (int(part) for part in sqlite3.sqlite_version.split(".")[:3])
    name = f"SQLite {sqlite3.sqlite_version}"
    if affected((major, minor, patch)):
        return f"{name}: has the WAL-reset bug, which hooktui's one writer never meets"
    return f"{name}: free of the WAL-reset bug"
