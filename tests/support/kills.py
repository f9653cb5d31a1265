"""Waiting for the death of a server at a failpoint."""

from __future__ import annotations

import signal
import subprocess

from hooktui.bench.server_process import ServerProcess


def died(server: ServerProcess, within_s: float) -> bool:
    """Return whether the server ends by SIGKILL within a time."""
    assert server.process is not None
    try:
        return server.process.wait(within_s) == -signal.SIGKILL
    except subprocess.TimeoutExpired:
        return False
