"""Who else works on the database: each server's name is that of the session that holds its number.

So it is gone when the session is, whatever became of the server.
"""

from __future__ import annotations

import os
import socket
from typing import Final

from sqlalchemy import Connection, text

from hooktui import __version__
from hooktui.domain.clock import from_rfc3339, now_ms, to_rfc3339
from hooktui.domain.wire.server import ServerInfo

NAME_SESSION: Final = "SELECT set_config('application_name', $1, false)"

_MARK: Final = "hooktui server"
_LONGEST: Final = 63
"""Bytes of a session's name; the rest is cut off, so what may be long stands last."""
_SERVERS: Final = """
SELECT application_name FROM pg_stat_activity
WHERE datname = current_database() AND starts_with(application_name, :mark)"""


def this_server(number: int) -> ServerInfo:
    """Return what this process tells of itself."""
    return ServerInfo(
        number=number,
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
    found = [one for one in map(server_of, names) if one is not None]
    return sorted(found, key=lambda one: one.number)


def server_of(name: str) -> ServerInfo | None:
    """Return the server that a session is named after; None: somebody else took such a name."""
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
