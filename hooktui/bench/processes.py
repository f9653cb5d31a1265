"""Child processes and temporary folders of a measurement.

A module of ours runs as a process that ends with its parent, however that ends:

    python -P -m hooktui.bench.processes PID MODULE [ARGUMENT...]

PID is the parent's: the kernel kills this process when the parent has ended (``PR_SET_PDEATHSIG``),
so that even a ``kill -9`` of a measurement leaves no server running.

The next measurement removes the temporary folders of killed ones.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import runpy
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

_PR_SET_PDEATHSIG = 1


def child_command(module: str, *arguments: str) -> list[str]:
    """Return the command that runs a module of ours, tied to this process."""
    own = [sys.executable, "-P", "-m", "hooktui.bench.processes", str(os.getpid())]
    return [*own, module, *arguments]


@contextmanager
def child_process(
    environ: Mapping[str, str], module: str, *arguments: str
) -> Iterator[subprocess.Popen[str]]:
    """Run a module of ours with pipes for stdin and stdout; kill it when the block ends."""
    with subprocess.Popen(  # noqa: S603 - our own module
        child_command(module, *arguments),
        env=environ,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        process_group=0,  # ctrl+c is for the calling process
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def _tie(parent: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    if os.getppid() != parent:  # it ended before the prctl call
        raise SystemExit(1)


_ALIVE = "alive"
"""A file that is locked while the measurement is running."""
_YOUNG_S = 60.0
"""Seconds for which a folder without that file may still be in creation."""


@contextmanager
def temp_workspace(kind: str) -> Iterator[Path]:
    """Create a folder that is removed when the block ends; ``kind`` is a part of its name."""
    prefix = f"hooktui-{kind}-"
    _remove_dead(prefix)
    with tempfile.TemporaryDirectory(prefix=prefix) as name:
        folder = Path(name)
        lock = os.open(folder / _ALIVE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            yield folder
        finally:
            os.close(lock)


def _remove_dead(prefix: str) -> None:
    for folder in Path(tempfile.gettempdir()).glob(f"{prefix}*"):
        try:
            if _is_dead(folder):
                shutil.rmtree(folder)
        except OSError:
            continue  # removed concurrently, or owned by another user


def _is_dead(folder: Path) -> bool:
    status = folder.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid():
        return False
    try:
        lock = os.open(folder / _ALIVE, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        return time.time() - status.st_mtime > _YOUNG_S
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(lock)
    return True


if __name__ == "__main__":
    _tie(int(sys.argv[1]))
    sys.argv = sys.argv[2:]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
