"""Opens an installation without its server: finds the database, adds keys, restores a backup."""

from __future__ import annotations

import os
import pwd
from collections.abc import Callable, Mapping
from pathlib import Path

from hooktui.api.peer_credentials import PeerCredentials, origin_of
from hooktui.domain.errors import Refused
from hooktui.domain.paths import InstallPaths, sqlite_file
from hooktui.domain.roles import Actor, Role
from hooktui.homes import make_home
from hooktui.installation import find_paths
from hooktui.server.run import arm_failpoints
from hooktui.server.settings import BadSettings, Settings, load
from hooktui.store.key_ring import hold_variable
from hooktui.store.sqlite.backup_source import BackupSource, open_backup
from hooktui.store.sqlite.restore import Restored, restore
from hooktui.store.vault import KeyProblem, create_keys, key_line, load_keys, new_key, replace_keys


def sqlite_home(
    environ: Mapping[str, str], *, any_database: bool = False
) -> tuple[InstallPaths, Settings]:
    """Return the paths and the settings of the installation of an environment.

    Args:
        environ: such as ``os.environ``.
        any_database: if the settings name another database, use the home's SQLite file.

    Raises:
        BadSettings: the configuration cannot be used.
        Refused: it does not use SQLite.
    """
    where = find_paths(environ)
    settings = load(where.config, environ)
    arm_failpoints(environ)
    hold_variable(environ)
    named = sqlite_file(settings.database_url)
    if named is None and settings.database_url and not any_database:
        raise Refused(
            "this command works on a SQLite file, but HOOKTUI_DATABASE_URL names none;"
            " for PostgreSQL use pg_dump and pg_restore"
        )
    return where.absolute(named or where.database), settings


def user_name(uid: int) -> str:
    """Return the name of a user, or the number if it has none."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def this_user() -> Actor:
    """Return the owner of the files, who runs the command, as an actor of the audit trail."""
    uid = os.geteuid()
    return Actor(
        user_name(uid), Role.ADMIN, origin_of(PeerCredentials(os.getpid(), uid, os.getegid()))
    )


def add_key(file: Path) -> str:
    """Add a new key at the top of a key file, or create the file; return the key's id.

    Raises:
        KeyProblem: the file is not a key file, is readable by others, or cannot be written.
    """
    key = new_key()
    if os.path.lexists(file):  # `Path.exists` raises for too long names
        replace_keys(file, [key, *load_keys(file, database_is_new=False)])
    else:
        create_keys(file, [key])
    return key.id.hex()


__all__ = [
    "BackupSource", "KeyProblem", "Restored", "database_in_place", "key_line", "new_key",
    "open_backup", "restore_backup",
]  # fmt: skip


def database_in_place(environ: Mapping[str, str]) -> Path | None:
    """Return the database that a restore would replace; None: there is none.

    Raises:
        HooktuiError: the settings cannot be used.
    """
    where, _ = sqlite_home(environ)
    return where.database if where.database.exists() else None


def restore_backup(
    environ: Mapping[str, str], source: BackupSource, actor: Actor, progress: Callable[[str], None]
) -> Restored:
    """Replace the database of this installation by a backup.

    Raises:
        HooktuiError: it was not done, and nothing has changed; names the cause.
    """
    where, _ = sqlite_home(environ)
    try:
        make_home(where.database.parent)
    except OSError as error:
        raise BadSettings(f"cannot create {where.database.parent}: {error.strerror}") from None
    return restore(where.database, where.key_file, source, actor, progress)
