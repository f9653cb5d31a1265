"""Which versions of SQLite have the WAL-reset bug (https://sqlite.org/wal.html)."""

from __future__ import annotations

_FIRST_AFFECTED = (3, 7, 0)
_FIXED = (3, 51, 3)
_FIXED_IN_BRANCH = {(3, 50): 7, (3, 44): 6}


def affected(version: tuple[int, int, int]) -> bool:
    """Return whether a checkpoint on one connection may lose a write on another in this version."""
    branch_fix = _FIXED_IN_BRANCH.get(version[:2])
    if branch_fix is not None and version[2] >= branch_fix:
        return False
    return _FIRST_AFFECTED <= version < _FIXED


def version_of(text: str) -> tuple[int, int, int]:
    """Return the three numbers of ``3.46.1``."""
    major, minor, patch = (int(part) for part in text.split(".")[:3])
    return major, minor, patch
