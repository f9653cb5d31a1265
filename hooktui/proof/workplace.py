"""The temporary folder of a measurement; those of measurements that were killed are removed."""

from __future__ import annotations

import fcntl
import os
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_ALIVE = "alive"
"""A file that is locked as long as the measurement runs."""
_YOUNG_S = 60.0
"""So young a folder without that file may be about to get one."""


@contextmanager
def workplace(kind: str) -> Iterator[Path]:
    """Make a folder that lasts as long as the block; ``kind`` is a part of its name."""
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
            continue  # somebody else removes it too, or it is not ours: the next start looks again


def _is_dead(folder: Path) -> bool:
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
        return False
    try:
        lock = os.open(folder / _ALIVE, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        return time.time() - found.st_mtime > _YOUNG_S
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(lock)
    return True
