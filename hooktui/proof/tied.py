"""Runs a module as a process that does not outlive whoever started it, however that one ends.

    python -P -m hooktui.proof.tied PID MODULE [ARGUMENT...]

PID is the parent's: the kernel kills this process when that one is gone (``PR_SET_PDEATHSIG``), so
that not even a ``kill -9`` of a measurement leaves its server behind.
"""

from __future__ import annotations

import ctypes
import os
import runpy
import signal
import sys

_PR_SET_PDEATHSIG = 1


def tied(module: str, *arguments: str) -> list[str]:
    """Return the command that runs a module of ours, tied to this process."""
    own = [sys.executable, "-P", "-m", "hooktui.proof.tied", str(os.getpid())]
    return [*own, module, *arguments]


def _tie(parent: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    if os.getppid() != parent:  # it ended before the kernel was told
        raise SystemExit(1)


if __name__ == "__main__":
    _tie(int(sys.argv[1]))
    sys.argv = sys.argv[2:]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
