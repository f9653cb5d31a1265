"""Which SQLite is linked, and what there is to say about it."""

from __future__ import annotations

import sqlite3

from hooktui.doctor.rules import affected, version_of


def sqlite_named() -> str:
    """Return ``SQLite 3.46.1`` and whether it has the WAL-reset bug."""
    name = f"SQLite {sqlite3.sqlite_version}"
    if affected(version_of(sqlite3.sqlite_version)):
        return f"{name}: has the WAL-reset bug, which hooktui's one writer never meets"
    return f"{name}: free of the WAL-reset bug"
