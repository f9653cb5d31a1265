"""Starts a program in a pseudo-terminal."""

from __future__ import annotations

import fcntl
import os
import pty
import struct
import termios
from collections.abc import Mapping, Sequence

from tests.support.fork_server import fork_in_terminal


def start_in_terminal(
    command: Sequence[str], environ: Mapping[str, str], *, columns: int, lines: int
) -> tuple[int, int]:
    """Return the id of the process, and our end of its terminal."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
    pid = fork_in_terminal(command, environ, theirs) or os.fork()
    if pid == 0:
        try:
            os.login_tty(theirs)
            os.execve(command[0], list(command), dict(environ))
        finally:
            os._exit(127)
    os.close(theirs)
    return pid, ours
