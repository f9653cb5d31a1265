"""``hooktui restore``, but for what it says: finds the store, and puts a backup in its place."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from hooktui.homes import make_home
from hooktui.settings import BadSettings
from hooktui.store.backup_source import BackupSource, open_backup
from hooktui.store.contract import Actor
from hooktui.store.restore import Restored, restore
from hooktui.upkeep.offline import sqlite_home

__all__ = ["BackupSource", "Restored", "database_in_place", "open_backup", "restore_backup"]


def database_in_place(environ: Mapping[str, str]) -> Path | None:
    """Return the database that a restore would put aside; None: there is none.

    Raises:
        HooktuiError: the settings cannot be used.
    """
    where, _ = sqlite_home(environ)
    return where.database if where.database.exists() else None


def restore_backup(
    environ: Mapping[str, str], source: BackupSource, actor: Actor, progress: Callable[[str], None]
) -> Restored:
    """Put a backup in the place of the database of this installation.

    Raises:
        HooktuiError: it was not done, and nothing has changed; says why.
    """
    where, _ = sqlite_home(environ)
    try:
        make_home(where.database.parent)
    except OSError as error:
        raise BadSettings(f"cannot make {where.database.parent}: {error.strerror}") from None
    return restore(where.database, where.key_file, source, actor, progress)
