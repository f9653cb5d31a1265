"""``hooktui restore``, but for what it says: finds the store, and puts a backup in its place."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from hooktui.store.restore import Restored, restore
from hooktui.upkeep.offline import make_folder, refuse_of_others, sqlite_home, this_user

__all__ = ["Restored", "database_in_place", "restore_backup"]


def database_in_place(environ: Mapping[str, str]) -> Path | None:
    """Return the database that a restore would put aside; None: there is none.

    Raises:
        HooktuiError: this user cannot restore there.
    """
    where, _ = sqlite_home(environ)
    refuse_of_others(where.database.parent)
    return where.database if where.database.exists() else None


def restore_backup(
    environ: Mapping[str, str], file: Path, progress: Callable[[str], None]
) -> Restored:
    """Put a backup in the place of the database of this installation.

    Raises:
        HooktuiError: it was not done, and nothing has changed; says why.
    """
    where, _ = sqlite_home(environ)
    make_folder(where.database.parent)
    return restore(where.database, where.key_file, file, this_user(), progress)
