"""What commands share that open the store themselves: where it lies, and who they are."""

from __future__ import annotations

import os
import pwd
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from hooktui.api.peers import Peer, origin_of
from hooktui.domain.errors import Refused
from hooktui.domain.places import Places
from hooktui.domain.roles import Role
from hooktui.installation import find_places
from hooktui.server import arm_failpoints
from hooktui.settings import Settings, load
from hooktui.store.contract import Actor

_SQLITE = "sqlite:///"


def sqlite_home(
    environ: Mapping[str, str], *, any_database: bool = False
) -> tuple[Places, Settings]:
    """Return the places and the settings of the installation that an environment means.

    Args:
        environ: such as ``os.environ``.
        any_database: where the settings name another database, its SQLite file is the home's.

    Raises:
        BadSettings: the configuration cannot be used.
        Refused: it does not store in SQLite.
    """
    where = find_places(environ)
    settings = load(where.config)
    arm_failpoints(environ)
    url = settings.database_url or ""
    database = where.database
    if url.startswith(_SQLITE) and url != _SQLITE:
        database = Path(url.removeprefix(_SQLITE))
    elif url and not any_database:
        raise Refused(
            "this command works on a SQLite file, and HOOKTUI_DATABASE_URL names none;"
            " PostgreSQL has tools of its own: pg_dump and pg_restore"
        )
    found = replace(
        where,
        home=where.home.absolute(),
        database=database.absolute(),
        socket=where.socket.absolute(),
        key_file=where.key_file.absolute(),
    )
    return found, settings


def user_name(uid: int) -> str:
    """Return the name of a user, or the number where there is none."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def this_user() -> Actor:
    """Return who runs the command, as the audit trail names it; the files are theirs."""
    uid = os.geteuid()
    return Actor(user_name(uid), Role.ADMIN, origin_of(Peer(os.getpid(), uid, os.getegid())))
