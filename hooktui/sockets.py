"""Unix sockets with a path of any length, what TCP has not sent, and the limit of open files.

The kernel accepts paths of 107 bytes. A longer one is reached through an open folder:
``/proc/self/fd/N/name`` names the same socket in a few bytes.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import resource
import socket
import sys
import termios
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from hooktui.domain.machine import condition_of

MAX_PATH_BYTES = 107
"""``sun_path`` of unix(7) without its NUL."""


@contextmanager
def short_path(path: Path) -> Iterator[str]:
    """Yield a name of at most 107 bytes for a socket; it is valid until the block ends.

    Raises:
        OSError: the folder does not exist or cannot be entered.
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
        OSError: as ``connect(2)``: no such path, no listener, or not permitted.
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

    The folder of the path must exist; the file has the ``mode`` from its creation on.

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


_OUTQNSD: Final = 0x894B
"""``SIOCOUTQNSD`` of linux/sockios.h: bytes that were not sent yet."""


def unacknowledged(file: int) -> tuple[int, int]:
    """Return how many bytes of a TCP socket are sent but not acknowledged, and how many not sent.

    Both are 0 if the system does not know.
    """
    counts = []
    for request in (termios.TIOCOUTQ, _OUTQNSD):
        try:
            counts.append(int.from_bytes(fcntl.ioctl(file, request, bytes(4)), sys.byteorder))
        except OSError:
            return 0, 0
    return counts[0] - counts[1], counts[1]


_UNLIMITED: Final = 1 << 20
"""Used as the limit if the system sets none; Linux allows as many by default."""


def raise_file_limit() -> None:
    """Raise the limit to the maximum for this process.

    Shells and services start with 1,024, for programs that use ``select``; a hundred hung receivers
    hold as many connections.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        with contextlib.suppress(OSError, ValueError):  # the limit stays unchanged
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def file_limit() -> int:
    """Return how many files this process may have open at once."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return _UNLIMITED if soft == resource.RLIM_INFINITY else min(soft, _UNLIMITED)


def no_file_left() -> bool:
    """Return whether this process, or this machine, can open no more files.

    Checked after an error that may have this cause without naming it, such as a name that was not
    found or an authority that could not be read.
    """
    try:
        os.close(os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC))
    except OSError as error:
        return condition_of(error) is not None
    return False
