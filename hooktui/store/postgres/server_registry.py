"""The servers that are connected to the database, and the lock of a server's own home.

The name of a session describes the server that holds its number, so it disappears with the session,
however the server ends.
"""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, text

from hooktui import __version__
from hooktui.domain.clock import from_rfc3339, now_ms, to_rfc3339
from hooktui.domain.paths import POSTGRES_LEASE
from hooktui.domain.wire.server import ServerInfo
from hooktui.store.durable_files import HomeLock, replace_file

NAME_SESSION: Final = "SELECT set_config('application_name', $1, false)"

_MARK: Final = "hooktui server"
_LONGEST: Final = 63
"""Bytes of a session's name; the rest is cut off, so the longest part comes last."""
_SERVERS: Final = """
SELECT application_name FROM pg_stat_activity
WHERE datname = current_database() AND starts_with(application_name, :mark)"""


def this_server() -> ServerInfo:
    """Return the description of this process, which has no number yet."""
    return ServerInfo(
        number=0,
        name=socket.gethostname(),
        pid=os.getpid(),
        started_at=to_rfc3339(now_ms()),
        version=__version__,
    )


def session_name(server: ServerInfo) -> str:
    """Return the name of the session that holds a server's number."""
    started_s = from_rfc3339(server.started_at) // 1000
    name = f"{_MARK} {server.number} {server.pid} {started_s} {server.version} {server.name}"
    return name.encode("ascii", "replace")[:_LONGEST].decode()


def servers(conn: Connection) -> list[ServerInfo]:
    """Return all servers that are connected, by number."""
    names = conn.execute(text(_SERVERS), {"mark": f"{_MARK} "}).scalars()
    known = [server for server in map(server_of, names) if server is not None]
    return sorted(known, key=lambda server: server.number)


def server_of(name: str) -> ServerInfo | None:
    """Return the server that a session is named after; None: the name is not one of ours."""
    number, pid, started_s, version, host = ([*name.removeprefix(_MARK).split(), *[""] * 5])[:5]
    if not (number.isdecimal() and pid.isdecimal() and started_s.isdecimal()):
        return None
    return ServerInfo(
        number=int(number),
        name=host,
        pid=int(pid),
        started_at=to_rfc3339(int(started_s) * 1000),
        version=version,
    )


class Home(HomeLock):
    """The locked home of a server.

    The lock proves that the server which held this home before has ended, so its leases may be
    taken over immediately; the file names them.

    Attributes:
        token_before: the lease token of the previous server, if there was one.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.token_before: int | None = None
        self._lease = folder / POSTGRES_LEASE

    def acquire(self) -> None:
        """Lock the home.

        Raises:
            Conflict: another process holds it.
        """
        super().acquire()
        try:
            text = self._lease.read_text(encoding="ascii", errors="replace").strip()
        except FileNotFoundError:
            return
        self.token_before = int(text) if text.isdecimal() else None

    def keep_token(self, token: int) -> None:
        """Store the lease token of this server for its successor."""
        replace_file(self._lease, b"%d\n" % token)
