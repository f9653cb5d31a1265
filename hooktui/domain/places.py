"""Where an installation keeps its things, and where a client looks for its server: paths only.

``HOOKTUI_HOME`` puts everything into one folder. Without it there are two installations that a
client may mean: the system service (when one is there) and the user's own, in the XDG folders.
``HOOKTUI_SOCKET`` names the socket alone and goes before both.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from hooktui.domain.errors import Refused

SYSTEM_SOCKET = Path("/run/hooktui/hooktui.sock")
SYSTEM_HOME = Path("/var/lib/hooktui")
SYSTEM_CONFIG = Path("/etc/hooktui/config.toml")

CONSOLE_TABLES = ("keys", "console")
"""Tables of ``config.toml`` that the console reads, and a server leaves alone."""


@dataclass(frozen=True, slots=True)
class Places:
    """The files of one installation.

    Attributes:
        home: the folder of the database; made by the server, 0700 or 0750.
        database: the SQLite file.
        socket: what clients connect to.
        key_file: the key that encrypts secrets in the database.
        lock: held by the one server of this home.
        config: settings in TOML; need not exist.
        log: what a server in the background writes.
    """

    home: Path
    database: Path
    socket: Path
    key_file: Path
    lock: Path
    config: Path
    log: Path


def places(environ: Mapping[str, str], *, system_server: bool = False) -> Places:
    """Return the places that an environment means; empty variables count as unset.

    Args:
        environ: such as ``os.environ``.
        system_server: whether `SYSTEM_SOCKET` is there; clients ask
            `hooktui.sockets.system_server_present`, a server that is to be started says False.

    Raises:
        Refused: the environment names no folder at all.
    """
    if environ.get("HOOKTUI_HOME"):
        home = Path(environ["HOOKTUI_HOME"])
        found = _inside(home, config=home / "config.toml")
    elif system_server or environ.get("STATE_DIRECTORY") == str(SYSTEM_HOME):  # systemd.exec(5)
        found = replace(_inside(SYSTEM_HOME, config=SYSTEM_CONFIG), socket=SYSTEM_SOCKET)
    else:
        home = _xdg(environ, "XDG_STATE_HOME", ".local/state") / "hooktui"
        config = _xdg(environ, "XDG_CONFIG_HOME", ".config") / "hooktui" / "config.toml"
        found = _inside(home, config=config)
    if environ.get("HOOKTUI_SOCKET"):
        found = replace(found, socket=Path(environ["HOOKTUI_SOCKET"]))
    return found


def _inside(home: Path, *, config: Path) -> Places:
    return Places(
        home=home,
        database=home / "hooktui.db",
        socket=home / "hooktui.sock",
        key_file=home / "hooktui.key",
        lock=home / "hooktui.lock",
        config=config,
        log=home / "server.log",
    )


def _xdg(environ: Mapping[str, str], variable: str, default: str) -> Path:
    named = Path(environ.get(variable, ""))
    if named.is_absolute():  # "all paths must be absolute; ignore others" (XDG base directories)
        return named
    if not environ.get("HOME"):
        raise Refused("there is no home folder (HOME is unset); set HOOKTUI_HOME to a folder")
    return Path(environ["HOME"]) / default
