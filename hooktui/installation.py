"""Selects the installation: the same one for every command, the console and the server.

The selection does not depend on whether a server is running. On a machine with the system service
an ordinary start creates no second installation; ``HOOKTUI_HOME`` requests one.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from hooktui.domain import paths as known
from hooktui.domain.errors import NotAllowed
from hooktui.domain.paths import START_SERVICE, InstallPaths, paths_of, started_by_systemd


def find_paths(environ: Mapping[str, str]) -> InstallPaths:
    """Return the installation that an environment selects on this machine.

    Raises:
        NoHomeFolder: the environment names no folder at all.
    """
    return paths_of(environ, system_installed=system_installed())


def system_installed() -> bool:
    """Return whether this machine has the system service, running or not."""
    for path in known.SYSTEM.evidence:
        try:
            path.lstat()
        except PermissionError:
            return True  # access is denied, so it exists
        except OSError:
            continue
        return True
    return False


def refuse_start_beside_service(where: InstallPaths, environ: Mapping[str, str]) -> None:
    """Refuse to start the service's server by hand, which would create files of another user.

    Raises:
        NotAllowed: names the command that starts the service, and how to run a separate server.
    """
    if not where.service or started_by_systemd(environ):
        return
    try:
        owner = where.home.stat().st_uid
    except OSError:
        owner = None
    if owner != os.geteuid():
        raise NotAllowed(
            f"this machine has the hooktui service ({where.home}); start it with:"
            f" {START_SERVICE}. For a server of your own set HOOKTUI_HOME to a folder"
        )
