"""Unix sockets whatever the length of their path; used by the server and by every client.

The kernel takes 107 bytes of path. A longer one is reached through an open folder:
``/proc/self/fd/N/name`` names the same socket in a few bytes.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

MAX_PATH_BYTES = 107
"""``sun_path`` of unix(7) without its NUL."""


@contextmanager
def short_path(path: Path) -> Iterator[str]:
    """Give a name of at most 107 bytes for a socket; it is valid until the block ends.

    Raises:
        OSError: the folder is not there, or may not be entered.
    """
    if len(os.fsencode(path)) <= MAX_PATH_BYTES:
        yield str(path)
        return
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)


def connect(path: Path, timeout_s: float | None = None) -> socket.socket:
    """Return a socket that is connected to a path; ``timeout_s`` stays set on it.

    Raises:
        OSError: as ``connect(2)``: nothing there, nobody listens, or not permitted.
    """
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.settimeout(timeout_s)
        with short_path(path) as name:
            connection.connect(name)
    except BaseException:
        connection.close()
        raise
    return connection


def bind(path: Path, mode: int) -> socket.socket:
    """Return a listening socket at a path that must not exist yet.

    Args:
        path: where; its folder must exist.
        mode: permissions of the socket file, from its first moment.

    Raises:
        OSError: as ``bind(2)``.
    """
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    umask = os.umask(0o777 & ~mode)
    try:
        with short_path(path) as name:
            listener.bind(name)
        listener.listen(2048)
    except BaseException:
        listener.close()
        raise
    finally:
        os.umask(umask)
    listener.setblocking(False)
    return listener
