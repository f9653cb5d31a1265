"""The file paths of an installation, and the choice of the installation by a client.

``HOOKTUI_HOME`` puts everything into one folder. Without it there are two possible installations:
the system service, if this machine has one, running or not; else the user's own, in the XDG
folders. ``HOOKTUI_SOCKET`` names only the socket and has priority over both.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from hooktui.domain.errors import NoHomeFolder

_CREDENTIALS: Final = ("etc", "run", "usr/local/lib", "usr/lib")
START_SERVICE: Final = "systemctl start hooktui"
STOP_SERVICE: Final = "systemctl stop hooktui"
RESTART_SERVICE: Final = "systemctl restart hooktui"
_SQLITE_URL: Final = "sqlite:///"
POSTGRES_LEASE: Final = "hooktui.lease"
"""The file that a server on PostgreSQL leaves in its home: the token of its leases."""

CONSOLE_TABLES = ("keys", "console")
"""Tables of ``config.toml`` that the console reads and a server ignores."""


@dataclass(frozen=True, slots=True)
class SystemPaths:
    """The files of the system service.

    Attributes:
        socket: the socket for clients; its folder exists while the service is running.
        home: the folder of the database.
        config: the settings.
        units: where systemd searches the unit of the service, first match first.
        credentials: where it searches credentials without a path.
        encrypted_credentials: the same for encrypted ones.
    """

    socket: Path
    home: Path
    config: Path
    units: tuple[Path, ...]
    credentials: tuple[Path, ...]
    encrypted_credentials: tuple[Path, ...]

    @property
    def evidence(self) -> tuple[Path, ...]:
        """Paths of which one proves that this machine has the service.

        All users may search their parents, so this needs no rights.
        """
        return (self.home, self.config.parent, self.socket.parent, *self.units)


def system_paths(root: Path) -> SystemPaths:
    """Return the files of the system service below a root folder."""
    systemd = ("etc/systemd/system", "run/systemd/system", "usr/local/lib/systemd/system",
               "usr/lib/systemd/system", "lib/systemd/system")  # fmt: skip
    return SystemPaths(
        socket=root / "run/hooktui/hooktui.sock",
        home=root / "var/lib/hooktui",
        config=root / "etc/hooktui/config.toml",
        units=tuple(root / folder / "hooktui.service" for folder in systemd),
        credentials=tuple(root / parent / "credstore" for parent in _CREDENTIALS),
        encrypted_credentials=tuple(
            root / parent / "credstore.encrypted" for parent in _CREDENTIALS
        ),
    )


SYSTEM = system_paths(Path("/"))
"""The system service of this machine. Only tests assign to it."""


@dataclass(frozen=True, slots=True)
class InstallPaths:
    """The files of one installation.

    Attributes:
        home: the folder of the database; created by the server, 0700 or 0750.
        database: the SQLite file.
        socket: the socket for clients.
        key_file: the key that encrypts secrets in the database.
        lock: held by the only server of this home.
        config: settings in TOML; need not exist.
        log: the log of a server in the background.
        service: whether this is the system service's installation.
    """

    home: Path
    database: Path
    socket: Path
    key_file: Path
    lock: Path
    config: Path
    log: Path
    service: bool = False

    def absolute(self, database: Path) -> InstallPaths:
        """Return absolute paths, with a database that settings may have named."""
        return replace(
            self,
            home=self.home.absolute(),
            database=database.absolute(),
            socket=self.socket.absolute(),
            key_file=self.key_file.absolute(),
        )

    @property
    def start(self) -> str:
        """The command that starts its server."""
        return START_SERVICE if self.service else "hooktui serve"


def stop_command(home: Path, pid: str) -> str:
    """Return the command that stops the server of a home, and one without its socket.

    ``pid`` is that of the server; empty: not known.
    """
    if home == SYSTEM.home:
        return STOP_SERVICE
    return f"hooktui stop (or kill {pid}, if its socket was deleted)" if pid else "hooktui stop"


def paths_of(environ: Mapping[str, str], *, system_installed: bool = False) -> InstallPaths:
    """Return the paths that an environment selects; empty variables count as unset.

    Args:
        environ: such as ``os.environ``.
        system_installed: whether this machine has the system service, running or not, as found by
            `hooktui.installation.find_paths`; False for the user's own installation.

    Raises:
        NoHomeFolder: the environment names no folder at all.
    """
    if environ.get("HOOKTUI_HOME"):
        home = Path(environ["HOOKTUI_HOME"])
        paths = _inside(home, config=home / "config.toml")
    elif system_installed or started_by_systemd(environ):
        inside = _inside(SYSTEM.home, config=SYSTEM.config)
        paths = replace(inside, socket=SYSTEM.socket, service=True)
    else:
        home = _xdg(environ, "XDG_STATE_HOME", ".local/state") / "hooktui"
        config = _xdg(environ, "XDG_CONFIG_HOME", ".config") / "hooktui" / "config.toml"
        paths = _inside(home, config=config)
    if environ.get("HOOKTUI_SOCKET"):
        paths = replace(paths, socket=Path(environ["HOOKTUI_SOCKET"]))
    return paths


SQLITE_BEGIN: Final = b"SQLite format 3\0"
"""The first bytes of a SQLite database (its file format, 1.3)."""


def sqlite_file(address: str | None) -> Path | None:
    """Return the file that an address ``sqlite:///PATH`` names; None for any other address."""
    if address is None or not address.startswith(_SQLITE_URL):
        return None
    path = address.removeprefix(_SQLITE_URL)
    return Path(path) if path else None


def with_absolute_file(address: str, folder: Path) -> str:
    """Return a database's address; a relative SQLite file is relative to a folder."""
    file = sqlite_file(address)
    return address if file is None else f"{_SQLITE_URL}{folder / file}"


_VARIABLES: Final = tuple(
    f"HOOKTUI_{name}" for name in ("HOME", "SOCKET", "CATALOGUE", "TLS_CERT", "TLS_KEY")
)
"""The variables that are paths."""


def with_absolute_paths(environ: Mapping[str, str]) -> Mapping[str, str]:
    """Return an environment whose paths still mean the same in another working folder."""
    changed = {
        name: str(Path(environ[name]).absolute())
        for name in _VARIABLES
        if environ.get(name) and not Path(environ[name]).is_absolute()
    }
    database = environ.get("HOOKTUI_DATABASE_URL", "")
    absolute = with_absolute_file(database, Path.cwd())
    if absolute != database:
        changed["HOOKTUI_DATABASE_URL"] = absolute
    return {**environ, **changed} if changed else environ


def started_by_systemd(environ: Mapping[str, str]) -> bool:
    """Return whether this process is the system service, to which systemd passes its folder."""
    return environ.get("STATE_DIRECTORY") == str(SYSTEM.home)  # systemd.exec(5)


def _inside(home: Path, *, config: Path) -> InstallPaths:
    return InstallPaths(
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
        raise NoHomeFolder("there is no home folder (HOME is unset); set HOOKTUI_HOME to a folder")
    return Path(environ["HOME"]) / default
